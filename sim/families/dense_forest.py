"""The forest's trunks, two to three times as many."""

from __future__ import annotations

from functools import partial

from sim.families.family import Family
from sim.families.forest import trunk
from sim.families.scatter import scatter

DENSE_FOREST = Family(
    name="dense_forest",
    summary="vertical trunks, one on 3 to 3.5 square metres",
    training=False,
    place=partial(scatter, make=trunk, per_m2=(1 / 3.5, 1 / 3), in_the_way=0.35),
)
