"""What a family is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sim.families.course import Course
from sim.families.draws import Draws
from sim.shapes import Obstacle

Place: TypeAlias = Callable[[Draws, Course, float], list[Obstacle]]
"""Draws the obstacles of a course; the number multiplies their density."""


class FamilyError(ValueError):
    """No such family, or no such world in it; the message names the argument."""


@dataclass(frozen=True)
class Family:
    """A distribution over worlds.

    Attributes:
        name: as on the command line.
        summary: what stands there, in a few words.
        training: whether pilots may be trained on it.
        place: draws the obstacles.
    """

    name: str
    summary: str
    training: bool
    place: Place
