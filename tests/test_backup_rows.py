"""The backup satisfies every row at every safe state, and the rows mean what they say.

The barrier is worked out a second time here, in plain numpy, by sampling the braking path.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from barriernet.backup import Braking, Motion, brake_control, path_rows, plane_rows
from barriernet.backup import rows as rows_module

BRAKING = Braking(deceleration=3.5, lag=0.06, tick=1 / 240, inner=0.03)
STATES, OBSTACLES = 10_000, 64
LEAST = -1e-9
"""Least residual of a row [m/s^2]: the barrier is known to 1e-15 m here, 1 / tick^2 is 57,600."""


def path_of(point: np.ndarray, velocity: np.ndarray, braking: Braking) -> tuple:
    """Both ends of the braking path, by the formula of the module's docstring."""
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    a, dt = braking.deceleration, braking.tick
    return point, point + velocity * (speed + a * dt) / (2 * a)


def sampled_barrier(
    point: np.ndarray, velocity: np.ndarray, centre: np.ndarray, radius: np.ndarray, samples: int
) -> np.ndarray:
    """Least distance of a ball from points spread along the path: too large by < 1e-5 m here."""
    start, stop = path_of(point, velocity, BRAKING)
    share = np.linspace(0, 1, samples)[:, None]
    path = start[..., None, :] + share * (stop - start)[..., None, :]
    return np.linalg.norm(path - centre[..., None, :], axis=-1).min(axis=-1) - radius


