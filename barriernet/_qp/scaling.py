"""From the problem as asked to the problem as solved: refused, tamed, and scaled."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.dense import factor, solve, upper
from barriernet._qp.problem import QP, Outcome


@struct.dataclass
class ScaledQP:
    """Cost and constraints in one list, C x >= c: the rows, then the lower and upper bounds.

    Attributes:
        P: symmetric cost matrix.
        q: linear cost.
        C: rows scaled to length one, then the identity, then minus the identity.
        c: right sides, finite everywhere (see `usable`).
        usable: false for missing bounds and for rows of zeros, which x cannot change.
        soft: which rows have a slack.
        weight: price of each scaled row's squared slack, 0 where the row is hard.
        compliance: 1 / weight, 0 where the row is hard.
        root: R with R'R = P, a constant.
        start: the minimum of the cost alone, a constant.
    """

    P: Float[Array, "n n"]
    q: Float[Array, " n"]
    C: Float[Array, "m n"]
    c: Float[Array, " m"]
    usable: Bool[Array, " m"]
    soft: Bool[Array, " K"]
    weight: Float[Array, " K"]
    compliance: Float[Array, " K"]
    root: Float[Array, "n n"]
    start: Float[Array, " n"]

    @property
    def A(self) -> Float[Array, "K n"]:
        """The scaled rows alone."""
        return self.C[: self.soft.shape[0]]

    @property
    def reach(self) -> Float[Array, ""]:
        """Size of the numbers the loop starts from: rounding is measured against it."""
        return jnp.max(jnp.abs(self.start))

    def stiffness(self, relaxed: Bool[Array, ""]) -> tuple[Array, Array, Array]:
        """Weight, compliance and softness of the rows; once relaxed, hard rows are stiff springs.

        The springs are as stiff as the dtype bears, so that they give way last.
        """
        double = self.P.dtype == jnp.float64
        level = jnp.max(jnp.diagonal(self.P))
        floor, ceiling, lead = (1e8, 1e12, 1e3) if double else (1e3, 1e5, 1e1)
        heaviest = lead * jnp.max(self.weight, initial=0)
        stiff = jnp.clip(heaviest, floor * level, ceiling * level)
        weight = jnp.where(self.soft, self.weight, jnp.where(relaxed, stiff, 0))
        compliance = jnp.where(self.soft, self.compliance, jnp.where(relaxed, 1 / stiff, 0))
        return weight, compliance, self.soft | relaxed


def refusal(asked: QP) -> Int[Array, ""]:
    """`NONFINITE` or `INVALID` for what is no problem at all, else `SOLVED`."""
    finite = jnp.concatenate(
        [
            jnp.isfinite(asked.P).ravel(),
            jnp.isfinite(asked.q),
            jnp.isfinite(asked.A).ravel(),
            jnp.isfinite(asked.b),
            asked.lower < jnp.inf,
            asked.upper > -jnp.inf,
            ~jnp.isnan(asked.weight),
        ]
    )
    valid = jnp.concatenate([asked.lower <= asked.upper, asked.weight > 0])
    kind = jnp.where(jnp.all(valid), int(Outcome.SOLVED), int(Outcome.INVALID))
    return jnp.where(jnp.all(finite), kind, int(Outcome.NONFINITE)).astype(jnp.int32)


def tamed(asked: QP, sound: Bool[Array, ""]) -> QP:
    """The problem itself where it is sound, else a harmless one of the same shape."""
    size = asked.q.shape[0]
    return QP(
        P=jnp.where(sound, asked.P, jnp.eye(size, dtype=asked.q.dtype)),
        q=jnp.where(sound, asked.q, 0),
        A=jnp.where(sound, asked.A, 0),
        b=jnp.where(sound, asked.b, 0),
        lower=jnp.where(sound, asked.lower, -jnp.inf),
        upper=jnp.where(sound, asked.upper, jnp.inf),
        weight=jnp.where(sound, asked.weight, 1),
    )


def row_stretch(A: Float[Array, "K n"]) -> tuple[Float[Array, " K"], Bool[Array, " K"]]:
    """Length of each row, and which rows count as zero (their length is given as 1).

    A constant as far as derivatives go: the scaled problem is the same problem for any scale.
    """
    A = jax.lax.stop_gradient(A)
    largest = jnp.max(jnp.abs(A), axis=1, initial=0)
    # Squares of shorter rows would underflow.
    blank = largest <= float(jnp.finfo(A.dtype).tiny) ** 0.4
    safe = jnp.where(blank, 1, largest)
    length = safe * jnp.sqrt(jnp.sum((A / safe[:, None]) ** 2, axis=1))
    return jnp.where(blank, 1, length), blank


def scaled(tame: QP) -> tuple[ScaledQP, Bool[Array, ""], Bool[Array, ""]]:
    """Scale a sound problem.

    Returns:
        The scaled problem; whether its cost matrix is positive definite; whether all of its
        numbers and the minimum of its cost are finite.
    """
    size = tame.q.shape[0]
    stretch, blank = row_stretch(tame.A)
    soft = jnp.isfinite(tame.weight)
    weight = jnp.where(soft, tame.weight, 1) * stretch * stretch
    below, above = jnp.isfinite(tame.lower), jnp.isfinite(tame.upper)
    eye = jnp.eye(size, dtype=tame.q.dtype)
    bounds = [jnp.where(below, tame.lower, 0), -jnp.where(above, tame.upper, 0)]
    c = jnp.concatenate([tame.b / stretch, *bounds])
    chol = factor(jax.lax.stop_gradient(tame.P))
    start = -solve(chol, jax.lax.stop_gradient(tame.q))
    finite = jnp.all(jnp.isfinite(jnp.concatenate([c, weight, 1 / weight, start])))
    problem = ScaledQP(
        P=tame.P,
        q=tame.q,
        C=jnp.concatenate([tame.A / stretch[:, None], eye, -eye]),
        c=c,
        usable=jnp.concatenate([~blank, below, above]),
        soft=soft,
        weight=jnp.where(soft, weight, 0),
        compliance=jnp.where(soft, 1 / weight, 0),
        root=upper(chol),
        start=jnp.where(jnp.isfinite(start), start, 0),
    )
    return problem, chol.positive, finite
