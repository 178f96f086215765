"""The solids of a world as arrays: exact signed distances and exact rays, pure and vmappable.

Distances and rays are those among obstacles as they stand at the start; `scene_at` gives the scene
of a later time, if any of them moves.

Every function takes one scene; `jax.vmap` takes stacked ones. Inputs are cast to the dtype of the
scene (float32 or float64). Values and gradients are finite for every finite input; what lies
farther out than 1e6 m counts as lying there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from sim.fields import LARGEST
from sim.index import MOST_SCANNED, Index, first_listed, index_of, nearest_listed
from sim.motion import Velocities, any_moves
from sim.shapes import Box, Boxes, Cylinder, Cylinders, Sphere, Spheres
from sim.state import AnyArray, safe_norm
from sim.twin import PHYSICS_HZ
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
        velocities: of the obstacles [m/s]; None where all stand still, which then costs nothing.
        index: which of them matter where, in a large scene; None: all are looked at.
    """

    cylinders: Cylinders
    spheres: Spheres
    boxes: Boxes
    bounds: Float[Array, "*batch 2 3"]
    velocities: Velocities | None = None
    index: Index | None = None


def scene_of(world: World, pad: Counts | None = None, dtype: DTypeLike = jnp.float32) -> Scene:
    """The arrays of a world.

    Args:
        world: any.
        pad: entries of each kind; by default the next power of two, 8 or more, so that worlds of
            like size share a compiled program.
        dtype: of every array.

    Raises:
        WorldError: for a `pad` that is too small.
    """
    kinds = (Cylinder, Sphere, Box)
    counts = pad or tuple(_roomy(world, kind) for kind in kinds)
    solids = (
        Cylinders.pack(world.obstacles, counts[0]),
        Spheres.pack(world.obstacles, counts[1]),
        Boxes.pack(world.obstacles, counts[2]),
        Velocities.pack(world.obstacles, counts) if any_moves(world.obstacles) else None,
    )
    cylinders, spheres, boxes, velocities = jax.tree.map(
        lambda leaf: jnp.asarray(leaf, dtype), solids
    )
    large = velocities is None and sum(counts) > MOST_SCANNED
    index = _index_of(world, counts, np.dtype(dtype)) if large else None
    return Scene(cylinders, spheres, boxes, jnp.asarray(world.bounds, dtype), velocities, index)


def scene_at(scene: Scene, time: float | Float[AnyArray, "*batch"] | None) -> Scene:
    """The scene as it stands at a time: one in which nothing moves any more.

    Args:
        scene: one scene, or stacked ones.
        time: since the flight began [s]; None will do where nothing moves.

    Returns:
        The very same scene if nothing moves in it.
    """
    if scene.velocities is None:
        return scene
    elapsed = jnp.asarray(time, scene.bounds.dtype)[..., None, None]
    moved = {}
    for name in KINDS:
        shapes = getattr(scene, name)
        center = shapes.center + elapsed * getattr(scene.velocities, name)
        moved[name] = replace(shapes, center=center)
    return replace(scene, **moved, velocities=None)


def scene_after(scene: Scene, ticks: int | Int[AnyArray, "*batch"] | None, more: int = 0) -> Scene:
    """The scene as it stands after so many physics ticks; see `scene_at`.

    Args:
        scene: one scene, or stacked ones.
        ticks: since the flight began; `ticks_in` makes them None where nothing moves.
        more: ticks on top of them.
    """
    if scene.velocities is None:
        return scene
    return scene_at(scene, (jnp.asarray(ticks) + more) / PHYSICS_HZ)


def ticks_in(scene: Scene, ticks: int) -> int | None:
    """The ticks, or None if nothing moves: for compiled functions, which then take no time."""
    return None if scene.velocities is None else ticks


def with_velocities(scene: Scene) -> Scene:
    """The scene with velocities, those of 0 too: all of a stack have them, or none."""
    if scene.velocities is not None:
        return scene
    still = (jnp.zeros_like(getattr(scene, name).center) for name in KINDS)
    return replace(scene, velocities=Velocities(*still))


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

    Returns:
        Those nearest now: of a scene in which obstacles move, those nearest at the start.
    """
    point = _tamed(centre, scene)
    kept, velocities = {}, {}
    for name, count in zip(KINDS, counts, strict=True):
        shapes = getattr(scene, name)
        distances = shapes.distances(point)
        _, index = jax.lax.top_k(-distances, min(count, distances.shape[-1]))
        kept[name] = jax.tree.map(lambda leaf, index=index: leaf[index], shapes)
        if scene.velocities is not None:
            velocities[name] = getattr(scene.velocities, name)[index]
    moving = Velocities(**velocities) if velocities else None
    return replace(scene, **kept, velocities=moving, index=None)


def stack_scenes(scenes: Sequence[Scene]) -> Scene:
    """One scene with a leading axis, for `jax.vmap`; each kind padded to the most entries.

    Raises:
        ValueError: if there are none.
    """
    if not scenes:
        raise ValueError("scenes: expected at least one, got none")
    if any(scene.velocities is not None for scene in scenes):
        scenes = [with_velocities(scene) for scene in scenes]
    shapes = [[leaf.shape for leaf in jax.tree.leaves(scene.index)] for scene in scenes]
    if any(one != shapes[0] for one in shapes):  # Not all are large: those that are do without.
        scenes = [replace(scene, index=None) for scene in scenes]
    most = {name: max(_count(getattr(scene, name)) for scene in scenes) for name in KINDS}
    padded = [_padded(scene, most) for scene in scenes]
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


def _padded(scene: Scene, most: Mapping[str, int]) -> Scene:
    """The scene with so many entries of each kind."""
    kinds = {name: _pad(getattr(scene, name), most[name]) for name in KINDS}
    velocities = scene.velocities
    if velocities is not None:
        extra = {name: most[name] - getattr(velocities, name).shape[-2] for name in KINDS}
        velocities = Velocities(
            **{
                name: jnp.pad(getattr(velocities, name), ((0, extra[name]), (0, 0)))
                for name in KINDS
            }
        )
    return replace(scene, **kinds, velocities=velocities)


def _pad(shapes: Cylinders | Spheres | Boxes, count: int) -> Cylinders | Spheres | Boxes:
    extra = type(shapes).pack((), count - _count(shapes))
    return jax.tree.map(
        lambda leaf, more: jnp.concatenate([leaf, jnp.asarray(more, leaf.dtype)]), shapes, extra
    )
