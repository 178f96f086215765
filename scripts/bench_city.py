#!/usr/bin/env python3
"""What a step and a sight cost in a world of 2,000 obstacles, against one of 50.

Least times of interleaved rounds, of the processor, on one core and one thread.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from one_core import keep_to_one_core
from stopwatch import least_seconds

if TYPE_CHECKING:
    from sim.world import World

FEW, SEED = 50, 1_000_000


@dataclass(frozen=True)
class Bench:
    """Time the same calls in a small and a large world."""

    quick: bool = False
    """Three rounds."""
    rays: int = 64
    """Of a sight, 8 m far."""
    rounds: int = 15
    """Samples of each call; the least counts."""
    json: Path | None = None
    """Write the rows to this file too."""


def main(config: Bench) -> int:
    """Print a table, and what else is asked for."""
    keep_to_one_core()
    import jax

    # Every answer is waited for: it is computed where it is asked for.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    jax.config.update("jax_enable_x64", True)
    rows = measure(config)
    print(f"{'':24} {'50 obstacles':>14} {'2,000':>12}  ratio")
    for row in rows:
        small, large = row["us_small"], row["us_large"]
        print(f"{row['name']:24} {small:11.2f} us {large:9.2f} us  {row['ratio']:.2f}")
    if config.json:
        config.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(config: Bench) -> list[dict[str, str | float]]:
    """One row a call."""
    small, large = worlds()
    pairs = list(zip(_calls(config, small).items(), _calls(config, large).values(), strict=True))
    calls = [call for (_, one), other in pairs for call in (one, other)]
    least = least_seconds(calls, 3 if config.quick else config.rounds)
    return [
        {
            "name": name,
            "us_small": 1e6 * least[2 * i],
            "us_large": 1e6 * least[2 * i + 1],
            "ratio": least[2 * i + 1] / least[2 * i],
        }
        for i, ((name, _), _) in enumerate(pairs)
    ]


def worlds() -> tuple[World, World]:
    """A dense forest of 50 trunks, and the city."""
    from sim.families import generate

    seed = SEED
    while len((forest := generate("dense_forest", seed)).obstacles) != FEW:
        seed += 1
    return forest, generate("city", SEED)


def _calls(config: Bench, world: World) -> dict[str, Callable[[], object]]:
    """Hovering at the start, and looking around there; by name."""
    from sim.airframe import CF2X
    from sim.bullet import BulletEngine
    from sim.engine import TwinEngine, start_of
    from sim.eyes import Eyes
    from sim.flight import pad_of
    from sim.scene import scene_of
    from sim.sensors import CALM, Rays
    from sim.sensors.fan import sphere_points

    bullet, twin = BulletEngine(CF2X, world), TwinEngine(CF2X, world, pad=pad_of(world))
    fan = Rays.along(sphere_points(config.rays), 8.0)
    eyes, start = Eyes(fan, 24.0, scene_of(world, pad_of(world)), CALM, 0), start_of(world)
    hover = [CF2X.hover_force] * 4
    return {
        "step of BulletEngine": lambda: bullet.step(hover),
        "step of TwinEngine": lambda: twin.step(hover),
        f"a sight of {config.rays} rays": lambda: eyes.see(start, 0.0),
        "reset of BulletEngine": bullet.reset,
    }


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Bench, description=__doc__)))
