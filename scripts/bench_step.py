#!/usr/bin/env python3
"""What a tick and a thought cost, in units of an empty compiled call: `scripts/bench_step.py`.

Medians of interleaved rounds, everything in one run; times alone depend on the machine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from lnn_nav.commands.shell import set_up_jax


@dataclass(frozen=True)
class Bench:
    """Time `act` and `think` of a pilot against empty compiled calls."""

    pilot: str = "default"
    """Name or folder of the pilot."""
    rounds: int = 40
    """Rounds; each times every call 50 times."""
    quick: bool = False
    """At most ten rounds."""
    json: Path | None = None
    """Write the rows to this file too."""


def main(config: Bench) -> int:
    """Print a table of medians and ratios."""
    set_up_jax()
    rows = measure(config)
    for row in rows:
        name, micros, ratio = row["name"], row["median_us"], row["ratio_to_empty"]
        print(f"{name:34} {micros:8.1f} us   {ratio:5.1f} x an empty call")
    if config.json:
        config.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(config: Bench) -> list[dict[str, Any]]:
    """Rows `name, median_us, ratio_to_empty`."""
    calls = _calls(config.pilot)
    for call in calls.values():
        call()
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(min(config.rounds, 10) if config.quick else config.rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(50):
                call()
            spent[name].append((time.perf_counter() - began) / 50 * 1e6)
    medians = {name: float(np.median(times)) for name, times in spent.items()}
    empty = medians["empty compiled call"]
    return [
        {"name": name, "median_us": value, "ratio_to_empty": value / empty}
        for name, value in medians.items()
    ]


def _calls(pilot_name: str) -> dict[str, Callable[[], object]]:
    """What is timed, by name, in mid flight of an unseen world."""
    from lnn_nav.store import load_pilot
    from sim.engine import start_of
    from sim.families import generate
    from sim.mission import mission_of
    from sim.sensors import CALM, look

    pilot, world = load_pilot(pilot_name), generate("forest", 1_000_000)
    mission, state = mission_of(world, jnp.float64), start_of(world)
    memory = pilot.reset(mission)
    sight = look(pilot.rays, mission.scene, state.as_jax(), CALM, None)
    memory, wish = pilot.think(memory, sight, 1 / 24)
    empty, vector = jax.jit(lambda x: x), jnp.zeros(4)
    same = jax.jit(lambda tree: tree)

    def act() -> object:
        return np.asarray(pilot.act(memory, wish, state)[1])

    return {
        "empty compiled call": lambda: jax.block_until_ready(empty(vector)),
        "empty call with think's arrays": lambda: jax.block_until_ready(same((memory, wish))),
        "act": act,
        "think": lambda: jax.block_until_ready(pilot.think(memory, sight, 1 / 24)),
    }


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Bench)))
