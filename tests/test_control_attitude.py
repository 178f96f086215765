"""The attitude loop and the rotor filter: exact where they can be, safe where they cannot."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnn_nav.control import attitude_wrench, drag
from lnn_nav.design import Design
from lnn_nav.safety import _attitude_rows, clip_forces, rotor_forces
from sim import twin
from sim.airframe import CF2X
from sim.state import State, quaternion_from_yaw, quaternion_multiply, rotate, up_of

DESIGN = Design()
GAINS = DESIGN.attitude
WEIGHT = CF2X.mass * CF2X.gravity
wrench_of = jax.jit(partial(attitude_wrench, CF2X, GAINS))
forces_of = jax.jit(partial(rotor_forces, DESIGN.safety, CF2X))


def body(
    quaternion: object = (0.0, 0.0, 0.0, 1.0),
    velocity: object = (0.0, 0.0, 0.0),
    spin: object = (0.0, 0.0, 0.0),
) -> State:
    array = partial(jnp.asarray, dtype=jnp.float64)
    quaternion = array(quaternion)
    unit = quaternion / jnp.linalg.norm(quaternion)
    return State(jnp.zeros(3), array(velocity), unit, array(spin))


def test_hover_asks_for_the_weight_and_no_torque():
    wrench = wrench_of(body(), jnp.zeros(3), jnp.zeros(()))
    np.testing.assert_allclose(wrench, [WEIGHT, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("wish", "axis", "sign"), [((3, 0, 0), 2, 1), ((-3, 0, 0), 2, -1), ((0, 3, 0), 1, -1)]
)
def test_a_sideways_wish_tips_the_thrust_towards_it(wish, axis, sign):
    # Forward (+x) by a turn about +y, to the left (+y) by a turn about -x.
    wrench = np.asarray(wrench_of(body(), jnp.asarray(wish, float), jnp.zeros(())))
    assert np.sign(wrench[axis]) == sign
    others = [k for k in (1, 2, 3) if k != axis]
    assert np.abs(wrench[others]).max() < 1e-12


def test_a_yaw_rate_turns_to_the_left_when_positive():
    wrench = wrench_of(body(), jnp.zeros(3), jnp.asarray(1.0))
    assert wrench[3] > 0
    np.testing.assert_allclose(wrench[:3], [WEIGHT, 0, 0], atol=1e-12)


@given(seed=st.integers(0, 10_000))
def test_at_the_wished_attitude_the_drone_accelerates_as_wished(seed):
    # Thrust axis along what is wished for, at any speed: thrust, weight and drag add up to it.
    draws = np.random.default_rng(seed)
    wish, velocity = draws.uniform(-1, 1, 3) * [6, 6, 4], draws.uniform(-3, 3, 3)
    specific = wish + np.asarray(drag(jnp.asarray(velocity))) + [0, 0, CF2X.gravity]
    axis = np.cross([0, 0, 1], specific)
    state = body([*axis, np.linalg.norm(specific) + specific[2]], velocity)
    wrench = wrench_of(state, jnp.asarray(wish), jnp.zeros(()))
    assert np.abs(wrench[1:]).max() < 1e-9
    thrust = wrench[0] / CF2X.mass * up_of(state.quaternion)
    got = thrust - jnp.asarray([0, 0, CF2X.gravity]) - drag(state.velocity)
    np.testing.assert_allclose(got, wish, atol=1e-9)


@given(seed=st.integers(0, 10_000), angle=st.floats(-np.pi, np.pi))
def test_a_turned_world_asks_for_the_same_wrench(seed, angle):
    draws = np.random.default_rng(seed)
    state = body(
        np.array([0, 0, 0, 1.0]) + 0.4 * draws.standard_normal(4),
        draws.uniform(-3, 3, 3),
        draws.uniform(-3, 3, 3),
    )
    wish = jnp.asarray(draws.uniform(-6, 6, 3))
    yaw = quaternion_from_yaw(jnp.asarray(angle))
    turned = State(
        state.position,
        rotate(yaw, state.velocity),
        quaternion_multiply(yaw, state.quaternion),
        state.angular_velocity,
    )
    here = wrench_of(state, wish, jnp.asarray(0.5))
    there = wrench_of(turned, rotate(yaw, wish), jnp.asarray(0.5))
    np.testing.assert_allclose(there, here, atol=1e-12)


def test_thrust_keeps_within_its_share_whatever_is_wished():
    for wish in ((0, 0, 1e3), (0, 0, -1e3), (1e6, 0, -1e6), (0, 0, -CF2X.gravity)):
        for quaternion in ((0, 0, 0, 1), (1, 0, 0, 0), (0.6, 0, 0, 0.8)):
            wrench = wrench_of(body(quaternion), jnp.asarray(wish, float), jnp.zeros(()))
            assert np.isfinite(wrench).all()
            most = GAINS.max_thrust * CF2X.thrust_to_weight * WEIGHT
            assert GAINS.min_thrust * WEIGHT * (1 - 1e-12) <= wrench[0] <= most * (1 + 1e-12)


@given(seed=st.integers(0, 10_000))
def test_a_wrench_that_the_rotors_can_give_is_given(seed):
    # A spin from rest to 20 rad/s within a twentieth of a second is the most that is let through.
    draws = np.random.default_rng(seed)
    forces = draws.uniform(0.05, 0.65) * CF2X.max_force + draws.uniform(0, 0.05, 4)
    got, answer = forces_of(body(), jnp.asarray(CF2X.mixer @ forces))
    assert int(answer.outcome) == 0
    np.testing.assert_allclose(got, forces, atol=1e-6 * CF2X.max_force)


def test_torque_goes_before_thrust_where_both_are_too_much():
    wished = np.array([2.2 * WEIGHT, 0.5 * CF2X.max_torque[0], 0, 0])
    got, _ = forces_of(body(), jnp.asarray(wished))
    given_wrench = CF2X.mixer @ np.asarray(got)
    assert given_wrench[0] < wished[0]
    assert given_wrench[1] > 0.3 * wished[1]


def tilt_acceleration(state: State, torque: np.ndarray) -> float:
    """Second derivative of the height of the body's up axis, by three steps of the twin."""
    dt = 1e-4
    forces = jnp.asarray(CF2X.mixer_inverse @ np.concatenate([[WEIGHT], torque]))
    heights, now = [], twin.start(state)
    for _ in range(3):
        heights.append(float(up_of(now.body.quaternion)[2]))
        now = twin.step(CF2X, now, forces, dt)
    # The spin is a step ahead of the attitude in the twin: the middle of the three counts.
    return (heights[2] - 2 * heights[1] + heights[0]) / dt**2


