"""What a control step is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float

from sim.env.errors import EnvError
from sim.env.limits import is_number


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class Reward:
    """Weights of the reward of a control step.

    The reward is `progress` times the metres by which the way to the target (over the `via` points
    that are still to come) got shorter, plus `arrival` in the step that reaches the target, minus
    `crash` in the step that ends in contact or out of bounds, minus `time` times the seconds flown.

    Attributes:
        progress: [1/m].
        arrival: once.
        crash: once.
        time: [1/s].
    """

    progress: float = 1.0
    arrival: float = 10.0
    crash: float = 10.0
    time: float = 0.1

    def __post_init__(self) -> None:
        """Refuse weights that are no numbers.

        Raises:
            EnvError: naming the field.
        """
        for name, value in vars(self).items():
            if not is_number(value):
                raise EnvError(f"reward.{name}: expected a finite number, got {value!r}")


def reward_of(
    weights: Reward,
    gained: float | Float[np.ndarray, " n"],
    seconds: float | Float[np.ndarray, " n"],
    reached: bool | np.ndarray,
    crashed: bool | np.ndarray,
) -> float | Float[np.ndarray, " n"]:
    """The reward of a control step.

    Args:
        weights: of its parts.
        gained: by how much the way to go got shorter [m].
        seconds: simulation time of the step [s].
        reached: whether it reached the target.
        crashed: whether it ended in contact, or out of bounds.
    """
    return (
        weights.progress * gained
        - weights.time * seconds
        + weights.arrival * reached
        - weights.crash * crashed
    )
