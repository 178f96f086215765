"""The solids of a world as arrays: exact signed distances and exact rays, pure and vmappable.

Every function takes one scene; `jax.vmap` takes stacked ones. Inputs are cast to the dtype of the
scene (float32 or float64). Values and gradients are finite for every finite input; what lies
farther out than 1e6 m counts as lying there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float

from sim.fields import LARGEST, WorldError
from sim.index import MOST_SCANNED, Index, first_listed, index_of, nearest_listed
from sim.shapes import Box, Boxes, Cylinder, Cylinders, Sphere, Spheres
from sim.state import AnyArray, safe_norm
from sim.world import World

Counts: TypeAlias = tuple[int, int, int]
"""Numbers of cylinders, spheres and boxes."""

KINDS = ("cylinders", "spheres", "boxes")
LEAST_PAD = 8


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Scene:
    """Padded arrays of every solid but the ground z = 0, which is in every scene.

    Attributes:
        cylinders: those of any axis.
        spheres: all of them.
        boxes: all of them.
        bounds: lower and upper corner of the space that must not be left [m], `[*batch, 2, 3]`.
        index: which of them matter where, in a large scene; None: all are looked at.
    """

    cylinders: Cylinders
    spheres: Spheres
    boxes: Boxes
    bounds: Float[Array, "*batch 2 3"]
    index: Index | None = None


def scene_of(world: World, pad: Counts | None = None, dtype: DTypeLike = jnp.float32) -> Scene:
    """The arrays of a world.

    Args:
        world: of obstacles that stand still.
        pad: entries of each kind; by default the next power of two, 8 or more, so that worlds of
            like size share a compiled program.
        dtype: of every array.

    Raises:
        WorldError: for an obstacle that moves (files may say so, nothing simulates it), or a `pad`
            that is too small.
    """
    for i, obstacle in enumerate(world.obstacles):
        if any(obstacle.velocity):
            expected = "0, 0, 0 (moving obstacles are not simulated)"
            raise WorldError(f"obstacles[{i}].velocity", expected, obstacle.velocity)
    kinds = (Cylinder, Sphere, Box)
    counts = pad or tuple(_roomy(world, kind) for kind in kinds)
    solids = (
        Cylinders.pack(world.obstacles, counts[0]),
        Spheres.pack(world.obstacles, counts[1]),
        Boxes.pack(world.obstacles, counts[2]),
    )
    cylinders, spheres, boxes = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), solids)
    index = _index_of(world, counts, np.dtype(dtype)) if sum(counts) > MOST_SCANNED else None
    return Scene(cylinders, spheres, boxes, jnp.asarray(world.bounds, dtype), index)


@lru_cache(maxsize=4)
def _index_of(world: World, counts: Counts, dtype: np.dtype) -> Index:
    """The index of a world whose obstacles are packed into so many entries."""
    kinds = [
        kind.pack(world.obstacles, count)
        for kind, count in zip((Cylinders, Spheres, Boxes), counts, strict=True)
    ]
    made = index_of(kinds, np.array(world.bounds))
    return replace(jax.tree.map(jnp.asarray, made), bounds=jnp.asarray(world.bounds, dtype))


def obstacle_distance(
    scene: Scene, points: Float[AnyArray, "*points 3"]
) -> Float[Array, "*points"]:
    """Signed distance to the nearest obstacle [m], the ground not counted.

    Args:
        scene: one scene.
        points: world frame [m].

    Returns:
        Exact outside, negative inside (where obstacles overlap: the depth in the deepest one), and
        infinity in a scene without obstacles.
    """
    points = _tamed(points, scene)
    kinds = (scene.cylinders, scene.spheres, scene.boxes)
    if scene.index is not None:
        return nearest_listed(scene.index, kinds, points)
    nearest = jnp.full(points.shape[:-1], jnp.inf, points.dtype)
    for kind in kinds:
        if _count(kind) > 0:
            nearest = jnp.minimum(nearest, _nearest(kind, points))
    return nearest


def signed_distance(scene: Scene, points: Float[AnyArray, "*points 3"]) -> Float[Array, "*points"]:
    """Signed distance to the nearest solid [m]: an obstacle or the ground; negative inside.

    Args:
        scene: one scene.
        points: world frame [m].
    """
    return jnp.minimum(obstacle_distance(scene, points), _tamed(points, scene)[..., 2])


def ray_distance(
    scene: Scene,
    origin: Float[AnyArray, " 3"],
    directions: Float[AnyArray, "rays 3"],
    max_range: float | int | Float[AnyArray, ""],
) -> Float[Array, " rays"]:
    """Distance along each ray to the first solid, obstacle or ground [m].

    Args:
        scene: one scene.
        origin: of every ray, world frame [m].
        directions: world frame, of any length but zero (a zero one meets what it starts in).
        max_range: [m], the answer of a ray that meets nothing within it.

    Returns:
        In [0, max_range]; 0 where the ray starts inside a solid.
    """
    origin = _tamed(origin, scene)
    directions = jnp.asarray(directions, origin.dtype)
    # Scaled first: the square of a large number overflows, that of a tiny one vanishes.
    largest = jnp.max(jnp.abs(directions), axis=-1, keepdims=True)
    directions = directions / jnp.where(largest > 0, largest, 1)
    length = safe_norm(directions, keepdims=True)
    directions = directions / jnp.where(length > 0, length, 1)
    nearest = _ground_entry(origin[2], directions[:, 2])
    kinds = (scene.cylinders, scene.spheres, scene.boxes)
    if scene.index is not None:
        listed = first_listed(scene.index, kinds, origin, directions, max_range)
        nearest, kinds = jnp.minimum(nearest, listed), ()
    for kind in kinds:
        entries = jnp.min(kind.entries(origin, directions), axis=-1, initial=jnp.inf)
        nearest = jnp.minimum(nearest, entries)
    return jnp.minimum(nearest, jnp.asarray(max_range, origin.dtype))


def nearest_culled(scene: Scene, centre: Float[AnyArray, " 3"], counts: Counts) -> Scene:
    """The scene of the obstacles nearest to a point: fewer to look at, for short flights.

    Args:
        scene: one scene.
        centre: world frame [m].
        counts: how many of each kind to keep (all, where there are fewer).
    """
    point = _tamed(centre, scene)
    kept = {}
    for name, count in zip(KINDS, counts, strict=True):
        shapes = getattr(scene, name)
        distances = shapes.distances(point)
        _, index = jax.lax.top_k(-distances, min(count, distances.shape[-1]))
        kept[name] = jax.tree.map(lambda leaf, index=index: leaf[index], shapes)
    return replace(scene, index=None, **kept)


def stack_scenes(scenes: Sequence[Scene]) -> Scene:
    """One scene with a leading axis, for `jax.vmap`; each kind padded to the most entries.

    Raises:
        ValueError: if there are none.
    """
    if not scenes:
        raise ValueError("scenes: expected at least one, got none")
    shapes = [[leaf.shape for leaf in jax.tree.leaves(scene.index)] for scene in scenes]
    if any(one != shapes[0] for one in shapes):  # Not all are large: those that are do without.
        scenes = [replace(scene, index=None) for scene in scenes]
    most = {name: max(_count(getattr(scene, name)) for scene in scenes) for name in KINDS}
    padded = [
        replace(scene, **{name: _pad(getattr(scene, name), most[name]) for name in KINDS})
        for scene in scenes
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *padded)


@jax.custom_jvp
def _nearest(shapes: Cylinders | Spheres | Boxes, points: Array) -> Array:
    """Signed distance of each point from the nearest of at least one shape [m]."""
    return jnp.min(shapes.distances(points), axis=-1)


@_nearest.defjvp
def _nearest_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The derivative of the nearest shape alone: a third of the time of that of the minimum."""
    shapes, points = primals
    index = jnp.argmin(shapes.distances(points), axis=-1)[..., None]

    def only_that(shapes: Cylinders | Spheres | Boxes, points: Array) -> Array:
        return jax.tree.map(lambda leaf: leaf[index], shapes).distances(points)[..., 0]

    return jax.jvp(only_that, primals, tangents)


