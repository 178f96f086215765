"""What a pilot remembers, and what a thought hands to the ticks that follow it."""

from __future__ import annotations

from dataclasses import replace
from typing import no_type_check

import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Bool, Float, Int

from lnn_nav.detour import Detour
from lnn_nav.packing import pack
from lnn_nav.policy import Wish
from lnn_nav.scan import Near, Scan
from sim.scene import Scene


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Task:
    """What the mission asks for.

    Attributes:
        targets: points to reach in order [m], `[points, 3]`.
        legs: how many there are.
        radius: within which a point counts as reached [m].
        speed: set speed [m/s].
        bounds: lower and upper corner [m].
        scene: the true map, only for the study mode that sees it; else None.
    """

    targets: Float[Array, "points 3"]
    legs: Int[Array, ""]
    radius: Float[Array, ""]
    speed: Float[Array, ""]
    bounds: Float[Array, "2 3"]
    scene: Scene | None


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Mind:
    """What one thought leaves to the next, and to the ticks in between.

    Attributes:
        neurons: of the policy's cell.
        leg: index of the next target.
        detour: the detour under way.
        scan: hit points of the last sights.
        near: the balls that matter until the next sight.
    """

    neurons: Float[Array, " neurons"]
    leg: Int[Array, ""]
    detour: Detour
    scan: Scan
    near: Near


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Memory:
    """Everything a pilot remembers, packed: a compiled call pays for each array that it returns.

    Attributes:
        task: what the mission asks for.
        mind: a `Mind` without the scan's large arrays, in one vector.
        points: of the scan, `[sights, rays, 3]`.
        radii: of the scan, `[sights, rays]`.
        guard: the safety half's memory, a `Guard` in one vector.
    """

    task: Task
    mind: Float[Array, " m"]
    points: Float[Array, "sights rays 3"]
    radii: Float[Array, "sights rays"]
    guard: Float[Array, " n"]


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class PilotWish:
    """What a thought hands to the ticks that follow it, packed as the memory is.

    Attributes:
        vector: acceleration (3), gains (2), yaw rate and soundness, float32.
    """

    vector: Float[Array, " 7"]

    @classmethod
    def of(cls, wish: Wish, sound: Bool[Array, ""]) -> PilotWish:
        """Pack a policy's wish, and whether the policy and its memory were finite."""
        parts = (wish.acceleration, wish.gains, wish.yaw_rate, sound)
        return cls(pack(parts, jnp.float32))

    @property
    def acceleration(self) -> Float[Array, " 3"]:
        """[m/s^2], world frame; zero where the policy's was not finite."""
        return self.vector[:3]

    @property
    def gains(self) -> Float[Array, " 2"]:
        """Class-K gains of the barriers [1/s]."""
        return self.vector[3:5]

    @property
    def yaw_rate(self) -> Float[Array, ""]:
        """[rad/s]."""
        return self.vector[5]

    @property
    def sound(self) -> Bool[Array, ""]:
        """Whether the policy and its memory were finite."""
        return self.vector[6] > 0.5


def without_points(mind: Mind) -> Mind:
    """The mind without the scan's large arrays."""
    return replace(mind, scan=replace(mind.scan, points=None, radii=None))


def with_points(mind: Mind, memory: Memory) -> Mind:
    """The inverse of `without_points`."""
    return replace(mind, scan=replace(mind.scan, points=memory.points, radii=memory.radii))
