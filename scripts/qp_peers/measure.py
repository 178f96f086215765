"""The table: every peer on the same problems, times in interleaved rounds, answers checked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from barriernet.verify.problems import Problems, adversarial_problems
from qp_peers.peer import Peer
from qp_peers.place import Apart, Cell, Here, Place
from qp_peers.reference import exact_answers
from sim.quiet import unheard

PROBLEMS = {1: 64, 64: 256}
"""How many problems a sample answers, where it is more than one batch of that size."""
SHORTEST = 0.01
"""A sample takes at least so long [s]; quick calls are repeated within it."""
SMALLEST = 64
"""Batches of slow peers are not made smaller than this."""


@dataclass(frozen=True)
class Pace:
    """How long to measure.

    Attributes:
        rounds: samples of each call, at most.
        patience: longest call [s]: a peer that would need longer is timed on a smaller batch. A
            call whose samples took that long together gets no more of them.
        wall: whether to take the time of the wall, not that of the processor.
    """

    rounds: int = 5
    patience: float = 4.0
    wall: bool = False


@dataclass
class Run:
    """One peer in one cell.

    Attributes:
        row: figures by name, None where there are none.
        place: where the peer is.
        count: problems that a call answers.
        repeats: how often a call is repeated within a sample, by the name of its figure.
        samples: seconds of one call.
    """

    row: dict[str, Any]
    place: Place
    count: int = 1
    repeats: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)

    def remark(self, text: str | None) -> None:
        """Say it in the note, before what is there."""
        self.row["note"] = "; ".join(part for part in (text, self.row["note"]) if part)

    def try_out(self, cell: Cell, problems: Problems, truth: np.ndarray, pace: Pace) -> None:
        """Check the answers, and see how long calls take; a long one is its first sample."""
        ready = self.place.prepare(cell, problems.part(0, self.count), truth[: self.count])
        figures = dict(ready.figures)
        self.remark(figures.pop("note", None))
        self.row |= figures
        for name in ready.calls:
            spent = self.place.time(name, 1)
            self.samples[name] = [spent] if spent > pace.patience / 4 else []
            self.repeats[name] = max(1, int(np.ceil(SHORTEST / max(spent, 1e-6))))

    def sample(self, name: str, pace: Pace) -> None:
        """Once more, unless that took long enough."""
        samples, repeats = self.samples[name], self.repeats[name]
        if not samples or (sum(samples) + samples[-1]) * repeats <= pace.patience:
            samples.append(self.place.time(name, repeats))

    def conclude(self) -> float:
        """Put the times in the row; the longest, in seconds a problem."""
        for name, samples in self.samples.items():
            self.row[name] = float(np.median(samples)) / self.count * 1e6
        return max((self.row[name] for name in self.samples), default=0.0) / 1e6


def measure(cells: Iterable[Cell], peers: Sequence[Peer], pace: Pace) -> list[dict[str, Any]]:
    """Rows of all cells, in order; a peer that is missing has rows that say why.

    Args:
        cells: small batches before large ones, so that slow peers are known in time.
        peers: in the order of the rows.
        pace: how long to measure.
    """
    with unheard():  # Several solvers print, some of them from C.
        places = [_place(peer, pace) for peer in peers]
        missing = [place.missing() for place in places]
    speeds: dict[tuple[str, int, int, str], float] = {}
    rows = []
    for cell in cells:
        print(f"... n={cell.n} K={cell.rows} B={cell.batch} {cell.dtype}", file=sys.stderr)
        with unheard():
            runs = [Run(_row(peer, cell), place) for peer, place in zip(peers, places, strict=True)]
            _try_out(cell, peers, runs, missing, speeds, pace)
            # In rounds, so that a slow moment of the machine meets them all.
            for _ in range(pace.rounds):
                for run in runs:
                    for name in run.samples:
                        run.sample(name, pace)
        for run in runs:
            seconds = run.conclude()
            if cell.batch >= SMALLEST:  # One at a time tells little about a batch.
                speeds[run.row["solver"], cell.n, cell.rows, cell.dtype] = seconds
            rows.append(run.row)
        # Compiled programs hold mapped memory, and the whole table has more of them than a process
        # may map (65,530 pieces on Linux): it would end in a segmentation fault.
        jax.clear_caches()
    return rows


def _place(peer: Peer, pace: Pace) -> Place:
    if peer.apart:
        return Apart(peer, pace.wall)
    return Here(peer, time.perf_counter if pace.wall else time.process_time)


def _row(peer: Peer, cell: Cell) -> dict[str, Any]:
    """The contract's keys, and two more, still without figures."""
    where = {"n": cell.n, "K": cell.rows, "batch": cell.batch, "dtype": cell.dtype}
    times = dict.fromkeys(("forward_us", "forward_backward_us"))
    checks = ("max_error", "hard_violation", "nonfinite_gradients", "unconverged")
    more = {"inside_jit_us": None, "note": peer.note}
    return {"solver": peer.name, **where, **times, **dict.fromkeys(checks), **more}


def _try_out(
    cell: Cell,
    peers: Sequence[Peer],
    runs: Sequence[Run],
    missing: Sequence[str | None],
    speeds: dict[tuple[str, int, int, str], float],
    pace: Pace,
) -> None:
    """Load, compile and check every peer; those that cannot do this cell get a note."""
    count = PROBLEMS.get(cell.batch, cell.batch)
    problems = adversarial_problems(max(count, 1024), cell.n, cell.rows).part(0, count)
    problems = problems.as_type(np.dtype(cell.dtype).type)
    truth = exact_answers(problems)
    for peer, run, why in zip(peers, runs, missing, strict=True):
        refusal = why or (peer.refuses_float32 if cell.dtype == "float32" else None)
        if refusal:
            run.row["note"] = refusal
            continue
        run.remark(peer.refuses_gradient)
        last = speeds.get((peer.name, cell.n, cell.rows, cell.dtype), 0.0)
        run.count = _affordable(count, cell.batch, last, pace)
        if run.count < count:
            run.remark(f"timed on a batch of {run.count}")
        run.try_out(cell, problems, truth, pace)


def _affordable(count: int, batch: int, seconds: float, pace: Pace) -> int:
    """How many problems to answer, where one took `seconds` in a smaller batch."""
    if batch <= SMALLEST or seconds * count <= pace.patience:
        return count
    return max(SMALLEST, 2 ** int(np.log2(pace.patience / seconds)))
