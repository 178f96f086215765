"""Walls across the whole space, each with one gap: the straight way is almost never open."""

from __future__ import annotations

import math

from sim.families.course import HALF_WIDTH, HEIGHT, Course
from sim.families.draws import Draws, tidy
from sim.families.family import Family
from sim.shapes import Box, Obstacle

REACH = HALF_WIDTH + 0.5
"""Along a wall from its middle to its ends [m]: past the bounds even where it is turned."""


def walls(draws: Draws, course: Course, density: float) -> list[Obstacle]:
    """Two walls at about a third and two thirds of the way (`density` times two of them)."""
    count = round(2 * density)
    placed: list[Obstacle] = []
    for i in range(count):
        middle = course.target[0] * ((i + 1) / (count + 1) + draws.uniform(-0.06, 0.06))
        halves = _wall(draws, tidy(middle))
        if all(course.clear(halves)):
            placed += halves
    return placed


def _wall(draws: Draws, x: float) -> list[Obstacle]:
    """The two boxes on either side of a gap, of a wall through (x, 0)."""
    yaw, half_thickness = draws.uniform(-0.12, 0.12), draws.uniform(0.1, 0.2)
    gap, half_gap = draws.uniform(-3.0, 3.0), draws.uniform(0.6, 1.1)
    halves: list[Obstacle] = []
    for low, high in ((-REACH, gap - half_gap), (gap + half_gap, REACH)):
        along = (low + high) / 2
        center = (tidy(x - along * math.sin(yaw)), tidy(along * math.cos(yaw)), HEIGHT / 2)
        halves.append(Box(center, (half_thickness, tidy((high - low) / 2), HEIGHT / 2), yaw))
    return halves


WALLS = Family(
    name="walls",
    summary="two walls across the whole space, each with a gap of 1.2 to 2.2 m",
    training=False,
    place=walls,
)
