#!/usr/bin/env python3
"""Our cells, ncps's and flax's on the same sequences, in one run: `scripts/bench_cells.py`.

Medians of interleaved rounds, times of the processor, on one core and one thread. Cells of the same
name have the same weights, and their outputs are compared. `make bench` installs the peers; those
that are missing are named.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro
from one_core import keep_to_one_core
from stopwatch import repeats_of, spent

if TYPE_CHECKING:
    from cell_peers.peer import Peer

TIMES = {"forward": "forward_ms", "forward_backward": "forward_backward_ms", "step": "step_us"}
ASKED = (
    ("CfC 64", "ncps.torch", "lnn_nav", "CfC 64", {"forward_ms": 5, "forward_backward_ms": 5}),
    (
        *("CfC AutoNCP(32, 4)", "ncps.torch", "lnn_nav", "CfC AutoNCP(32, 4)"),
        {"forward_ms": 12, "forward_backward_ms": 12},
    ),
    (
        *("LTC AutoNCP(32, 4)", "ncps.torch", "lnn_nav", "LTC AutoNCP(32, 4)"),
        {"forward_ms": 3, "forward_backward_ms": 4},
    ),
    ("CfC 64", "ncps.torch", "lnn_nav", "CfC 64", {"step_us": 6}),
    ("LSTM 64", "flax", "lnn_nav", "CfC 64", {"forward_ms": 0.8, "forward_backward_ms": 0.8}),
)
"""Slower cell and library, faster library and cell, and how many times faster it should be."""


@dataclass(frozen=True)
class Bench:
    """Time cells over sequences, and step by step."""

    quick: bool = False
    """Ten rounds."""
    rounds: int = 40
    """Samples of each call."""
    batch: int = 64
    """Sequences in a batch."""
    steps: int = 32
    """Steps of a sequence."""
    inputs: int = 32
    """Features."""
    json: Path | None = None
    """Write the rows to this file too."""


def main(config: Bench) -> int:
    """Print a table, and the ratios that are asked for."""
    keep_to_one_core()
    import jax

    # Every answer is waited for: it is computed where it is asked for.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    rows, notes = measure(config)
    for line in (*table(rows), "", *notes, *ratios(rows)):
        print(line)
    if config.json:
        config.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(config: Bench) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows, and what is to be said of them."""
    from cell_peers import jax_cells

    shape = (config.batch, config.steps, config.inputs)
    inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    peers, notes = _torch(inputs)
    weights = {peer.cell: peer.weights for peer in peers if peer.weights}
    peers = [*peers, *jax_cells.ours(inputs, weights), *jax_cells.flax(inputs)]
    samples = _samples(peers, min(config.rounds, 10) if config.quick else config.rounds)
    rows = []
    for peer in peers:
        row: dict[str, Any] = {"implementation": peer.implementation, "cell": peer.cell}
        row |= {"batch": config.batch, "steps": config.steps}
        for name, key in TIMES.items():
            scale = 1e6 if key.endswith("us") else 1e3
            row[key] = float(np.median(samples[id(peer), name])) * scale
        row["difference_to_torch"] = _difference(peer, peers)
        rows.append(row)
    return rows, notes


def _torch(inputs: np.ndarray) -> tuple[list[Peer], list[str]]:
    try:
        from cell_peers import torch_ncps

        return torch_ncps.peers(inputs), []
    except ImportError as error:
        return [], [f"ncps.torch: missing: {error}"]


def _samples(peers: Sequence[Peer], rounds: int) -> dict[tuple[int, str], list[float]]:
    """Seconds of each call, in rounds, so that a slow moment of the machine meets all."""
    calls = {(id(peer), name): getattr(peer, name) for peer in peers for name in TIMES}
    repeats = {key: repeats_of(call) for key, call in calls.items()}
    samples: dict[tuple[int, str], list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            samples[key].append(spent(call, repeats[key]))
    return samples


def _difference(peer: Peer, peers: Sequence[Peer]) -> float | None:
    """Largest difference to what torch puts out for the same weights and inputs."""
    for other in peers:
        if other is not peer and other.cell == peer.cell and other.weights:
            return float(np.abs(other.shown() - peer.shown()).max())
    return None


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line a row."""
    head = f"{'implementation':15} {'cell':20} {'forward':>11} {'+ backward':>11} {'step':>9}"
    lines = [f"{head}  difference to torch"]
    for row in rows:
        times = f"{row['forward_ms']:8.2f} ms {row['forward_backward_ms']:8.2f} ms"
        far = row["difference_to_torch"]
        shown = "" if far is None else f"{far:.1e}"
        name = f"{row['implementation']:15} {row['cell']:20}"
        lines.append(f"{name} {times} {row['step_us']:6.1f} us  {shown}")
    return lines


def ratios(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is asked for, and what was found."""
    found = {(row["implementation"], row["cell"]): row for row in rows}
    lines = []
    for slow_cell, slow, fast, fast_cell, asked in ASKED:
        if (slow, slow_cell) not in found or (fast, fast_cell) not in found:
            continue
        for key, wanted in asked.items():
            ratio = found[slow, slow_cell][key] / found[fast, fast_cell][key]
            what = key.rpartition("_")[0].replace("_", " and ")
            lines.append(
                f"{fast} {fast_cell}: {ratio:.2f}x as fast as {slow} {slow_cell}, {what} "
                f"(asked: {wanted})"
            )
    return lines


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Bench)))
