#!/usr/bin/env python3
"""Make a world of somebody else's obstacles: URDF, SDF or voxels.

`scripts/import_world.py room.sdf --start 0 0 1.5 --target 8 2 1.5 --out room.json`, then
`scripts/fly.py --world-file room.json`.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Import:
    """Read obstacles from a .urdf, .sdf or .npz (voxels) file and write a world file.

    Exit code 0: done. 2: bad input.
    """

    file: Annotated[Path, tyro.conf.Positional]
    """What to read."""
    start: tuple[float, float, float]
    """Where the flight begins [m]."""
    target: tuple[float, float, float]
    """Where it goes [m]."""
    out: Path
    """The world file to write (JSON)."""
    speed: float = 2.0
    """Set speed [m/s]."""
    target_radius: float = 0.5
    """The target is reached within this distance [m]."""
    time_limit: float | None = None
    """[s]; by distance over speed if not given."""
    tilted: Literal["refuse", "bound"] = "refuse"
    """Boxes and cylinders at a slant: refuse them, or take the smallest upright box around each."""
    threshold: float | None = None
    """A voxel is occupied above this: probability 0.5, or log-odds 0, if not given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Import a file.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit code.
    """
    options = tyro.cli(Import, args=arguments, description=__doc__)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from sim.imports import load_obstacles, world_from
    from sim.world import save_world

    try:
        obstacles = load_obstacles(options.file, options.tilted, options.threshold)
        world = world_from(
            obstacles,
            options.start,
            options.target,
            target_radius=options.target_radius,
            speed=options.speed,
            time_limit=options.time_limit,
        )
        save_world(options.out, world)
    except (ValueError, OSError) as error:
        print(f"import_world: {error}", file=sys.stderr)
        return 2
    kinds = Counter(item.SHAPE for item in obstacles)
    shown = ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds)) or "no obstacles"
    print(f"{options.out}: {shown}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
