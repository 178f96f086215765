"""What the golden file of sights holds: the same calls for its maker and for the test."""

from __future__ import annotations

from typing import Any

import flying
import numpy as np

from sim.engine import start_of
from sim.eyes import Eyes
from sim.flight import Conditions, fly
from sim.scene import scene_of
from sim.sensors import Disturbance, RayPattern

ROUGH = Disturbance(0.8, 0.1, 0.02, 0.1, 0.005, 0.02)
"""The six disturbances that there were first."""

FAN = RayPattern(((0.0, 16), (-40.0, 8)))


def draws() -> list[dict[str, Any]]:
    """Wind and mass of some seeds."""
    conditions = [Conditions.draw(ROUGH, seed) for seed in range(4)]
    return [{"wind": list(one.wind), "mass_scale": one.mass_scale} for one in conditions]


def sights() -> list[dict[str, Any]]:
    """A quarter of a second of rough sights, tick by tick."""
    world = flying.open_world()
    eyes, state = Eyes(FAN, 24.0, scene_of(world), ROUGH, 7), start_of(world)
    rows = []
    for tick in range(60):
        if (seen := eyes.look(state, tick / 240)) is not None:
            sight, wait = seen
            ranges, valid = np.asarray(sight.ranges, float), np.asarray(sight.valid)
            rows.append(
                {"tick": tick, "wait": wait, "ranges": ranges.tolist(), "valid": valid.tolist()}
            )
    return rows


def flights() -> dict[str, dict[str, Any]]:
    """How a rough flight ends in both engines."""
    ends = {}
    for engine in ("twin", "pybullet"):
        pilot = flying.Plain(rays=FAN)
        flight = fly(flying.open_world(), pilot, engine, disturbance=ROUGH, seed=7)
        ends[engine] = {
            "ticks": len(flight.times),
            "position": flight.position[-1].tolist(),
            "ranges": np.asarray(flight.think_records["ranges"][-1], float).tolist(),
            "valid": flight.think_records["valid"][-1].tolist(),
        }
    return ends
