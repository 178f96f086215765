"""One mission at a time, in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import connection, parent_process
from types import TracebackType
from typing import Any

import jax

from sim.campaign.terms import MissionName, Result, Terms
from sim.families import generate
from sim.flight import Pilot, fly
from sim.judge import verdict
from sim.quiet import unheard

ONE_THREAD = {
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
"""Environment of a worker: one thread each, so that they neither crowd nor change each other."""


def environment() -> dict[str, str]:
    """What a worker's environment adds to this one; jax reads it when it is imported there.

    XLA's flags add up; precision is that of this process.
    """
    flags = f"{os.environ.get('XLA_FLAGS', '')} {ONE_THREAD['XLA_FLAGS']}".strip()
    x64 = str(int(jax.config.read("jax_enable_x64")))
    return ONE_THREAD | {"XLA_FLAGS": flags, "JAX_ENABLE_X64": x64}


def serve(pipe: Any, factory: Callable[[], Pilot], terms: Terms) -> None:  # noqa: ANN401
    """Fly what comes through a pipe, until it ends; quiet, and gone when the parent is."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker = Worker(factory, terms)
    while True:
        try:
            mission = pipe.recv()
        except EOFError:
            return
        pipe.send(worker.fly(mission))


class Worker:
    """What flies: its pilot is made once, at the first mission."""

    def __init__(self, factory: Callable[[], Pilot], terms: Terms) -> None:
        """Get ready.

        Args:
            factory: makes the pilot.
            terms: how to fly.
        """
        self._factory, self._terms = factory, terms
        self._pilot: Pilot | None = None
        if terms.engine == "pybullet":
            with unheard():
                import sim.bullet  # noqa: F401

    def fly(self, mission: MissionName) -> Result:
        """One mission. What it raises becomes the reason: exceptions may not travel."""
        family, seed = mission
        began, found = time.perf_counter(), dict[str, Any]()
        with _Caught() as caught:
            found = self._flown(family, seed)
        wall_s = time.perf_counter() - began
        if caught.reason:
            return Result(family, seed, None, caught.reason, wall_s=wall_s)
        return Result(family, seed, **found, wall_s=wall_s)

    def _flown(self, family: str, seed: int) -> dict[str, Any]:
        terms = self._terms
        if self._pilot is None:
            self._pilot = self._factory()
        world = terms.world or generate(family, seed, terms.speed, terms.density)
        flight = fly(
            world,
            self._pilot,
            terms.engine,
            disturbance=terms.disturbance,
            physics=terms.physics,
            family=family,
            seed=seed,
        )
        return {"verdict": verdict(flight), "speed": world.speed, "straight_m": world.length}


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


class _Caught:
    """Keeps whatever error is raised inside as one line."""

    reason = ""

    def __enter__(self) -> _Caught:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.reason = " ".join(f"{type(error).__name__}: {error}".split())
        return True
