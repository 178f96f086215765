"""What a solver hands on: the answer, and all that its derivatives need."""

from __future__ import annotations

from typing import no_type_check

from flax import struct
from jaxtyping import Array, Bool, Float, Int

NONE = -1
"""Index of no constraint."""


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Answer:
    """An answer, its active set, and the inverse of that active set's conditions of optimality.

    Rows, lower and upper bounds count as one list of constraints, normal x >= side. A soft row in
    the active set adds weight a a' to the cost matrix; a hard constraint in it sits in a slot. With
    M that cost matrix and C the normals in the slots,

        [M  C']-1   [response  shift'    ]
        [C  0 ]   = [shift     -stiffness]

    where free slots, and x that they leave no freedom, are zeros.

    Attributes:
        x: the answer, inside its bounds.
        slack: what soft rows lack.
        multipliers: of all constraints, >= 0.
        active: which constraints hold the answer.
        slot: hard constraint in each slot, `NONE` where free.
        response: change of x with a force on it.
        shift: change of x with the side of the constraint in each slot.
        stiffness: change of multipliers with those sides.
        outcome: `Outcome`, int32.
        iterations: passes of the solver, int32.
        residual: scaled violation of the conditions of optimality.
    """

    x: Float[Array, "*batch n"]
    slack: Float[Array, "*batch K"]
    multipliers: Float[Array, "*batch m"]
    active: Bool[Array, "*batch m"]
    slot: Int[Array, "*batch n"]
    response: Float[Array, "*batch n n"]
    shift: Float[Array, "*batch n n"]
    stiffness: Float[Array, "*batch n n"]
    outcome: Int[Array, "*batch"]
    iterations: Int[Array, "*batch"]
    residual: Float[Array, "*batch"]
