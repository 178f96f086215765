"""Airframes: the numbers of a quadrotor, and the map between its rotors and its wrench."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from sim.state import AnyArray


class AirframeError(ValueError):
    """A field of an airframe is not physical; the message names it."""


@dataclass(frozen=True)
class Airframe:
    """A rigid quadrotor with four upright rotors in the plane of its centre of mass.

    Attributes:
        name: what people call it.
        mass: [kg].
        inertia: the diagonal of the inertia about the body axes [kg m^2].
        rotor_positions: (x, y) of each rotor in the body frame [m].
        yaw_signs: +1 or -1 for each rotor: the sign of the yaw torque that it gives.
        thrust_coefficient: kf, force = kf speed^2 [N/rpm^2].
        torque_coefficient: km, |yaw torque| = km speed^2 [N m/rpm^2].
        thrust_to_weight: most thrust of all rotors over the weight.
        gravity: [m/s^2].
        collision_radius: radius of the sphere that stands for the airframe in collisions [m].
        drag_coefficients: drag per speed of the body and summed speed of the rotors, along x, y
            and z [N s/m per rad/s]; zero where unknown, as below.
        ground_effect_coefficient: strength of the cushion near the ground.
        propeller_radius: [m], of the ground effect and the downwash.
        downwash_coefficients: strength, growth of the plume's width per depth, and the width at
            depth zero [m].
    """

    name: str
    mass: float
    inertia: tuple[float, float, float]
    rotor_positions: tuple[tuple[float, float], ...]
    yaw_signs: tuple[float, ...]
    thrust_coefficient: float
    torque_coefficient: float
    thrust_to_weight: float
    gravity: float = 9.8
    collision_radius: float = 0.06
    drag_coefficients: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ground_effect_coefficient: float = 0.0
    propeller_radius: float = 0.0
    downwash_coefficients: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse numbers that no airframe has.

        Raises:
            AirframeError: naming the field, what it must be and what it was.
        """
        for field in ("rotor_positions", "yaw_signs"):
            if len(getattr(self, field)) != 4:
                raise AirframeError(f"{field}: expected 4 entries, got {getattr(self, field)!r}")
        positive = ("mass", "thrust_coefficient", "torque_coefficient", "gravity")
        for field in (*positive, "thrust_to_weight", "collision_radius"):
            if not (math.isfinite(getattr(self, field)) and getattr(self, field) > 0):
                raise AirframeError(
                    f"{field}: expected a positive number, got {getattr(self, field)!r}"
                )
        if len(self.inertia) != 3 or not all(math.isfinite(j) and j > 0 for j in self.inertia):
            raise AirframeError(f"inertia: expected 3 positive numbers, got {self.inertia!r}")
        self._check_air()
        if not all(sign in (-1, 1) for sign in self.yaw_signs):
            raise AirframeError(f"yaw_signs: expected -1 or 1 each, got {self.yaw_signs!r}")
        if abs(np.linalg.det(self.mixer / np.abs(self.mixer).max(axis=1, keepdims=True))) < 1e-6:
            raise AirframeError(
                "rotor_positions: expected rotors that give every torque, "
                f"got {self.rotor_positions!r} with yaw_signs {self.yaw_signs!r}"
            )

    def _check_air(self) -> None:
        """Refuse impossible numbers of what the air does."""
        for field in ("ground_effect_coefficient", "propeller_radius"):
            if not (math.isfinite(getattr(self, field)) and getattr(self, field) >= 0):
                raise AirframeError(
                    f"{field}: expected a number >= 0, got {getattr(self, field)!r}"
                )
        drag, downwash = self.drag_coefficients, self.downwash_coefficients
        if len(drag) != 3 or not all(math.isfinite(d) and d >= 0 for d in drag):
            raise AirframeError(f"drag_coefficients: expected 3 numbers >= 0, got {drag!r}")
        if len(downwash) != 3 or not all(map(math.isfinite, downwash)) or downwash[0] < 0:
            raise AirframeError(
                f"downwash_coefficients: expected 3 numbers, the first >= 0, got {downwash!r}"
            )

    @cached_property
    def max_force(self) -> float:
        """Most force of one rotor [N]: the largest float32 that does not exceed the exact limit."""
        exact = self.thrust_to_weight * self.mass * self.gravity / 4
        nearest = np.float32(exact)
        if float(nearest) > exact:
            nearest = np.nextafter(nearest, np.float32(0))
        return float(nearest)

    @cached_property
    def hover_force(self) -> float:
        """Force of one rotor that holds the airframe still [N]."""
        return self.mass * self.gravity / 4

    @cached_property
    def mixer(self) -> Float[np.ndarray, "4 4"]:
        """Rotor forces [N] to wrench: thrust [N], then torque about body x, y, z [N m]."""
        x, y = np.array(self.rotor_positions, np.float64).T
        drag = np.array(self.yaw_signs) * (self.torque_coefficient / self.thrust_coefficient)
        return _frozen(np.stack([np.ones(4), y, -x, drag]))

    @cached_property
    def mixer_inverse(self) -> Float[np.ndarray, "4 4"]:
        """Wrench to the rotor forces that give it."""
        return _frozen(np.linalg.inv(self.mixer))

    @cached_property
    def max_torque(self) -> Float[np.ndarray, " 3"]:
        """Most torque about each body axis that rotors inside their limits can give [N m]."""
        rows = self.mixer[1:]
        one_way = np.maximum(rows, 0).sum(axis=1)
        other_way = np.maximum(-rows, 0).sum(axis=1)
        return _frozen(np.maximum(one_way, other_way) * self.max_force)

    def rotor_speed(self, forces: Float[AnyArray, "*batch 4"]) -> Float[AnyArray, "*batch 4"]:
        """Speed [rpm] at which each rotor gives `forces` [N]; a negative force counts as zero."""
        if isinstance(forces, np.ndarray):
            return np.sqrt(np.maximum(forces, 0) / self.thrust_coefficient)
        return jnp.sqrt(jnp.maximum(forces, 0) / self.thrust_coefficient)

    def rotor_force(self, speeds: Float[AnyArray, "*batch 4"]) -> Float[AnyArray, "*batch 4"]:
        """Force [N] of each rotor at `speeds` [rpm]."""
        return self.thrust_coefficient * speeds * speeds


