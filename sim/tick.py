"""One tick of the twin in a world: the air, the motion, the solids."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from sim.airframe import Airframe
from sim.physics import PLAIN, Physics
from sim.scene import Scene, scene_after, signed_distance
from sim.state import AnyArray
from sim.twin import PHYSICS_HZ, TwinState, step, wind_force


def one_tick(
    airframe: Airframe,
    scene: Scene,
    before: TwinState,
    forces: Float[AnyArray, " 4"],
    wind: Float[AnyArray, " 3"] | None = None,
    mass_scale: float | Float[AnyArray, ""] = 1.0,
    physics: Physics = PLAIN,
    others: Float[AnyArray, "n 3"] | None = None,
    ticks: int | Int[AnyArray, ""] | None = None,
) -> tuple[TwinState, Float[Array, ""]]:
    """Fly for 1 / `PHYSICS_HZ`, and look how near the solids are then.

    Args:
        airframe: what flies.
        scene: among what.
        before: the state before the tick.
        forces: of the four rotors, inside their limits [N].
        wind: velocity of the air [m/s], world frame; still air if None.
        mass_scale: true mass and inertia over the airframe's.
        physics: what there is besides rigid-body motion.
        others: positions of other drones [m], for their downwash.
        ticks: flown before this one, for obstacles that move; see `sim.scene.ticks_in`.

    Returns:
        The state after the tick, and the distance of the drone's middle from the nearest solid
        there [m]; solids do not stop it.
    """
    push = None
    if wind is not None:
        push = wind_force(airframe, before.body.velocity, wind, mass_scale)
    after = step(airframe, before, forces, 1 / PHYSICS_HZ, push, mass_scale, physics, others)
    solids = scene_after(scene, ticks, 1)
    return after, signed_distance(solids, jnp.asarray(after.body.position))
