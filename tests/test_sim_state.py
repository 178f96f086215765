"""Laws of rotations: a group that acts on vectors; numpy and jax, any batch, both precisions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim import (
    State,
    at_rest,
    conjugate,
    normalise,
    quaternion_from_yaw,
    quaternion_multiply,
    rotate,
    rotate_inverse,
    rotation_matrix,
    safe_norm,
    up_of,
    yaw_of,
)

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


def unit_quaternions(shape, dtype, seed):
    q = np.random.default_rng(seed).normal(size=(*shape, 4))
    return (q / np.linalg.norm(q, axis=-1, keepdims=True)).astype(dtype)


def vectors(shape, dtype, seed):
    return np.random.default_rng(seed).normal(size=(*shape, 3)).astype(dtype)


def matrix(q):
    """The textbook rotation matrix of one xyzw quaternion."""
    x, y, z, w = np.asarray(q, np.float64)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_group_laws(shape, kind, dtype):
    p, q = (kind(unit_quaternions(shape, dtype, seed)) for seed in (1, 2))
    v = kind(vectors(shape, dtype, 3))
    tolerance = TOLERANCE[dtype]
    results = {
        "acts": (rotate(quaternion_multiply(p, q), v), rotate(p, rotate(q, v))),
        "inverse": (rotate_inverse(q, rotate(q, v)), v),
        "conjugate": (rotate(conjugate(q), v), rotate_inverse(q, v)),
        "length": (safe_norm(rotate(q, v)), safe_norm(v)),
        "up": (up_of(q), rotate(q, kind(np.array([0, 0, 1], dtype)))),
        "matrix": ((rotation_matrix(q) @ v[..., None])[..., 0], rotate(q, v)),
        "unit": (normalise(q * 3), q),
    }
    for law, (left, right) in results.items():
        np.testing.assert_allclose(left, right, atol=tolerance, err_msg=law)
        assert left.dtype == dtype and right.dtype == dtype, law
        assert isinstance(left, np.ndarray | np.generic) == isinstance(v, np.ndarray), law


def test_rotation_is_the_textbook_matrix():
    for q in unit_quaternions((20,), np.float64, 4):
        np.testing.assert_allclose(rotation_matrix(q), matrix(q), atol=1e-14)
        v = vectors((), np.float64, 5)
        np.testing.assert_allclose(rotate(q, v), matrix(q) @ v, atol=1e-14)


def test_shapes_broadcast():
    q, v = unit_quaternions((4, 1), np.float64, 1), vectors((3,), np.float64, 2)
    assert rotate(q, v).shape == (4, 3, 3)
    assert quaternion_multiply(q, q[0, 0]).shape == (4, 1, 4)


@pytest.mark.parametrize("yaw", [-3.0, -0.4, 0.0, 1.2, 3.1])
def test_yaw_turns_the_nose_from_x_towards_y(yaw):
    q = quaternion_from_yaw(yaw)
    np.testing.assert_allclose(
        rotate(q, np.array([1.0, 0, 0])), [np.cos(yaw), np.sin(yaw), 0], atol=1e-15
    )
    np.testing.assert_allclose(yaw_of(q), yaw, atol=1e-15)
    # Pitching and rolling a little does not change where the nose points by much more.
    tilt = normalise(np.array([0.0, 0.2, 0.0, 1.0]))
    np.testing.assert_allclose(yaw_of(quaternion_multiply(q, tilt)), yaw, atol=1e-12)


def test_zero_quaternion_and_zero_vector_are_safe():
    zero = jnp.zeros(4)
    np.testing.assert_array_equal(normalise(zero), [0, 0, 0, 1])
    assert np.isfinite(jax.jacobian(normalise)(zero)).all()
    np.testing.assert_array_equal(jax.grad(safe_norm)(jnp.zeros(3)), np.zeros(3))
    np.testing.assert_allclose(jax.grad(safe_norm)(jnp.array([3.0, 4.0])), [0.6, 0.8])


def test_at_rest_stands_still_level_and_faces_its_yaw():
    state = at_rest(np.array([[1.0, 2.0, 3.0]] * 4, np.float32), yaw=0.5)
    assert isinstance(state, State) and state.quaternion.shape == (4, 4)
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {np.dtype(np.float32)}
    assert not state.velocity.any() and not state.angular_velocity.any()
    np.testing.assert_allclose(yaw_of(state.quaternion), 0.5, atol=1e-6)
    np.testing.assert_allclose(up_of(state.quaternion), [[0, 0, 1]] * 4)


def test_state_converts_both_ways_and_is_a_pytree():
    state = at_rest(np.zeros(3)).as_jax(np.float32)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    back = state.as_numpy()
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(back))
    assert {leaf.dtype for leaf in jax.tree.leaves(back)} == {np.dtype(np.float64)}
    assert jax.tree.map(np.shape, back) == State((3,), (3,), (4,), (3,))
