"""Streets between blocks of buildings, 200 m by 200 m, with two thousand things in the way."""

from __future__ import annotations

import math

import numpy as np

from sim.families.course import Course
from sim.families.draws import Draws, tidy
from sim.families.family import Family
from sim.shapes import Box, Cylinder, Obstacle, Sphere, distances_of
from sim.world import Vector

SIZE, HEIGHT = 200.0, 6.0
"""Edges of the ground, and height of the space that must not be left [m]."""
PITCH, STREET = 20.0, 8.0
"""From street to street, and the width of one [m]; crossings at the multiples of the pitch."""
BLOCKS = round(SIZE / PITCH)
COUNT = 2000
"""Obstacles, buildings among them."""
LEGS = (3, 5)
"""Fewest and most blocks from start to target, along the streets."""
TALL = (8.0, 30.0)
"""Least and most height of a building [m]: nobody flies over one."""
ALLEY = (1.2, 2.2)
"""Least and most width of the gap between two buildings of a block [m]."""
POST_EVERY, KERB = 10.0, 3.0
"""Lamp posts stand so far apart, and so far from the middle of a street [m]."""
ROOM = 1.0
"""Nothing is nearer to a via [m]."""
CELL = 0.5
PATIENCE = 3.0
"""Along the streets to the vias, and around what stands there."""


def errand(draws: Draws) -> Course:
    """A course from crossing to crossing, with a via wherever it turns."""
    steps = LEGS[0] + draws.pick(LEGS[1] - LEGS[0] + 1)
    along_x = 1 + draws.pick(steps - 1)
    left = [along_x, steps - along_x]
    ways = [(-1, 1)[draws.pick(2)] for _ in left]
    at = [_crossing(draws, count, way) for count, way in zip(left, ways, strict=True)]
    corners, axis = [_over(draws, at)], -1
    while any(left):
        ahead = draws.pick(2) if all(left) else int(left[0] == 0)
        if ahead != axis and axis >= 0:
            corners.append(_over(draws, at))
        axis = ahead
        at[axis] += ways[axis]
        left[axis] -= 1
    corners.append(_over(draws, at))
    start, first = corners[0], corners[1]
    yaw = math.atan2(first[1] - start[1], first[0] - start[0]) + draws.uniform(-0.3, 0.3)
    return Course(
        start=start,
        start_yaw=tidy(yaw),
        target=corners[-1],
        speed=draws.uniform(1.5, 3.0),
        via=tuple(corners[1:-1]),
        bounds=((0.0, 0.0, 0.0), (SIZE, SIZE, HEIGHT)),
        patience=PATIENCE,
    )


def _crossing(draws: Draws, steps: int, way: int) -> int:
    """The number of a street from which so many steps that way end at an inner one."""
    first = 1 + draws.pick(BLOCKS - 1 - steps)
    return first if way > 0 else BLOCKS - first


def _over(draws: Draws, at: list[int]) -> Vector:
    """A point over a crossing."""
    return PITCH * at[0], PITCH * at[1], draws.uniform(1.0, 2.0)


def city(draws: Draws, course: Course, density: float) -> list[Obstacle]:
    """Buildings and lamp posts, then what else stands about in the streets."""
    built = _buildings(draws) + _lamp_posts(draws)
    kept = [one for one, clear in zip(built, _clear(course, built), strict=True) if clear]
    while len(kept) < COUNT:
        drawn = [_street_thing(draws) for _ in range(COUNT - len(kept))]
        flat = [one for group in drawn for one in group]
        clear = iter(_clear(course, flat))
        for group in drawn:
            # All of a tree, or nothing of it.
            if all([next(clear) for _ in group]) and len(kept) + len(group) <= COUNT:
                kept += group
    return kept


def _clear(course: Course, obstacles: list[Obstacle]) -> list[bool]:
    """Which obstacles leave room at start, vias and target."""
    clear = course.clear(obstacles)
    if course.via:
        clear &= (distances_of(obstacles, np.array(course.via)) >= ROOM).all(axis=0)
    return clear.tolist()


def _buildings(draws: Draws) -> list[Obstacle]:
    """One to three buildings a block, side by side with alleys between them."""
    houses: list[Obstacle] = []
    edge = PITCH - STREET
    for i in range(BLOCKS):
        for j in range(BLOCKS):
            count, along_x = 1 + draws.pick(3), draws.pick(2) == 0
            gaps = [draws.uniform(*ALLEY) for _ in range(count - 1)]
            width, low = (edge - sum(gaps)) / count, -edge / 2
            for gap in (*gaps, 0.0):
                middle, half, top = low + width / 2, tidy(width / 2), draws.uniform(*TALL)
                x, y = ((middle, 0.0), (0.0, middle))[not along_x]
                center = (tidy(PITCH * (i + 0.5) + x), tidy(PITCH * (j + 0.5) + y), tidy(top / 2))
                halves = (half, edge / 2) if along_x else (edge / 2, half)
                houses.append(Box(center, (*halves, tidy(top / 2))))
                low += width + gap
    return houses


def _lamp_posts(draws: Draws) -> list[Obstacle]:
    """Along every inner street, at both kerbs by turns."""
    posts: list[Obstacle] = []
    for along_x in (True, False):
        for street in range(1, BLOCKS):
            for k in range(round(SIZE / POST_EVERY)):
                along = POST_EVERY * (k + 0.5) + draws.uniform(-1.0, 1.0)
                aside = PITCH * street + KERB * (-1) ** k
                x, y = (along, aside) if along_x else (aside, along)
                posts.append(_post((tidy(x), tidy(y)), 0.08, 5.0))
    return posts


def _street_thing(draws: Draws) -> list[Obstacle]:
    """A tree, a parked box, a stall, a sign post or a ball of leaves, anywhere in a street."""
    along, aside = draws.uniform(0.0, SIZE), draws.uniform(-STREET / 2, STREET / 2)
    street, along_x = 1 + draws.pick(BLOCKS - 1), draws.pick(2) == 0
    aside = tidy(PITCH * street + aside)
    place = (along, aside) if along_x else (aside, along)
    kind = draws.pick(5)
    if kind == 0:
        trunk, crown = draws.uniform(2.0, 3.0), draws.uniform(0.8, 1.6)
        top = Sphere((*place, tidy(trunk + crown / 2)), crown)
        return [_post(place, draws.uniform(0.12, 0.35), trunk), top]
    if kind == 1:
        yaw = tidy(draws.uniform(-0.15, 0.15) + (0.0 if along_x else math.pi / 2))
        half = (draws.uniform(1.8, 2.6), draws.uniform(0.8, 1.0), draws.uniform(0.7, 1.3))
        return [Box((*place, half[2]), half, yaw)]
    if kind == 2:
        half = (draws.uniform(0.4, 1.0), draws.uniform(0.4, 1.0), draws.uniform(1.0, 1.5))
        return [Box((*place, half[2]), half, draws.angle())]
    if kind == 3:
        return [_post(place, draws.uniform(0.04, 0.08), draws.uniform(2.2, 4.0))]
    return [Sphere((*place, draws.uniform(0.3, 2.5)), draws.uniform(0.3, 0.7))]


def _post(place: tuple[float, float], radius: float, height: float) -> Cylinder:
    """Upright, on the ground."""
    return Cylinder((*place, tidy(height / 2)), radius, height)


CITY = Family(
    name="city",
    summary="streets of a town of 200 m by 200 m with 2,000 obstacles, 60 to 100 m to fly",
    training=False,
    place=city,
    course=errand,
    cell=CELL,
    scales=False,
)
