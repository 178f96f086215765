"""Trunks from the ground to the ceiling."""

from __future__ import annotations

from functools import partial

from sim.families.course import HEIGHT
from sim.families.draws import Draws
from sim.families.family import Family
from sim.families.scatter import scatter
from sim.shapes import Cylinder
from sim.world import Vector


def trunk(draws: Draws, point: Vector) -> Cylinder:
    """A vertical cylinder of the full height; the height of the point does not matter."""
    return Cylinder((point[0], point[1], HEIGHT / 2), draws.uniform(0.12, 0.35), HEIGHT)


FOREST = Family(
    name="forest",
    summary="vertical trunks, one on 5 to 9 square metres",
    training=True,
    place=partial(scatter, make=trunk, per_m2=(1 / 9, 1 / 5), in_the_way=0.3),
)
