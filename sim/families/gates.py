"""A slalom of upright frames, each to be flown through: its opening's middle is a via."""

from __future__ import annotations

import math
from dataclasses import replace

from sim.families.course import Course
from sim.families.draws import Draws, tidy
from sim.families.family import Family
from sim.shapes import Box, Obstacle
from sim.world import Vector

SPACING = 2.2
"""There are as many gates as leave at least this between each two, along the straight way [m]."""
ASIDE = (0.8, 2.0)
"""A gate is so far beside the straight line from start to target, on either side by turns [m]."""
RADIUS = 0.3
"""A via counts as passed within this distance [m]: nowhere but inside the opening."""
THICKNESS = 0.05
"""Half the thickness of a bar, and half its depth [m]."""
TURNED = 0.3
"""A gate faces along the straight line, up to this angle [rad]."""


def slalom(draws: Draws) -> Course:
    """A course with the middle of each gate as a via."""
    course = Course.draw(draws)
    count = int(course.target[0] / SPACING) - 1
    side = (-1, 1)[draws.pick(2)]
    middles: list[Vector] = []
    for i in range(count):
        x, y, _ = course.at((i + 1) / (count + 1))
        y, side = y + side * draws.uniform(*ASIDE), -side
        middles.append((tidy(x), tidy(y), draws.uniform(1.0, 2.8)))
    return replace(course, via=tuple(middles), target_radius=RADIUS)


def gates(draws: Draws, course: Course, density: float) -> list[Obstacle]:
    """A frame around each via, about across the straight line from start to target."""
    along = math.atan2(course.target[1] - course.start[1], course.target[0] - course.start[0])
    bars: list[Obstacle] = []
    for middle in course.via:
        yaw = tidy(along + draws.uniform(-TURNED, TURNED))
        bars += frame(middle, yaw, draws.uniform(0.4, 0.55), THICKNESS)
    return bars


def frame(middle: Vector, yaw: float, half_opening: float, half_bar: float) -> list[Box]:
    """Four bars around a square opening.

    Args:
        middle: of the opening [m].
        yaw: of the way through it [rad].
        half_opening: half the edge of the opening [m].
        half_bar: half the thickness, and half the depth, of a bar [m].
    """
    x, y, z = middle
    out = half_opening + half_bar
    bars = []
    for side in (-out, out):
        center = (tidy(x - side * math.sin(yaw)), tidy(y + side * math.cos(yaw)), z)
        bars.append(Box(center, (half_bar, half_bar, tidy(out + half_bar)), yaw))
    for up in (-out, out):
        bars.append(Box((x, y, tidy(z + up)), (half_bar, tidy(half_opening), half_bar), yaw))
    return bars


GATES = Family(
    name="gates",
    summary="a slalom of two to five upright frames, 0.8 to 1.1 m wide, each to be flown through",
    training=False,
    place=gates,
    course=slalom,
    scales=False,
)
