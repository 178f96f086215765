"""Where a peer runs: in this process, or in one of its own."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.judge import judged, nonfinite
from qp_peers.peer import Foreign, Peer

FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError),
    *(LookupError, MemoryError, RuntimeError, TypeError, ValueError),
)
"""What a peer may raise without ending the bench: its row says so."""


@dataclass(frozen=True)
class Cell:
    """One block of the table.

    Attributes:
        n: variables.
        rows: soft rows K.
        batch: problems in one call.
        dtype: "float32" or "float64".
    """

    n: int
    rows: int
    batch: int
    dtype: str


ASKED_INSIDE = Cell(4, 16, 1, "float64")
"""Where a figure asks for the time inside a compiled loop: one more program to compile."""


class Ready(NamedTuple):
    """What a peer answered when it was tried.

    Attributes:
        figures: of the row, by name; `note` where it failed.
        calls: names of the times that can be taken.
    """

    figures: dict[str, Any]
    calls: tuple[str, ...]


class Place(Protocol):
    """A peer, ready to be asked from here."""

    def missing(self) -> str | None:
        """Why it cannot be used, if it cannot; the first question."""
        ...

    def prepare(self, cell: Cell, problems: Problems, truth: np.ndarray) -> Ready:
        """Load and compile for a cell, and look at the answers."""
        ...

    def time(self, name: str, repeats: int) -> float:
        """Seconds of one call of the cell that was prepared last."""
        ...


class Here:
    """A peer in this process."""

    def __init__(self, peer: Peer, clock: Callable[[], float]) -> None:
        """Take the peer as it is, and the clock [s] to time it with."""
        self.peer, self.clock = peer, clock
        self.calls: dict[str, Callable[[], Foreign]] = {}

    def missing(self) -> str | None:
        """Import its library."""
        try:
            self.peer.start()
        except (ImportError, AttributeError, OSError) as error:
            return f"missing: {_line(error)}"
        return None

    def prepare(self, cell: Cell, problems: Problems, truth: np.ndarray) -> Ready:
        """A peer that fails has no calls, and a note that says how."""
        self.calls = {}
        try:
            figures = self._tried(cell, problems, truth)
        except FAILURES as error:
            self.calls = {}
            return Ready({"note": f"failed: {type(error).__name__}: {_line(error)}"}, ())
        return Ready(figures, tuple(self.calls))

    def _tried(self, cell: Cell, problems: Problems, truth: np.ndarray) -> dict[str, Any]:
        peer, count = self.peer, len(problems.q)
        size = count if cell.batch == 1 else min(cell.batch, count)
        parts = [problems.part(i, i + size) for i in range(0, count, size)]
        loads = [peer.load(part, cell.batch == 1) for part in parts]
        answers = [peer.read(peer.forward(load)) for load in loads]
        figures = judged(answers, problems, truth)
        self.calls["forward_us"] = lambda: [peer.forward(load) for load in loads]
        if not peer.refuses_gradient:
            both = [peer.read(peer.forward_backward(load)) for load in loads]
            figures["nonfinite_gradients"] = sum(nonfinite(one) for one in both)
            self.calls["forward_backward_us"] = lambda: [
                peer.forward_backward(load) for load in loads
            ]
        if cell == ASKED_INSIDE and (loop := peer.inside_jit(problems)):
            loop()
            self.calls["inside_jit_us"] = loop
        return figures

    def time(self, name: str, repeats: int) -> float:
        """One call after the other."""
        call = self.calls[name]
        began = self.clock()
        for _ in range(repeats):
            call()
        return (self.clock() - began) / repeats


class Apart:
    """A peer in a process of its own, whose jax has two threads: with one, jax would for ever wait.

    It waits so for a callback with large arguments. Both threads share the one core.
    """

    def __init__(self, peer: Peer, wall: bool) -> None:
        """Start the process; it takes the time itself."""
        spawn = multiprocessing.get_context("spawn")
        self.asked, theirs = spawn.Pipe()
        threads = os.environ.get("NPROC")
        os.environ["NPROC"] = "2"
        spawn.Process(target=_serve, args=(theirs, peer, wall), daemon=True).start()
        os.environ.pop("NPROC")
        if threads is not None:
            os.environ["NPROC"] = threads

    def _ask(self, question: str, *details: object) -> Foreign:
        self.asked.send((question, details))
        return self.asked.recv()

    def missing(self) -> str | None:
        """Import its library there."""
        return self._ask("missing")

    def prepare(self, cell: Cell, problems: Problems, truth: np.ndarray) -> Ready:
        """The arrays are sent there."""
        return self._ask("prepare", cell, problems, truth)

    def time(self, name: str, repeats: int) -> float:
        """By the clock of that process."""
        return self._ask("time", name, repeats)


def _serve(asked: Connection, peer: Peer, wall: bool) -> None:
    """Answer until the asker is gone."""
    import jax

    jax.config.update("jax_enable_x64", True)
    here = Here(peer, time.perf_counter if wall else time.process_time)
    while True:
        try:
            question, details = asked.recv()
        except EOFError:
            return
        asked.send(getattr(here, question)(*details))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