@pytest.mark.parametrize("seed", range(5))
def test_the_tilt_row_knows_which_way_torque_tips_the_drone(seed):
    draws = np.random.default_rng(seed)
    quaternion = np.array([0, 0, 0, 1.0]) + 0.5 * draws.standard_normal(4)
    state = body(quaternion, spin=0.01 * draws.standard_normal(3))
    torque = 1e-4 * draws.standard_normal(3)
    matrix, _ = _attitude_rows(DESIGN.safety, CF2X, state, jnp.float64)
    moved = tilt_acceleration(state, torque) - tilt_acceleration(state, np.zeros(3))
    np.testing.assert_allclose(float(matrix[0] @ jnp.asarray(torque)), moved, rtol=0.02, atol=1e-3)
    assert abs(moved) > 0.1


def test_a_tilt_beyond_the_limit_is_brought_back_against_the_wrench():
    # Tipped by 80 degrees about x and still going; the wished torque would go on.
    state = body((np.sin(0.7), 0, 0, np.cos(0.7)), spin=(2.0, 0, 0))
    wished = jnp.asarray([WEIGHT, 0.5 * CF2X.max_torque[0], 0, 0])
    torque = CF2X.mixer[1:] @ np.asarray(forces_of(state, wished)[0])
    assert torque[0] < -0.1 * CF2X.max_torque[0]


def test_forces_by_way_of_a_wrench_in_float32_break_the_limit():
    # Why forces are handed over, and clipped last: the way through a wrench is not exact.
    draws = np.random.default_rng(0)
    forces = draws.uniform(0.9, 1, (4_000, 4)) * CF2X.max_force
    forces[draws.uniform(size=forces.shape) < 0.5] = CF2X.max_force
    forces = np.minimum(forces.astype(np.float32), np.float32(CF2X.max_force))
    mixer, inverse = (m.astype(np.float32) for m in (CF2X.mixer, CF2X.mixer_inverse))
    again = (forces @ mixer.T) @ inverse.T
    assert (again > np.float32(CF2X.max_force)).any()
    clipped = np.asarray(clip_forces(CF2X, jnp.asarray(again)))
    assert clipped.dtype == np.float32
    assert (clipped <= CF2X.max_force).all()
    np.testing.assert_array_equal(clip_forces(CF2X, jnp.asarray(forces)), forces)


def test_the_last_word_is_finite():
    bad = jnp.asarray([jnp.nan, jnp.inf, -jnp.inf, -0.01])
    np.testing.assert_array_equal(clip_forces(CF2X, bad), [CF2X.hover_force] * 3 + [0.0])


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, 1e300])
def test_a_wrench_that_is_none_does_not_stop_the_rotors(bad):
    # An unsolved problem answers zeros: that would be free fall.
    forces, answer = forces_of(body(), jnp.asarray([bad, 0.0, 0.0, bad]))
    assert int(answer.outcome) != 0
    assert np.isfinite(forces).all()
    assert np.sum(forces) > 0.4 * CF2X.max_force


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_dtype_of_the_wrench_is_kept(dtype):
    state = jax.tree.map(lambda leaf: leaf.astype(dtype), body())
    wish, yaw_rate = jnp.zeros(3, dtype), jnp.zeros((), dtype)
    wrench = jax.eval_shape(partial(attitude_wrench, CF2X, GAINS), state, wish, yaw_rate)
    forces, answer = jax.eval_shape(partial(rotor_forces, DESIGN.safety, CF2X), state, wrench)
    assert wrench.dtype == forces.dtype == answer.x.dtype == dtype
