"""The families by name, and the worlds in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import no_type_check

import numpy as np

from sim.families.blocks import BLOCKS
from sim.families.boulders import BOULDERS
from sim.families.city import CITY
from sim.families.corridor import has_corridor
from sim.families.course import Course
from sim.families.dense_forest import DENSE_FOREST
from sim.families.diffphys import DIFFPHYS
from sim.families.draws import Draws
from sim.families.family import Family, FamilyError
from sim.families.forest import FOREST
from sim.families.gates import GATES
from sim.families.iros2022 import IROS2022
from sim.families.mixed import MIXED
from sim.families.moving import MOVING
from sim.families.pillars import PILLARS
from sim.families.rooms import ROOMS
from sim.families.walls import WALLS
from sim.fields import LARGEST
from sim.shapes import Obstacle
from sim.world import World

_ALL = (FOREST, BOULDERS, BLOCKS, WALLS, MIXED, DENSE_FOREST, ROOMS, GATES, PILLARS, DIFFPHYS)
FAMILIES: Mapping[str, Family] = {
    family.name: family for family in (*_ALL, *IROS2022, MOVING, CITY)
}
TRAINING_FAMILIES = tuple(name for name, family in FAMILIES.items() if family.training)
HELD_OUT_FAMILIES = tuple(name for name, family in FAMILIES.items() if not family.training)

MOST_DENSE = 10.0
ATTEMPTS = 16
"""Placements drawn before the last one is thinned out until there is a way through it."""
THINNED = 0.9


def family_named(name: str) -> Family:
    """The family of that name.

    Raises:
        FamilyError: if there is none; the message lists those that there are.
    """
    if name not in FAMILIES:
        raise FamilyError(f"family: expected one of {', '.join(FAMILIES)}, got {name!r}")
    return FAMILIES[name]


@no_type_check  # At run time only: it makes its own, better errors.
def generate(
    family_name: str, seed: int, speed: float | None = None, density: float | None = None
) -> World:
    """One world of a family: the same on every machine, and with a way through it.

    Args:
        family_name: one of `FAMILIES`.
        seed: 0 or more.
        speed: set speed [m/s]; from the seed by default. Changes nothing but the time limit.
        density: multiplies the number of obstacles per square metre, 0 to 10; 1 by default, and
            nothing else where the family's geometry is what it is (`Family.scales`).

    Returns:
        A world with the family's corridor: `has_corridor` is true of it.

    Raises:
        FamilyError: naming the argument that is not right.
    """
    family, seed = family_named(family_name), _seed(seed)
    speed = None if speed is None else _in_range("speed", speed, 1e-3, LARGEST)
    density = 1.0 if density is None else _in_range("density", density, 0.0, MOST_DENSE)
    if density != 1 and not family.scales:
        raise FamilyError(f"density: expected 1 in {family.name}, which has but one, got {density}")
    course = family.course(Draws(family.name, seed))
    obstacles = _solvable(family, seed, course, density)
    return (course if speed is None else replace(course, speed=speed)).world(obstacles)


def _solvable(family: Family, seed: int, course: Course, density: float) -> Sequence[Obstacle]:
    """The first placement that leaves a way; after many, the last one, thinned out."""
    for attempt in range(1, ATTEMPTS + 1):
        obstacles = family.place(Draws(family.name, seed, attempt), course, density)
        if has_corridor(course.world(obstacles), family.corridor, family.cell):
            return obstacles
    while not has_corridor(course.world(obstacles), family.corridor, family.cell):
        if not obstacles:
            raise FamilyError(f"seed: expected a course with room at both ends, got {course}")
        obstacles = obstacles[: int(THINNED * len(obstacles))]
    return obstacles


def _seed(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise FamilyError(f"seed: expected a whole number, got {seed!r}")
    if seed < 0:
        raise FamilyError(f"seed: expected 0 or more, got {seed!r}")
    return int(seed)


def _in_range(name: str, value: object, low: float, high: float) -> float:
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not number or not low <= value <= high:
        raise FamilyError(f"{name}: expected a number in [{low:g}, {high:g}], got {value!r}")
    return float(value)
