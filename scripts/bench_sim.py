#!/usr/bin/env python3
"""Our simulators and other people's, hovering, in one run: `scripts/bench_sim.py`.

Least times of interleaved rounds, of the processor, on one core and one thread. gym-pybullet-drones
and PyFlyt are not among the locked peers (one is not on the package index, the other brings numba):
those that are missing are named, and `sim.adapters.gym_pybullet_drones` says how to install it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from one_core import keep_to_one_core
from stopwatch import least_seconds

if TYPE_CHECKING:
    from sim_peers.case import Case

REFERENCE = "gym-pybullet-drones"


@dataclass(frozen=True)
class Bench:
    """Time steps of simulators."""

    quick: bool = False
    """Three rounds."""
    rounds: int = 9
    """Samples of each call; the least counts."""
    json: Path | None = None
    """Write the rows to this file too."""


def main(config: Bench) -> int:
    """Print a table, and what else is asked for."""
    keep_to_one_core()
    import jax

    # Every answer is waited for: it is computed where it is asked for.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    from sim_peers import others, ours

    makers = {
        "gym-pybullet-drones": others.gym_pybullet_drones,
        "PyFlyt": others.pyflyt,
        "PyBullet": others.bare,
        "our engine": ours.engine,
        "our swarm": ours.swarm,
        "our twin": ours.batches,
    }
    cases, notes = _cases(makers)
    rounds = 3 if config.quick else config.rounds
    singles = {"reset of the same world": ours.resets(), "gradient, 2 s, 64 drones": ours.slope()}
    least = least_seconds([case.run for case in cases] + list(singles.values()), rounds)
    rows = _rows(cases, least)
    for line in (*_table(rows), "", *notes):
        print(line)
    for name, seconds in zip(singles, least[len(cases) :], strict=True):
        print(f"{name}: {1e3 * seconds:.3f} ms")
    if config.json:
        config.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def _cases(makers: Mapping[str, Callable[[], Iterator[Case]]]) -> tuple[list[Case], list[str]]:
    """All that can be had, and what cannot."""
    cases: list[Case] = []
    notes = []
    for name, make in makers.items():
        try:
            cases += make()
        except ImportError as error:
            notes.append(f"{name}: missing: {error}")
    return cases, notes


def _rows(cases: Sequence[Case], least: Sequence[float]) -> list[dict[str, Any]]:
    """One row a case; ratios to the reference in the same setting, and to itself with one drone."""
    spent = {
        (case.name, case.drones, case.obstacles, case.control_hz): 1e6 * seconds / case.steps
        for case, seconds in zip(cases, least, strict=False)
    }
    rows = []
    for (name, *setting), microseconds in spent.items():
        reference = spent.get((REFERENCE, *setting))
        alone = spent.get((name, 1, *setting[1:]))
        rows.append(
            {
                "name": name,
                **dict(zip(("drones", "obstacles", "control_hz"), setting, strict=True)),
                "us_per_control_step": microseconds,
                "ratio_to_gym_pybullet_drones": None if not reference else reference / microseconds,
                "ratio_to_one_drone": None if not alone else microseconds / alone,
            }
        )
    return rows


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    head = f"{'':28} {'drones':>6} {'obstacles':>9} {'Hz':>4} {'a step':>11}"
    lines = [f"{head}  times faster  times one drone's"]
    for row in rows:
        setting = f"{row['drones']:6} {row['obstacles']:9} {row['control_hz']:4}"
        faster, alone = row["ratio_to_gym_pybullet_drones"], row["ratio_to_one_drone"]
        shown = "" if faster is None else f"{faster:.2f}"
        times = f"{alone:.2f}" if row["drones"] > 1 and alone is not None else ""
        line = (
            f"{row['name']:28} {setting} {row['us_per_control_step']:8.2f} us  {shown:12}  {times}"
        )
        lines.append(line.rstrip())
    return lines


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Bench, description=__doc__)))
