"""Trunks, boulders and blocks, more of them than in training."""

from __future__ import annotations

from functools import partial

from sim.families.blocks import block
from sim.families.boulders import boulder
from sim.families.draws import Draws
from sim.families.family import Family
from sim.families.forest import trunk
from sim.families.scatter import scatter
from sim.shapes import Obstacle
from sim.world import Vector

_SHAPES = (trunk, boulder, block)


def any_shape(draws: Draws, point: Vector) -> Obstacle:
    """A trunk, a boulder or a block, as likely as each other."""
    return _SHAPES[draws.pick(len(_SHAPES))](draws, point)


MIXED = Family(
    name="mixed",
    summary="trunks, boulders and blocks, one on 4 to 6 square metres",
    training=False,
    place=partial(scatter, make=any_shape, per_m2=(1 / 6, 1 / 4), in_the_way=0.7),
)
