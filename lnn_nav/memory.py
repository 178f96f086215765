"""What a pilot remembers, and what a thought hands to the ticks that follow it."""

from __future__ import annotations

from typing import no_type_check

from flax import struct
from jax import Array
from jaxtyping import Bool, Float, Int

from lnn_nav.policy import Wish
from lnn_nav.scan import Near, Scan
from sim.scene import Scene


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Task:
    """What the mission asks for.

    Attributes:
        targets: points to reach in order [m], `[points, 3]`.
        leg: index of the next one.
        legs: how many there are.
        radius: within which a point counts as reached [m].
        speed: set speed [m/s].
        bounds: lower and upper corner [m].
        scene: the true map, only for the study mode that sees it; else None.
    """

    targets: Float[Array, "points 3"]
    leg: Int[Array, ""]
    legs: Int[Array, ""]
    radius: Float[Array, ""]
    speed: Float[Array, ""]
    bounds: Float[Array, "2 3"]
    scene: Scene | None


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Memory:
    """Everything a pilot remembers.

    Attributes:
        neurons: of the policy's cell.
        task: what the mission asks for.
        scan: hit points of the last sights.
        near: the balls that matter until the next sight.
        guard: the safety half's memory, a `Guard` in one vector.
    """

    neurons: Float[Array, " neurons"]
    task: Task
    scan: Scan
    near: Near
    guard: Float[Array, " n"]


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class PilotWish:
    """What a thought hands to the ticks that follow it.

    Attributes:
        wish: of the policy; zeros where it was not finite.
        sound: whether the policy, its memory and the state that it saw were finite.
    """

    wish: Wish
    sound: Bool[Array, ""]
