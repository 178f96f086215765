"""Obstacles strewn over the ground between start and target, one of them likely in the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from sim.families.course import HALF_WIDTH, Course
from sim.families.draws import Draws, tidy
from sim.shapes import Obstacle
from sim.world import Vector

Make: TypeAlias = Callable[[Draws, Vector], Obstacle]
"""Draws an obstacle at about a point."""

LOWEST, HIGHEST = 0.3, 3.6
"""Heights of what floats [m]: the whole band, so that nobody flies above everything."""
MOST_ROUNDS = 20


def scatter(
    draws: Draws,
    course: Course,
    density: float,
    *,
    make: Make,
    per_m2: tuple[float, float],
    in_the_way: float,
) -> list[Obstacle]:
    """Strew obstacles from the start to 1 m beyond the target, over the whole width.

    Args:
        draws: where the randomness comes from.
        course: what they must leave room at both ends of.
        density: multiplies `per_m2`.
        make: draws one obstacle.
        per_m2: lowest and highest number of obstacles per square metre.
        in_the_way: probability that one of them stands on the straight line.
    """
    length = course.target[0] + 1
    count = round(draws.uniform(*per_m2) * density * length * 2 * HALF_WIDTH)
    strewn: list[Obstacle] = []
    if draws.fraction() < in_the_way and count > 0:
        strewn = _until_clear(1, course, lambda: make(draws, _beside_line(draws, course)))

    def anywhere() -> Obstacle:
        x, y = draws.uniform(0.0, length), draws.uniform(-HALF_WIDTH, HALF_WIDTH)
        return make(draws, (x, y, draws.uniform(LOWEST, HIGHEST)))

    return strewn + _until_clear(count - len(strewn), course, anywhere)


def _beside_line(draws: Draws, course: Course) -> Vector:
    """A point up to 0.2 m beside the straight line, not near its ends."""
    x, y, z = course.at(draws.uniform(0.2, 0.8))
    angle, offset = draws.angle(), 0.2 * math.sqrt(draws.fraction())
    return tidy(x), tidy(y + offset * math.cos(angle)), tidy(z + offset * math.sin(angle))


def _until_clear(count: int, course: Course, make: Callable[[], Obstacle]) -> list[Obstacle]:
    """Draw `count` obstacles that leave room at start and target; those that do not, again."""
    kept: list[Obstacle] = []
    for _ in range(MOST_ROUNDS):
        drawn = [make() for _ in range(count - len(kept))]
        kept += [one for one, clear in zip(drawn, course.clear(drawn), strict=True) if clear]
        if len(kept) == count:
            break
    return kept
