"""Writes what gym-pybullet-drones (commit 90b178a) flies under random commands: `gpd_flights.npz`.

Run it from the root of the repository, with that package and `tests` on the path:
`PYTHONPATH=.:tests:... python tests/golden/make_gpd.py`. Of each case of `gpd_rig.CASES` it holds
the commands [rpm], the positions after each of them [m] and the last state.
"""

from __future__ import annotations

from pathlib import Path

import gpd_rig
import numpy as np

GOLDEN = Path(__file__).parent / "gpd_flights.npz"
RUNS = 4
CIRCLE_SECONDS = 10
LEAST_HEIGHT = 0.1
"""Below, their cylinder may touch the ground, and a flight is no longer one of air alone [m]."""


def main() -> None:
    """Fly every case and the circle."""
    if reason := gpd_rig.found():
        raise SystemExit(reason)
    arrays = {}
    for seed, (name, case) in enumerate(gpd_rig.CASES.items()):
        commands = case.commands(RUNS, seed)
        states = gpd_rig.flown(case, commands)
        if states[..., 2].min() < LEAST_HEIGHT:
            raise SystemExit(f"{name}: touches the ground")
        arrays[f"{name}/commands"] = commands
        arrays[f"{name}/positions"] = states[..., :3]
        arrays[f"{name}/last"] = states[:, -1, :, :16]
    commands, positions = gpd_rig.circled(CIRCLE_SECONDS, whole=True)
    arrays["circle/commands"] = commands.astype(np.uint16)
    arrays["circle/positions"] = positions[gpd_rig.HOLD - 1 :: gpd_rig.HOLD]
    np.savez_compressed(GOLDEN, **arrays)
    print(f"{GOLDEN.name}: {GOLDEN.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
