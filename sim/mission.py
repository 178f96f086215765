"""Missions: a world as arrays, ready to be stacked and vmapped; which seeds are for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from sim.families import FamilyError, family_named
from sim.scene import Counts, Scene, scene_of, stack_scenes
from sim.state import State, at_rest
from sim.world import World

TRAINING_SEEDS = range(0, 1_000_000)
DEVELOPMENT_SEEDS = range(1_000_000, 2_000_000)
FINAL_SEEDS = range(2_000_000, 3_000_000)
"""For the one run that is reported."""


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Mission:
    """A world as arrays.

    Attributes:
        scene: its solids.
        start: at rest.
        targets: points to reach in order, the last one being the target; those after
            `target_count` repeat it [m], `[*batch, points, 3]`.
        target_count: `[*batch]`.
        target_radius: each point is reached within this distance [m], `[*batch]`.
        speed: set speed [m/s], `[*batch]`.
        time_limit: [s], `[*batch]`.
        bounds: lower and upper corner of the space that must not be left [m], `[*batch, 2, 3]`.
    """

    scene: Scene
    start: State
    targets: Float[Array, "*batch points 3"]
    target_count: Int[Array, "*batch"]
    target_radius: Float[Array, "*batch"]
    speed: Float[Array, "*batch"]
    time_limit: Float[Array, "*batch"]
    bounds: Float[Array, "*batch 2 3"]


def mission_of(world: World, dtype: DTypeLike = jnp.float32, pad: Counts | None = None) -> Mission:
    """The arrays of a world.

    Args:
        world: any.
        dtype: of every array but the counts.
        pad: entries of cylinders, spheres and boxes; see `scene_of`.

    Raises:
        WorldError: for a `pad` that is too small.
    """
    points = [*world.via, world.target]
    return Mission(
        scene=scene_of(world, pad, dtype),
        start=at_rest(np.array(world.start_position), world.start_yaw).as_jax(dtype),
        targets=jnp.asarray(points, dtype),
        target_count=jnp.asarray(len(points), jnp.int32),
        target_radius=jnp.asarray(world.target_radius, dtype),
        speed=jnp.asarray(world.speed, dtype),
        time_limit=jnp.asarray(world.time_limit, dtype),
        bounds=jnp.asarray(world.bounds, dtype),
    )


def stack_missions(missions: Sequence[Mission]) -> Mission:
    """One mission with a leading axis, for `jax.vmap`; scenes and targets padded alike.

    Raises:
        ValueError: if there are none.
    """
    if not missions:
        raise ValueError("missions: expected at least one, got none")
    scene = stack_scenes([mission.scene for mission in missions])
    most = max(mission.targets.shape[0] for mission in missions)
    alike = [
        replace(mission, scene=None, targets=_repeat_last(mission.targets, most))
        for mission in missions
    ]
    return replace(jax.tree.map(lambda *leaves: jnp.stack(leaves), *alike), scene=scene)


def suite(families: Sequence[str], first_seed: int, count: int) -> list[tuple[str, int]]:
    """Families and seeds of `count` missions in all, split evenly, in the order of the families.

    Each family's seeds run from `first_seed`; where the split is not even, the first families get
    one mission more.

    Raises:
        FamilyError: for an unknown family, a family named twice, or a count or seed below zero.
    """
    names = [family_named(name).name for name in families]
    if len(set(names)) < len(names) or not names:
        raise FamilyError(f"families: expected each name once, at least one, got {names}")
    for name, value, least in (("first_seed", first_seed, 0), ("count", count, 1)):
        if value < least:
            raise FamilyError(f"{name}: expected {least} or more, got {value}")
    each, more = divmod(count, len(names))
    return [
        (name, first_seed + i)
        for rank, name in enumerate(names)
        for i in range(each + (rank < more))
    ]


def _repeat_last(points: Array, count: int) -> Array:
    """Points padded to `count` by the last one."""
    return points[jnp.minimum(jnp.arange(count), points.shape[0] - 1)]
