#!/usr/bin/env python3
"""The world families, or one world: `scripts/worlds.py --world rooms --seed 7`. See `--help`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from sim.world import World


@dataclass(frozen=True)
class Worlds:
    """List the families; or show one world, and write its file.

    What moves is measured where it stands at the start.

    Exit code 0: done. 2: bad input.
    """

    world: str | None = None
    """Family of the world to show; all families are listed without one."""
    world_file: Path | None = None
    """A world file (JSON) to show instead."""
    seed: int = 1_000_003
    """Of the world; training knows those below 1,000,000."""
    speed: float | None = None
    """Set speed [m/s]; the world's own if not given."""
    density: float | None = None
    """Multiplies the number of obstacles per square metre, where the family allows it."""
    out: Path | None = None
    """Write the world to this file (JSON)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """List families or show a world.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit code.
    """
    options = tyro.cli(Worlds, args=arguments)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    try:
        if options.world is None and options.world_file is None:
            _list()
        else:
            _show(options)
    except (ValueError, OSError) as error:
        print(f"worlds: {error}", file=sys.stderr)
        return 2
    return 0


def _list() -> None:
    from sim.families import FAMILIES

    for name, family in FAMILIES.items():
        use = "training" if family.training else "moves" if family.moves else ""
        print(f"{name:<13} {use:<9} {family.summary}")


def _show(options: Worlds) -> None:
    from sim.difficulty import difficulty
    from sim.families import family_named, generate
    from sim.world import load_world, save_world, world_hash

    if options.world_file is not None:
        world, search = load_world(options.world_file), {}
    else:
        name = str(options.world)
        world = generate(name, options.seed, options.speed, options.density)
        family = family_named(name)
        search = {"half_width": family.corridor, "cell": family.cell}
    for label, text in _figures(world).items():
        print(f"{label:<18} {text}")
    print(f"{'hash':<18} {world_hash(world)}")
    if options.out is not None:
        save_world(options.out, world)
    units = {"traversability": "1/m", "angle_over_length": "rad/m", "path_length": "m"}
    for label, value in asdict(difficulty(world, **search)).items():
        print(f"{label:<18} {value:.4f} {units.get(label, '')}".rstrip())


def _figures(world: World) -> dict[str, str]:
    """What a world is, in a few lines."""
    from sim.motion import fastest

    kinds = Counter(item.SHAPE for item in world.obstacles)
    size = (upper - lower for lower, upper in zip(*world.bounds, strict=True))
    moving = [item for item in world.obstacles if any(item.velocity)]
    motion = f"{len(moving)}, at up to {fastest(moving):.2f} m/s" if moving else "none"
    return {
        "size": " x ".join(f"{edge:g}" for edge in size) + " m",
        "obstacles": ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds)) or "none",
        "moving": motion,
        "vias": f"{len(world.via)}",
        "straight": f"{world.length:.2f} m at {world.speed:g} m/s, within {world.time_limit:g} s",
    }


if __name__ == "__main__":
    raise SystemExit(main())
