"""What is known about a filtered control, as data that travels with it."""

from __future__ import annotations

from typing import no_type_check

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.problem import Outcome, describe


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Certificate:
    """Why a control may be trusted, or why it is the fallback.

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
    """

    outcome: Int[Array, "*batch"]
    replaced: Bool[Array, "*batch"]
    margins: Float[Array, "*batch K"]
    holds: Bool[Array, "*batch"]
    correction: Float[Array, "*batch"]
    active: Bool[Array, "*batch K"]
    slack: Float[Array, "*batch"]
    residual: Float[Array, "*batch"]

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
        if self.replaced:
            return f"fallback in place of the wish; {describe(self.outcome)}"
        if bool(self.certified):
            return (
                f"certified: changed by {float(self.correction):.3g}; {rows}; {worst:.3g} to spare"
            )
        return f"not certified: a row is short by {-worst:.3g}; {rows}; {describe(self.outcome)}"
