"""Barrier functions made of others: bounds of the soft minimum and maximum, and unions flown."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barrier_rig import FLIGHTS, flown, lowest_along, single_integrator

from barriernet import (
    Barrier,
    ModelError,
    all_of,
    any_of,
    composition_error,
    soft_maximum,
    soft_minimum,
)

SHARPNESS = 12.0
CENTRES = np.array([[0.0, 0.0], [1.5, 0.3]])


def room(x, centre):
    """Inside the unit disc around a centre."""
    return 1 - jnp.sum((x[:2] - centre) ** 2)


ROOMS = tuple(partial(room, centre=centre) for centre in CENTRES)


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("scale", [0.01, 1.0, 1e6])
def test_the_soft_minimum_and_maximum_stay_below_by_no_more_than_stated(count, scale):
    values = scale * np.random.default_rng(0).normal(size=(500, count))
    error = composition_error(count, SHARPNESS) * (1 + 1e-9)
    rounding = 1e-12 * scale
    for soft, true in ((soft_minimum, values.min(axis=1)), (soft_maximum, values.max(axis=1))):
        found = np.asarray(soft(jnp.asarray(values), SHARPNESS))
        assert np.all(found <= true + rounding) and np.all(found >= true - error - rounding)


def test_the_bounds_are_met():
    """The minimum where all are equal, the maximum where one stands out."""
    error = composition_error(3, SHARPNESS)
    np.testing.assert_allclose(soft_minimum(jnp.zeros(3), SHARPNESS), -error, rtol=1e-14)
    np.testing.assert_allclose(soft_maximum(jnp.zeros(3), SHARPNESS), 0, atol=1e-15)
    apart = jnp.array([0.0, 9.0, 0.0])
    np.testing.assert_allclose(soft_minimum(apart, SHARPNESS), -math.log(2) / SHARPNESS)
    np.testing.assert_allclose(soft_maximum(apart, SHARPNESS), 9 - error)


def test_safe_sets_lie_inside_the_true_ones_and_may_be_nested():
    points = jnp.asarray(np.random.default_rng(1).uniform(-2, 3, (4000, 2)))
    values = np.stack([jax.vmap(h)(points) for h in ROOMS], axis=1)
    both, either = (np.asarray(jax.vmap(kind(*ROOMS, sharpness=SHARPNESS))(points))
                    for kind in (all_of, any_of))  # fmt: skip
    assert np.all(values[both >= 0] >= 0) and np.all(values[either >= 0].max(axis=1) >= 0)
    assert np.any(both >= 0) and np.mean(either >= 0) > 0.8 * np.mean(values.max(axis=1) >= 0)
    nested = all_of(any_of(*ROOMS, sharpness=40.0), lambda x: x[1], sharpness=40.0)
    inside = np.asarray(jax.vmap(nested)(points)) >= 0
    assert np.any(inside)
    assert np.all(values[inside].max(axis=1) >= 0) and np.all(np.asarray(points)[inside, 1] >= 0)


def test_moving_functions_compose():
    wall = all_of(lambda x, t: 1 + t - x[0], lambda x, t: x[0] + 1, sharpness=50.0)
    A, b = Barrier(wall, 1, (2.0,), time_varying=True).rows(
        single_integrator(), np.array([1.1, 0.0]), time=0.2
    )
    # Near the first wall alone: it leaves with speed 1, so u <= 1 + 2 h.
    np.testing.assert_allclose(A, [[-1.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(b, [-(1 + 2 * 0.1)], atol=1e-12)


def test_a_union_is_flown_from_room_to_room():
    """Towards a point outside, through both rooms; one room's own barrier never lets it over."""
    start = np.random.default_rng(2).uniform(-0.4, 0.4, (FLIGHTS, 2))
    either = any_of(*ROOMS, sharpness=SHARPNESS)

    def wish(x, t):
        del t
        return 2 * (np.array([4.0, 0.8]) - x)

    def paths(*functions):
        barriers = tuple(Barrier(h, 1, (4.0,)) for h in functions)
        path, _, _ = flown(
            single_integrator(), barriers, ([-3, -3], [3, 3]), start, wish, tick=0.02, ticks=150
        )
        return path

    kept = paths(either)
    apart = lowest_along(lambda x: jnp.maximum(*(h(x) for h in ROOMS)), kept)
    assert apart.min() >= 0
    assert np.all(kept[-1, :, 0] > 2)
    assert np.all(paths(ROOMS[0])[-1, :, 0] < 1.01)
    assert np.all(lowest_along(either, paths()) < -0.5)


def test_parts_that_do_not_fit_are_named():
    for kind in (all_of, any_of):
        with pytest.raises(ModelError, match="functions"):
            kind(sharpness=1.0)
        for bad in (0.0, -1.0, math.inf, math.nan):
            with pytest.raises(ModelError, match="sharpness"):
                kind(ROOMS[0], sharpness=bad)
    with pytest.raises(ModelError, match="count"):
        composition_error(0, 1.0)
