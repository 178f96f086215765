"""What is known about a filtered control, as data that travels with it."""

from __future__ import annotations

import enum
from typing import no_type_check

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.problem import Outcome, describe


class Cause(enum.IntEnum):
    """What made an outcome `NONFINITE`."""

    NONE = 0
    STATE = 1
    GAINS = 2
    WISH = 3
    ROWS = 4
    NUMBERS = 5


_CAUSES = {
    Cause.NONE: "no input was refused",
    Cause.STATE: "the state or the time is not finite",
    Cause.GAINS: "a gain is not positive and finite",
    Cause.WISH: "the wish is not finite",
    Cause.ROWS: (
        "a barrier has no finite row here, or the control shows earlier than its relative degree"
    ),
    Cause.NUMBERS: "the limits, the weight or the cost hold no usable numbers, or they are too far",
}


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Certificate:
    """Why a control may be trusted, or why it is the fallback.

    The optimality (KKT) conditions of the quadratic program are checked on every answer: an answer
    whose `residual` is too large has the outcome `UNCONVERGED` and is replaced. The margins are
    computed anew from the control that was returned.

    Attributes:
        outcome: `Outcome` of the quadratic program, int32.
        replaced: whether the fallback was returned in place of a rejected answer.
        margins: A u - b of each row for the control that was returned, `[K]`; NaN where a row is
            no number.
        holds: whether every margin is at least zero, up to rounding.
        correction: length of control minus wish; +inf where the wish is no number.
        active: rows that hold the control, `[K]`.
        slack: largest slack that a soft row was given.
        residual: of the optimality check, 1 where there was no answer to check.
        cause: `Cause` of an outcome `NONFINITE`, int32.
    """

    outcome: Int[Array, "*batch"]
    replaced: Bool[Array, "*batch"]
    margins: Float[Array, "*batch K"]
    holds: Bool[Array, "*batch"]
    correction: Float[Array, "*batch"]
    active: Bool[Array, "*batch K"]
    slack: Float[Array, "*batch"]
    residual: Float[Array, "*batch"]
    cause: Int[Array, "*batch"]

    @property
    def certified(self) -> Bool[Array, "*batch"]:
        """The answer was accepted, it was returned, and every row holds."""
        solved = jnp.asarray(self.outcome) == int(Outcome.SOLVED)
        return solved & ~jnp.asarray(self.replaced) & self.holds

    def sentence(self) -> str:
        """One sentence for people, of one concrete certificate (no batch).

        Raises:
            ValueError: the certificate is a batch.
        """
        if np.ndim(self.outcome) != 0:
            raise ValueError(f"certificate: expected one, got a batch {np.shape(self.outcome)}")
        worst = float(np.min(self.margins, initial=np.inf))
        rows = f"{int(np.sum(self.active))} of {np.size(self.margins)} rows active"
        why = describe(int(self.outcome))
        if int(self.cause):
            why = f"{why}; namely, {_CAUSES[Cause(int(self.cause))]}"
        if self.replaced:
            return f"fallback in place of the wish; {why}"
        if bool(self.certified):
            return (
                f"certified: changed by {float(self.correction):.3g}; {rows}; {worst:.3g} to spare"
            )
        return f"not certified: a row is short by {-worst:.3g}; {rows}; {why}"

    def summary(self) -> Summary:
        """Counts and extremes over a batch; works inside `jit`."""
        outcome, cause = jnp.ravel(self.outcome), jnp.ravel(self.cause)
        return Summary(
            count=jnp.asarray(outcome.size, jnp.int32),
            outcomes=jnp.bincount(outcome, length=len(Outcome)),
            causes=jnp.bincount(cause, length=len(Cause)),
            certified=jnp.sum(self.certified, dtype=jnp.int32),
            replaced=jnp.sum(self.replaced, dtype=jnp.int32),
            worst_margin=jnp.min(self.margins, initial=jnp.inf),
            largest_correction=jnp.max(self.correction, initial=0),
            largest_slack=jnp.max(self.slack, initial=0),
            largest_residual=jnp.max(self.residual, initial=0),
        )


@no_type_check
@struct.dataclass
class Summary:
    """A batch of certificates in a few numbers.

    Attributes:
        count: how many certificates.
        outcomes: how many of each `Outcome`, `[5]`.
        causes: how many of each `Cause`, `[6]`.
        certified: how many are certified.
        replaced: how many controls are the fallback.
        worst_margin: smallest margin of any row, +inf without rows, NaN where a row is no number.
        largest_correction: longest way from a wish to its control.
        largest_slack: of any soft row.
        largest_residual: of any optimality check.
    """

    count: Int[Array, ""]
    outcomes: Int[Array, " outcomes"]
    causes: Int[Array, " causes"]
    certified: Int[Array, ""]
    replaced: Int[Array, ""]
    worst_margin: Float[Array, ""]
    largest_correction: Float[Array, ""]
    largest_slack: Float[Array, ""]
    largest_residual: Float[Array, ""]

    def sentence(self) -> str:
        """One sentence for people, of a concrete summary."""
        kinds = ", ".join(
            f"{int(count)} {outcome.name.lower()}"
            for outcome, count in zip(Outcome, self.outcomes, strict=True)
            if int(count)
        )
        return (
            f"{int(self.certified)} of {int(self.count)} certified ({kinds or 'none asked'}); "
            f"{int(self.replaced)} fallbacks; {float(self.worst_margin):.3g} to spare at worst"
        )
