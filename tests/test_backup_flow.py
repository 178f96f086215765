"""Backup barriers of any system: rows against finite differences, closed loops, what is assumed.

Two systems that are no double integrators: a vehicle that steers, whose path ends at rest, and a
pendulum held upright by too weak a motor, whose path ends in an ellipsoid.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from barriernet import ControlAffineSystem, DiscreteSystem, Limits, ModelError
from barriernet.backup import (
    BackupFlow,
    backup_control,
    backup_flaws,
    draw_back,
    held_over_ticks,
)
from barriernet.verify.vehicle import (
    BALLS,
    BRAKE,
    TICK,
    TICKS,
    TOP_SPEED,
    random_vehicle_states,
    vehicle_flow,
    vehicle_limits,
)

RATE = 4.0


def vehicle_path(state: np.ndarray, control: np.ndarray) -> np.ndarray:
    """The vehicle's path after one tick of a control: no Runge-Kutta, many small steps."""
    x, path, small = state.copy(), [], TICK / 100
    for tick in range(TICKS + 2):
        path.append(x.copy())
        if tick > 0:
            control = np.array([np.clip(-x[3] / TICK, -BRAKE, BRAKE), 0.0])
        for _ in range(100):
            heading, speed = x[2] + control[1] * small / 2, x[3] + control[0] * small / 2
            x[:2] += small * speed * np.array([np.cos(heading), np.sin(heading)])
            x[2:] += small * control[::-1]
    return np.array(path)


def heights(path: np.ndarray) -> np.ndarray:
    """H of the vehicle by path point, in numpy."""
    clear = np.linalg.norm(path[:, None, :2] - BALLS[:, :2], axis=2) - BALLS[:, 2]
    return np.column_stack([clear, TOP_SPEED - path[:, 3], TOP_SPEED + path[:, 3]])


@pytest.fixture(scope="module")
def rows():
    flow = vehicle_flow()
    return jax.jit(lambda state: flow.rows(state, RATE))


def test_rows_are_the_slopes_of_the_lowest_points_of_the_path(rows):
    flow, step = vehicle_flow(), 1e-4
    for state in np.array([[0.2, 0.3, 0.4, 1.3], [2.0, 1.4, -2.0, -0.7]]):
        backup = np.asarray(flow.backup_at(state))
        found = jax.tree.map(np.asarray, rows(state))
        now = heights(vehicle_path(state, backup))
        lowest = now[: TICKS + 1].min(axis=0)
        assert np.allclose(found.barrier[:5], lowest, atol=1e-6)
        assert np.allclose(found.barrier, jax.jit(flow.values)(state), atol=1e-12)
        ways = np.eye(2) * step
        slopes = np.stack(
            [
                heights(vehicle_path(state, backup + way))
                - heights(vehicle_path(state, backup - way))
                for way in ways
            ],
            axis=-1,
        ) / (2 * step)
        pieces = np.array_split(np.arange(1, TICKS + 1), flow.pieces)
        for piece, points in enumerate(pieces):
            for ball in range(3):
                row, place = piece * 5 + ball, points[0] + now[points, ball].argmin()
                assert np.allclose(found.matrix[row], slopes[place, ball], atol=2e-6)
                margin = found.matrix[row] @ backup - found.bound[row]
                kept = (1 - RATE * TICK) * lowest[ball]
                assert np.isclose(margin, now[place, ball] - kept, atol=1e-6)


@jax.jit
def drive(states: jax.Array, noise: jax.Array, filtered: jax.Array) -> tuple:
    """A wish that steers at the nearest ball at full throttle, with NaN; h and S by tick."""
    flow, limits, balls = vehicle_flow(), vehicle_limits(), jnp.asarray(BALLS)

    def tick(x: jax.Array, now: jax.Array) -> tuple:
        to = balls[jnp.argmin(flow.barrier_at(x)[:3]), :2] - x[:2]
        bearing = jnp.arctan2(to[1], to[0]) - x[2]
        ahead = jnp.where(jnp.cos(bearing) > 0, 1, -1)
        wish = jnp.stack([9.0 * ahead, 5 * jnp.sin(bearing) * ahead])
        wish = jnp.where(now[0] > 0.9, 6 * now[1:], jnp.where(now[0] < -0.98, jnp.nan, wish))
        control, report = backup_control(flow, limits, x, wish, RATE)
        bare = limits.clip(jnp.where(jnp.isfinite(wish), wish, 0))
        x = flow.system.next(x, jnp.where(filtered, control, bare))
        return x, (jnp.min(flow.barrier_at(x)[:3]), jnp.min(report.barrier), control, report.share)

    # One after the other: half the time to compile of a batch.
    return jax.lax.map(lambda xz: jax.lax.scan(tick, *xz)[1], (states, noise))


