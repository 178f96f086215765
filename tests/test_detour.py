"""Detours begin when the way is shut and time passes, end when it opens, and try both sides."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lnn_nav.design import Design
from lnn_nav.detour import Detour, DetourShape, aim, no_detour
from sim.sensors import Sight
from sim.state import at_rest

SHAPE, PATTERN = DetourShape(), Design().rays
BOUNDS = jnp.asarray([[-2.0, -7.0, 0.0], [18.0, 7.0, 4.0]])
TARGET = jnp.asarray([10.0, 0.0, 1.5])
STEP = jax.jit(lambda detour, sight: aim(
    SHAPE, PATTERN, detour, sight, TARGET, jnp.float32(2.0), BOUNDS, jnp.float32(1 / 24)
))  # fmt: skip


def sight_at(position: tuple[float, float, float], wall: float | None) -> Sight:
    """Level flight; a wall across x at a distance `wall`, open to the left beyond y = 3."""
    state = at_rest(jnp.asarray(position))
    directions = PATTERN.directions
    ranges = np.full(PATTERN.count, PATTERN.max_range)
    if wall is not None:
        with np.errstate(divide="ignore"):
            hit = np.where(directions[:, 0] > 1e-3, wall / directions[:, 0], np.inf)
        beyond = position[1] + hit * directions[:, 1] > 3.0
        ranges = np.where((hit < PATTERN.max_range) & ~beyond, hit, ranges)
    return Sight(state, jnp.asarray(ranges, jnp.float32), jnp.ones(PATTERN.count, bool))


def wait(detour: Detour, sight: Sight, seconds: float) -> tuple[Detour, np.ndarray]:
    """Look at the same sight for a while."""
    goal = TARGET
    for _ in range(round(24 * seconds)):
        detour, goal = STEP(detour, sight)
    return detour, np.asarray(goal)


def test_an_open_way_is_never_left() -> None:
    """Negative control of all the rest: standing still before nothing starts no detour."""
    detour, goal = wait(no_detour(), sight_at((2.0, 0.0, 1.5), None), 8.0)
    assert not bool(detour.active)
    assert np.allclose(goal, TARGET)


def test_a_shut_way_is_left_after_the_patience_and_not_before() -> None:
    """First to the side with more room, level, and inside the bounds."""
    shut = sight_at((2.0, -1.0, 1.5), 1.0)
    early, goal = wait(no_detour(), shut, SHAPE.patience - 0.2)
    assert not bool(early.active) and np.allclose(goal, TARGET)
    late, goal = wait(early, shut, 0.4)
    assert bool(late.active)
    assert goal[1] > 2.5 and abs(goal[2] - 1.5) < 1e-3
    assert (goal >= BOUNDS[0] + 0.49).all() and (goal <= BOUNDS[1] - 0.49).all()


def test_a_detour_ends_when_the_direction_opens() -> None:
    """And the target is the goal again."""
    active, _ = wait(no_detour(), sight_at((2.0, 0.0, 1.5), 1.0), 1.6)
    assert bool(active.active)
    ended, goal = wait(active, sight_at((2.0, 2.0, 1.5), None), 0.1)
    assert not bool(ended.active) and np.allclose(goal, TARGET)


def test_detours_that_find_nothing_try_both_sides_farther_and_farther() -> None:
    """Sides alternate and the lengths grow: no gap within reach is missed for ever."""
    shut, detour, points = sight_at((2.0, 0.0, 1.5), 1.0), no_detour(), []
    for _ in range(24 * 40):
        before = bool(detour.active)
        detour, _ = STEP(detour, shut)
        if bool(detour.active) and not before:
            points.append(float(detour.point[1]))
    assert len(points) >= 4
    signs = np.sign(points)
    assert (signs[1:] == -signs[:-1]).all()
    assert abs(points[2]) > abs(points[0]) + 1.0


def test_progress_resets_the_patience() -> None:
    """A pilot that comes nearer at a third of its speed is left alone, however shut it looks."""
    detour = no_detour()
    for k in range(24 * 4):
        detour, goal = STEP(detour, sight_at((0.5 + 0.03 * k, 0.0, 1.5), 1.0))
    assert not bool(detour.active) and np.allclose(goal, TARGET)


def test_an_opening_that_was_seen_comes_before_a_side() -> None:
    """A gap to the right, though there is more room to the left; and it is gone round to."""
    ranges = np.full(PATTERN.count, PATTERN.max_range)
    directions = PATTERN.directions
    with np.errstate(divide="ignore"):
        hit = np.where(directions[:, 0] > 1e-3, 1.5 / directions[:, 0], np.inf)
    across = hit * directions[:, 1]
    ranges = np.where((hit < PATTERN.max_range) & ~((across < -1) & (across > -2.5)), hit, ranges)
    state = at_rest(jnp.asarray((2.0, -1.0, 1.5)))
    sight = Sight(state, jnp.asarray(ranges, jnp.float32), jnp.ones(PATTERN.count, bool))
    detour, goal = wait(no_detour(), sight, SHAPE.patience + 0.2)
    assert bool(detour.active) and bool(detour.through)
    assert goal == pytest.approx([2 + 1.5 + SHAPE.opening.past, -1 - 1.75, 1.5], abs=0.3)
    # It is remembered when it is out of sight, and forgotten after a while.
    shut = sight_at((2.0, -1.0, 1.5), 1.0)
    late, goal = wait(no_detour(), sight, 0.1)
    late, goal = wait(late, shut, SHAPE.patience + 0.2)
    assert bool(late.through)
    old = replace(late, active=jnp.zeros((), bool), count=jnp.zeros(()), gap_age=jnp.asarray(99.0))
    old, _ = wait(old, shut, SHAPE.patience + 0.2)
    assert bool(old.active) and not bool(old.through)
