"""A guiding path: about the shortest way through a world with room on all sides, in few legs."""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Bool, Float, Int

from sim.families.corridor import CELL, HALF_WIDTH, grid_of
from sim.shapes import distances_of
from sim.world import World

STEP = 0.05
"""Points at which the clearance of a leg is looked at are no farther apart [m]."""
MARGINS = (1.5, 4.0, math.inf)
"""A way is searched this far around its ends, farther only if a shorter one may be there [m]."""
PULLS = 3
"""How often a path is pulled tight, from either end by turns."""

_AROUND = np.array([n for n in itertools.product((-1, 0, 1), repeat=3) if any(n)])
_FAR = np.linalg.norm(_AROUND, axis=1)


def guiding_path(
    world: World, half_width: float = HALF_WIDTH, cell: float = CELL
) -> Float[np.ndarray, "points 3"] | None:
    """A path with room on all sides from the start over every via to the target.

    Found on the grid of `has_corridor`, with steps along diagonals too, and pulled tight: corners
    are left out wherever the straight leg between others keeps the distance.

    Args:
        world: obstacles where they are at the start, and ground and bounds.
        half_width: distance that the path keeps from all of them [m]; up to 0.37 of a `cell` less
            where it must follow a diagonal.
        cell: of the grid [m].

    Returns:
        Its corners, the first the start and the last the target; None where there is no such path
        on the grid.
    """
    grid = grid_of(world, half_width, cell)
    if grid is None:
        return None
    points = np.array([world.start_position, *world.via, world.target])
    path = points[:1]
    for i in range(len(points) - 1):
        nodes = _way(grid.free, grid.nodes[i], grid.nodes[i + 1], cell)
        if nodes is None:
            return None
        leg = np.vstack([points[i], grid.origin + cell * nodes, points[i + 1]])
        path = np.vstack([path, _pulled(world, leg, half_width)[1:]])
    return path


def _way(
    free: Bool[np.ndarray, "x y z"],
    start: Int[np.ndarray, " 3"],
    end: Int[np.ndarray, " 3"],
    cell: float,
) -> Int[np.ndarray, "steps 3"] | None:
    """The nodes of the shortest way from one node to another; None where there is none."""
    straight = float(np.linalg.norm(end - start))
    for margin in MARGINS:
        reach = min(margin / cell, max(free.shape))
        low = np.maximum(np.minimum(start, end) - int(reach), 0)
        high = np.minimum(np.maximum(start, end) + int(reach) + 1, free.shape)
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        lengths = _lengths(free[window], end - low)
        # A way that leaves the window goes out to its edge and back: by reflection, so long.
        if lengths[tuple(start - low)] <= math.hypot(straight, 2 * int(reach)):
            return low + _descent(lengths, start - low)
    found = np.isfinite(lengths[tuple(start - low)])
    return low + _descent(lengths, start - low) if found else None


def _lengths(
    free: Bool[np.ndarray, "x y z"], end: Int[np.ndarray, " 3"]
) -> Float[np.ndarray, "x y z"]:
    """Length of the shortest way from each node to one of them, in cells; infinity without one.

    Swept along each axis, forth and back, until nothing changes: each plane takes what the one
    before it offers to its 9 neighbours there.
    """
    lengths = np.full(
        [n + 2 for n in free.shape], np.inf
    )  # With a rim, so that all have neighbours.
    inner = lengths[1:-1, 1:-1, 1:-1]
    inner[tuple(end)] = 0.0
    changed = True
    while changed:
        before = inner.copy()
        for axis in range(3):
            planes, open_planes = np.moveaxis(lengths, axis, 0), np.moveaxis(free, axis, 0)
            forth = range(1, len(planes) - 1)
            for order, back in ((forth, -1), (reversed(forth), 1)):
                for i in order:
                    _offer(planes[i], planes[i + back], open_planes[i - 1])
        changed = not np.array_equal(before, inner)
    return inner


def _offer(
    into: Float[np.ndarray, "a b"], from_: Float[np.ndarray, "a b"], free: Bool[np.ndarray, "c d"]
) -> None:
    """Shorten the lengths of a plane, where it is free, by way of the plane beside it."""
    if not np.isfinite(from_).any():
        return
    rows, columns = into.shape
    best = into[1:-1, 1:-1].copy()
    for a, b in itertools.product((-1, 0, 1), repeat=2):
        beside = from_[1 + a : rows - 1 + a, 1 + b : columns - 1 + b]
        np.minimum(best, beside + math.sqrt(1 + a * a + b * b), out=best)
    np.copyto(into[1:-1, 1:-1], best, where=free)


def _descent(
    lengths: Float[np.ndarray, "x y z"], start: Int[np.ndarray, " 3"]
) -> Int[np.ndarray, "steps 3"]:
    """The nodes from one of them to where the length is zero."""
    nodes = [start]
    while lengths[tuple(nodes[-1])] > 0:
        around = nodes[-1] + _AROUND
        inside = ((around >= 0) & (around < lengths.shape)).all(axis=1)
        around, far = around[inside], _FAR[inside]
        nodes.append(around[np.argmin(lengths[tuple(around.T)] + far)])
    return np.array(nodes)


def _pulled(
    world: World, path: Float[np.ndarray, "points 3"], half_width: float
) -> Float[np.ndarray, "corners 3"]:
    """The path with every corner left out that can be, from its beginning, then from its end."""
    for _ in range(PULLS):
        path = _pulled_once(world, _dense(path), half_width)[::-1]
    return path[::-1] if PULLS % 2 else path


def _pulled_once(
    world: World, path: Float[np.ndarray, "points 3"], half_width: float
) -> Float[np.ndarray, "corners 3"]:
    """From each corner straight to about the last point that can be reached so."""
    kept, last = [0], len(path) - 1
    while (i := kept[-1]) < last:
        near, step = i + 1, 2
        while i + step <= last and _open(world, path[i], path[i + step], half_width):
            near, step = i + step, 2 * step
        far = min(i + step, last + 1)
        while far - near > 1:
            middle = (near + far) // 2
            clear = _open(world, path[i], path[middle], half_width)
            near, far = (middle, far) if clear else (near, middle)
        kept.append(near)
    return path[kept]


def _dense(path: Float[np.ndarray, "corners 3"]) -> Float[np.ndarray, "points 3"]:
    """The path with points between its corners, at most two steps apart."""
    legs = []
    for a, b in itertools.pairwise(path):
        count = max(math.ceil(math.dist(a, b) / (2 * STEP)), 1)
        legs.append(a + (b - a) * np.arange(count)[:, None] / count)
    return np.vstack([*legs, path[-1:]])


def _open(
    world: World, a: Float[np.ndarray, " 3"], b: Float[np.ndarray, " 3"], half_width: float
) -> bool:
    """Whether the straight leg between two points keeps its distance from everything."""
    count = max(math.ceil(math.dist(a, b) / STEP), 1)
    points = a + (b - a) * np.linspace(0, 1, count + 1)[:, None]
    # Ground and bounds are convex: the ends keep their distance, and so does all between.
    return not world.obstacles or bool((distances_of(world.obstacles, points) >= half_width).all())
