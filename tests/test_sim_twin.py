"""The twin is PyBullet's step: compared with PyBullet itself, with controls that must fail."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pybullet_reference
import pytest

from sim import CF2X, PHYSICS_HZ, State, TwinState, at_rest, start, step, twin, wind_force

UPRIGHT = np.array([0.0, 0.0, 1.0])
RUNS, STEPS = 32, 2 * PHYSICS_HZ
KINDS = ("hover", "smooth", "uniform")


def level(runs: int = RUNS) -> State:
    return at_rest(np.tile([0.0, 0.0, 200.0], (runs, 1)))


def thrown(runs: int = RUNS) -> State:
    """Any attitude, any velocity, any spin."""
    random = np.random.default_rng(5)
    quaternion = random.normal(size=(runs, 4))
    return State(
        position=np.tile([0.0, 0.0, 200.0], (runs, 1)),
        velocity=random.normal(scale=5, size=(runs, 3)),
        quaternion=quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True),
        angular_velocity=random.normal(scale=10, size=(runs, 3)),
    )


def all_steps(state: TwinState, forces: jax.Array) -> tuple[TwinState, jax.Array]:
    """Last state and positions [steps, runs, 3] under `forces` [steps, runs, 4]."""

    def advance(state, force):
        state = step(CF2X, state, force)
        return state, state.body.position

    return jax.lax.scan(advance, state, forces)


def rollout(begin: State, forces: np.ndarray, dtype=np.float64, fly=jax.jit(all_steps)):  # noqa: B008
    """Positions [runs, steps, 3] and last state of the twin under `forces` [runs, steps, 4]."""
    last, positions = fly(start(begin.as_jax(dtype)), jnp.asarray(forces, dtype).swapaxes(0, 1))
    return np.asarray(positions).swapaxes(0, 1), last.body


tick = jax.jit(step, static_argnums=0)


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    """What PyBullet does with each kind of command: kind -> (begin, forces, positions, spins)."""
    folder = tmp_path_factory.mktemp("reference")
    result = {}
    for seed, kind in enumerate((*KINDS, "thrown")):
        begin = thrown() if kind == "thrown" else level()
        forces = pybullet_reference.commands(kind, RUNS, STEPS, seed)
        result[kind] = (begin, forces, *pybullet_reference.fly(folder, begin, forces))
    return result


@pytest.mark.parametrize("kind", (*KINDS, "thrown"))
def test_twin_follows_pybullet_for_two_seconds(flights, kind):
    begin, forces, positions, spins = flights[kind]
    ours, last = rollout(begin, forces)
    assert np.abs(ours - positions).max() <= 1e-6
    turn = pybullet_reference.pybullet.getMatrixFromQuaternion
    for run in range(RUNS):
        matrix = np.array(turn(np.asarray(last.quaternion[run]))).reshape(3, 3)
        np.testing.assert_allclose(matrix @ last.angular_velocity[run], spins[run], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_twin_stays_within_half_a_millimetre(flights, kind):
    begin, forces, positions, _ = flights[kind]
    ours, last = rollout(begin, forces, np.float32)
    assert last.position.dtype == np.float32
    assert np.abs(ours - positions).max() <= 5e-4


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("_lagged_thrust_axis", lambda state: jnp.zeros_like(state.body.velocity) + UPRIGHT),
        ("_gyroscopic", lambda inertia, spin: jnp.zeros_like(spin)),
        ("_damping", jnp.zeros_like),
    ],
)
def test_each_effect_is_needed(flights, monkeypatch, part, wrong):
    """Negative control: a twin that lacks one effect is off by more than a thousand tolerances."""
    monkeypatch.setattr(twin, part, wrong)
    traced_anew = jax.jit(lambda *arguments: all_steps(*arguments))
    for kind in KINDS:
        begin, forces, positions, _ = flights[kind]
        ours, _ = rollout(begin, forces, fly=traced_anew)
        assert np.abs(ours - positions).max() > 1e-3, kind


def test_velocity_components_are_clamped():
    fast = at_rest(jnp.zeros(3)).replace(velocity=jnp.array([150.0, -150.0, 1.0]))
    spinning = fast.replace(angular_velocity=jnp.array([0.0, 0.0, 300.0]))
    after = tick(CF2X, start(spinning), jnp.zeros(4)).body
    np.testing.assert_allclose(after.velocity[:2], [100, -100])
    np.testing.assert_allclose(after.angular_velocity, [0, 0, 100], atol=1e-9)


def loss(forces, velocity, spin):
    """A number that depends on everything a short flight does."""
    begin = at_rest(jnp.array([0.0, 0.0, 1.0])).replace(velocity=velocity, angular_velocity=spin)
    begin = start(begin)
    end, _ = jax.lax.scan(lambda s, f: (step(CF2X, s, f), None), begin, forces)
    weights = jnp.arange(1.0, 4.0)
    return (
        weights @ end.body.position
        + weights @ end.body.velocity
        + weights @ end.body.angular_velocity / 10
        + jnp.arange(4.0) @ end.body.quaternion
    )


gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))


def test_gradients_agree_with_finite_differences():
    random = np.random.default_rng(0)
    point = (random.uniform(0, CF2X.max_force, (3, 4)), *random.normal(size=(2, 3)))
    slopes = gradient(*point)
    value = jax.jit(loss)
    for _ in range(20):
        way = [random.normal(size=part.shape) for part in point]
        ahead, behind = (
            value(*(part + side * 1e-5 * turn for part, turn in zip(point, way, strict=True)))
            for side in (1, -1)
        )
        along = sum(np.vdot(slope, turn) for slope, turn in zip(slopes, way, strict=True))
        np.testing.assert_allclose(along, (ahead - behind) / 2e-5, rtol=1e-6)


def test_gradients_are_finite_at_rest():
    still = np.zeros(3)
    gradients = gradient(np.full((3, 4), CF2X.hover_force), still, still)
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in gradients)
    slope = jax.grad(lambda v: wind_force(CF2X, v, still).sum())(jnp.asarray(still))
    assert np.isfinite(slope).all()


def test_batches_vmap_and_broadcasting_agree():
    begin = start(jax.tree.map(jnp.asarray, thrown(6)))
    forces = jnp.asarray(pybullet_reference.commands("uniform", 6, 5, 0)[:, 0])
    scales = jnp.linspace(0.8, 1.2, 6)
    batched = tick(CF2X, begin, forces, mass_scale=scales)
    mapped = jax.vmap(lambda s, f, m: step(CF2X, s, f, mass_scale=m))(begin, forces, scales)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), batched, mapped)
    one = jax.tree.map(lambda leaf: leaf[0], begin)
    grown = tick(CF2X, one, jnp.tile(forces[0], (2, 5, 1)))
    assert {leaf.shape[:-1] for leaf in jax.tree.leaves(grown)} == {(2, 5)}
    np.testing.assert_allclose(
        grown.body.quaternion[1, 3], tick(CF2X, one, forces[0]).body.quaternion
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_the_state(dtype):
    begin = start(level(2).as_jax(dtype))
    wind = np.array([1.0, 0.0, 0.0])
    push = wind_force(CF2X, begin.body.velocity, wind)
    after = tick(CF2X, begin, np.full(4, 0.06), force_world=push, mass_scale=1.1)
    assert {leaf.dtype for leaf in jax.tree.leaves(after)} == {np.dtype(dtype)}
    assert push.dtype == dtype


def test_a_new_body_has_no_lag_and_then_lags_one_step():
    begin = start(thrown(3).as_jax())
    np.testing.assert_array_equal(begin.lagged_quaternion, begin.body.quaternion)
    after = tick(CF2X, begin, jnp.zeros(4))
    np.testing.assert_array_equal(after.lagged_quaternion, begin.body.quaternion)


def test_air_at_rest_pushes_nothing_and_moving_air_carries_along():
    velocity = jnp.array([3.0, -2.0, 1.0])
    np.testing.assert_array_equal(wind_force(CF2X, velocity, jnp.zeros(3)), jnp.zeros(3))
    # A body that moves with the air feels no drag: all that is left is its weight.
    state = at_rest(jnp.zeros(3)).replace(velocity=velocity)
    push = wind_force(CF2X, velocity, velocity, mass_scale=1.2)
    after = tick(CF2X, start(state), jnp.zeros(4), force_world=push, mass_scale=1.2)
    expected = velocity - jnp.array([0, 0, 9.8]) / PHYSICS_HZ
    np.testing.assert_allclose(after.body.velocity, expected, atol=1e-12)


def test_damping_in_wind_depends_on_the_relative_velocity_only():
    """Galilean: the same flight seen from a train."""
    random = np.random.default_rng(3)
    velocity, train, wind = jnp.asarray(random.normal(scale=3, size=(3, 3)))

    def acceleration(velocity, wind):
        state = start(at_rest(jnp.zeros(3)).replace(velocity=velocity))
        push = wind_force(CF2X, velocity, wind)
        after = tick(CF2X, state, jnp.full(4, 0.05), force_world=push)
        return (after.body.velocity - velocity) * PHYSICS_HZ

    here, there = acceleration(velocity, wind), acceleration(velocity + train, wind + train)
    np.testing.assert_allclose(here, there, atol=1e-9)


def test_mass_error_scales_what_forces_do():
    """Twice the mass and inertia under twice the forces is the same flight."""
    begin = start(thrown(4).as_jax())
    forces = jnp.asarray(pybullet_reference.commands("uniform", 4, 5, 0)[:, 0])
    light, heavy = tick(CF2X, begin, forces), tick(CF2X, begin, 2 * forces, mass_scale=2.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), light, heavy)
    assert isinstance(light, TwinState)
