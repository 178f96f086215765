"""The study mode: balls for the barrier taken from the true map instead of from rays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from barriernet.backup import Braking, Motion, stop_point
from lnn_nav.scan import Near, ScanShape
from sim.scene import Scene, obstacle_distance


def nearest_on_map(shape: ScanShape, scene: Scene, braking: Braking, motion: Motion) -> Near:
    """Exact surface points nearest to points spread along and around the stopping path.

    Args:
        shape: tells how many balls are wanted.
        scene: the true map.
        braking: what the backup may count on.
        motion: of the drone.

    Returns:
        Surface points of no radius; all space counts as scanned.
    """
    dtype = scene.bounds.dtype
    start, stop = motion.point.astype(dtype), stop_point(braking, motion).astype(dtype)
    share = jnp.linspace(0, 1, shape.patches, dtype=dtype)[:, None]
    return _surface(scene, start + share * (stop - start))


def _surface(scene: Scene, points: Array) -> Near:
    distance, slope = jax.vmap(jax.value_and_grad(lambda p: obstacle_distance(scene, p)))(points)
    distance = jnp.where(jnp.isfinite(distance), distance, 1e3)
    return Near(
        centres=points - distance[:, None] * slope,
        radii=jnp.zeros(points.shape[0], points.dtype),
        origin=points[0],
        reach=jnp.asarray(1e3, points.dtype),
    )
