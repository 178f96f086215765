"""What tests of worlds share: another search for a way, and a flyer who sees nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from sim.shapes import distances_of
from sim.world import World

SPHERE = 0.06


def task_world(changes: Mapping[str, Any]) -> World:
    """A world in which one flies 10 m straight ahead, but for what is changed."""
    values = {
        "start_position": (0.0, 0.0, 1.5),
        "start_yaw": 0.0,
        "target": (10.0, 0.0, 1.5),
        "target_radius": 0.5,
        "via": (),
        "speed": 2.0,
        "time_limit": 30.0,
    }
    return World(**{**values, **changes})


def grid_finds_a_way(world: World, half_width: float, cell: float) -> bool:
    """A corridor over every via, by a search that shares no step with the package's own.

    Other nodes (aligned to the bounds, not the start), other neighbours (all 26), connected parts
    instead of a spreading set.
    """
    room = [half_width] * 3
    lower, upper = np.array(world.bounds) + [room, [-x for x in room]]
    axes = [np.arange(a, b, cell) for a, b in zip(lower, upper, strict=True)]
    free = np.empty([len(axis) for axis in axes], bool)
    for i, x in enumerate(axes[0]):  # A plane at a time: all at once takes much memory.
        nodes = np.stack(np.meshgrid([x], *axes[1:], indexing="ij"), axis=-1)[0]
        # No point between two neighbours is farther than half a diagonal from both.
        free[i] = distances_of(world.obstacles, nodes).min(axis=-1) >= (
            half_width + math.sqrt(3) / 2 * cell
        )
    labels, _ = ndimage.label(free, structure=np.ones((3, 3, 3)))
    points = [world.start_position, *world.via, world.target]
    nodes = np.clip(np.round((np.array(points) - lower) / cell).astype(int), 0, None)
    parts = {int(labels[tuple(np.minimum(node, np.array(free.shape) - 1))]) for node in nodes}
    return len(parts) == 1 and 0 not in parts


def straight_flight(world: World, step: float = 0.02) -> np.ndarray:
    """Positions of one who flies straight to each point until it counts as reached `[n, 3]`."""
    position = np.array(world.start_position)
    flown = [position]
    for point in (*world.via, world.target):
        while (far := np.linalg.norm(point - position)) > world.target_radius:
            position = position + (point - position) / far * min(step, far)
            flown.append(position)
    return np.array(flown)


def straight_fails(world: World) -> bool:
    """Whether that flyer, a sphere of 6 cm at the set speed, hits something."""
    flown = straight_flight(world)
    way = np.linalg.norm(np.diff(flown, axis=0), axis=1).cumsum()
    times = np.concatenate([[0.0], way]) / world.speed
    return bool((distances_of(world.obstacles, flown, times) < SPHERE).any())
