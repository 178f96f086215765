"""An inertial measurement unit at the centre of mass: specific force and angular rate."""

from __future__ import annotations

from typing import no_type_check

from flax import struct
from jaxtyping import Float

from sim.airframe import CF2X
from sim.state import AnyArray, State, rotate_inverse
from sim.twin import PHYSICS_HZ


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Inertial:
    """What an inertial measurement unit says.

    Attributes:
        specific_force: all forces but the weight, over the mass [m/s^2], body frame,
            `[*batch, 3]`: zero in free fall, g upwards at rest.
        angular_rate: [rad/s], body frame, `[*batch, 3]`.
    """

    specific_force: Float[AnyArray, "*batch 3"]
    angular_rate: Float[AnyArray, "*batch 3"]


def inertial(
    state: State, acceleration: Float[AnyArray, "*batch 3"], gravity: float = CF2X.gravity
) -> Inertial:
    """From a state and its acceleration.

    Args:
        state: of any batch dimensions.
        acceleration: of the centre of mass [m/s^2], world frame.
        gravity: [m/s^2].
    """
    x, y, z = (acceleration[..., i] for i in range(3))
    xp = acceleration.__array_namespace__()
    felt = xp.stack([x, y, z + gravity], axis=-1)
    return Inertial(rotate_inverse(state.quaternion, felt), state.angular_velocity)


def inertial_between(
    before: State, after: State, dt: float = 1 / PHYSICS_HZ, gravity: float = CF2X.gravity
) -> Inertial:
    """From two states that follow each other: the mean of the time between them.

    The velocity's change over one tick of either engine is the tick's acceleration exactly: both
    step the velocity by it. It is seen in the axes of the first state, in which the rotors pushed
    (all but one tick of lag), and so is the angular rate at the end of the tick.

    Args:
        before: the state before.
        after: the state `dt` later.
        dt: [s].
        gravity: [m/s^2].
    """
    change = (after.velocity - before.velocity) / dt
    felt = inertial(before, change, gravity).specific_force
    return Inertial(felt, after.angular_velocity)