@pytest.fixture(scope="module")
def driven():
    draws = np.random.default_rng(0)
    states = random_vehicle_states(draws, 128)
    safe = np.asarray(jax.jit(jax.vmap(vehicle_flow().values))(states)).min(axis=1) >= 0
    states = states[safe][:64]
    noise = draws.uniform(-1, 1, (64, 160, 3))
    return lambda filtered: [np.asarray(part) for part in drive(states, noise, filtered)]


def test_a_vehicle_never_leaves_the_safe_set_though_its_rows_are_linear(driven):
    height, barrier, control, share = driven(True)
    assert barrier.min() >= 0
    assert height.min() >= 0
    limits = vehicle_limits()
    assert ((control >= np.asarray(limits.lower)) & (control <= np.asarray(limits.upper))).all()
    # It is not merely stopped: most wishes are answered by the rows, close to a ball.
    assert (share == 1).mean() > 0.9
    assert np.median(height[:, -1]) < 0.1


def test_without_the_filter_the_vehicle_collides(driven):
    assert (driven(False)[0].min(axis=1) < 0).mean() > 0.5


MOTOR, GAINS, EDGE = 3.0, np.array([18.0, 6.0]), 0.4
LIMITS = Limits.between([-MOTOR], [MOTOR])


def pendulum() -> BackupFlow:
    """An upright pendulum; the third state says whether the path has to end in the ellipsoid."""
    system = ControlAffineSystem(
        lambda x: jnp.stack([x[1], 9.8 * jnp.sin(x[0]) - 0.1 * x[1], 0 * x[2]]),
        lambda x: jnp.asarray([[0.0], [1.0], [0.0]], x.dtype),
        states=3,
    )
    step = held_over_ticks(system, 1 / 50)
    closed = np.array([[1, 1 / 50], [9.8 / 50, 1 - 0.1 / 50]]) - np.outer([1 / 5000, 1 / 50], GAINS)
    cost, power = np.zeros((2, 2)), np.eye(2)
    for _ in range(2000):
        cost, power = cost + power.T @ np.diag([1.0, 0.1]) @ power, power @ closed
    # The largest level on which the motor is strong enough, less a tenth.
    level = 0.9 * MOTOR**2 / (GAINS @ np.linalg.inv(cost) @ GAINS)

    def backup(x: jax.Array) -> jax.Array:
        return jnp.clip(-(jnp.asarray(GAINS, x.dtype) @ x[:2])[None], -MOTOR, MOTOR)

    def height(x: jax.Array) -> jax.Array:
        return jnp.stack([EDGE - x[0], EDGE + x[0]])

    def terminal(x: jax.Array) -> jax.Array:
        inside = 1 - x[:2] @ jnp.asarray(cost / level, x.dtype) @ x[:2]
        return jnp.where(x[2] > 0, inside, jnp.min(height(x)))

    return BackupFlow(step, backup, height, 20, terminal=terminal, pieces=2)


@pytest.fixture(scope="module")
def swings() -> np.ndarray:
    states = np.random.default_rng(1).uniform([-0.5, -2], [0.5, 2], (400, 2))
    return states[np.abs(states[:, 0]) < EDGE][:240]


def careful(swings: np.ndarray, yes: float) -> np.ndarray:
    return np.column_stack([swings, np.full(len(swings), yes)])


def test_assumptions_that_are_false_are_found(swings):
    flow = pendulum()
    good = backup_flaws(flow, LIMITS, careful(swings, 1.0))
    assert good.safe > 0.1
    assert max(good[:3]) <= 0
    assert backup_flaws(flow, LIMITS, careful(swings, 0.0)).lost_at_end > 1e-3
    weak = Limits.between([-MOTOR / 2], [MOTOR / 2])
    assert backup_flaws(flow, weak, careful(swings, 1.0)).beyond_limits > 0.1
    assert backup_flaws(flow, LIMITS, careful(swings + 9, 1.0)) == (-np.inf,) * 3 + (0.0,)


