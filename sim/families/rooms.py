"""Rows of rooms with corridors between them; every wall has a door."""

from __future__ import annotations

from dataclasses import replace

from sim.families.course import BEHIND, BEYOND, HALF_WIDTH, HEIGHT, Course
from sim.families.draws import Draws, tidy
from sim.families.family import Family
from sim.shapes import Box, Obstacle

REACH = 0.5
"""Walls end this far outside the bounds [m]."""
THICKNESS = 0.08
"""Half the thickness of a wall [m]."""
CLEAR = 1.2
"""No wall across the space is nearer to the start, or to the target, along the way [m]."""
CORRIDOR, ROW = (1.3, 1.7), (2.5, 4.0)
"""Least and most length of a corridor, which runs across the way, and of a row of rooms [m]."""
WIDTH = (3.0, 5.0)
"""Least and most width of a room [m], but for the last of a row, which has what is left."""
DOOR, DOOR_HEIGHT = (0.85, 1.2), (2.0, 2.4)
"""Least and most width and height of a door [m]."""
PATIENCE = 8.0
"""The way through all doors is up to four times as long as the straight one."""
JAMB = 0.3
"""Least wall between a door and the next corner [m]."""


def unhurried(draws: Draws) -> Course:
    """A course with time for detours."""
    return replace(Course.draw(draws), patience=PATIENCE)


def rooms(draws: Draws, course: Course, density: float) -> list[Obstacle]:
    """Rows of rooms and corridors by turns, from behind the start to beyond the target."""
    are_rooms = draws.fraction() < 0.5
    ends = _row_ends(draws, course, are_rooms)
    rows = [_partitions(draws) if are_rooms == (i % 2 == 0) else [] for i in range(len(ends) - 1)]
    built: list[Obstacle] = []
    for i, partitions in enumerate(rows):
        for y in partitions:
            wall = _wall(draws, (ends[i], ends[i + 1]), [], y, across=False)
            built += wall if all(course.clear(wall)) else []
    reach = (-HALF_WIDTH - REACH, HALF_WIDTH + REACH)
    for x, before, after in zip(ends[1:-1], rows[:-1], rows[1:], strict=True):
        built += _wall(draws, reach, before + after, x, across=True)
    return built


def _row_ends(draws: Draws, course: Course, are_rooms: bool) -> list[float]:
    """The walls across the space, as x [m], with the ends of the space before and after them.

    The row of the start consists of rooms if `are_rooms`, the next one does not, and so on.
    """
    x, last = tidy(CLEAR + draws.uniform(0.0, 0.6)), course.target[0] - CLEAR
    ends = [-BEHIND - REACH]
    while x < last:
        ends.append(x)
        are_rooms = not are_rooms
        x = tidy(x + draws.uniform(*(ROW if are_rooms else CORRIDOR)))
    return [*ends, tidy(course.target[0] + BEYOND + REACH)]


def _partitions(draws: Draws) -> list[float]:
    """The walls between the rooms of a row, as y [m]."""
    walls: list[float] = []
    y = -HALF_WIDTH
    while (y := tidy(y + draws.uniform(*WIDTH))) < HALF_WIDTH - WIDTH[0]:
        walls.append(y)
    return walls


def _wall(
    draws: Draws, reach: tuple[float, float], corners: list[float], at: float, across: bool
) -> list[Obstacle]:
    """The three boxes around a door.

    Args:
        draws: where the randomness comes from.
        reach: where the wall begins and ends [m].
        corners: where other walls meet it, in order [m].
        at: its x if it runs across the way, its y if along it [m].
        across: which of the two.
    """
    half, top = draws.uniform(*DOOR) / 2, draws.uniform(*DOOR_HEIGHT)
    edges = [max(reach[0], -HALF_WIDTH) if across else reach[0], *corners]
    edges.append(min(reach[1], HALF_WIDTH) if across else reach[1])
    between = draws.pick(len(edges) - 1)
    margin = THICKNESS + JAMB + half
    door = draws.uniform(edges[between] + margin, edges[between + 1] - margin)
    parts = (
        (reach[0], door - half, 0.0, HEIGHT),
        (door + half, reach[1], 0.0, HEIGHT),
        (door - half, door + half, top, HEIGHT),
    )
    return [_slab(*part, at=at, across=across) for part in parts]


def _slab(low: float, high: float, bottom: float, top: float, at: float, across: bool) -> Box:
    """A part of a wall."""
    along, half = tidy((low + high) / 2), tidy((high - low) / 2)
    z, half_z = tidy((bottom + top) / 2), tidy((top - bottom) / 2)
    if across:
        return Box((at, along, z), (THICKNESS, half, half_z))
    return Box((along, at, z), (half, THICKNESS, half_z))


ROOMS = Family(
    name="rooms",
    summary="rooms and corridors, each wall with a door 0.85 to 1.2 m wide and 2 to 2.4 m high",
    training=False,
    place=rooms,
    course=unhurried,
    scales=False,
)
