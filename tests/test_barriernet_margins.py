"""Margins: a control held between samples, and pushes inside and beyond their declared bound."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barrier_rig import FLIGHTS, double_integrator, flown, lowest_along, single_integrator

from barriernet import (
    Barrier,
    ControlAffineSystem,
    Disturbance,
    Limits,
    ModelError,
    SampledData,
    largest_curvature,
    safety_depth,
)

PERIOD = 0.1


def inside_disc(x):
    return 1 - jnp.sum(x[:2] ** 2)


def outside_disc(x):
    return jnp.sum((x[:2] - jnp.array([2.0, 0.0])) ** 2) - 0.5


def before_wall(x):
    return 1 - x[0]


def directions(count, seed=0):
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


# A control that is held.


def test_curvatures_against_closed_forms():
    """H = 1 - |p|^2: h'' = -2 |u|^2. A wall: psi_1 = p1 (1 - x) - v, psi_1'' = -p1 u."""
    box, states = Limits.between([-3, -1], [3, 2]), np.random.default_rng(0).normal(size=(4, 4))
    found = largest_curvature(single_integrator(), Barrier(inside_disc, 1), box, states[:, :2])
    assert found == pytest.approx(2 * (3**2 + 2**2), rel=1e-12)
    wall = Barrier(before_wall, 2, (1.7, 1.0))
    assert largest_curvature(double_integrator(), wall, box, states) == pytest.approx(1.7 * 3)
    pushed = double_integrator(disturbance=Disturbance(0.5))
    assert largest_curvature(pushed, wall, box, states) == pytest.approx(1.7 * (3 + 0.5))
    with pytest.raises(ModelError, match="limits"):
        largest_curvature(pushed, wall, Limits.between([-np.inf, 0], [1, 1]), states)


def test_a_curvature_bounds_what_differences_find():
    """Along exact paths of the double integrator, for random controls in the box."""
    generator = np.random.default_rng(1)
    system, gain, step = double_integrator(), 1.3, 1e-3
    barrier, box = Barrier(outside_disc, 2, (gain, 1.0)), Limits.between([-3, -1], [3, 2])
    state = generator.normal(size=4)
    bound = largest_curvature(system, barrier, box, state[None])
    u = generator.uniform([-3, -1], [3, 2], (2000, 2))
    u[:4] = [[-3, -1], [-3, 2], [3, -1], [3, 2]]

    def psi(t):
        v = state[2:] + u * t
        apart = state[:2] + state[2:] * t + u * t**2 / 2 - np.array([2.0, 0.0])
        return 2 * np.sum(apart * v, 1) + gain * (np.sum(apart**2, 1) - 0.5)

    fall = -(psi(step) - 2 * psi(0) + psi(-step)) / step**2
    assert fall.max() <= bound * (1 + 1e-6)
    assert fall.max() >= 0.6 * bound


def orbiting(x, limit):
    """Around the disc and outwards, as fast as allowed."""
    away = x[:, :2] / np.maximum(np.linalg.norm(x[:, :2], axis=1, keepdims=True), 0.01)
    return limit * (0.3 * away + np.stack([-away[:, 1], away[:, 0]], axis=1))


def slow(x):
    return 1 - jnp.sum(x[2:] ** 2)


SAMPLED = {
    "first degree": (single_integrator(), 2.0, {inside_disc: (1 / PERIOD,)}),
    "second degree": (
        double_integrator(),
        3.0,
        {inside_disc: (4.0, 1 / PERIOD), slow: (1 / PERIOD,)},
    ),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_between_samples_nothing_is_lost(name):
    """Dense motion under a held control; without the margin it leaves the set."""
    system, limit, kept = SAMPLED[name]
    limits = ([-limit, -limit], [limit, limit])
    parts = [directions(64, seed) for seed in range(system.states // 2)]
    states = np.concatenate(parts, axis=1)  # on the edge of the set, where both are largest
    start = np.zeros((FLIGHTS, system.states))
    start[:, :2] = 0.3 * directions(FLIGHTS)

    def lowest(held):
        barriers = []
        for h, gains in kept.items():
            barrier = Barrier(h, len(gains), gains)
            if held:
                bend = largest_curvature(system, barrier, Limits.between(*limits), states)
                barrier = Barrier(h, len(gains), gains, sampled=SampledData(PERIOD, bend))
            barriers.append(barrier)
        wish = partial(orbiting, limit=limit)
        path, _, fallbacks = flown(
            system,
            barriers,
            limits,
            start,
            lambda x, t: wish(x),
            tick=PERIOD,
            ticks=60,
            substeps=20,
        )
        return np.stack([lowest_along(h, path) for h in kept]), fallbacks

    values, fallbacks = lowest(True)
    assert values.min() >= -1e-9 and fallbacks == 0
    values, _ = lowest(False)
    assert np.all(values.min(axis=0) < -1e-2) and np.all(values.min(axis=1) < -1e-2)


def test_a_reserve_may_depend_on_the_state_and_caps_the_gain():
    system, state = single_integrator(), np.array([0.3, 0.4])
    plain = Barrier(inside_disc, 1, (4.0,)).rows(system, state)
    bent = SampledData(0.25, lambda x: 3 + x[0])
    A, b = Barrier(inside_disc, 1, (400.0,), sampled=bent).rows(system, state)
    np.testing.assert_allclose(A, plain[0])
    np.testing.assert_allclose(b, plain[1] + (3 + 0.3) * 0.25 / 2, rtol=1e-14)
    assert SampledData.from_lipschitz(0.1, 3.0, 2.0) == SampledData(0.1, 6.0)
    for bad in ((0.0, 1.0), (1.0, -1.0), (np.inf, 1.0), (1.0, np.nan)):
        with pytest.raises(ModelError, match="period|curvature"):
            SampledData(*bad)
    with pytest.raises(ModelError, match="speed"):
        SampledData.from_lipschitz(0.1, 1.0, -1.0)


# A push.


def integrators(push, order=2):
    """A double integrator with a push on its position too, or on its speed alone."""
    return ControlAffineSystem(
        lambda x: jnp.stack([x[1], 0 * x[0]]),
        lambda x: jnp.array([[0.0], [1.0]]),
        disturbance=push,
    )


@pytest.mark.parametrize("bound", [0.7, (0.7, 0.3)], ids=["ball", "box"])
def test_the_margin_of_a_matched_push_is_exact(bound):
    """A u - b = the smallest psi_2 over all w, found by search, for one barrier of each degree."""
    generator = np.random.default_rng(3)
    w = directions(20000) * 0.7 if bound == 0.7 else generator.choice([-1, 1], (16, 2)) * bound
    pushes = {1: single_integrator(), 2: double_integrator()}
    for degree, quiet in pushes.items():
        gains = (0.8, 1.9)[:degree]
        pushed = ControlAffineSystem(
            quiet.f, quiet.g, quiet.states, quiet.controls, disturbance=Disturbance(bound)
        )
        state, u = generator.normal(size=quiet.states), generator.normal(size=2)
        barrier = Barrier(outside_disc, degree, gains)
        A, b = barrier.rows(quiet, state)
        worst = np.min((u + w) @ np.asarray(A[0]) - b[0])
        A, b = barrier.rows(pushed, state)
        np.testing.assert_allclose(A[0] @ u - b[0], worst, rtol=1e-6)


def test_an_unmatched_push_costs_at_every_step():
    """H = 1 - x, push d on the place and w on the speed: psi_1 = p1 h - v - d, and so on."""
    d, w, p = 0.3, 0.5, np.array([0.8, 1.9])
    push = Disturbance((d, w), lambda x: jnp.eye(2))
    x, v = 0.2, 0.6
    barrier = Barrier(before_wall, 2, tuple(p))
    values = barrier.values(integrators(push), np.array([x, v]))
    psi = -v - d + p[0] * (1 - x)
    np.testing.assert_allclose(values, [1 - x, psi], rtol=1e-14)
    A, b = barrier.rows(integrators(push), np.array([x, v]))
    np.testing.assert_allclose(A, [[-1.0]])
    # Worst of both: w against the speed, and d once more through psi_1's own slope.
    np.testing.assert_allclose(b, [-(-p[0] * v - w - p[0] * d + p[1] * psi)], rtol=1e-13)


def test_the_margin_has_a_finite_slope_where_nothing_pushes():
    system = single_integrator()
    pushed = ControlAffineSystem(system.f, system.g, 2, disturbance=Disturbance(0.5))
    slope = jax.grad(lambda x: Barrier(inside_disc, 1).rows(pushed, x)[1][0])(jnp.zeros(2))
    np.testing.assert_array_equal(slope, 0)


def test_a_declared_push_is_withstood_and_twice_of_it_to_the_stated_depth():
    """Wind at the bound into a wall. No margin: broken. Twice the bound: no deeper than stated."""
    bound, gains, limits = 0.8, (2.0, 3.0), ([-9, -9], [9, 9])
    calm, aware = double_integrator(), double_integrator(disturbance=Disturbance(bound))
    start = np.zeros((FLIGHTS, 4))
    start[:, 1] = np.linspace(-1, 1, FLIGHTS)
    held = SampledData(0.02, 2.0 * (9 + 2 * bound))

    def lowest(seen, strength):
        push = jnp.array([0.0, 0.0, strength * bound, 0.0])
        barrier = Barrier(before_wall, 2, gains, sampled=held)
        path, _, fallbacks = flown(
            calm, (barrier,), limits, start,
            lambda x, t: np.broadcast_to([4.0, 0.0], (FLIGHTS, 2)),
            tick=0.02, ticks=300, substeps=5, push=lambda x, t: push, seen=seen,
        )  # fmt: skip
        assert fallbacks == 0
        return lowest_along(before_wall, path)

    assert np.all(lowest(aware, 1.0) >= 0)
    assert np.all(lowest(calm, 1.0) < -0.05)
    depth = safety_depth(bound, gains)  # |D' grad psi_1| = 1, twice the bound exceeds it by one
    beyond = lowest(aware, 2.0)
    assert np.all(beyond >= -depth) and np.all(beyond < 0)


def test_pushes_that_do_not_fit_are_named():
    for bad in (-1.0, np.nan, np.inf, (), (1.0, -1.0)):
        with pytest.raises(ModelError, match="bound"):
            Disturbance(bad)
    with pytest.raises(ModelError, match="disturbance"):
        double_integrator(disturbance=Disturbance((1.0, 1.0, 1.0)))
    with pytest.raises(ModelError, match="disturbance"):
        double_integrator(disturbance=Disturbance(1.0, lambda x: jnp.ones((3, 1))))
    with pytest.raises(ModelError, match="excess"):
        safety_depth(-1.0, (1.0,))
    with pytest.raises(ModelError, match="gains"):
        safety_depth(1.0, (0.0,))
