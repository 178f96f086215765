"""Barriers that move: the partial derivative in time enters every step of the chain."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barrier_rig import (
    FLIGHTS,
    bicycle,
    double_integrator,
    flown,
    lowest_along,
    single_integrator,
)

from barriernet import Barrier


def centre(t):
    """Of a disc that comes along the first axis, swinging."""
    return jnp.stack([3.0 - 1.5 * t, 0.2 * jnp.sin(2 * t)])


def clear(x, t):
    """Outside the disc."""
    return jnp.sum((x[:2] - centre(t)) ** 2) - 0.25


def clear_as_if_still(x, t):
    """The same disc, whose motion is not believed in."""
    return clear(x, jax.lax.stop_gradient(t))


def differences(values, step):
    """Value and derivatives in the middle of five, by central differences."""
    a, b, c, d, e = values
    first = (a - 8 * b + 8 * d - e) / (12 * step)
    second = (-a + 16 * b - 30 * c + 16 * d - e) / (12 * step**2)
    return np.array([c, first, second])


def along(rate, state, control, time, step, count=5):
    """H at times around this one, along the true motion under a held control."""
    values = []
    for k in range(count):
        ahead, x = (k - count // 2) * step, state
        for _ in range(4):
            x = runge_kutta(rate, x, control, ahead / 4)
        values.append(float(clear(x, time + ahead)))
    return values


def runge_kutta(rate, x, u, dt):
    k1 = rate(x, u)
    k2 = rate(x + dt / 2 * k1, u)
    k3 = rate(x + dt / 2 * k2, u)
    return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + rate(x + dt * k3, u))


@pytest.mark.parametrize("system", [double_integrator(), bicycle()], ids=["double", "bicycle"])
def test_rows_are_the_derivatives_along_the_motion(system):
    """A u - b = h'' + (p1 + p2) h' + p1 p2 h, differentiated numerically, for any u held."""
    generator = np.random.default_rng(0)
    gains = np.array([0.8, 1.7])
    barrier = Barrier(clear, None, tuple(gains), time_varying=True).on(system)
    still = Barrier(clear_as_if_still, 2, tuple(gains), time_varying=True)
    state, control = generator.normal(size=4), generator.normal(size=2)
    motion = differences(along(jax.jit(system.rate), state, control, 0.7, 2e-3), 2e-3)

    def rows(x):
        moving, values = barrier.rows(system, x, time=0.7), barrier.values(system, x, time=0.7)
        return moving, values, still.rows(system, x, time=0.7)

    (A, b), values, skewed = jax.jit(rows)(state)
    expected = np.poly(-gains)[::-1] @ motion
    np.testing.assert_allclose(A[0] @ control - b[0], expected, rtol=1e-7)
    np.testing.assert_allclose(values, [motion[0], motion[1] + gains[0] * motion[0]], rtol=1e-7)
    A, b = skewed
    assert abs(A[0] @ control - b[0] - expected) > 0.1 * abs(expected)


def test_an_oncoming_disc_is_avoided_and_hits_who_ignores_its_motion():
    generator = np.random.default_rng(1)
    offsets = generator.uniform(-0.2, 0.2, FLIGHTS)
    stay = np.zeros((FLIGHTS, 2))
    cases = (
        (single_integrator(), 1, (4.0,), np.zeros((FLIGHTS, 0)), ([-9, -9], [9, 9])),
        (double_integrator(), 2, (4.0, 4.0), np.zeros((FLIGHTS, 2)), ([-90, -90], [90, 90])),
    )
    for system, degree, gains, rest, limits in cases:
        start = np.column_stack([0 * offsets, offsets, rest])

        def lowest(h, system=system, degree=degree, gains=gains, start=start, limits=limits):
            barriers = (Barrier(h, degree, gains, time_varying=True),) if h else ()
            path, times, fallbacks = flown(
                system, barriers, limits, start, lambda x, t: stay, tick=0.01, ticks=260, substeps=2
            )
            return lowest_along(clear, path, times), fallbacks

        kept, fallbacks = lowest(clear)
        assert kept.min() >= -2e-3 and fallbacks == 0
        assert np.all(lowest(clear_as_if_still)[0] < -0.02)
        assert np.all(lowest(None)[0] < -0.05)
