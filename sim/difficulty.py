"""How hard a world is, by the three measures of FlightBench (Yu et al., arXiv:2406.05687).

They measure what those do, along a guiding path: how little room there is, how much of the view is
hidden, how much the way turns. The definitions are those below, made for exact distances instead of
point clouds, so the figures compare worlds with each other, not with the tables of that paper.
Obstacles count, the ground does not: it is the same in every world.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sim.families.corridor import CELL, HALF_WIDTH
from sim.fields import WorldError
from sim.guide import guiding_path
from sim.shapes import Boxes, Cylinders, Spheres, distances_of
from sim.world import World

SPACING = 0.1
"""Points of the path that are looked at are about this far apart [m]."""
RANGE = 8.0
"""What is farther away hides nothing [m]."""
HALF_ANGLE = math.pi / 4
"""Of the cone of view, which is 90 degrees wide [rad]."""
RAYS = 200


@dataclass(frozen=True)
class Difficulty:
    """Larger is harder; all are 0 in an empty world without vias.

    Attributes:
        traversability: mean of 1 / r over the narrower half of the path, r being the distance to
            the nearest obstacle: the inverse of the (harmonic) mean radius of the room there [1/m].
        occlusion: part of the sight, in a cone of 90 degrees along the path and up to 8 m far, that
            obstacles take away: mean over path and rays of 1 - d / 8 m, d being the length of a ray
            up to the first obstacle; 0 to 1.
        angle_over_length: all angles by which the path turns over its length [rad/m].
        path_length: of the guiding path [m].
    """

    traversability: float
    occlusion: float
    angle_over_length: float
    path_length: float


def difficulty(world: World, half_width: float = HALF_WIDTH, cell: float = CELL) -> Difficulty:
    """Measure a world along its guiding path.

    Args:
        world: obstacles where they are at the start.
        half_width: of the corridor in which the path runs [m].
        cell: of the grid on which it is searched [m].

    Raises:
        WorldError: if there is no such path.
    """
    path = guiding_path(world, half_width, cell)
    if path is None:
        room = f"a way from start to target with {half_width} m on all sides"
        raise WorldError("world", room, "none")
    points, directions = _sampled(path)
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    return Difficulty(
        traversability=_narrowness(world, points),
        occlusion=_occlusion(world, points, directions),
        angle_over_length=_turning(path) / length if length > 0 else 0.0,
        path_length=length,
    )


def _sampled(
    path: Float[np.ndarray, "corners 3"],
) -> tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, "points 3"]]:
    """The middles of equal parts of each leg, and the direction of the leg there."""
    points, directions = [], []
    for a, b in itertools.pairwise(path):
        length = math.dist(a, b)
        count = math.ceil(length / SPACING)
        points.append(a + (b - a) * (np.arange(count)[:, None] + 0.5) / max(count, 1))
        directions.append(np.tile((b - a) / max(length, 1e-12), (count, 1)))
    return np.vstack(points), np.vstack(directions)


def _narrowness(world: World, points: Float[np.ndarray, "points 3"]) -> float:
    if not world.obstacles or not len(points):
        return 0.0
    nearest = np.sort(distances_of(world.obstacles, points).min(axis=1))
    return float((1 / nearest[: math.ceil(len(nearest) / 2)]).mean())


def _turning(path: Float[np.ndarray, "corners 3"]) -> float:
    """Sum of the angles between one leg and the next [rad]."""
    legs = np.diff(path, axis=0)
    legs = legs[np.linalg.norm(legs, axis=1) > 0]
    across = np.linalg.norm(np.cross(legs[:-1], legs[1:]), axis=1)
    return float(np.arctan2(across, (legs[:-1] * legs[1:]).sum(axis=1)).sum())


def _occlusion(
    world: World, points: Float[np.ndarray, "points 3"], directions: Float[np.ndarray, "points 3"]
) -> float:
    solids = [pack.pack(world.obstacles) for pack in (Cylinders, Spheres, Boxes)]
    cone, hidden = _cone(), 0.0
    for point, forward in zip(points, directions, strict=True):
        rays = cone @ _frame(forward)
        free = np.full(RAYS, RANGE)
        for kind in solids:
            if len(kind.center):
                np.minimum(free, kind.entries(point, rays).min(axis=1), out=free)
        hidden += 1 - free.mean() / RANGE
    return float(hidden / max(len(points), 1))


def _cone() -> Float[np.ndarray, "rays 3"]:
    """Directions spread evenly over the cone around x."""
    index = np.arange(RAYS) + 0.5
    along = 1 - (1 - math.cos(HALF_ANGLE)) * index / RAYS
    across, turn = np.sqrt(1 - along**2), math.pi * (1 + 5**0.5) * index
    return np.stack([along, across * np.cos(turn), across * np.sin(turn)], axis=-1)


def _frame(forward: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """Rows: forward, level to its left, and up; where forward is vertical, left is y."""
    left = np.array([-forward[1], forward[0], 0.0])
    size = math.hypot(left[0], left[1])
    left = left / size if size > 1e-9 else np.array([0.0, 1.0, 0.0])
    return np.stack([forward, left, np.cross(forward, left)])
