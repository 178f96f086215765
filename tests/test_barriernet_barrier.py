"""Barriers: rows against closed forms, relative degrees, and sets that stay invariant."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barrier_rig import FLIGHTS, flown, lowest_along

from barriernet import (
    Barrier,
    ControlAffineSystem,
    Limits,
    ModelError,
    find_relative_degree,
    join_barriers,
    positive,
)


def integrators(order, dimension=1):
    """A chain of integrators: x = (p, p', ...), control is the last derivative."""
    states = order * dimension
    shift = np.eye(states, k=dimension)
    channel = np.eye(states)[:, -dimension:]
    return ControlAffineSystem(
        lambda x: jnp.asarray(shift, x.dtype) @ x,
        lambda x: jnp.asarray(channel, x.dtype),
        states,
        dimension,
    )


def unicycle():
    """Speed and heading (x, y, v, angle), controlled by acceleration and turn rate."""

    def drift(x):
        return jnp.stack([x[2] * jnp.cos(x[3]), x[2] * jnp.sin(x[3]), 0 * x[2], 0 * x[3]])

    def channels(x):
        return jnp.zeros((4, 2), x.dtype).at[2, 0].set(1).at[3, 1].set(1)

    return ControlAffineSystem(drift, channels, 4, 2)


@partial(jax.jit, static_argnums=(0, 1))
def rows(barrier, system, state, gains=None):
    return barrier.rows(system, state, gains)


def ball(x):
    """Outside the unit ball around the origin."""
    half = x.shape[0] // 2
    return x[:half] @ x[:half] - 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_row_of_a_double_integrator(dtype):
    """H = |p|^2 - 1: 2 p.u >= -(2 |v|^2 + (p1 + p2) 2 p.v + p1 p2 h)."""
    rng = np.random.default_rng(0)
    system, barrier = integrators(2, 3), Barrier(ball, 2)
    for _ in range(5):
        p, v = rng.normal(size=(2, 3))
        first, second = gains = rng.uniform(0.5, 3, 2)
        A, b = rows(barrier, system, jnp.asarray(np.concatenate([p, v]), dtype), gains)
        side = -(2 * v @ v + (first + second) * 2 * p @ v + first * second * (p @ p - 1))
        tolerance = 1e-12 if dtype == np.float64 else 1e-5
        assert A.dtype == b.dtype == dtype
        np.testing.assert_allclose(A, 2 * p[None], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(b, [side], rtol=tolerance, atol=tolerance)


def test_row_of_a_unicycle():
    """H = x^2 + y^2 - 1, of degree two in both controls."""
    state = jnp.array([1.5, -0.7, 0.8, 0.4])
    x, y, v, angle = np.asarray(state)
    A, b = rows(Barrier(lambda x: x[:2] @ x[:2] - 1, 2, (2.0, 0.5)), unicycle(), state)
    ahead, aside = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    place = np.array([x, y])
    rate = 2 * v * place @ ahead
    np.testing.assert_allclose(A, [[2 * place @ ahead, 2 * v * place @ aside]], rtol=1e-13)
    np.testing.assert_allclose(
        b, [-(2 * v**2 + 2.5 * rate + 1.0 * (place @ place - 1))], rtol=1e-13
    )


def test_relative_degree_of_a_velocity_and_of_nothing():
    samples = jnp.asarray(np.random.default_rng(1).normal(size=(5, 2)))
    assert find_relative_degree(integrators(2), lambda x: 4 - x[1], samples) == 1
    with pytest.raises(ModelError, match="control"):
        find_relative_degree(integrators(2), lambda x: jnp.ones((), x.dtype), samples)
    with pytest.raises(ModelError, match="finite"):
        find_relative_degree(integrators(2), lambda x: jnp.sqrt(x[0] * 0), samples)


def test_joined_rows_keep_their_order_and_gains():
    system = integrators(2, 2)
    barriers = (Barrier(ball, 2), Barrier(lambda x: 2 - x[2], 1, (4.0,)))
    state = jnp.array([1.2, 0.4, -0.3, 0.9])
    A, b = join_barriers(system, barriers, state)
    for i, barrier in enumerate(barriers):
        row, side = barrier.rows(system, state)
        np.testing.assert_array_equal(A[i : i + 1], row)
        np.testing.assert_array_equal(b[i : i + 1], side)
    gains = jnp.array([0.5, 2.0, 7.0])
    _, b = join_barriers(system, barriers, state, gains)
    np.testing.assert_array_equal(b[1:], barriers[1].rows(system, state, gains[2:])[1])
    A, b = join_barriers(system, (), state)
    assert A.shape == (0, 2) and b.shape == (0,)
    with pytest.raises(ModelError, match="gains"):
        join_barriers(system, barriers, state, gains[:2])


def test_derivative_with_respect_to_the_gains():
    """B = -(Lf^2 h + (p1 + p2) Lf h + p1 p2 h)."""
    system, state = integrators(2, 2), jnp.array([1.2, 0.4, -0.3, 0.9])
    gains = jnp.array([0.5, 2.0])
    slope = jax.jit(jax.jacobian(lambda g: Barrier(ball, 2).rows(system, state, g)[1][0]))(gains)
    rate, h = 2 * state[:2] @ state[2:], ball(state)
    np.testing.assert_allclose(slope, [-(rate + 2.0 * h), -(rate + 0.5 * h)], rtol=1e-13)


def lowest(system, barriers, wish, start, *, guarded=True):
    """Smallest h of each barrier along a flight of 4 s that wants `wish` all the time."""
    limits = (np.full(system.controls, -1e6), np.full(system.controls, 1e6))
    path, _, _ = flown(
        system,
        barriers if guarded else (),
        limits,
        np.tile(start, (FLIGHTS, 1)),
        lambda x, t: np.tile(wish, (FLIGHTS, 1)),
        tick=5e-3,
        ticks=800,
        substeps=1,
    )
    return np.array([lowest_along(barrier.h, path).min() for barrier in barriers])


@pytest.mark.parametrize("order", [1, 3])
def test_a_wall_holds_for_every_degree(order):
    system, start = integrators(order), np.zeros(order)
    barriers = (Barrier(lambda x: 1 - x[0], order, (2.0,) * order),)
    wish = np.full(1, 3.0)
    assert lowest(system, barriers, wish, start)[0] >= -1e-3
    assert lowest(system, barriers, wish, start, guarded=False)[0] < -1


def test_two_balls_and_a_speed_limit_hold_together():
    system = integrators(2, 2)
    barriers = (
        Barrier(lambda x: (x[0] - 2) ** 2 + (x[1] - 0.1) ** 2 - 0.5, 2, (3.0, 3.0)),
        Barrier(lambda x: (x[0] - 4) ** 2 + (x[1] + 0.2) ** 2 - 0.5, 2, (3.0, 3.0)),
        Barrier(lambda x: 4 - x[2:] @ x[2:], 1, (5.0,)),
    )
    wish, start = np.array([3.0, 0.0]), np.zeros(4)
    assert lowest(system, barriers, wish, start).min() >= -2e-3
    assert lowest(system, barriers, wish, start, guarded=False).max() < 0


def test_positive_is_positive():
    raw = jnp.asarray([-1e30, -100.0, 0.0, 100.0, 1e30], jnp.float32)
    gains = positive(raw)
    assert gains.dtype == jnp.float32
    assert np.all((gains >= 1e-3) & np.isfinite(gains))
    slopes = jax.vmap(jax.grad(lambda r: positive(r)))(raw)
    assert np.all(np.isfinite(slopes))


def test_parts_that_do_not_fit_are_named():
    with pytest.raises(ModelError, match="f:"):
        ControlAffineSystem(lambda x: x[:1], lambda x: jnp.ones((2, 1)), 2, 1)
    with pytest.raises(ModelError, match="g:"):
        ControlAffineSystem(lambda x: x, lambda x: jnp.ones((1, 2)), 2, 1)
    with pytest.raises(ModelError, match="controls"):
        ControlAffineSystem(lambda x: x, lambda x: jnp.ones((2, 0)), 2, 0)
    with pytest.raises(ModelError, match="relative_degree"):
        Barrier(ball, 0)
    for gains in ((1.0,), (1.0, 0.0), (1.0, float("nan")), (1.0, float("inf"))):
        with pytest.raises(ModelError, match="gains"):
            Barrier(ball, 2, gains)
    with pytest.raises(ModelError, match="gains"):
        Barrier(ball, 2).rows(integrators(2), jnp.zeros(2), jnp.ones(3))


def test_limits_are_checked():
    limits = Limits.between([-1, -np.inf, 2], [1, np.inf, np.inf])
    np.testing.assert_array_equal(limits.middle, [0, 0, 2])
    np.testing.assert_array_equal(limits.clip(jnp.array([5.0, 5, -5])), [1, 5, 2])
    for lower, upper in (
        ([0, 0], [1]),
        (1, 0),
        (float("nan"), 1),
        (np.inf, np.inf),
        ([[0]], [[1]]),
    ):
        with pytest.raises(ModelError):
            Limits.between(lower, upper)
    for bad in ("a", 1j, [None]):
        with pytest.raises(TypeError, match="upper"):
            Limits.between(0, bad)


def test_limits_round_inwards():
    wide = Limits.between([0.1, -0.1, 0.5], [0.3, 0.7, 0.5])
    narrow = wide.within(np.float32)
    assert narrow.lower.dtype == np.float32
    assert np.all(np.asarray(narrow.lower, float) >= wide.lower)
    assert np.all(np.asarray(narrow.upper, float) <= wide.upper)
    assert float(np.float32(0.1)) > 0.1 and float(np.float32(0.7)) < 0.7  # one of each kind
    np.testing.assert_allclose(narrow.lower, wide.lower, rtol=2e-7)
