"""Barriers of systems that move in steps: what rows promise, and flights between samples."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from barrier_rig import FLIGHTS, filter_all, flown, lowest_along, rows_of, single_integrator

from barriernet import (
    Barrier,
    Cause,
    DiscreteBarrier,
    DiscreteSystem,
    Limits,
    ModelError,
    chain_values,
    join_barriers,
)

PERIOD = 0.2
BOX = Limits.between([-2.0, -2.0], [2.0, 2.0])


def stepping(states=2, **more):
    """A single integrator under a held control, or the exact steps of a double one."""
    if states == 2:
        return DiscreteSystem(lambda x, u: x + PERIOD * u, 2, 2, **more)
    return DiscreteSystem(
        lambda x, u: jnp.concatenate(
            [x[:2] + PERIOD * x[2:] + PERIOD**2 / 2 * u, x[2:] + PERIOD * u]
        ),
        4,
        2,
        **more,
    )


def inside_disc(x):
    return 1 - jnp.sum(x[:2] ** 2)


def outside_disc(x):
    return jnp.sum((x[:2] - jnp.array([1.0, 0.2])) ** 2) - 0.3


def before_wall(x):
    return 1 - x[0] - 0.3 * x[1]


def verdicts(system, barrier, state, controls, wish):
    """Which controls the row allows, and which keep the condition itself."""
    A, b = barrier.rows(system, state, wish=wish, limits=BOX)
    onward = np.array([barrier.h(system.next(state, u)) for u in controls])
    here = float(barrier.h(state))
    return controls @ np.asarray(A[0]) >= b[0], onward >= (1 - barrier.own_gains[0]) * here


@pytest.mark.parametrize(
    ("h", "states", "concavity", "exact"),
    [
        (before_wall, 2, 0.0, True),
        (before_wall, 4, 0.0, True),
        (outside_disc, 2, 0.0, False),
        (inside_disc, 2, 2 * PERIOD**2, False),
    ],
    ids=["affine", "affine of a double integrator", "convex", "concave"],
)
def test_what_a_row_allows_keeps_the_condition(h, states, concavity, exact):
    generator = np.random.default_rng(0)
    system, barrier = stepping(states), DiscreteBarrier(h, 1, (0.4,), concavity=concavity)
    told = []
    for _ in range(3):
        place, speed = generator.uniform(0.2, 0.6, 2), generator.uniform(0.5, 1, states - 2)
        state = np.concatenate([place, speed])
        wish = generator.uniform(-2, 2, 2)
        controls = generator.uniform(-2, 2, (200, 2))
        allowed, kept = verdicts(system, barrier, state, controls, wish)
        assert np.all(kept[allowed])
        told.append((allowed, kept))
    allowed, kept = np.concatenate(told, axis=1)
    assert 0.05 < np.mean(allowed) and np.mean(kept) < 1
    assert np.array_equal(allowed, kept) == exact


def test_a_concave_step_without_its_remainder_allows_too_much():
    generator = np.random.default_rng(0)
    state, controls = np.array([0.65, 0.65]), generator.uniform(-2, 2, (400, 2))
    bare = DiscreteBarrier(inside_disc, 1, (0.4,))
    allowed, kept = verdicts(stepping(), bare, state, controls, np.zeros(2))
    assert np.any(allowed & ~kept)


def test_between_samples_of_a_held_control():
    """Straight lines between points of a disc stay in it; without the remainder it is left."""
    start = np.random.default_rng(1).uniform(-0.5, 0.5, (FLIGHTS, 2))
    limits = ([-2, -2], [2, 2])

    def wish(x, t):
        del t
        return 3 * np.stack([x[:, 0] - 2 * x[:, 1], x[:, 1] + 2 * x[:, 0]], axis=1)

    def lowest(concavity):
        barriers = (DiscreteBarrier(inside_disc, 1, (0.8,), concavity=concavity),)
        path, _, fallbacks = flown(
            single_integrator(), barriers, limits, start, wish,
            tick=PERIOD, ticks=60, substeps=10, seen=stepping(),
        )  # fmt: skip
        return lowest_along(inside_disc, path), fallbacks

    kept, fallbacks = lowest(2 * PERIOD**2)
    assert kept.min() >= -1e-12 and fallbacks == 0
    assert np.all(lowest(0.0)[0] < -1e-3)


def test_a_chain_of_steps_against_its_closed_form():
    """Euler steps of a double integrator: the control shows in h two steps on."""
    dt, alphas = 0.1, np.array([0.3, 0.6])
    euler = DiscreteSystem(
        lambda x, u: jnp.stack([x[0] + dt * x[1], x[1] + dt * u[0]]), 2, 1, period=dt
    )
    barrier = DiscreteBarrier(lambda x, t: 1 + 0.5 * t - x[0], 2, tuple(alphas), time_varying=True)
    x, v, t = 0.4, 0.8, 0.2
    h = [1 + 0.5 * (t + k * dt) - (x + k * dt * v) for k in range(3)]  # h[2] lacks -dt^2 u
    psi = [h[1] - (1 - alphas[0]) * h[0], h[2] - (1 - alphas[0]) * h[1]]
    state = np.array([x, v])
    np.testing.assert_allclose(chain_values(euler, (barrier,), state, time=t), [h[0], psi[0]])
    A, b = join_barriers(euler, (barrier,), state, time=t, wish=np.array([1.7]))
    np.testing.assert_allclose(A, [[-(dt**2)]])
    np.testing.assert_allclose(b, [(1 - alphas[1]) * psi[0] - psi[1]], rtol=1e-12, atol=1e-15)
    learnt = join_barriers(euler, (barrier,), state, np.array([0.3, 7.0]), time=t)
    np.testing.assert_allclose(learnt[1], [-psi[1]], rtol=1e-12)  # no more than all can be lost


def test_a_degree_that_is_too_high_is_refused():
    late = DiscreteBarrier(before_wall, 2)
    state, wish = np.zeros((FLIGHTS, 2)), np.zeros((FLIGHTS, 2))
    _, certificate = filter_all(wish, *rows_of(stepping(), (late,))(state, 0.0, wish), BOX)
    assert np.all(np.asarray(certificate.cause) == Cause.ROWS)


def test_parts_that_do_not_fit_are_named():
    for more, name in (
        ({"decays": (0.0,)}, "decays"),
        ({"decays": (0.5, 0.5)}, "decays"),
        ({"decays": (1.5,)}, "decays"),
        ({"relative_degree": 0}, "relative_degree"),
        ({"concavity": -1.0}, "concavity"),
    ):
        with pytest.raises(ModelError, match=name):
            DiscreteBarrier(inside_disc, **more)
    for arguments, name in (
        ((lambda x, u: x, 0, 1), "states"),
        ((lambda x, u: u, 2, 1), "step"),
        ((lambda x, u: x, 2, 1, 0.0), "period"),
    ):
        with pytest.raises(ModelError, match=name):
            DiscreteSystem(*arguments)
    with pytest.raises(ModelError, match="limits"):
        DiscreteBarrier(inside_disc, concavity=1.0).rows(stepping(), np.zeros(2))
    with pytest.raises(ModelError, match="gains"):
        DiscreteBarrier(inside_disc).rows(stepping(), np.zeros(2), np.ones(2))
    with pytest.raises(ModelError, match="system"):
        DiscreteBarrier(inside_disc).on(single_integrator())
    with pytest.raises(ModelError, match="system"):
        Barrier(inside_disc).on(stepping())
