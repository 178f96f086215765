"""Poles so thin that rays slip past them: 3 cm in diameter, from the ground to the ceiling."""

from __future__ import annotations

from functools import partial

from sim.families.course import HEIGHT
from sim.families.draws import Draws
from sim.families.family import Family
from sim.families.scatter import scatter
from sim.shapes import Cylinder
from sim.world import Vector

RADIUS = 0.015


def pillar(draws: Draws, point: Vector) -> Cylinder:
    """A vertical pole of the full height; nothing of it is drawn but the place."""
    return Cylinder((point[0], point[1], HEIGHT / 2), RADIUS, HEIGHT)


PILLARS = Family(
    name="pillars",
    summary="poles 3 cm thin, two on 3 to 4 square metres",
    training=False,
    place=partial(scatter, make=pillar, per_m2=(2 / 4, 2 / 3), in_the_way=0.9),
)
