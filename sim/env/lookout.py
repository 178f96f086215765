"""What each of many drones sees of a world, and of the others."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, UInt32

from sim.env.config import EnvConfig
from sim.scene import Scene, scene_after, ticks_in
from sim.sensors import look
from sim.shapes import Spheres
from sim.state import AnyArray, State


def look_around(
    config: EnvConfig,
    scene: Scene,
    states: State,
    present: Bool[np.ndarray, " n"],
    keys: UInt32[np.ndarray, "n 2"],
    ticks: int = 0,
) -> tuple[Float[np.ndarray, "n rays"], Bool[np.ndarray, "n rays"]]:
    """Cast the rays of all drones; each meets the solids and the spheres of the others.

    Args:
        config: of the environment, `EnvConfig.compiled`.
        scene: the world, float32.
        states: of the drones.
        present: which drones are there to be seen.
        keys: random keys of the noise.
        ticks: since the flight began, for which obstacles that move have moved on.

    Returns:
        Distance along each ray [m], and False where its return was lost.
    """
    bodies, moved_on = states.as_numpy(np.float32), ticks_in(scene, ticks)
    ranges, valid = _look_around(config, scene, bodies, present, keys, moved_on)
    return np.asarray(ranges), np.asarray(valid)


@partial(jax.jit, static_argnums=0)
def _look_around(
    config: EnvConfig,
    scene: Scene,
    states: State,
    present: Array,
    keys: Array,
    ticks: Array | int | None,
) -> tuple[AnyArray, AnyArray]:
    radius = config.airframe.collision_radius
    count, scene = present.shape[0], scene_after(scene, ticks)

    def one(drone: Array, state: State, key: Array) -> tuple[AnyArray, AnyArray]:
        seen = present & (jnp.arange(count) != drone)
        others = jnp.where(seen, radius, -1.0).astype(jnp.float32)
        spheres = Spheres(
            center=jnp.concatenate([scene.spheres.center, states.position]),
            radius=jnp.concatenate([scene.spheres.radius, others]),
        )
        sight = look(config.rays, replace(scene, spheres=spheres), state, config.disturbance, key)
        return sight.ranges, sight.valid

    return jax.vmap(one)(jnp.arange(count), states, keys)
