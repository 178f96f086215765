#!/usr/bin/env python3
"""BarrierNet's own experiments: `scripts/train_barriernet.py robot3d --seeds 20`. See `--help`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Training:
    """Train an experiment with the barrier layer and without, and let both drive."""

    experiment: Annotated[Literal["robot3d", "robot2d", "merging"], tyro.conf.Positional]
    """Which one."""
    seeds: int = 3
    """How many trainings of each kind; seeds 0, 1, ..."""
    epochs: int | None = None
    """Passes over the data (default: the experiment's recipe)."""
    paths: int = 100
    """Paths that the expert shows (robot2d and merging)."""
    data: Path | None = None
    """Folder of the published flight (robot3d; default: $LNN_NAV_TEST_DATA/barriernet_3d)."""
    json: Path | None = None
    """Write the rows to this file too."""


def main(config: Training) -> int:
    """Print a row for every seed, with and without the layer; 1 if the layer let one through."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from barriernet.examples import merging, robot2d, robot3d
    from barriernet.examples.report import measure

    if config.experiment == "robot3d":
        folder = published_flight(config.data)
        if folder is None:
            print("robot3d needs the published flight: --data, or LNN_NAV_TEST_DATA")
            return 2
        module, shown = robot3d, robot3d.load(folder)
    else:
        module = {"robot2d": robot2d, "merging": merging}[config.experiment]
        shown = module.demonstrate(config.paths)
    recipe = replace(module.RECIPE, epochs=config.epochs or module.RECIPE.epochs)
    print(f"{'scene':18}{'layer':>6}{'seed':>5}{'train s':>9}{'test MSE':>10}{'min h':>10}", end="")
    print(f"{'unsafe':>8}{'certified':>10}{'path rms':>10}")
    rows = []
    for barrier in (True, False):
        for row in measure(module.EXPERIMENT, recipe, shown, range(config.seeds), barrier):
            rows.append(row)
            rms = "-" if row.path_rms is None else f"{row.path_rms:.2f} m"
            print(
                f"{row.scene:18}{'yes' if barrier else 'no':>6}{row.seed:5}{row.train_s:9.2f}"
                f"{row.test_mse:10.2e}{row.least_margin:10.2f}{row.unsafe_runs:8.0%}"
                f"{row.certified:10.1%}{rms:>10}"
            )
    if config.json:
        text = json.dumps([row.as_json() for row in rows], indent=2)
        config.json.write_text(text + "\n", encoding="utf-8")
    return 1 if any(row.barrier and row.unsafe_runs for row in rows) else 0


def published_flight(given: Path | None) -> Path | None:
    """The folder of the 3D robot's data: as given, or in that of all test data, or none."""
    home = os.environ.get("LNN_NAV_TEST_DATA")
    return given or (Path(home) / "barriernet_3d" if home else None)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Training)))
