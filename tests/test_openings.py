"""Openings: found where a wall has a gap, nowhere else, the same wherever the drone looks."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnn_nav.openings import OpeningShape, best_opening

SHAPE, COUNT, REACH = OpeningShape(), 72, 8.0
ANGLE = 2 * np.pi * np.arange(COUNT) / COUNT
BEST = jax.jit(partial(best_opening, SHAPE))


def before_a_wall(distance: float, low: float, high: float) -> np.ndarray:
    """Ranges before a wall across x with a gap from y = low to high."""
    with np.errstate(divide="ignore"):
        hit = np.where(np.cos(ANGLE) > 1e-6, distance / np.cos(ANGLE), np.inf)
    across = hit * np.sin(ANGLE)
    return np.where((across > low) & (across < high), REACH, np.minimum(hit, REACH))


def told(
    ranges: np.ndarray, target: tuple[float, float] = (8.0, 0.0), turned: float = 0.0
) -> tuple[np.ndarray, bool]:
    """The point behind the best opening, for a drone with this heading."""
    rays = np.stack([np.cos(ANGLE + turned), np.sin(ANGLE + turned)], axis=-1)
    point, found = BEST(*(jnp.asarray(x, jnp.float32) for x in (ranges, rays, target)))
    return np.asarray(point), bool(found)


@given(
    distance=st.floats(0.7, 2.8),
    middle=st.floats(-2.5, 2.5),
    width=st.floats(1.3, 1.8),
)
@settings(max_examples=150, deadline=None)
def test_the_gap_in_a_wall_is_found(distance, middle, width):
    point, found = told(before_a_wall(distance, middle - width / 2, middle + width / 2))
    assert found
    # Edges are known to a ray's spacing, here 5 degrees.
    bearing = np.arctan2(middle, distance + SHAPE.past)
    assert abs(np.arctan2(point[1], point[0]) - bearing) < np.radians(8)
    assert point[0] > distance


def test_nothing_and_a_wall_without_a_gap_have_no_opening():
    assert not told(np.full(COUNT, REACH))[1]
    assert not told(before_a_wall(2.0, 50.0, 51.0))[1]
    # A gap that no drone wants is none.
    assert not told(before_a_wall(1.0, -0.2, 0.2))[1]


@pytest.mark.parametrize("turn", [1, 17, 36, 71])
def test_it_stays_where_it_is_when_the_drone_turns(turn):
    """The same place seen with another heading: a frame mixed up would show."""
    ranges = before_a_wall(1.5, 0.5, 2.0)
    angle = 2 * np.pi * turn / COUNT
    turned, found = told(np.roll(ranges, -turn), turned=angle)
    assert found
    np.testing.assert_allclose(turned, told(ranges)[0], atol=1e-4)


def test_of_two_gaps_the_one_on_the_shorter_way_is_told():
    ranges = np.maximum(before_a_wall(1.5, 1.0, 2.5), before_a_wall(1.5, -2.5, -1.0))
    assert told(ranges, (8.0, 3.0))[0][1] > 0.5
    assert told(ranges, (8.0, -3.0))[0][1] < -0.5
