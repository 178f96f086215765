"""The task in a world: what is reached when, and how far it still is."""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from flax import struct
from jaxtyping import Float, Int

from sim.mission import Mission
from sim.state import AnyArray, safe_norm

FLYING = "flying"
"""The outcome of a flight that is not over."""
TRUNCATED = "timeout"
"""The outcome that truncates an episode; every other one terminates it."""
CRASHES = ("contact", "out_of_bounds")


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Way:
    """The points to reach, and how far it is from each of them to the last.

    Attributes:
        targets: [m], `[*batch, points, 3]`.
        rest: over the points that follow each [m], `[*batch, points]`.
    """

    targets: Float[AnyArray, "*batch points 3"]
    rest: Float[AnyArray, "*batch points"]


def way_of(mission: Mission) -> Way:
    """The way of a mission, or of a stack of them, in numpy."""
    targets = np.asarray(mission.targets)
    steps = np.linalg.norm(np.diff(targets, axis=-2), axis=-1)
    zero = np.zeros((*steps.shape[:-1], 1), targets.dtype)
    backwards = np.concatenate([zero, np.cumsum(steps[..., ::-1], axis=-1)], axis=-1)
    return Way(targets, backwards[..., ::-1].astype(targets.dtype))


def way_to_go(
    way: Way, leg: int | Int[AnyArray, ""], position: Float[AnyArray, " 3"]
) -> float | Float[AnyArray, ""]:
    """From `position` over every point still to be reached to the target [m]."""
    return safe_norm(way.targets[leg] - position) + way.rest[leg]
