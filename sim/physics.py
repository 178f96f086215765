"""Options of the physics, the same for both engines: what the air does, and imperfect rotors.

The effects are put together as gym-pybullet-drones does it, so that `drag`, `ground_effect` and
`downwash` are its `PYB_DRAG`, `PYB_GND`, `PYB_DW`, and all three its `PYB_GND_DRAG_DW`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Float

from sim.aero import downwash_force, drag_force, ground_effect_forces
from sim.airframe import Airframe
from sim.arrays import AnyArray, namespace
from sim.battery import PhysicsError
from sim.rotors import Rotors, RotorState, start_rotors
from sim.state import State, inner, rotate, rotate_inverse, up_of


@dataclass(frozen=True)
class Physics:
    """What an engine computes besides rigid-body motion; nothing by default.

    Attributes:
        drag: of the spinning rotors, `sim.aero.drag`.
        ground_effect: more force near the ground, `sim.aero.ground_effect`.
        downwash: of drones above, `sim.aero.downwash`.
        rotors: delay, lag, battery and wear, `sim.rotors`.
    """

    drag: bool = False
    ground_effect: bool = False
    downwash: bool = False
    rotors: Rotors = Rotors()

    @property
    def remembers(self) -> bool:
        """Whether rotors carry a memory from tick to tick."""
        return self.drag or not self.rotors.perfect

    @property
    def plain(self) -> bool:
        """Whether there is nothing besides rigid-body motion."""
        return not (self.remembers or self.ground_effect or self.downwash)

    def check(self, airframe: Airframe) -> None:
        """Refuse an airframe that lacks what an effect needs.

        Raises:
            PhysicsError: naming the effect and the field.
        """
        air = {
            "drag": ("drag_coefficients",),
            "ground_effect": ("ground_effect_coefficient", "propeller_radius"),
            "downwash": ("downwash_coefficients", "propeller_radius"),
        }
        for effect, fields in air.items():
            for field in fields if getattr(self, effect) else ():
                if not np.any(getattr(airframe, field)):
                    raise PhysicsError(
                        f"{effect}: expected an airframe with {field}, "
                        f"got {getattr(airframe, field)!r} of {airframe.name!r}"
                    )

    def start(
        self, airframe: Airframe, batch: tuple[int, ...] = (), dtype: DTypeLike = np.float64
    ) -> RotorState | None:
        """The rotors' memory of `batch` bodies at the start; None where there is none to keep."""
        return start_rotors(airframe, self.rotors, batch, dtype) if self.remembers else None


PLAIN = Physics()
"""Rigid-body motion only."""


def air_wrench(
    airframe: Airframe,
    physics: Physics,
    body: State,
    lagged_quaternion: Float[AnyArray, "*#batch 4"],
    forces: Float[AnyArray, "*#batch 4"],
    speeds: Float[AnyArray, "*#batch 4"] | None,
    others: Float[AnyArray, "*#batch n 3"] | None,
) -> tuple[Float[AnyArray, "*batch 3"], Float[AnyArray, "*batch 3"]]:
    """What the air adds in one tick.

    Args:
        airframe: the quadrotor.
        physics: which effects.
        body: the state before the tick.
        lagged_quaternion: orientation one tick ago, xyzw.
        forces: of the rotors in this tick [N].
        speeds: of the rotors in the last tick [rpm]; for the drag.
        others: positions of the other drones [m]; None: alone.

    Returns:
        Force at the centre of mass [N], world frame, and torque [N m], body frame.
    """
    xp = namespace(body.position, forces)
    frame = _link_frame(physics, body.quaternion, lagged_quaternion)
    force, torque = xp.zeros_like(body.velocity), xp.zeros_like(body.velocity)
    if physics.drag and speeds is not None:
        local = rotate_inverse(body.quaternion, drag_force(airframe, body.velocity, speeds))
        force = force + rotate(frame, local)
    if physics.downwash and others is not None:
        plume = downwash_force(airframe, body.position, others)
        force = force + plume[..., None] * up_of(frame)
    if physics.ground_effect:
        lift = ground_effect_forces(airframe, body.position, body.quaternion, forces)
        total, turn = _lift_wrench(airframe, lift)
        force, torque = force + total[..., None] * up_of(body.quaternion), torque + turn
    return force, torque


def _link_frame(physics: Physics, fresh: AnyArray, lagged: AnyArray) -> AnyArray:
    """The orientation along which drag and downwash act, forces in the frame of a link.

    It is that of one step ago, as for the thrust, unless there is a ground effect: for it
    gym-pybullet-drones asks where the rotors are after the thrust and before the drag, and
    PyBullet computes the frames anew to answer.
    """
    return fresh if physics.ground_effect else lagged


def _lift_wrench(airframe: Airframe, lift: Any) -> tuple[Any, Any]:  # noqa: ANN401 - as in inner
    """Sum of forces along the body's z axis at the rotors, and their torque in the body frame."""
    xp = namespace(lift)
    rows = np.asarray(airframe.mixer[:3], lift.dtype)
    total, roll, pitch = (inner(lift, row) for row in rows)
    return total, xp.stack([roll, pitch, xp.zeros_like(roll)], axis=-1)
