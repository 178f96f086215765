"""Which obstacles of a large world matter where: lists by cells, so that few are looked at.

A distance is a question to the obstacles that can be the nearest one to some point of the point's
cell, a ray to those that any ray of up to `REACH` from there can meet. Distances change by no more
than the way between two points, so the exact ones from a cell's middle decide which those are: what
is left out cannot be the answer, and answers are those of all obstacles. Where there is no list
(out of bounds, in a cell that too many matter to, for a ray that is longer) all are looked at.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import TypeAlias, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Bool, Float, Int, Shaped

from sim.shapes import Boxes, Cylinders, Spheres
from sim.state import AnyArray

Shapes: TypeAlias = Cylinders | Spheres | Boxes
Tables: TypeAlias = tuple[AnyArray, ...]
"""Of cylinders, spheres and boxes: `[*batch, cells, entries]`."""
Kinds: TypeAlias = tuple[Cylinders, Spheres, Boxes]
Arrays: TypeAlias = tuple[Array, ...]
Ask: TypeAlias = Callable[..., Array]
"""Answers of shapes to where one is and looks: distances, or entries of rays."""

MOST_SCANNED = 1000
"""A scene of no more entries than this, padding included, has no index: scanning it is as fast."""
REACH = 8.0
"""Rays that are no longer than the usual ones use the index [m]."""
NEAR_GRID, FAR_GRID = (64, 64, 2), (64, 64, 1)
"""Cells along x, y and z, for distances and for rays: of every world, so that worlds can be stacked
and share programs."""
NEAR_LENGTH, FAR_LENGTH = (16, 96), (24, 64)
"""A list has so many entries; or, if that is more, one for so many of the scene's."""
MOST_PAIRS = 2_000_000
"""Pairs of a cell and an obstacle that are looked at together; the most crowded cells go without a
list where there would be more."""
EMPTY, UNLISTED = -1, -2
"""No obstacle; the list would be too long (its first entry says so)."""


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Index:
    """Lists of obstacles by cell; a cast of all arrays to float32, as of a scene's, does no harm.

    Attributes:
        bounds: lower and upper corner of the grid [m], `[*batch, 2, 3]`.
        near: for each kind, those that can be nearest to a point of the cell.
        far: for each kind, those that a ray from the cell can meet.
    """

    bounds: Float[AnyArray, "*batch 2 3"]
    near: Tables
    far: Tables


def index_of(
    kinds: Sequence[Shapes], bounds: Float[np.ndarray, "2 3"], reach: float = REACH
) -> Index:
    """The index of packed obstacles.

    Args:
        kinds: cylinders, spheres and boxes, in numpy and float64, padded as in the scene.
        bounds: lower and upper corner of the space that the grid covers [m].
        reach: of rays [m]; a smaller one than `REACH` makes an index that is wrong.
    """
    # In float32 obstacles, points and cells are all a little elsewhere.
    slack = 1e-3 + 4e-6 * float(np.abs(bounds).max())

    def can_be_nearest(distance: np.ndarray, nearest: np.ndarray, half: float) -> np.ndarray:
        return distance <= nearest + 2 * half + slack

    def can_be_met(distance: np.ndarray, nearest: np.ndarray, half: float) -> np.ndarray:
        return distance <= reach + half + slack

    near = _pairs(kinds, bounds, NEAR_GRID, can_be_nearest)
    far = _pairs(kinds, bounds, FAR_GRID, can_be_met)
    return Index(
        bounds,
        _tables(near, kinds, math.prod(NEAR_GRID), NEAR_LENGTH),
        _tables(far, kinds, math.prod(FAR_GRID), FAR_LENGTH),
    )


def nearest_listed(
    index: Index, kinds: Kinds, points: Float[Array, "*points 3"]
) -> Float[Array, "*points"]:
    """Signed distance of each point from the nearest obstacle [m].

    Args:
        index: of the scene.
        kinds: all its obstacles.
        points: world frame [m].
    """
    cell, usable = _cell(index, NEAR_GRID, points)
    rows = tuple(table[cell].astype(jnp.int32) for table in index.near)
    return _least(_distances_from, kinds, rows, usable, (points,))


def first_listed(
    index: Index,
    kinds: Kinds,
    origin: Float[Array, " 3"],
    directions: Float[Array, "rays 3"],
    max_range: float | int | Float[AnyArray, ""],
) -> Float[Array, " rays"]:
    """Distance along each unit ray to the first obstacle [m], if it is within `max_range`.

    Args:
        index: of the scene.
        kinds: all its obstacles.
        origin: of every ray, world frame [m].
        directions: unit vectors, world frame.
        max_range: what is farther may be missed [m].
    """
    cell, inside = _cell(index, FAR_GRID, origin)
    rows = tuple(table[cell].astype(jnp.int32) for table in index.far)
    usable = inside & (jnp.asarray(max_range) <= REACH)
    return _least(_entries_of, kinds, rows, usable, (origin, directions))


