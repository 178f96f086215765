"""Many missions in many processes: every mission's result, in order, whatever happens to any."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from types import TracebackType
from typing import Any, TypeAlias

import jax

from sim.families import generate
from sim.flight import EngineName, Pilot, fly
from sim.judge import Verdict, verdict
from sim.quiet import unheard
from sim.sensors import CALM, Disturbance
from sim.world import World

MissionName: TypeAlias = tuple[str, int]
"""Family and seed; for a world of one's own: any name, and the seed of the disturbance."""

ONE_THREAD = {
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
"""Environment of a worker: one thread each, so that they neither crowd nor change each other."""

DIED = "the worker process died"


@dataclass(frozen=True)
class Terms:
    """How the missions of a campaign are flown.

    Attributes:
        engine: which physics.
        disturbance: how reality differs from the ideal; drawn from each mission's seed.
        speed: set speed [m/s]; from the seed if None.
        density: multiplies the number of obstacles; the family's own if None.
        world: flown in every mission instead of the family's.
    """

    engine: EngineName = "pybullet"
    disturbance: Disturbance = CALM
    speed: float | None = None
    density: float | None = None
    world: World | None = None


@dataclass(frozen=True)
class Result:
    """How one mission went.

    Attributes:
        family: of the world.
        seed: of the world.
        verdict: None if the mission could not be flown.
        reason: why not; empty if it was.
        speed: set speed [m/s]; nan if unknown.
        straight_m: from the start over every via to the target [m]; nan if unknown.
        wall_s: wall time that it took, its share of compiling included [s].
    """

    family: str
    seed: int
    verdict: Verdict | None
    reason: str = ""
    speed: float = math.nan
    straight_m: float = math.nan
    wall_s: float = 0.0


Progress: TypeAlias = Callable[[Result, int, int], object]
"""Is told each result as it comes in, how many there are by now, and how many there will be."""


def run_campaign(
    missions: Sequence[MissionName],
    pilot_factory: Callable[[], Pilot],
    terms: Terms = Terms(),  # noqa: B008 - frozen
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> list[Result]:
    """Fly missions in processes of their own; a pilot is made once in each of them.

    The results do not depend on `processes`, wall times apart. A mission that raises, or that
    takes its process down with it, becomes a result with a reason; the others are flown.

    Args:
        missions: what to fly.
        pilot_factory: makes the pilot; picklable (a function of a module, or a `partial` of one).
        terms: how to fly.
        processes: how many work at a time.
        progress: called here, in this process.

    Returns:
        The results in the order of the missions.

    Raises:
        ValueError: if there are no missions or no processes.
    """
    if processes < 1:
        raise ValueError(f"processes: expected 1 or more, got {processes}")
    if not missions:
        raise ValueError("missions: expected at least one, got none")
    board = _Board(list(missions), progress)
    todo, alone = deque(range(len(missions))), deque[int]()
    while todo or alone:
        # After a crash the missions that were in the air are flown one by one: the one that
        # takes an empty house down is the culprit.
        queue, width = (alone, 1) if alone else (todo, min(processes, len(todo)))
        crashed = _fly_until_crash(queue, width, pilot_factory, terms, board)
        if len(crashed) == 1 and width == 1:
            board.put(crashed[0], Result(*missions[crashed[0]], None, DIED))
        else:
            alone.extend(crashed)
    return [board.results[index] for index in range(len(missions))]


@dataclass
class _Board:
    """Where results are put up."""

    missions: list[MissionName]
    progress: Progress | None
    results: dict[int, Result] = field(default_factory=dict)

    def put(self, index: int, result: Result) -> None:
        self.results[index] = result
        if self.progress is not None:
            self.progress(result, len(self.results), len(self.missions))


def _fly_until_crash(
    queue: deque[int],
    width: int,
    pilot_factory: Callable[[], Pilot],
    terms: Terms,
    board: _Board,
) -> list[int]:
    """Fly the queue with `width` workers; answer the missions that were in the air in a crash."""
    x64 = {"JAX_ENABLE_X64": str(int(jax.config.read("jax_enable_x64")))}
    with (
        _environment(ONE_THREAD | x64),
        ProcessPoolExecutor(width, get_context("spawn"), _enter, (pilot_factory, terms)) as pool,
    ):
        flying: dict[Future[Result], int] = {}
        try:
            while queue or flying:
                # No more than there are workers: in a crash, few are under suspicion.
                while queue and len(flying) < width:
                    future = pool.submit(_fly_one, board.missions[queue[0]])
                    flying[future] = queue.popleft()
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    board.put(flying.pop(future), result)
        except BrokenProcessPool:
            # Those still in `flying` were in the air, or had just landed.
            pool.shutdown()
    return sorted(flying.values())


@contextmanager
def _environment(values: dict[str, str]) -> Generator[None]:
    """Environment variables for the processes that are started meanwhile; XLA's flags add up."""
    before = {name: os.environ.get(name) for name in values}
    for name, value in values.items():
        more = f"{before[name]} " if name == "XLA_FLAGS" and before[name] else ""
        os.environ[name] = more + value
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Worker:
    """What a worker process knows: set once by `_enter`."""

    factory: Callable[[], Pilot]
    terms: Terms
    pilot: Pilot | None = None


def _enter(factory: Callable[[], Pilot], terms: Terms) -> None:
    """Prepare a worker process: quiet, and gone when its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if terms.engine == "pybullet":
        with unheard():
            import sim.bullet  # noqa: F401
    _Worker.factory, _Worker.terms = staticmethod(factory), terms


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _fly_one(mission: MissionName) -> Result:
    """One mission in a worker. What it raises becomes the reason: exceptions may not travel."""
    family, seed = mission
    began, found = time.perf_counter(), dict[str, Any]()
    with _Caught() as caught:
        found = _flown(family, seed)
    wall_s = time.perf_counter() - began
    if caught.reason:
        return Result(family, seed, None, caught.reason, wall_s=wall_s)
    return Result(family, seed, **found, wall_s=wall_s)


def _flown(family: str, seed: int) -> dict[str, Any]:
    terms = _Worker.terms
    if _Worker.pilot is None:
        _Worker.pilot = _Worker.factory()
    world = terms.world or generate(family, seed, terms.speed, terms.density)
    flight = fly(
        world,
        _Worker.pilot,
        terms.engine,
        disturbance=terms.disturbance,
        family=family,
        seed=seed,
    )
    return {"verdict": verdict(flight), "speed": world.speed, "straight_m": world.length}


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
