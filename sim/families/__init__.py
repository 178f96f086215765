"""World families: a seed in, a world out. One family a file."""

from sim.families.corridor import has_corridor as has_corridor
from sim.families.family import Family as Family
from sim.families.family import FamilyError as FamilyError
from sim.families.registry import FAMILIES as FAMILIES
from sim.families.registry import HELD_OUT_FAMILIES as HELD_OUT_FAMILIES
from sim.families.registry import TRAINING_FAMILIES as TRAINING_FAMILIES
from sim.families.registry import family_named as family_named
from sim.families.registry import generate as generate