def _distances_from(shapes: Shapes, points: Array) -> Array:
    return jnp.asarray(shapes.distances(points))


def _entries_of(shapes: Shapes, origin: Array, directions: Array) -> Array:
    return jnp.asarray(shapes.entries(origin, directions))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _least(ask: Ask, kinds: Kinds, rows: Arrays, usable: Array, where: Arrays) -> Array:
    """The least answer of the obstacles in the rows; of all, unless these are usable and listed."""
    held = _held(kinds)
    answers = [jnp.min(_answers(ask, kinds[i], rows[i], where), axis=-1) for i in held]

    def of_all(kinds: Kinds, where: Arrays) -> Array:
        return reduce(jnp.minimum, [jnp.min(ask(kinds[i], *where), axis=-1) for i in held])

    return _or_else(usable & _listed(rows), reduce(jnp.minimum, answers), of_all, (kinds, where))


@_least.defjvp
def _least_jvp(ask: Ask, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The derivative of the least one alone."""
    kinds, rows, usable, where = primals
    pairs = []
    for i in _held(kinds):
        answers = _answers(ask, kinds[i], rows[i], where)
        place = jnp.argmin(answers, axis=-1)[..., None]
        row = jnp.take_along_axis(jnp.broadcast_to(rows[i], answers.shape), place, axis=-1)

        def of_all(kinds: Kinds, where: Arrays, i: int = i) -> Array:
            return jnp.argmin(ask(kinds[i], *where), axis=-1).astype(jnp.int32)

        listed = usable & _listed(rows)
        one = _or_else(listed, row[..., 0], of_all, (kinds, where))[..., None]

        def only_that(shapes: Shapes, where: Arrays, one: Array = one) -> Array:
            return _answers(ask, shapes, one, where)[..., 0]

        pairs.append(jax.jvp(only_that, (kinds[i], where), (tangents[0][i], tangents[3])))
    values, slopes = (jnp.stack(each) for each in zip(*pairs, strict=True))
    first = jnp.argmin(values, axis=0)[None]
    value, slope = (jnp.take_along_axis(each, first, axis=0)[0] for each in (values, slopes))
    return value, slope


def _held(kinds: Kinds) -> list[int]:
    """Which kinds there is room for at all."""
    return [i for i in range(len(kinds)) if kinds[i].center.shape[0] > 0]


def _answers(ask: Ask, shapes: Shapes, rows: Int[Array, "..."], where: Arrays) -> Array:
    """Of the shapes in the rows; infinity for a row below zero."""
    own = jax.tree.map(lambda leaf: leaf[jnp.maximum(rows, 0)], shapes)
    # Padding, as everywhere, not a choice between the answers: that takes twice the time.
    if isinstance(own, Boxes):
        own = replace(own, half_extents=jnp.where(rows[..., None] >= 0, own.half_extents, -1))
    else:
        own = replace(own, radius=jnp.where(rows >= 0, own.radius, -1))
    # Gathered once, and not anew for every ray.
    return ask(jax.lax.optimization_barrier(own), *where)


def _listed(rows: Arrays) -> Array:
    return reduce(jnp.logical_and, [row[..., 0] != UNLISTED for row in rows])


def _cell(
    index: Index, grid: tuple[int, int, int], points: Float[Array, "*points 3"]
) -> tuple[Int[Array, "*points"], Bool[Array, "*points"]]:
    """The number of each point's cell, and whether the point is in the grid at all."""
    lower, upper = index.bounds[0], index.bounds[1]
    inside = jnp.all((points >= lower) & (points <= upper), axis=-1)
    place = (points - lower) / (upper - lower) * jnp.asarray(grid, points.dtype)
    x, y, z = (
        jnp.clip(jnp.nan_to_num(place[..., i]), 0, grid[i] - 1).astype(jnp.int32) for i in range(3)
    )
    return (x * grid[1] + y) * grid[2] + z, inside


def _or_else(
    listed: Bool[Array, "*#batch"],
    found: Shaped[Array, "*batch"],
    of_all: Callable[[Kinds, Arrays], Shaped[Array, "*batch"]],
    given: tuple[Kinds, Arrays],
) -> Shaped[Array, "*batch"]:
    """What was found, or where nothing is listed what a look at all obstacles finds.

    A loop that runs once or not at all: many at once (`vmap`) then pay for the long look only if
    one of them needs it, where a condition would compute both sides for everybody. All that it
    looks at depends on the count of its runs, or compilers would move the look out of the loop.
    """
    everywhere = jnp.all(listed)

    def look(state: tuple[Array, Array]) -> tuple[Array, Array]:
        runs, found = state
        moved = jax.tree.map(lambda leaf: leaf + runs.astype(leaf.dtype), given)
        return runs + 1, jnp.where(listed, found, of_all(*moved))

    begin = (jnp.zeros((), jnp.int32), found)
    return jax.lax.while_loop(lambda state: (state[0] < 1) & ~everywhere, look, begin)[1]


Keeps: TypeAlias = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""Whether an obstacle matters to a cell: of its distance from the cell's middle, the distance of
the obstacle that is nearest to it, and half the cell's diagonal [m]."""


Pairs: TypeAlias = tuple[
    Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"], Bool[np.ndarray, " cells"]
]
"""Of each pair the cell's number and the obstacle's, counted through all kinds; and the cells that
too many obstacles matter to."""


def _pairs(
    kinds: Sequence[Shapes],
    bounds: Float[np.ndarray, "2 3"],
    grid: tuple[int, int, int],
    keeps: Keeps,
) -> Pairs:
    """Cells and the obstacles that matter there, found by halving cells from one to all."""
    items = np.concatenate([start + _real(kind) for kind, start in _starts(kinds)])
    cells, shape = np.zeros((len(items), 3), int), np.ones(3, int)
    number, full = np.zeros(len(items), int), np.zeros((1, 1, 1), bool)
    while (shape < grid).any():
        # The most halved ones last: cells stay about as high as they are wide.
        wanted = np.array(grid) // shape
        factor = np.where(wanted == wanted.max(), 2, 1)
        shape = shape * factor
        parts = np.stack(np.meshgrid(*map(range, factor), indexing="ij"), axis=-1).reshape(-1, 3)
        full = full | _crowded(number, full, MOST_PAIRS // len(parts))
        kept = ~full.ravel()[number]
        cells, items = cells[kept], items[kept]
        full = full.repeat(factor[0], 0).repeat(factor[1], 1).repeat(factor[2], 2)
        cells = ((cells * factor)[:, None] + parts).reshape(-1, 3)
        items = np.repeat(items, len(parts))
        edge = (bounds[1] - bounds[0]) / shape
        distance = _distances(kinds, items, bounds[0] + (cells + 0.5) * edge)
        number = np.ravel_multi_index(tuple(cells.T), tuple(shape))
        nearest = np.full(math.prod(shape), np.inf)
        np.minimum.at(nearest, number, distance)
        kept = keeps(distance, nearest[number], float(np.linalg.norm(edge)) / 2)
        cells, items, number = cells[kept], items[kept], number[kept]
    return number, items, full.ravel()


def _crowded(
    number: Int[np.ndarray, " pairs"], like: Bool[np.ndarray, "x y z"], most: int
) -> Bool[np.ndarray, "x y z"]:
    """The cells to leave out, so that no more than `most` pairs are left."""
    counts = np.bincount(number, minlength=like.size)
    order = np.argsort(counts, kind="stable")
    crowded = np.zeros(like.size, bool)
    crowded[order] = np.cumsum(counts[order]) > most
    return crowded.reshape(like.shape)


def _distances(
    kinds: Sequence[Shapes],
    items: Int[np.ndarray, " pairs"],
    points: Float[np.ndarray, "pairs 3"],
) -> Float[np.ndarray, " pairs"]:
    """Exact distance from each point to its own obstacle [m]."""
    result = np.empty(len(items))
    for kind, start in _starts(kinds):
        mine = (items >= start) & (items < start + len(kind.center))
        rows = items[mine] - start
        own = jax.tree.map(lambda leaf, rows=rows: leaf[rows][:, None], kind)
        result[mine] = own.distances(points[mine])[:, 0]
    return result


def _tables(
    pairs: Pairs,
    kinds: Sequence[Shapes],
    cells: int,
    length: tuple[int, int],
) -> Tables:
    """For each kind a list for each cell."""
    tables = []
    for kind, start in _starts(kinds):
        mine = (pairs[1] >= start) & (pairs[1] < start + len(kind.center))
        cell, item = pairs[0][mine], pairs[1][mine] - start
        order = np.argsort(cell, kind="stable")
        cell, item = cell[order], item[order]
        counts = np.bincount(cell, minlength=cells)
        place = np.arange(len(cell)) - (np.cumsum(counts) - counts)[cell]
        most = max(length[0], len(kind.center) // length[1])
        table = np.full((cells, most), EMPTY, np.int16)
        fits = place < most
        table[cell[fits], place[fits]] = item[fits]
        table[(counts > most) | pairs[2], 0] = UNLISTED
        tables.append(table)
    return tuple(tables)


def _starts(kinds: Sequence[Shapes]) -> list[tuple[Shapes, int]]:
    """The kinds, each with the number of its first obstacle."""
    sizes = [len(kind.center) for kind in kinds]
    return list(zip(kinds, itertools.accumulate(sizes, initial=0), strict=False))


def _real(shapes: Shapes) -> Int[np.ndarray, " n"]:
    """The rows that are no padding."""
    size = shapes.half_extents[:, 0] if isinstance(shapes, Boxes) else shapes.radius
    return np.flatnonzero(size >= 0)
