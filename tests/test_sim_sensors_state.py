"""The inertial unit against mechanics, and the estimate of the state against its own numbers."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flying import open_world

from sim import CF2X, twin
from sim.belief import Belief
from sim.bullet import BulletEngine
from sim.engine import TwinEngine
from sim.sensors import (
    Disturbance,
    StateErrors,
    begin_estimate,
    estimate,
    inertial,
    inertial_between,
)
from sim.sensors.errors import Bias, Dropout, WhiteNoise, apply, begin, reading_of
from sim.state import State, at_rest, normalise, rotate, rotation_matrix
from sim.twin import PHYSICS_HZ

HOVER = CF2X.mass * CF2X.gravity / 4


def tumbling() -> State:
    """A body that moves and turns every way."""
    quaternion = normalise(np.array([0.3, -0.2, 0.5, 0.8]))
    return State(
        np.array([0.0, 0.0, 1.5]), np.array([0.5, -0.3, 0.2]), quaternion, np.array([1.0, 2.0, -1])
    )


def test_at_rest_it_feels_the_weight_and_in_free_fall_nothing():
    rest = at_rest(np.zeros(3))
    still = inertial(rest, np.zeros(3), CF2X.gravity)
    np.testing.assert_allclose(still.specific_force, [0, 0, CF2X.gravity])
    falling = inertial(tumbling(), np.array([0.0, 0.0, -CF2X.gravity]), CF2X.gravity)
    np.testing.assert_allclose(falling.specific_force, 0, atol=1e-12)
    np.testing.assert_array_equal(falling.angular_rate, tumbling().angular_velocity)


def test_it_speaks_in_the_body_frame():
    state = tumbling()
    felt = inertial(state, np.array([1.0, -2.0, 3.0]), 9.8).specific_force
    expected = np.asarray(rotation_matrix(state.quaternion)).T @ [1.0, -2.0, 12.8]
    np.testing.assert_allclose(felt, expected, rtol=1e-12)
    # The same for a batch, and in jax.
    many = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 3), state)
    batch = inertial(many, jnp.tile(jnp.array([1.0, -2.0, 3.0]), (3, 1)), 9.8)
    np.testing.assert_allclose(batch.specific_force, np.tile(expected, (3, 1)), rtol=1e-12)


@pytest.mark.parametrize("make", [TwinEngine, BulletEngine])
def test_between_two_ticks_it_feels_thrust_and_drag_over_the_mass(make):
    forces = np.array([0.08, 0.06, 0.07, 0.05])
    before = tumbling()
    with make(CF2X, open_world()) as engine:
        engine.reset(before)
        after, _ = engine.step(forces)
    told = inertial_between(before, after, gravity=CF2X.gravity)
    speed = np.linalg.norm(before.velocity)
    drag = rotate(before.quaternion * [-1, -1, -1, 1], 0.04 * (1 + speed) * before.velocity)
    thrust = np.array([0, 0, forces.sum() / CF2X.mass])
    np.testing.assert_allclose(told.specific_force, thrust - drag, atol=1e-9)
    np.testing.assert_array_equal(told.angular_rate, after.angular_velocity)
    # The weight is not felt: with it, this would be off by g.
    wrong = inertial_between(before, after, gravity=0.0)
    assert np.abs(wrong.specific_force - told.specific_force).max() > 5


def test_its_errors_are_those_of_any_sensor():
    models, key = (Bias(0.1), WhiteNoise(0.02)), jax.random.PRNGKey(1)
    truth = reading_of(inertial(at_rest(np.zeros(3)), np.zeros(3)).specific_force)
    memory = begin(models, key, truth)
    read = [
        apply(models, memory, jax.random.fold_in(key, tick), truth, 1 / PHYSICS_HZ)[1].value
        for tick in range(60)
    ]
    error = np.stack(read) - np.asarray(truth.value)
    assert error.std(axis=0) == pytest.approx(0.02, rel=0.35)
    assert np.abs(error.mean(axis=0)).max() > 0.02


@partial(jax.jit, static_argnums=(0, 3))
def believed(errors: StateErrors, key, state: State, count: int) -> State:
    """Estimates of a body that does not move."""

    def tick(memory, index):
        return estimate(errors, memory, jax.random.fold_in(key, index), state, 1 / PHYSICS_HZ)

    memory = begin_estimate(errors, jax.random.fold_in(key, count), state)
    return jax.lax.scan(tick, memory, jnp.arange(count))[1]


def test_an_estimate_is_as_wrong_as_it_says():
    disturbance = Disturbance(
        position_noise=0.05, velocity_noise=0.2, attitude_noise=0.03, spin_noise=0.4
    )
    state = tumbling()
    found = believed(StateErrors.of(disturbance), jax.random.PRNGKey(0), state.as_jax(), 4000)
    for name, size in (("position", 0.05), ("velocity", 0.2), ("angular_velocity", 0.4)):
        error = np.asarray(getattr(found, name)) - getattr(state, name)
        np.testing.assert_allclose(error.std(axis=0), size, rtol=0.05)
        assert np.abs(error.mean(axis=0)).max() < 4 * size / np.sqrt(4000)
    quaternions = np.asarray(found.quaternion)
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1, rtol=1e-12)
    # The turn from the truth to the estimate, in the body frame: a small rotation vector.
    turn = np.einsum("ji,njk->nik", rotation_matrix(state.quaternion), rotation_matrix(quaternions))
    vector = np.stack([turn[:, 2, 1], turn[:, 0, 2], turn[:, 1, 0]], axis=1)
    np.testing.assert_allclose(vector.std(axis=0), 0.03, rtol=0.05)


def test_a_lost_estimate_is_the_last_one_and_an_exact_part_is_the_truth():
    lost = (WhiteNoise(1.0), Dropout(0.5))
    errors = StateErrors(position=lost, attitude=lost)
    state = tumbling()
    found = believed(errors, jax.random.PRNGKey(3), state.as_jax(), 400)
    same = np.diff(np.asarray(found.position), axis=0) == 0
    assert same.mean() == pytest.approx(0.5, abs=0.06)
    kept = (np.diff(np.asarray(found.quaternion), axis=0) == 0).all(axis=1)
    assert kept.mean() == pytest.approx(1 - 0.5**3, abs=0.06)  # One lost axis loses it all.
    for name in ("velocity", "angular_velocity"):
        np.testing.assert_array_equal(getattr(found, name), np.tile(getattr(state, name), (400, 1)))


def test_a_belief_is_its_seed_and_the_truth_without_errors():
    state, rough = tumbling(), Disturbance(position_noise=0.1)
    calm = Belief(Disturbance(), 1, state)
    assert calm.exact and calm.of(state, 0) is state
    runs = []
    for seed in (1, 1, 2):
        belief = Belief(rough, seed, state)
        assert not belief.exact
        runs.append(np.stack([np.asarray(belief.of(state, tick).position) for tick in range(5)]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2]) and np.ptp(runs[0], axis=0).min() > 0.01


def test_the_twin_tells_its_acceleration():
    """What the twin's step adds to the velocity is what the unit is told, also under a push."""
    before = twin.start(tumbling().as_jax())
    push = jnp.array([0.01, -0.02, 0.03])
    forces = jnp.full(4, HOVER)
    calm, pushed = (
        inertial_between(before.body, twin.step(CF2X, before, forces, force_world=force).body)
        for force in (None, push)
    )
    felt = rotate(tumbling().quaternion, np.asarray(pushed.specific_force - calm.specific_force))
    np.testing.assert_allclose(felt, np.asarray(push) / CF2X.mass, atol=1e-9)
