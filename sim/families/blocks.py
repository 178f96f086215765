"""Turned boxes at all heights."""

from __future__ import annotations

from functools import partial

from sim.families.draws import Draws
from sim.families.family import Family
from sim.families.scatter import scatter
from sim.shapes import Box
from sim.world import Vector


def block(draws: Draws, point: Vector) -> Box:
    """A box about the point, turned any way about the vertical."""
    x, y, z = (draws.uniform(0.25, 0.8) for _ in range(3))
    return Box(point, (x, y, z), draws.angle())


BLOCKS = Family(
    name="blocks",
    summary="turned boxes at all heights, one on 5 to 9 square metres",
    training=True,
    place=partial(scatter, make=block, per_m2=(1 / 9, 1 / 5), in_the_way=0.4),
)
