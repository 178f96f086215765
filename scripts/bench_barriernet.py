#!/usr/bin/env python3
"""The 3D robot, the original's way and ours, in one run on one core: `bench_barriernet.py`.

The original's way is its published recipe over torch and qpth, written here from its description
(Xiao et al., IEEE T-RO 2023, and github.com/Weixy21/BarrierNet): 20 epochs of Adam at 1e-3 on
batches of 32 through qpth, in float64. Test errors and data loading are not timed. Its policies
drive with the row solved exactly: what they do wrong there is not the solver's fault. Where torch
or qpth is missing, the table says so.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro
from train_barriernet import published_flight

if TYPE_CHECKING:
    from jax import Array

    from barriernet.examples import Demonstrations, Experiment, Recipe

PEERS = ("torch", "qpth")


@dataclass(frozen=True)
class Bench:
    """Time the training of the 3D robot, and look at what was learnt."""

    seeds: int = 20
    """Trainings of ours, each way."""
    original_seeds: int = 3
    """Trainings of the original."""
    quick: bool = False
    """One training of the original, three of ours."""
    data: Path | None = None
    """Folder of the published flight (default: $LNN_NAV_TEST_DATA/barriernet_3d)."""
    json: Path | None = None
    """Write the rows to this file too."""


@dataclass(frozen=True)
class Row:
    """One trained policy that drove from the published start.

    Attributes:
        way: how it was trained.
        seed: of the training.
        steps: of the optimiser.
        compile_s: once for all seeds [s].
        train_s: [s].
        test_mse: on the published test rows.
        least_margin: smallest b over the drive [m^4].
    """

    way: str
    seed: int
    steps: int
    compile_s: float
    train_s: float
    test_mse: float
    least_margin: float


def main(config: Bench) -> int:
    """Print a table, one line a way."""
    # One core each, and the same one: ours and its peer may use threads elsewhere.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    folder = published_flight(config.data)
    if folder is None:
        print("no published flight: give --data, or set LNN_NAV_TEST_DATA")
        return 0
    import jax

    jax.config.update("jax_enable_x64", True)
    from barriernet.examples import robot3d

    shown = robot3d.load(folder)
    ours, theirs = (3, 1) if config.quick else (config.seeds, config.original_seeds)
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    rows: list[Row] = []
    if missing:
        print(f"original recipe, torch + qpth: missing here ({', '.join(missing)})")
    else:
        rows += [_original(shown, seed) for seed in range(theirs)]
    for way, experiment, recipe, barrier in _ways():
        rows += _ours(shown, way, experiment, recipe, barrier, ours)
    _tell(rows)
    if config.json:
        text = json.dumps([asdict(row) for row in rows], indent=2)
        config.json.write_text(text + "\n", encoding="utf-8")
    return 0


ORIGINAL = "original recipe, torch + qpth"
OURS = "our recipe, guarded row"


def _ways() -> Iterator[tuple[str, Experiment, Recipe, bool]]:
    """What is trained in JAX: name, experiment, recipe, with the layer or without."""
    from barriernet.examples import Recipe, robot3d

    theirs = Recipe(epochs=20, batch=32, rate=1e-3, warm_up=0, last=1, clip=float("inf"))

    def published(state: Array, gains: Array) -> tuple[Array, Array]:
        return robot3d.BARRIER.rows(robot3d.SYSTEM, state, gains)

    yield "original recipe, here", replace(robot3d.EXPERIMENT, rows=published), theirs, True
    yield OURS, robot3d.EXPERIMENT, robot3d.RECIPE, True
    yield "our recipe, no layer", robot3d.EXPERIMENT, robot3d.RECIPE, False


def _ours(
    shown: Demonstrations,
    way: str,
    experiment: Experiment,
    recipe: Recipe,
    barrier: bool,
    seeds: int,
) -> Iterator[Row]:
    from barriernet.examples.report import measure

    alone = replace(shown, scenes=(replace(shown.scenes[0], experiment=experiment),))
    steps = recipe.epochs * (len(shown.states) // recipe.batch)
    for row in measure(experiment, recipe, alone, range(seeds), barrier):
        yield Row(way, row.seed, steps, row.compile_s, row.train_s, row.test_mse, row.least_margin)


def _original(shown: Demonstrations, seed: int) -> Row:
    from robot3d_torch import train_original

    policy, steps, train_s = train_original(shown, seed)
    errors = [
        policy.exact(state) - expert
        for state, expert in zip(shown.test_states, shown.test_controls, strict=True)
    ]
    error = float(np.mean(np.square(errors)))
    return Row(ORIGINAL, seed, steps, 0.0, train_s, error, policy.drive())


def _tell(rows: list[Row]) -> None:
    print(f"{'way':32}{'steps':>6}{'compile s':>10}{'train s':>9}{'test MSE':>20}", end="")
    print(f"{'min b':>10}{'inside':>9}")
    medians = {}
    for way in dict.fromkeys(row.way for row in rows):
        mine = [row for row in rows if row.way == way]
        errors, least = [row.test_mse for row in mine], [row.least_margin for row in mine]
        medians[way] = float(np.median([row.train_s for row in mine]))
        print(
            f"{way:32}{mine[0].steps:6}{mine[0].compile_s:10.1f}{medians[way]:9.2f}"
            f"{min(errors):11.2e}{max(errors):9.1e}{min(least):10.1f}"
            f"{sum(b <= 0 for b in least):5}/{len(mine)}"
        )
    if ORIGINAL in medians:
        compiled = next(row.compile_s for row in rows if row.way == OURS)
        for way in list(medians)[1:]:
            print(f"{way}: {medians[ORIGINAL] / medians[way]:.0f}x faster than torch + qpth")
        first = medians[ORIGINAL] / (medians[OURS] + compiled)
        print(f"{OURS}, compiling included: {first:.1f}x for a single seed")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Bench)))
