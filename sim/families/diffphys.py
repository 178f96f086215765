"""The training worlds of "Back to Newton's laws" (Nature Machine Intelligence, 2025).

Source: DiffPhysDrone, commit 2719361, `env_cuda.py`, `Env.reset`, with `speed_mtp` 1 and the
options `single`, `gate` and `ground_voxels` on. There the ground is at z = -1; here everything is
1 m higher. For a speed v, drawn from 0.75 to 3.25 m/s, lengths grow with s = max(v - 0.5, 1) and
widths with w = (v + 4) / s:

* 30 balls, radius 0.4 to 0.6, and 30 boxes, half extents 0.2 to 0.3, over 8 s by 18 w by 6 m;
* 30 upright cylinders, radius 0.05 to 0.4, and 2 level ones across the way, 0.05 to 0.15;
* half of the worlds have a ceiling, a box whose lower face is 1.5 to 4.5 m up; in the others 15
  of the balls and 15 of the boxes are crowns over the cylinders, 1.5 m larger and 2.5 m higher;
* two of the balls are hills, spheres of 8 to 14 m of which a cap of 2 to 6 m radius looks out;
* 10 boxes stand on the ground, half extents 0.1 to 3 m, 0.1 to 2 m in height;
* a wall 0.1 m thick with a square opening, half 0.5 to 1 m, unless something is within 0.5 m of
  its middle.

What a `World` cannot hold, and so is not there: the velocity and tilt at the start, the wind that
changes, the drag and delay of their drone, its radius of 0.1 to 0.15 m, other drones. Left out as
well: the turning of the whole world about the vertical (no difference to a drone that sees its own
way), and the scaffolds, which are off by default.

What differs: a placement without a corridor is drawn again, which theirs is not; start and target
are at least 0.5 m up, and what would stand in the room at either is left out; only what touches
the middle 18 m of the width is kept, for there our bounds are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.families.course import Course
from sim.families.draws import Draws, tidy
from sim.families.family import Family
from sim.shapes import Box, Cylinder, Obstacle, Sphere, distances_of

LENGTH, HALF_WIDTH, HEIGHT = 8.0, 9.0, 6.0
"""Of the space in which obstacles are drawn, before it grows with the speed [m]."""
UP = 1.0
"""Height of their origin above the ground [m]."""
MARGIN = 0.3
"""Obstacles, but for boxes on the ground, keep this far inside the ends of that space [m]."""
CROWN_UP, CROWN_LARGER = 2.5, 1.5
ENDS = (
    ((-1.5, -3.0), (8.0, 3.0)),
    ((9.5, -3.0), (0.0, 3.0)),
    ((-0.5, 1.0), (8.0, -1.0)),
    ((8.5, 1.0), (0.0, -1.0)),
    ((0.0, 3.0), (8.0, -3.0)),
    ((8.0, 3.0), (0.0, -3.0)),
    ((-1.0, -1.0), (8.0, 1.0)),
    ((9.0, -1.0), (0.0, 1.0)),
)
"""x and y of start and target before they grow [m]."""
LOWEST = 0.5
"""Of start and target [m]."""


@dataclass(frozen=True)
class Growth:
    """How the space grows with the speed: factors on x, and on y."""

    long: float
    wide: float

    @classmethod
    def at(cls, speed: float) -> Growth:
        """That of a speed [m/s]."""
        long = max(speed - 0.5, 1.0)
        return cls(long, (speed + 4) / long)


def course(draws: Draws) -> Course:
    """From one of eight starts to its target, at a drawn speed."""
    speed = draws.uniform(0.75, 3.25)
    long = Growth.at(speed).long
    aside = draws.uniform(0.5, 1.5)
    up = UP + draws.uniform(-0.5, 0.5)
    start, target = (
        (
            tidy(x * long + 0.1 * _normal(draws)),
            tidy(y * aside + 0.1 * _normal(draws)),
            max(tidy(up + 0.1 * _normal(draws)), LOWEST),
        )
        for x, y in ENDS[draws.pick(len(ENDS))]
    )
    ahead = math.atan2(target[1] - start[1], target[0] - start[0])
    return Course(
        start=start,
        start_yaw=tidy(ahead + draws.uniform(-0.3, 0.3)),
        target=target,
        speed=speed,
        bounds=(
            (tidy(-1.5 * long - 2), -HALF_WIDTH, 0.0),
            (tidy(9.5 * long + 2), HALF_WIDTH, UP + HEIGHT),
        ),
    )


def place(draws: Draws, course: Course, density: float) -> list[Obstacle]:
    """The obstacles of `course`, as many of each kind as published times `density`."""
    growth = Growth.at(course.speed)
    many = round(30 * density)
    spots = [_spot(draws, growth) for _ in range(many)]
    trunks = [_trunk(draws, growth, spot) for spot in spots]
    ceiling = draws.fraction() < 0.5
    crowned = 0 if ceiling else many // 2
    balls, boxes = _floating(draws, growth, spots, many, crowned)
    hills = [_hill(draws, growth) for _ in range(round(2 * density))]
    placed = [*trunks, *hills, *balls[len(hills) :], *boxes]
    placed += [_beam(draws, growth) for _ in range(round(2 * density))]
    placed += [_ground_box(draws, growth) for _ in range(round(10 * density))]
    if ceiling and many:
        placed.append(_ceiling(draws, course))
    if many:
        placed += _gate(draws, growth, placed)
    near = [one for one in placed if abs(one.center[1]) - one.half_size[1] <= HALF_WIDTH]
    return [one for one, clear in zip(near, course.clear(near), strict=True) if clear]


def _spot(draws: Draws, growth: Growth) -> tuple[float, float]:
    """Anywhere: x before the space grows, y after it has grown [m]."""
    x, y = draws.uniform(0.0, LENGTH), draws.uniform(-HALF_WIDTH, HALF_WIDTH)
    return x, tidy(y * growth.wide)


def _grown(x: float, radius: float, growth: Growth) -> float:
    """The x of something of that radius, moved inside the ends of the space, then grown [m]."""
    margin = radius + MARGIN / growth.long
    return tidy(min(max(x, margin), LENGTH - margin) * growth.long)


def _trunk(draws: Draws, growth: Growth, spot: tuple[float, float]) -> Cylinder:
    radius = draws.uniform(0.05, 0.4)
    height = UP + HEIGHT
    return Cylinder((_grown(spot[0], radius, growth), spot[1], height / 2), radius, height)


def _floating(
    draws: Draws, growth: Growth, spots: list[tuple[float, float]], many: int, crowned: int
) -> tuple[list[Obstacle], list[Obstacle]]:
    """Balls and boxes at all heights; the first of each are crowns over the trunks' spots."""
    balls: list[Obstacle] = []
    boxes: list[Obstacle] = []
    for i in range(many):
        crown = i < crowned
        larger, higher = (CROWN_LARGER, CROWN_UP) if crown else (0.0, 0.0)
        x, y = spots[i] if crown else _spot(draws, growth)
        z, radius = draws.uniform(0.0, HEIGHT), draws.uniform(0.4, 0.6) + larger
        balls.append(Sphere((_grown(x, radius, growth), y, tidy(z + higher)), tidy(radius)))
        x, y = spots[i + crowned] if crown else _spot(draws, growth)
        z = draws.uniform(0.0, HEIGHT)
        a, b, c = (tidy(draws.uniform(0.2, 0.3) + larger) for _ in "xyz")
        boxes.append(Box((_grown(x, a, growth), y, tidy(z + higher)), (a, b, c)))
    return balls, boxes


