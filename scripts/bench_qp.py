#!/usr/bin/env python3
"""barriernet's solver and its peers on the same problems, in one run: `scripts/bench_qp.py`.

Times are per problem, medians of interleaved rounds, on one core and one thread: those of the
processor (other programs do not count), or with `--clock wall` of the wall. Forward and backward
is the answer with the gradient of sum(x^2) with respect to P, q, A and b. Errors are against exact
answers in float64 to the same, rounded, problem. Peers that are not installed are named as
missing: `make bench` installs them.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from one_core import keep_to_one_core

BAD_INPUT = 2
"""Exit code where the options make no sense."""


@dataclass(frozen=True)
class Bench:
    """Time the solvers of small quadratic programs, and check what they answer."""

    quick: bool = False
    """Only n = 4, K = 16, batches of 1 and 1024."""
    solvers: tuple[str, ...] = ()
    """Only these peers; all by default."""
    variables: tuple[int, ...] = (3, 4)
    """Numbers of variables n."""
    rows: tuple[int, ...] = (0, 8, 16, 128)
    """Numbers of soft rows K."""
    batches: tuple[int, ...] = (1, 64, 1024)
    """Problems in one call."""
    dtypes: tuple[Literal["float64", "float32"], ...] = ("float64", "float32")
    """Types of numbers."""
    rounds: int = 5
    """Samples of each call, at most."""
    patience: float = 4.0
    """Longest call [s], a fourth of it with `--quick`; slower peers get smaller batches."""
    clock: Literal["processor", "wall"] = "processor"
    """Which time is taken."""
    json: Path | None = None
    """Write the rows to this file too."""


def main(config: Bench) -> int:
    """Print the table, the notes, and the ratios that are asked for."""
    keep_to_one_core()
    import jax

    jax.config.update("jax_enable_x64", True)
    # Every answer is waited for: it is computed where it is asked for.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    from qp_peers import all_peers
    from qp_peers.measure import Pace, measure
    from qp_peers.place import Cell
    from qp_peers.report import ratios, remarks, table

    from lnn_nav.commands.shell import keep_compiled

    keep_compiled()  # Most of the time goes into compiling; a second run does without.
    sizes = (config.variables, config.rows, config.dtypes, sorted(config.batches))
    if config.quick:
        sizes = ((4,), (16,), config.dtypes, (1, 1024))
    pace = Pace(config.rounds, config.patience / (4 if config.quick else 1), config.clock == "wall")
    cells = [Cell(n, K, batch, dtype) for n, K, dtype, batch in itertools.product(*sizes)]
    peers = {peer.name: peer for peer in all_peers()}
    if unknown := set(config.solvers) - set(peers):
        print(f"--solvers: expected some of {', '.join(peers)}, got {', '.join(unknown)}")
        return BAD_INPUT
    peers = [peers[name] for name in config.solvers or peers]
    rows = measure(cells, peers, pace)
    for line in (*table(rows), "", *remarks(rows), "", *ratios(rows)):
        print(line)
    if config.json:
        config.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Bench)))
