"""Balls at all heights."""

from __future__ import annotations

from functools import partial

from sim.families.draws import Draws
from sim.families.family import Family
from sim.families.scatter import scatter
from sim.shapes import Sphere
from sim.world import Vector


def boulder(draws: Draws, point: Vector) -> Sphere:
    """A sphere about the point."""
    return Sphere(point, draws.uniform(0.3, 0.7))


BOULDERS = Family(
    name="boulders",
    summary="spheres at all heights, one on 5 to 9 square metres",
    training=True,
    place=partial(scatter, make=boulder, per_m2=(1 / 9, 1 / 5), in_the_way=0.5),
)
