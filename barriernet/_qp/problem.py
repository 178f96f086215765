"""The quadratic program as data: what was asked, what came out, and why."""

from __future__ import annotations

import enum
from typing import no_type_check

import jax
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

FloatArray = jax.Array | np.ndarray
"""What the public functions accept: arrays of jax or numpy."""


class Outcome(enum.IntEnum):
    """Why a solve ended. Everything but `SOLVED` is a rejected answer.

    Inside `jit` an outcome is an int32 array; compare it with `Outcome.SOLVED` and so on, and
    turn it into a sentence with `describe` outside.
    """

    SOLVED = 0
    INFEASIBLE = 1
    UNCONVERGED = 2
    NONFINITE = 3
    INVALID = 4


_SENTENCES = {
    Outcome.SOLVED: "solved: the answer passed the optimality check",
    Outcome.INFEASIBLE: (
        "infeasible: no point inside the bounds meets every hard row; "
        "the answer is the point inside the bounds that violates them least"
    ),
    Outcome.UNCONVERGED: "unconverged: the answer failed the optimality check",
    Outcome.NONFINITE: (
        "nonfinite: the problem holds a NaN, an infinity where none may be, "
        "or a number too large or too small to compute with"
    ),
    Outcome.INVALID: (
        "invalid: a lower bound exceeds its upper bound, a weight is not positive, "
        "or the cost matrix is not positive definite"
    ),
}


def describe(outcome: int | Int[Array, ""] | Int[np.ndarray, ""]) -> str:
    """The sentence that belongs to an outcome.

    Args:
        outcome: an `Outcome`, its number, or a concrete integer array with one element.

    Returns:
        One sentence.

    Raises:
        ValueError: the number is no outcome.
    """
    return _SENTENCES[Outcome(int(outcome))]


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class QP:
    """minimise 1/2 x'Px + q'x + 1/2 sum weight slack^2, subject to A x + slack >= b.

    The slack is not negative, and lower <= x <= upper. A row whose weight is infinite is hard: it
    has no slack.

    Attributes:
        P: symmetric positive definite cost matrix (only its symmetric part counts).
        q: linear cost.
        A: one row per inequality.
        b: right side of each row.
        lower: smallest x, -inf where there is none.
        upper: largest x, +inf where there is none.
        weight: price of each row's squared slack, > 0; +inf for a hard row.
    """

    P: Float[Array, "*batch n n"]
    q: Float[Array, "*batch n"]
    A: Float[Array, "*batch K n"]
    b: Float[Array, "*batch K"]
    lower: Float[Array, "*batch n"]
    upper: Float[Array, "*batch n"]
    weight: Float[Array, "*batch K"]


@no_type_check
@struct.dataclass
class Solution:
    """Answer to one quadratic program. Always finite, always inside finite bounds, bit for bit.

    Attributes:
        x: the answer `[n]`.
        slack: `[K]` what each soft row lacks, >= 0; zero on hard rows.
        multipliers: `[K + 2 n]` Lagrange multipliers >= 0 of the rows, then of the lower, then of
            the upper bounds.
        active: `[K + 2 n]` which of the same rows and bounds hold the answer.
        outcome: `Outcome` as an int32.
        iterations: passes of the active set loop, int32.
        residual: largest scaled violation of the optimality conditions, 1.0 where there is no
            answer to check.
    """

    x: Float[Array, "*batch n"]
    slack: Float[Array, "*batch K"]
    multipliers: Float[Array, "*batch m"]
    active: Bool[Array, "*batch m"]
    outcome: Int[Array, "*batch"]
    iterations: Int[Array, "*batch"]
    residual: Float[Array, "*batch"]

    @property
    def accepted(self) -> Bool[Array, "*batch"]:
        """Whether the outcome is `SOLVED`."""
        return self.outcome == int(Outcome.SOLVED)
