"""What a family is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sim.families.corridor import CELL, HALF_WIDTH
from sim.families.course import Course
from sim.families.draws import Draws
from sim.shapes import Obstacle

Place: TypeAlias = Callable[[Draws, Course, float], list[Obstacle]]
"""Draws the obstacles of a course; the number multiplies their density."""
Task: TypeAlias = Callable[[Draws], Course]
"""Draws a course."""


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
        course: draws the task.
        corridor: half-width of the corridor that each of its worlds has [m].
        cell: of the grid on which the corridor is searched [m].
        scales: whether `density` means anything there; where not, every density but 1 is refused.
        moves: whether its obstacles have velocities.
    """

    name: str
    summary: str
    training: bool
    place: Place
    course: Task = Course.draw
    corridor: float = HALF_WIDTH
    cell: float = CELL
    scales: bool = True
    moves: bool = False
