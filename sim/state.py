"""Rigid-body state and the quaternion algebra that goes with it.

Quaternions are xyzw and turn body vectors into world vectors; z is up, x forward, y left. Every
function takes any batch dimensions, follows the dtype of its input, and answers in the kind of
array it was given: numpy in, numpy out; anything with a jax array in it, jax out.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, no_type_check

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Float

from sim.arrays import AnyArray as AnyArray
from sim.arrays import namespace as _namespace


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class State:
    """Where a rigid body is, and how it moves.

    Attributes:
        position: [m], world frame, `[*batch, 3]`.
        velocity: [m/s], world frame, `[*batch, 3]`.
        quaternion: unit, xyzw, body to world, `[*batch, 4]`.
        angular_velocity: [rad/s], body frame, `[*batch, 3]`.
    """

    position: Float[AnyArray, "*batch 3"]
    velocity: Float[AnyArray, "*batch 3"]
    quaternion: Float[AnyArray, "*batch 4"]
    angular_velocity: Float[AnyArray, "*batch 3"]

    def as_numpy(self, dtype: DTypeLike = np.float64) -> State:
        """The same state as numpy arrays of `dtype`."""
        return State(**{name: np.asarray(value, dtype) for name, value in vars(self).items()})

    def as_jax(self, dtype: DTypeLike | None = None) -> State:
        """The same state as jax arrays, of `dtype` or (None) of the dtype that they have."""
        return State(**{name: jnp.asarray(value, dtype) for name, value in vars(self).items()})


def at_rest(position: Float[AnyArray, "*batch 3"], yaw: float = 0.0) -> State:
    """A level body standing still at `position` [m], its nose at `yaw` [rad]."""
    xp = _namespace(position)
    still = xp.zeros_like(position)
    level = xp.asarray(quaternion_from_yaw(np.asarray(yaw, np.float64)), dtype=position.dtype)
    quaternion = xp.broadcast_to(level, (*position.shape[:-1], 4))
    return State(position, still, quaternion, still)


def rotate(
    quaternion: Float[AnyArray, "*#batch 4"], vector: Float[AnyArray, "*#batch 3"]
) -> Float[AnyArray, "*batch 3"]:
    """Body to world: R(quaternion) vector, for a unit quaternion."""
    xp = _namespace(quaternion, vector)
    x, y, z, w = (quaternion[..., i] for i in range(4))
    a, b, c = (vector[..., i] for i in range(3))
    # By components up to the end: everything in between fuses into one loop.
    twice_x, twice_y, twice_z = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    turned = [
        a + w * twice_x + (y * twice_z - z * twice_y),
        b + w * twice_y + (z * twice_x - x * twice_z),
        c + w * twice_z + (x * twice_y - y * twice_x),
    ]
    return xp.stack(turned, axis=-1)


def rotate_inverse(
    quaternion: Float[AnyArray, "*#batch 4"], vector: Float[AnyArray, "*#batch 3"]
) -> Float[AnyArray, "*batch 3"]:
    """World to body: R(quaternion)^T vector, for a unit quaternion."""
    return rotate(conjugate(quaternion), vector)


def conjugate(quaternion: Float[AnyArray, "*batch 4"]) -> Float[AnyArray, "*batch 4"]:
    """The inverse rotation of a unit quaternion."""
    xp = _namespace(quaternion)
    return xp.concatenate([-quaternion[..., :3], quaternion[..., 3:]], axis=-1)


def quaternion_multiply(
    left: Float[AnyArray, "*#batch 4"], right: Float[AnyArray, "*#batch 4"]
) -> Float[AnyArray, "*batch 4"]:
    """The Hamilton product: R(left right) = R(left) R(right)."""
    xp = _namespace(left, right)
    left, right = xp.broadcast_arrays(left, right)
    u, a = left[..., :3], left[..., 3:]
    v, b = right[..., :3], right[..., 3:]
    vector = a * v + b * u + _cross(u, v, xp)
    scalar = a * b - inner(u, v)[..., None]
    return xp.concatenate([vector, scalar], axis=-1)


def normalise(quaternion: Float[AnyArray, "*batch 4"]) -> Float[AnyArray, "*batch 4"]:
    """The unit quaternion along `quaternion`; identity for a zero one, with finite gradients."""
    xp = _namespace(quaternion)
    square = inner(quaternion, quaternion)[..., None]
    vanishes = square <= xp.finfo(quaternion.dtype).tiny
    length = xp.sqrt(xp.where(vanishes, xp.ones_like(square), square))
    identity = xp.asarray([0.0, 0.0, 0.0, 1.0], dtype=quaternion.dtype)
    return xp.where(vanishes, identity, quaternion / length)


def inner(
    a: Float[AnyArray, "*#batch n"], b: Float[AnyArray, "*#batch n"]
) -> Float[AnyArray, "*batch"]:
    """Inner product along the last, short axis, spelled out.

    A reduction of three numbers costs more than it computes: XLA sets up its buffers in every
    call on a CPU, run or not (0.4 us), and gives float32 ones to a library (3 us).
    """
    total = a[..., 0] * b[..., 0]
    for i in range(1, a.shape[-1]):
        total = total + a[..., i] * b[..., i]
    return _namespace(a, b).asarray(total)


def safe_norm(
    vector: Float[AnyArray, "*batch n"], keepdims: bool = False
) -> Float[AnyArray, "*batch"] | Float[AnyArray, "*batch 1"]:
    """Euclidean length along the last axis, with a zero gradient (not nan) at the zero vector."""
    xp = _namespace(vector)
    square = inner(vector, vector)
    square = square[..., None] if keepdims else square
    vanishes = square == 0
    return xp.where(vanishes, square, xp.sqrt(xp.where(vanishes, xp.ones_like(square), square)))


def quaternion_from_yaw(yaw: float | Float[AnyArray, "*batch"]) -> Float[AnyArray, "*batch 4"]:
    """A level attitude with its nose at `yaw` [rad], counted from x towards y."""
    angle = np.asarray(yaw, np.float64) if isinstance(yaw, float | int) else yaw
    xp = _namespace(angle)
    zero = xp.zeros_like(angle)
    return xp.stack([zero, zero, xp.sin(angle / 2), xp.cos(angle / 2)], axis=-1)


def yaw_of(quaternion: Float[AnyArray, "*batch 4"]) -> Float[AnyArray, "*batch"]:
    """Heading [rad] in (-pi, pi]: the angle of the nose's shadow on the ground."""
    x, y, z, w = (quaternion[..., i] for i in range(4))
    xp = _namespace(quaternion)
    return xp.asarray(xp.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def up_of(quaternion: Float[AnyArray, "*batch 4"]) -> Float[AnyArray, "*batch 3"]:
    """The body's z axis (the direction of thrust) in the world frame: R(quaternion) e3."""
    x, y, z, w = (quaternion[..., i] for i in range(4))
    xp = _namespace(quaternion)
    parts = [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]
    return xp.stack(parts, axis=-1)


def rotation_matrix(quaternion: Float[AnyArray, "*batch 4"]) -> Float[AnyArray, "*batch 3 3"]:
    """R with `R @ body = world`, for a unit quaternion."""
    xp = _namespace(quaternion)
    identity = xp.eye(3, dtype=quaternion.dtype)
    return xp.stack([rotate(quaternion, identity[i]) for i in range(3)], axis=-1)


def _cross(a: Any, b: Any, xp: ModuleType) -> Any:  # noqa: ANN401 - any array of any namespace
    """The cross product, spelled out: cheaper to trace than `jnp.cross`."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)
