"""The policy: an encoder of what is sensed, a recurrent cell, and a head that wishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, no_type_check

import jax
import jax.numpy as jnp
from flax import nnx, struct
from jax import Array
from jaxtyping import Float

from lnn_nav.cells import build_cell, neurons_within
from lnn_nav.encoder import RingEncoder
from sim.sensors import Sight
from sim.state import AnyArray, State, rotate_inverse, safe_norm

FEATURES = 14
"""Numbers beside the rays that the cell sees."""

GAINS = 2
"""Class-K gains in a wish: one for obstacles, one for the bounds."""


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Goal:
    """What the mission asks for, now.

    Attributes:
        target: the next point to reach [m], world frame.
        speed: set speed [m/s].
        ceiling: top of the allowed space [m].
    """

    target: Float[Array, "*batch 3"]
    speed: Float[Array, "*batch"]
    ceiling: Float[Array, "*batch"]


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Wish:
    """What the policy would like to do until its next thought.

    Attributes:
        acceleration: [m/s^2], world frame, inside the acceleration box.
        yaw_rate: [rad/s].
        gains: class-K gains of the barriers [1/s], positive (BarrierNet's penalty functions).
    """

    acceleration: Float[Array, "*batch 3"]
    yaw_rate: Float[Array, "*batch"]
    gains: Float[Array, "*batch 2"]


@dataclass(frozen=True)
class PolicyShape:
    """Everything that fixes the size and the scaling of a policy.

    Attributes:
        cell: name of the cell.
        parameters: at most this many parameters in all.
        rings: number of rays in each ring that it sees.
        max_range: range of the rays [m].
        filters: width of the encoder's circular layers.
        glances: attentions of the encoder.
        dense: features of the encoder's plain layer.
        acceleration: half sizes of the box of wished accelerations [m/s^2], world-level frame.
        yaw_rate: largest wished yaw rate [rad/s].
        gain_range: least and largest class-K gain [1/s].
    """

    cell: str = "cfc"
    parameters: int = 20_000
    rings: tuple[int, ...] = (72, 36, 36)
    max_range: float = 8.0
    filters: int = 12
    glances: int = 6
    dense: int = 16
    acceleration: tuple[float, float, float] = (6.0, 6.0, 4.0)
    yaw_rate: float = 3.0
    gain_range: tuple[float, float] = (1.0, 8.0)

    @property
    def rays(self) -> int:
        """Number of rays it sees."""
        return sum(self.rings)


class Policy(nnx.Module):
    """Encoder, cell and head, at most `shape.parameters` float32 parameters.

    Attributes:
        shape: sizes and scaling.
        encoder: rays to a few features.
        cell: the recurrent cell.
        head: cell output to acceleration (3) and gains (2), before squashing.
    """

    TAKES_DETOURS: ClassVar[bool] = True

    def __init__(self, shape: PolicyShape, *, rngs: nnx.Rngs) -> None:
        """Draw the weights.

        Raises:
            ValueError: if the shape leaves no room for a cell.
        """
        self.shape = shape
        self.encoder = RingEncoder(
            shape.rings, shape.filters, shape.glances, shape.dense, rngs=rngs
        )
        inputs = self.encoder.outputs + FEATURES
        spent = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(self.encoder)))
        room = shape.parameters - spent
        neurons = neurons_within(shape.cell, inputs + 3 + GAINS, room)
        self.cell = build_cell(shape.cell, inputs, neurons, rngs)
        small = nnx.initializers.normal(0.01)
        self.head = nnx.Linear(self.cell.outputs, 3 + GAINS, kernel_init=small, rngs=rngs)

    def blank_memory(self) -> Float[Array, " neurons"]:
        """The memory at the start of a flight."""
        return jnp.zeros(self.cell.memory_size, jnp.float32)

    def __call__(
        self, memory: Float[Array, "*batch neurons"], sight: Sight, goal: Goal, dt: Array | float
    ) -> tuple[Float[Array, "*batch neurons"], Wish]:
        """Think once.

        Args:
            memory: of the cell.
            sight: what the rays saw; only the first `shape.rays` of them are used.
            goal: where to and how fast.
            dt: time since the last thought [s].

        Returns:
            The new memory and the wish, all float32.
        """
        memory, raw = self.raw(memory, sight, goal, dt)
        return memory, self.wish(raw, sight, goal)

    def raw(
        self, memory: Float[Array, "*batch neurons"], sight: Sight, goal: Goal, dt: Array | float
    ) -> tuple[Float[Array, "*batch neurons"], Float[Array, "*batch 5"]]:
        """Think once; answer the head's output before squashing. Arguments as in the call."""
        shape = self.shape
        state, goal = jax.tree.map(_single, (sight.state, goal))
        rays = jnp.where(sight.valid, _single(sight.ranges), shape.max_range)[..., : shape.rays]
        known = features(state, _heading(state), goal)
        seen = self.encoder(squash_ranges(rays, shape.max_range), known[..., 7:9])
        memory, output = self.cell(
            memory, jnp.concatenate([seen, known], axis=-1), jnp.asarray(dt, jnp.float32)
        )
        return memory, self.head(output)

    def wish(self, raw: Float[Array, "*batch 5"], sight: Sight, goal: Goal) -> Wish:
        """The wish that the head's output stands for, in the state of a sight."""
        shape = self.shape
        state = jax.tree.map(_single, sight.state)
        heading = _heading(state)
        box = jnp.asarray(shape.acceleration, jnp.float32)
        low, high = shape.gain_range
        return Wish(
            acceleration=to_world(heading, jnp.tanh(raw[..., :3]) * box),
            yaw_rate=jax.lax.stop_gradient(yaw_rate_towards(state, heading, goal, shape.yaw_rate)),
            gains=low + (high - low) * jax.nn.sigmoid(raw[..., 3:]),
        )


def squash_ranges(
    ranges: Float[Array, "*batch rays"], max_range: float
) -> Float[Array, "*batch rays"]:
    """Ranges [m] on a logarithmic scale: about +1.6 at contact, -0.4 at 8 m."""
    return -0.5 * jnp.log((ranges + 0.15) / (0.5 * max_range))


def features(
    state: State, heading: Float[Array, "*batch 2"], goal: Goal
) -> Float[Array, "*batch 14"]:
    """What the policy knows beside the rays, in the level frame that turns with the nose.

    Velocity over 3 m/s, the world's up in the body frame (x, y), body rates over 10 rad/s
    (x, y), direction of the target, its distance (at most 4 m) over 4 m, set speed over 3 m/s,
    height over 2 m (at most 4 m), room above over 2 m (at most 2 m).
    """
    up = jnp.asarray([0.0, 0.0, 1.0], jnp.float32)
    tilt = rotate_inverse(state.quaternion, jnp.broadcast_to(up, state.position.shape))[..., :2]
    towards = goal.target - state.position
    distance = safe_norm(towards, keepdims=True)
    direction = to_level(heading, towards / jnp.maximum(distance, 0.1))
    height = jnp.clip(state.position[..., 2:], 0, 4) / 2
    above = jnp.clip(goal.ceiling[..., None] - state.position[..., 2:], 0, 2) / 2
    return jnp.concatenate(
        [
            to_level(heading, state.velocity) / 3,
            tilt,
            state.angular_velocity[..., :2] / 10,
            direction,
            jnp.minimum(distance, 4) / 4,
            goal.speed[..., None] / 3,
            height,
            above,
        ],
        axis=-1,
    )


def _heading(state: State) -> Float[Array, "*batch 2"]:
    """The heading, without gradient: the frame is given, not flown."""
    return jax.lax.stop_gradient(heading_of(state))


def heading_of(state: State) -> Float[Array, "*batch 2"]:
    """Cosine and sine of the heading; (1, 0) where the nose points straight up."""
    x, y, z, w = (state.quaternion[..., i] for i in range(4))
    shadow = jnp.stack([1 - 2 * (y * y + z * z), 2 * (w * z + x * y)], axis=-1)
    length = safe_norm(shadow, keepdims=True)
    ahead = jnp.asarray([1.0, 0.0], shadow.dtype)
    return jnp.where(length > 1e-3, shadow / jnp.maximum(length, 1e-3), ahead)


def to_level(
    heading: Float[Array, "*batch 2"], vector: Float[AnyArray, "*batch 3"]
) -> Float[Array, "*batch 3"]:
    """World vector in the level frame that turns with the nose."""
    c, s = heading[..., 0], heading[..., 1]
    x, y, z = (vector[..., i] for i in range(3))
    return jnp.stack([c * x + s * y, c * y - s * x, z], axis=-1)


def to_world(
    heading: Float[Array, "*batch 2"], vector: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 3"]:
    """The inverse of `to_level`."""
    c, s = heading[..., 0], heading[..., 1]
    x, y, z = (vector[..., i] for i in range(3))
    return jnp.stack([c * x - s * y, s * x + c * y, z], axis=-1)


def yaw_rate_towards(
    state: State, heading: Float[Array, "*batch 2"], goal: Goal, limit: float
) -> Float[Array, "*batch"]:
    """Turn the nose towards where the drone wants to go and where it goes [rad/s]."""
    towards = goal.target.astype(jnp.float32) - state.position
    direction = towards / jnp.maximum(safe_norm(towards, keepdims=True), 0.1)
    ahead = to_level(heading, direction + 0.8 * state.velocity)
    return jnp.clip(3 * jnp.arctan2(ahead[..., 1], ahead[..., 0] + 1e-6), -limit, limit)


def _single(array: Array) -> Array:
    """To float32, the networks' dtype."""
    return jnp.asarray(array, jnp.float32)