def _hill(draws: Draws, growth: Growth) -> Sphere:
    """The cap of a large sphere whose middle is under the ground."""
    radius, foot = draws.uniform(8.0, 14.0), draws.uniform(2.0, 6.0)
    x, y = _spot(draws, growth)
    longest = LENGTH * growth.long - MARGIN - foot
    x = tidy(min(max(x * growth.long, foot + MARGIN), longest))
    return Sphere((x, y, tidy(-math.sqrt(radius**2 - foot**2))), radius)


def _beam(draws: Draws, growth: Growth) -> Cylinder:
    """A level cylinder across the way, as wide as the bounds."""
    x, z, radius = draws.uniform(0.0, LENGTH), draws.uniform(0.0, HEIGHT), draws.uniform(0.05, 0.15)
    return Cylinder(
        (_grown(x, radius, growth), 0.0, tidy(z + UP)), radius, 2 * HALF_WIDTH, axis="y"
    )


def _ground_box(draws: Draws, growth: Growth) -> Box:
    x, y = _spot(draws, growth)
    half_x, half_y = draws.uniform(0.1, 3.0), draws.uniform(0.1, 3.0)
    half_z = draws.uniform(0.1, 2.0)
    return Box((tidy(x * growth.long), y, half_z), (half_x, half_y, half_z))


def _ceiling(draws: Draws, course: Course) -> Box:
    """A box over the whole space; theirs is 400 m long, ours as long as the bounds."""
    bottom = tidy(UP + 1 + draws.uniform(-1.0, HEIGHT - 1) / 2)
    (low, _, _), (high, _, _) = course.world([]).bounds
    center = (tidy((low + high) / 2), 0.0, tidy(bottom + HEIGHT / 2))
    return Box(center, (tidy((high - low) / 2), HALF_WIDTH, HEIGHT / 2))


def _gate(draws: Draws, growth: Growth, others: list[Obstacle]) -> list[Obstacle]:
    """A wall with a square opening, in four parts; nothing where others leave it no room."""
    x, y = draws.uniform(3.0, 5.0) * growth.long, draws.uniform(-1.0, 1.0)
    z, half = UP + draws.uniform(0.0, 1.0), draws.uniform(0.5, 1.0)
    if distances_of(others, np.array([x, y, z])).min() < 0.5:
        return []
    away = half + 5
    steps = ((away, 0.0), (0.0, away), (-away, 0.0), (0.0, -away))
    return [Box((tidy(x), tidy(y + dy), tidy(z + dz)), (0.05, 5.0, 5.0)) for dy, dz in steps]


def _normal(draws: Draws) -> float:
    """Of the standard normal distribution, by Box and Muller's formula."""
    return math.sqrt(-2 * math.log(1 - draws.fraction())) * math.cos(draws.angle())


DIFFPHYS = Family(
    name="diffphys",
    summary="the published generator of Back to Newton's laws: balls, boxes, beams, hills, a gate",
    training=False,
    place=place,
    course=course,
)
