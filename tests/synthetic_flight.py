"""A flight that nobody flew: a slalom written down by formula, for tests of what reads flights."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.airframe import CF2X
from sim.record import Flight
from sim.world import Box, Cylinder, Sphere, World

HZ = 240


def slalom_world(**changes: Any) -> World:
    """Every shape once, in a hall of 20 m by 14 m."""
    fields: dict[str, Any] = {
        "bounds": ((-2.0, -7.0, 0.0), (18.0, 7.0, 4.0)),
        "obstacles": (
            Cylinder((3.0, -0.4, 2.0), 0.35, 4.0),
            Cylinder((6.5, 1.6, 2.0), 0.5, 4.0),
            Cylinder((9.0, 1.0, 0.3), 0.2, 5.0, axis="y"),
            Cylinder((12.0, -2.5, 3.0), 0.15, 6.0, axis="x"),
            Sphere((7.5, -0.9, 1.2), 0.6),
            Box((11.0, 0.9, 1.0), (0.4, 0.8, 1.0), yaw=0.4),
            Box((4.0, 4.5, 2.0), (1.2, 0.3, 2.0), yaw=-0.7),
        ),
        "start_position": (0.0, 0.0, 1.5),
        "start_yaw": 0.0,
        "target": (14.0, 0.5, 1.5),
        "target_radius": 0.5,
        "via": (),
        "speed": 2.0,
        "time_limit": 30.0,
    }
    return World(**(fields | changes))


def slalom(ticks: int = 1700, neurons: int = 24, **changes: Any) -> Flight:
    """A swing to the left and to the right at about 2 m/s, with a barrier that acts now and then.

    Args:
        ticks: physics ticks of 1/240 s.
        neurons: how many of them have a record; 0 for a pilot without.
        changes: fields to put in place of those of the formula.
    """
    times = np.arange(1, ticks + 1) / HZ
    share = times / times[-1]
    rng = np.random.default_rng(7)
    along = 13.6 * (share - 0.5 * np.sin(2 * np.pi * share) / (2 * np.pi) * 0.6)
    swing = 0.75 * np.sin(share * 4.2 * np.pi) * np.sin(np.pi * share)
    position = np.stack([along, swing + 0.035 * along, 1.5 + 0.3 * np.sin(5 * share)], axis=1)
    velocity = np.gradient(position, times, axis=0)
    wish = np.gradient(velocity, times, axis=0)
    push = np.clip(np.sin(9 * np.pi * share) - 0.6, 0, 1)[:, None] * np.array([[-2.0, 3.0, 0.4]])
    roll, heading = -0.08 * wish[:, 1], np.arctan2(velocity[:, 1], velocity[:, 0])
    half_roll, half_yaw = roll / 2, heading / 2
    quaternion = np.stack(
        [
            np.sin(half_roll) * np.cos(half_yaw),
            np.sin(half_roll) * np.sin(half_yaw),
            np.cos(half_roll) * np.sin(half_yaw),
            np.cos(half_roll) * np.cos(half_yaw),
        ],
        axis=1,
    )
    hum = rng.normal(0, 0.12, (ticks, 4)) + 0.5 * np.sin(40 * times[:, None] + np.arange(4))
    forces = np.clip(CF2X.hover_force * (1 + 0.6 * hum * (0.3 + push.sum(1, keepdims=True))), 0, 1)
    think_times = times[:: HZ // 40] - 1 / HZ
    phase = np.linspace(0, 3 * np.pi, max(neurons, 1))
    activity = np.tanh(2 * np.sin(1.7 * think_times[:, None] * (1 + phase % 1) + phase))
    ranges = 8 * np.abs(np.sin(think_times[:, None] * 0.9 + np.linspace(0, 4, 36)))
    fields: dict[str, Any] = {
        "world": slalom_world(),
        "family": "forest",
        "seed": 1_000_007,
        "pilot": "formula",
        "engine": "pybullet",
        "airframe": CF2X,
        "times": times,
        "position": position,
        "velocity": velocity,
        "quaternion": quaternion,
        "angular_velocity": np.gradient(quaternion[:, :3] * 2, times, axis=0),
        "forces": np.minimum(forces, CF2X.max_force),
        "contact": np.zeros(ticks, bool),
        "records": {
            "acceleration_wish": wish,
            "acceleration": wish + push,
            "barrier": 0.4 - 0.35 * np.abs(np.sin(9 * np.pi * share)) * np.sin(np.pi * share),
            "fallback": (np.arange(ticks) % 611 == 600),
        },
        "think_times": think_times,
        "think_records": {"ranges": ranges.astype(np.float32)}
        | ({"neurons": activity.astype(np.float32)} if neurons else {}),
        "act_seconds": rng.gamma(20, 2e-5, ticks),
        "think_seconds": rng.gamma(20, 4e-5, len(think_times)),
        "limit_violations": 0,
        "outcome": "reached",
    }
    return Flight(**(fields | changes))