def _tamed(points: AnyArray, scene: Scene) -> Array:
    """Points of the dtype of the scene, none so far out that its square overflows."""
    return jnp.clip(jnp.asarray(points, scene.bounds.dtype), -LARGEST, LARGEST)


def _ground_entry(height: Array, climb: Array) -> Array:
    """Distance along unit rays from `height` to the ground: 0 below it, infinity upwards."""
    falling = climb < 0
    fall = jnp.where(falling, -climb, 1)
    # A nearly level ray: the quotient would overflow, and its gradient with it.
    distance = height / jnp.maximum(fall, 1e-20)
    return jnp.where(height <= 0, 0, jnp.where(falling, distance, jnp.inf))


def _roomy(world: World, kind: type) -> int:
    """The next power of two that holds all obstacles of a kind."""
    count = sum(isinstance(obstacle, kind) for obstacle in world.obstacles)
    return max(LEAST_PAD, 1 << max(count - 1, 0).bit_length())


def _count(shapes: Cylinders | Spheres | Boxes) -> int:
    return shapes.center.shape[-2]


def _pad(shapes: Cylinders | Spheres | Boxes, count: int) -> Cylinders | Spheres | Boxes:
    extra = type(shapes).pack((), count - _count(shapes))
    return jax.tree.map(
        lambda leaf, more: jnp.concatenate([leaf, jnp.asarray(more, leaf.dtype)]), shapes, extra
    )
