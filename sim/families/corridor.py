"""Is there a way? A search that answers yes only if a corridor really exists."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sim.shapes import Obstacle, distances_of
from sim.world import World

HALF_WIDTH = 0.25
CELL = 0.125


def has_corridor(world: World, half_width: float = HALF_WIDTH, cell: float = CELL) -> bool:
    """Whether a path with room on all sides leads from the start over every via to the target.

    Searched on a grid whose nodes lie `cell` apart and one of which is the start. A node is free if
    its clearance is `half_width + cell / 2`, so each step between two free neighbours along an
    axis, no point of which is farther than `cell / 2` from one of them, keeps `half_width`. A True
    is thus a proof; a False only says that the grid has no such path.

    Args:
        world: obstacles, and ground and bounds, from which the path keeps `half_width` too.
        half_width: of the corridor [m].
        cell: of the grid [m].
    """
    grid = grid_of(world, half_width, cell)
    return grid is not None and _connected(grid.free, grid.nodes)


@dataclass(frozen=True)
class Grid:
    """Where the middle of a corridor may run.

    Attributes:
        free: which nodes have room on all sides, `[x, y, z]`.
        nodes: indices of the nodes that stand for start, vias and target, `[points, 3]`.
        origin: the node of index 0, 0, 0 [m], `[3]`.
    """

    free: Bool[np.ndarray, "x y z"]
    nodes: Int[np.ndarray, "points 3"]
    origin: Float[np.ndarray, " 3"]


def grid_of(world: World, half_width: float, cell: float) -> Grid | None:
    """The grid of `has_corridor`; None where start, a via or the target itself has no room."""
    start = np.array(world.start_position)
    points = np.array([world.start_position, *world.via, world.target])
    lower, upper = np.array(world.bounds)
    lower[2] = max(lower[2], 0.0)  # The ground is solid, whatever the bounds allow.
    first = np.ceil((lower + half_width - start) / cell).astype(int)
    last = np.floor((upper - half_width - start) / cell).astype(int)
    nodes = np.round((points - start) / cell).astype(int)
    if (nodes < first).any() or (nodes > last).any():
        return None
    # From a point straight to its node: the clearance falls by no more than the way between.
    needed = half_width + math.sqrt(3) / 2 * cell
    if world.obstacles and (distances_of(world.obstacles, points) < needed).any():
        return None
    axes = [start[i] + cell * np.arange(first[i], last[i] + 1) for i in range(3)]
    free = ~_blocked(world.obstacles, axes, half_width + cell / 2)
    return Grid(free, nodes - first, start + cell * first)


def _connected(free: Bool[np.ndarray, "x y z"], nodes: Int[np.ndarray, "points 3"]) -> bool:
    """Whether steps between free nodes that share a face lead from the first point to all others.

    The reached set is swept along each axis, forth and back, until it holds all points or grows no
    more: a path of few turns, as in most worlds, takes a sweep or two.
    """
    points = tuple(nodes.T)
    reached = np.zeros_like(free)
    reached[tuple(nodes[0])] = free[tuple(nodes[0])]
    count = 0
    while not reached[points].all() and (now := int(np.count_nonzero(reached))) > count:
        count = now
        for axis in range(3):
            # Views whose first index runs along the axis: a sweep writes into `reached` itself.
            into, through = np.moveaxis(reached, axis, 0), np.moveaxis(free, axis, 0)
            for i in range(1, len(into)):
                into[i] |= into[i - 1] & through[i]
            for i in range(len(into) - 2, -1, -1):
                into[i] |= into[i + 1] & through[i]
    return bool(reached[points].all())


def _blocked(
    obstacles: tuple[Obstacle, ...], axes: list[Float[np.ndarray, " _"]], margin: float
) -> Bool[np.ndarray, "x y z"]:
    """Nodes nearer than `margin` to an obstacle, each looked for only around the obstacle."""
    blocked = np.zeros([axis.size for axis in axes], bool)
    for obstacle in obstacles:
        around = tuple(
            slice(
                np.searchsorted(axis, middle - half - margin),
                np.searchsorted(axis, middle + half + margin, side="right"),
            )
            for axis, middle, half in zip(axes, obstacle.center, obstacle.half_size, strict=True)
        )
        local = [axis[part] for axis, part in zip(axes, around, strict=True)]
        nodes = np.stack(np.meshgrid(*local, indexing="ij"), axis=-1)
        blocked[around] |= distances_of([obstacle], nodes)[..., 0] < margin
    return blocked
