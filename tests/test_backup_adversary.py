"""The rows against finite differences of a brute-force barrier, and against adversaries.

Everything here is a double integrator and numpy: no drone, no rays.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_backup_rows import BRAKING, exact_distance, next_motion, path_of, rows_of, safe_states

from barriernet import solve_qp
from barriernet.backup import Motion, brake_control, path_rows

BOX = np.array([6.0, 6.0, 4.5])
CHANGE = np.linalg.norm(BOX) + BRAKING.deceleration
MISSED = CHANGE**2 * BRAKING.tick**2 / (4 * BRAKING.deceleration) + CHANGE * BRAKING.tick**2 / 2
"""What a linear row may miss in one tick [m], 0.33 mm, at |u - backup| <= CHANGE.

The stop point lies w (sqrt(w^2 + t^2) + a dt) / (2 a) ahead. A row is its tangent in the slip t,
and the second derivative in t is at most 1 / (2 a); t differs from the backup's by at most
CHANGE dt:
that is CHANGE^2 dt^2 / (4 a). And the row takes the next point from the backup's control, which is
off by at most CHANGE dt^2 / 2.
"""


def at_the_edge(states: dict, draws: np.random.Generator) -> np.ndarray:
    """Random controls, drawn back towards the backup's until every row holds: most are on a row."""
    matrix, bound, _ = map(np.asarray, rows_of(**states))
    count = len(bound)
    wild = draws.choice([-1.0, 1.0], (count, 3)) * BOX
    wild *= np.where(draws.uniform(size=(count, 1)) < 0.5, 1, draws.uniform(size=(count, 3)))
    backup = jax.vmap(lambda point, velocity: brake_control(BRAKING, Motion(point, velocity)))
    safe = np.asarray(backup(states["point"], states["velocity"]))
    room_safe = np.maximum(np.einsum("nki,ni->nk", matrix, safe) - bound, 0)
    room_wild = np.einsum("nki,ni->nk", matrix, wild) - bound
    share = np.where(room_wild < 0, room_safe / np.maximum(room_safe - room_wild, 1e-12), 1)
    return safe + share.min(axis=1, keepdims=True) * (wild - safe)


def barrier_after(states: dict, control: np.ndarray) -> np.ndarray:
    """Barrier of every ball one tick later, by brute force."""
    start, stop = path_of(*next_motion(states, control), BRAKING)
    return exact_distance(start, stop, states["centres"]) - states["radii"]


@pytest.mark.parametrize("obstacles", [1, 4, 64])
def test_controls_that_satisfy_the_rows_keep_the_sampled_condition(obstacles):
    states = safe_states(seed=obstacles, states=4_000, obstacles=obstacles)
    kept = (1 - states["rate"][:, None] * BRAKING.tick) * np.asarray(rows_of(**states)[2])
    draws = np.random.default_rng(obstacles)
    least = min((barrier_after(states, at_the_edge(states, draws)) - kept).min() for _ in range(8))
    assert least > -MISSED


def test_controls_beyond_the_rows_break_the_sampled_condition():
    # Otherwise the rows would only be timid. Head-on, one ball: the row is exact.
    states = safe_states(seed=9, states=2_000, obstacles=1)
    speed = np.linalg.norm(states["velocity"], axis=1)
    moving = speed > 0.5
    states = {name: value[moving] for name, value in states.items()}
    ahead = states["velocity"] / np.linalg.norm(states["velocity"], axis=1, keepdims=True)
    _, stop = path_of(states["point"], states["velocity"], BRAKING)
    states["centres"] = (stop + ahead)[:, None]
    states["radii"] = np.full((len(stop), 1), 0.9)
    matrix, bound, barrier = map(np.asarray, rows_of(**states))
    kept = (1 - states["rate"] * BRAKING.tick) * barrier[:, 0]
    backup = -ahead * BRAKING.deceleration
    slope = np.einsum("ni,ni->n", matrix[:, 0], ahead)
    reach = (bound[:, 0] - np.einsum("ni,ni->n", matrix[:, 0], backup)) / slope
    on_the_row = backup + reach[:, None] * ahead
    beyond = backup + (reach + 1)[:, None] * ahead
    usual = np.abs(reach) < BOX[0]
    exact = (barrier_after(states, on_the_row)[:, 0] - kept)[usual]
    assert usual.sum() > 200
    assert np.abs(exact).max() < MISSED
    assert ((barrier_after(states, beyond)[:, 0] - kept)[usual] < exact - 1e-5).all()


RATES, HOLDS, TICKS = (1.0, 8.0, 60.0), (1, 10, 60), 480


def adversary(key: jax.Array, rate: jax.Array, hold: jax.Array, price: jax.Array) -> jax.Array:
    """Least barrier in 2 s of a wish that goes for the nearest of eight balls, or shakes."""
    places, sizes, moves = jax.random.split(key, 3)
    centres = jax.random.uniform(places, (8, 3), minval=-2, maxval=2)
    share = jax.random.uniform(sizes, (8,), minval=0.2, maxval=0.9)
    radii = jnp.linalg.norm(centres, axis=1) * share
    box = jnp.asarray(BOX)

    def tick(carry: tuple, x: tuple) -> tuple:
        (point, velocity, wish), (key, now) = carry, x
        rows = path_rows(BRAKING, Motion(point, velocity), centres, radii, rate)
        towards = centres[jnp.argmin(rows.barrier)] - point
        noise = jax.random.uniform(key, (3,), minval=-1, maxval=1)
        lunge = 8 * towards / jnp.linalg.norm(towards) + 4 * noise
        new = jnp.where(jax.random.uniform(key) < 0.5, lunge, 8 * jnp.sign(noise))
        wish = jnp.where(now % hold == 0, new, wish)
        weight = jnp.repeat(price, 8)
        control = solve_qp(jnp.eye(3), -wish, rows.matrix, rows.bound, -box, box, weight).x
        dt = BRAKING.tick
        point = point + velocity * dt + control * (dt * dt / 2)
        return (point, velocity + control * dt, wish), jnp.min(rows.barrier)

    still = jnp.zeros(3)
    times = jnp.arange(TICKS)
    return jax.lax.scan(tick, (still, still, still), (jax.random.split(moves, TICKS), times))[1]


FLIGHTS = 126


@pytest.fixture(scope="module")
def fight() -> Callable[[tuple[float, float]], np.ndarray]:
    """Barrier by flight and tick, at a price of stop-point rows and of virtual-point rows."""
    keys = jax.random.split(jax.random.key(0), FLIGHTS)
    index = np.arange(FLIGHTS)
    rate = jnp.asarray(np.take(RATES, index % 3))
    hold = jnp.asarray(np.take(HOLDS, index // 3 % 3))

    # One after the other: half the time to compile of a batch.
    def run(price: jax.Array) -> jax.Array:
        return jax.lax.map(lambda lane: adversary(*lane, price), (keys, rate, hold))

    compiled = jax.jit(run)
    return lambda price: np.asarray(compiled(jnp.asarray(price)))


def test_no_adversary_brings_the_barrier_down(fight):
    # Each tick may miss by MISSED; below zero the rows climb back at `rate`.
    assert fight((1e4, 1e4)).min() > -2 * MISSED


@pytest.mark.parametrize("price", [(1e-9, 1e4), (1e-9, 1e-9)], ids=["no stop rows", "no rows"])
def test_without_the_rows_of_the_stop_point_the_adversary_wins(fight, price):
    # The virtual point's own row is of second order: alone it comes too late.
    assert fight(price).min() < -20 * MISSED
