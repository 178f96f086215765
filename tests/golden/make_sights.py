"""Sights, draws and two flights as they were before `sim.sensors` knew more than six disturbances.

Run once, on the commit before that change: `python tests/golden/make_sights.py`. Run on a later
one it writes what the tests compare with, so that they would compare a thing with itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))


def main() -> None:
    """Write `sights.json`."""
    jax.config.update("jax_enable_x64", True)
    from sights_rig import draws, flights, sights

    found: dict[str, Any] = {"draws": draws(), "sights": sights(), "flights": flights()}
    text = json.dumps(found, default=lambda value: np.asarray(value).tolist())
    (HERE / "sights.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