def directions(draws: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = draws.standard_normal((*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def safe_states(seed: int, states: int = STATES, obstacles: int = OBSTACLES) -> dict:
    """Motions from rest to 8 m/s, each among balls that its path keeps clear of, many exactly."""
    draws = np.random.default_rng(seed)
    # Every tenth at rest, a third slower than one tick of braking, the rest anything to 8 m/s.
    speed = draws.uniform(0, 8, states)
    speed[: states // 3] = draws.uniform(0, 2 * 3.5 / 240, states // 3)
    speed[: states // 10] = 0
    velocity = directions(draws, states) * speed[:, None]
    point = draws.uniform(-5, 5, (states, 3))
    start, stop = path_of(point, velocity, BRAKING)
    along = start + draws.uniform(-0.2, 1.2, (states, obstacles, 1)).swapaxes(0, 1) * (stop - start)
    away = directions(draws, states, obstacles) * draws.uniform(1e-3, 2, (states, obstacles, 1))
    centres = along.swapaxes(0, 1) + away
    distance = exact_distance(start, stop, centres)
    gap = draws.choice([0.0, 1e-9, 1e-3, 0.3], (states, obstacles)) * draws.uniform(
        0, 1, (states, obstacles)
    )
    return {
        "point": point,
        "velocity": velocity,
        "centres": centres,
        # A radius of zero or less stands for a ball that is not there.
        "radii": distance - gap,
        "rate": draws.uniform(0.1, 200, states),
    }


def exact_distance(start: np.ndarray, stop: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Distance of each centre from the segment."""
    along = (stop - start)[:, None]
    square = np.maximum((along**2).sum(-1), 1e-300)
    share = np.clip(((centres - start[:, None]) * along).sum(-1) / square, 0, 1)
    return np.linalg.norm(start[:, None] + share[..., None] * along - centres, axis=-1)


@jax.jit
def backup_residuals(point, velocity, centres, radii, rate):
    """A u - b of the backup's own control, least over the rows of each state."""

    def one(point, velocity, centres, radii, rate):
        motion = Motion(point, velocity)
        rows = path_rows(BRAKING, motion, centres, radii, rate)
        return jnp.min(rows.matrix @ brake_control(BRAKING, motion) - rows.bound)

    return jax.vmap(one)(point, velocity, centres, radii, rate)


@pytest.fixture(scope="module")
def states() -> dict:
    return safe_states(seed=0)


def test_the_backup_satisfies_every_row_among_64_obstacles(states):
    residual = np.asarray(backup_residuals(**states))
    assert residual.shape == (STATES,)
    assert residual.min() >= LEAST


@pytest.mark.parametrize(
    "mutant",
    [
        # Braking harder than the path was computed for would be a lie in the other direction:
        # a body that brakes less than the path says leaves the path.
        lambda braking, motion: 0.9 * brake_control(braking, motion),
        lambda braking, motion: jnp.zeros_like(motion.velocity),
        # Full braking for a whole tick whatever the speed: runs backwards near rest.
        lambda braking, motion: (
            -braking.deceleration
            * motion.velocity
            / jnp.maximum(jnp.linalg.norm(motion.velocity), 1e-9)
        ),
    ],
    ids=["brakes 10 % less", "does not brake", "brakes on past rest"],
)
def test_another_control_than_the_backup_violates_rows(states, mutant):
    def one(point, velocity, centres, radii, rate):
        motion = Motion(point, velocity)
        rows = path_rows(BRAKING, motion, centres, radii, rate)
        return jnp.min(rows.matrix @ mutant(BRAKING, motion) - rows.bound)

    some = {name: value[::10] for name, value in states.items()}
    assert np.asarray(jax.jit(jax.vmap(one))(**some)).min() < -1e-3


def test_the_stop_point_of_continuous_time_fails_near_rest(states, monkeypatch):
    def continuous(braking, motion):
        return jnp.linalg.norm(motion.velocity) / (2 * braking.deceleration)

    monkeypatch.setattr(rows_module, "stopping_time", continuous)
    slow = {name: value[STATES // 10 : STATES // 3] for name, value in states.items()}
    start = slow["point"]
    speed = np.linalg.norm(slow["velocity"], axis=-1, keepdims=True)
    stop = start + slow["velocity"] * speed / (2 * BRAKING.deceleration)
    slow["radii"] = exact_distance(start, stop, slow["centres"])
    fresh = jax.jit(backup_residuals.__wrapped__)
    assert np.asarray(fresh(**slow)).min() < -1e-3


def test_the_backup_satisfies_the_rows_of_planes():
    draws = np.random.default_rng(1)
    states = safe_states(seed=1, states=2_000, obstacles=1)
    start, stop = path_of(states["point"], states["velocity"], BRAKING)
    normals = directions(draws, 2_000, 7)
    ends = np.minimum((normals * start[:, None]).sum(-1), (normals * stop[:, None]).sum(-1))
    offsets = ends - draws.choice([0.0, 1e-3, 0.5], ends.shape)

    def one(point, velocity, normals, offsets, rate):
        motion = Motion(point, velocity)
        rows = plane_rows(BRAKING, motion, normals, offsets, rate)
        return jnp.min(rows.matrix @ brake_control(BRAKING, motion) - rows.bound)

    residual = jax.jit(jax.vmap(one))(
        states["point"], states["velocity"], normals, offsets, states["rate"]
    )
    assert np.asarray(residual).min() >= LEAST


@jax.jit
def rows_of(point, velocity, centres, radii, rate):
    def one(*state):
        rows = path_rows(BRAKING, Motion(state[0], state[1]), *state[2:])
        return rows.matrix, rows.bound, rows.barrier

    return jax.vmap(one)(point, velocity, centres, radii, rate)


def next_motion(states: dict, control: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One tick of the double integrator that the rows are about."""
    dt = BRAKING.tick
    point = states["point"] + states["velocity"] * dt + control * (dt * dt / 2)
    return point, states["velocity"] + control * dt


def test_the_barrier_is_the_distance_from_a_sampled_path(states):
    some = {name: value[:2_000, ...] for name, value in states.items()}
    some = {**some, "centres": some["centres"][:, :4], "radii": some["radii"][:, :4]}
    barrier = np.asarray(rows_of(**some)[2])
    for k in range(4):
        sampled = sampled_barrier(
            some["point"], some["velocity"], some["centres"][:, k], some["radii"][:, k], 2_001
        )
        assert (sampled >= barrier[:, k] - 1e-9).all()
        # Spacing of samples <= 11 m / 2,000; near a centre at distance d the sagitta is e^2 / 2d.
        assert (sampled - barrier[:, k]).max() < 3e-3