@pytest.fixture(scope="module")
def held(swings):
    flow = pendulum()

    def tick(x: jax.Array, now: jax.Array) -> tuple:
        wish = 10 * jnp.sign(x[0] + jnp.sin(now / 40))[None]
        control, report = backup_control(flow, LIMITS, x, wish, 5.0)
        x = flow.system.next(x, control)
        return x, jnp.stack([jnp.min(flow.barrier_at(x)), jnp.min(report.barrier)])

    one = lambda x: jax.lax.scan(tick, x, jnp.arange(300.0))[1]  # noqa: E731
    run = jax.jit(lambda states: jax.lax.map(one, states))

    def episodes(yes: float) -> np.ndarray:
        found = np.asarray(run(careful(swings, yes)))
        return found[found[:, 0, 1] >= 0]

    return episodes


def test_the_pendulum_stays_up_because_its_path_ends_where_it_may_stay(held):
    found = held(1.0)
    assert len(found) > 30
    assert found.min() >= 0


def test_without_the_terminal_row_the_pendulum_falls(held):
    # Every path of 20 ticks is safe until there is none.
    assert (held(0.0)[:, :, 0].min(axis=1) < 0).mean() > 0.9


def test_draw_back_takes_the_first_share_that_loses_nothing():
    control, backup = jnp.array([1.0, 0.0]), jnp.array([0.0, 0.0])

    def drawn(now: float, most: float) -> tuple[float, float]:
        found, share = draw_back(control, backup, jnp.array([now]), lambda u: most - u[:1] ** 2)
        return float(found[0]), float(share)

    assert drawn(1.0, 1.0) == (1.0, 1.0)
    assert drawn(1.0, 0.99) == (0.75, 0.75)
    assert drawn(1.0, 0.1) == (0.25, 0.25)
    assert drawn(1.0, 0.01) == (0.0, 0.0)
    assert drawn(-0.5, 0.0) == (0.5, 0.5)
    assert drawn(1.0, float("nan")) == (0.0, 0.0)


def test_slopes_of_the_rows_are_finite_at_rest_and_at_the_centre_of_a_ball(rows):
    summed = lambda x: sum(jnp.sum(part) for part in jax.tree.leaves(rows(x)))  # noqa: E731
    slope = jax.jit(jax.grad(summed))
    for state in ([0.2, 0.3, 0.4, 1.0], [0.0] * 4, [1.5, 0.0, 0.0, 0.0]):
        assert bool(jnp.all(jnp.isfinite(slope(jnp.array(state)))))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("ticks", {"ticks": 0}),
        ("pieces", {"pieces": 9}),
        ("margins", {"margins": (0.0, 1.0)}),
        ("margins", {"margins": (0.3, 0.2, 0.1)}),
        ("margins", {"margins": float("nan")}),
        ("backup", {"backup": lambda x: x}),
        ("barrier", {"barrier": lambda x: x[:, None]}),
        ("terminal", {"terminal": lambda x: jnp.outer(x, x)}),
    ],
)
def test_a_flow_whose_parts_do_not_fit_is_refused(field, change):
    parts = {
        "system": DiscreteSystem(lambda x, u: x + u[0], 2, 1),
        "backup": lambda x: x[:1],
        "barrier": lambda x: x[0],
        "ticks": 2,
        "pieces": 1,
        **change,
    }
    with pytest.raises(ModelError, match=f"^{field}: expected"):
        BackupFlow(**parts)


def test_margins_are_taken_off_where_they_belong():
    step, E = DiscreteSystem(lambda x, u: x + u, 1, 1), (0.0, 0.1, 0.2, 0.3)
    flow = BackupFlow(step, lambda x: -jnp.ones(1), lambda x: x, 3, pieces=1, margins=E)
    # The path 5, 4, 3, 2 is lowest at its end, where the margin is 0.3; so is the terminal set.
    assert np.allclose(flow.values(jnp.array([5.0])), [1.7, 1.7])