def _frozen(array: np.ndarray) -> np.ndarray:
    """The same array, shut for writing: cached values are shared."""
    array.setflags(write=False)
    return array


CF2X = Airframe(
    name="cf2x",
    mass=0.027,
    inertia=(1.4e-5, 1.4e-5, 2.17e-5),
    rotor_positions=((0.028, -0.028), (-0.028, -0.028), (-0.028, 0.028), (0.028, 0.028)),
    yaw_signs=(-1.0, 1.0, -1.0, 1.0),
    thrust_coefficient=3.16e-10,
    torque_coefficient=7.94e-12,
    thrust_to_weight=2.25,
    drag_coefficients=(9.1785e-7, 9.1785e-7, 10.311e-7),
    ground_effect_coefficient=11.36859,
    propeller_radius=2.31348e-2,
    downwash_coefficients=(2267.18, 0.16, -0.11),
)
"""The Crazyflie 2.x in its X configuration."""

CF2P = replace(
    CF2X,
    name="cf2p",
    inertia=(2.3951e-5, 2.3951e-5, 3.2347e-5),
    rotor_positions=((0.0397, 0.0), (0.0, 0.0397), (-0.0397, 0.0), (0.0, -0.0397)),
)
"""The Crazyflie 2.x in its plus configuration."""

RACER = Airframe(
    name="racer",
    mass=0.83,
    inertia=(0.003113, 0.003113, 0.003113),
    rotor_positions=((0.085, 0.0675), (-0.085, 0.0675), (-0.085, -0.0675), (0.085, -0.0675)),
    yaw_signs=(1.0, -1.0, 1.0, -1.0),
    thrust_coefficient=8.47e-9,
    torque_coefficient=2.13e-11,
    thrust_to_weight=4.17,
    # Around its propellers of five inches; gym-pybullet-drones has a Crazyflie's 0.06 here, and
    # as the radius of a propeller its diameter. That one is kept: its ground effect rests on it.
    collision_radius=0.172,
    drag_coefficients=CF2X.drag_coefficients,
    ground_effect_coefficient=CF2X.ground_effect_coefficient,
    propeller_radius=0.127,
    downwash_coefficients=CF2X.downwash_coefficients,
)
"""A racing quadrotor of 0.83 kg; all numbers of these three as in gym-pybullet-drones' assets."""
