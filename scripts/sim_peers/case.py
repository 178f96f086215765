"""What is timed, and the world that all of it flies in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim import Box, World

START = (0.0, 0.0, 1.5)


@dataclass(frozen=True)
class Case:
    """One simulator in one world.

    Attributes:
        name: of the simulator.
        drones: in one world.
        obstacles: in it.
        control_hz: commands a second; physics runs at 240 Hz.
        run: makes some steps.
        steps: how many control steps these are, of all environments together.
    """

    name: str
    drones: int
    obstacles: int
    control_hz: int
    run: Callable[[], object]
    steps: int = 1


def boxes_of(obstacles: int) -> list[Box]:
    """All around, none where drones hover."""
    rng, boxes = np.random.default_rng(0), list[Box]()
    while len(boxes) < obstacles:
        center = rng.uniform([-8, -8, 0.5], [8, 8, 3.5])
        if np.linalg.norm(center - START) > 3:
            boxes.append(Box(tuple(center.tolist()), (0.2, 0.3, 0.4)))
    return boxes


def world_of(obstacles: int) -> World:
    """A hall with these boxes in it."""
    return World(
        bounds=((-10.0, -10.0, 0.0), (10.0, 10.0, 5.0)),
        obstacles=tuple(boxes_of(obstacles)),
        start_position=START,
        start_yaw=0.0,
        target=(9.0, 9.0, 1.5),
        target_radius=0.5,
        via=(),
        speed=1.0,
        time_limit=60.0,
    )
