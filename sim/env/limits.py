"""How much the commands that are not forces may ask for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import no_type_check

from sim.env.errors import EnvError


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class CommandLimits:
    """Most of each command, either way.

    Attributes:
        speed: along each axis [m/s].
        acceleration: along each axis [m/s^2].
        body_rate: about the body's x and y [rad/s].
        yaw_rate: about the body's z [rad/s].
    """

    speed: float = 4.0
    acceleration: float = 6.0
    body_rate: float = 8.0
    yaw_rate: float = 3.0

    def __post_init__(self) -> None:
        """Refuse limits that are no positive numbers.

        Raises:
            EnvError: naming the field.
        """
        for name, value in vars(self).items():
            if not (is_number(value) and value > 0):
                raise EnvError(f"limits.{name}: expected a positive number, got {value!r}")


def is_number(value: object) -> bool:
    """Whether it is a finite real number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
