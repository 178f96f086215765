"""What became of a wish that a backup stands behind, as data."""

from __future__ import annotations

from typing import no_type_check

from flax import struct
from jaxtyping import Array, Bool, Float, Int


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class BackupReport:
    """What became of a wish in one tick.

    Attributes:
        barrier: of each obstacle, least over the backup's path from here, `[K]`; safe from zero.
        outcome: `Outcome` of the quadratic program, int32.
        share: 1 if its answer was sent, 0 for the backup, between if it was drawn back.
        outside: the state is not finite, or not where the declared disturbance can have taken it.
    """

    barrier: Float[Array, "*batch K"]
    outcome: Int[Array, "*batch"]
    share: Float[Array, "*batch"]
    outside: Bool[Array, "*batch"]
