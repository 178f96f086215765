"""From the problem as asked to the problem as solved: examined, tamed, and scaled."""

from __future__ import annotations

from typing import no_type_check

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.dense import whiten
from barriernet._qp.problem import QP, Outcome


@no_type_check
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
        white: inverse of R, a constant.
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
    white: Float[Array, "n n"]
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


@no_type_check
@struct.dataclass
class Examination:
    """What has to be known of a problem before it is touched.

    Attributes:
        refused: `NONFINITE` or `INVALID` for what is no problem at all, else `SOLVED`.
        stretch: length of each row, 1 for rows that count as zero.
        blank: which rows count as zero.
        root: R with R'R = P.
        white: inverse of R.
        start: the minimum of the cost alone.
    """

    refused: Int[Array, ""]
    stretch: Float[Array, " K"]
    blank: Bool[Array, " K"]
    root: Float[Array, "n n"]
    white: Float[Array, "n n"]
    start: Float[Array, " n"]


def largest_number(dtype: jnp.dtype) -> float:
    """Numbers beyond this would overflow in products of three, and so in derivatives."""
    return float(jnp.finfo(dtype).max) ** (1 / 3)


def examine(asked: QP) -> Examination:
    """Look a problem over. The fields of a refused problem are harmless, not meaningful."""
    size, dtype = asked.q.shape[0], asked.q.dtype
    limit = largest_number(dtype)
    stretch, blank = _row_length(asked.A)
    soft = jnp.isfinite(asked.weight)
    price = jnp.where(soft, asked.weight, 1) * stretch * stretch
    white, root, convex = whiten(asked.P)
    start = -white @ (asked.q @ white)

    # Written so that a NaN, which compares as False, fails.
    finite = jnp.concatenate(
        [
            (jnp.abs(asked.P) <= limit).ravel(),
            jnp.abs(asked.q) <= limit,
            (jnp.abs(asked.A) <= limit).ravel(),
            jnp.abs(asked.b) <= limit * jnp.minimum(stretch, 1),
            asked.lower <= limit,
            asked.upper >= -limit,
            ~jnp.isnan(asked.weight),
            _moderate(price, limit) & _moderate(jnp.where(soft, asked.weight, 1), limit)
            | (asked.weight <= 0),
            (jnp.abs(start) <= limit) | ~convex,
        ]
    )
    valid = jnp.concatenate([asked.lower <= asked.upper, asked.weight > 0, convex[None]]) & jnp.all(
        jnp.diagonal(asked.P) >= 1 / limit
    )
    kind = jnp.where(jnp.all(valid), int(Outcome.SOLVED), int(Outcome.INVALID))
    refused = jnp.where(jnp.all(finite), kind, int(Outcome.NONFINITE)).astype(jnp.int32)
    sound, eye = refused == int(Outcome.SOLVED), jnp.eye(size, dtype=dtype)
    return Examination(
        refused=refused,
        stretch=jnp.where(sound & ~blank, stretch, 1),
        blank=blank,
        root=jnp.where(sound, root, eye),
        white=jnp.where(sound, white, eye),
        start=jnp.where(sound, start, 0),
    )


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


def scaled(tame: QP, known: Examination) -> ScaledQP:
    """Scale a sound problem: rows of length one."""
    size, dtype = tame.q.shape[0], tame.q.dtype
    limit = largest_number(dtype)
    soft = jnp.isfinite(tame.weight)
    weight = jnp.where(soft, tame.weight, 1) * known.stretch * known.stretch
    below, above = tame.lower >= -limit, tame.upper <= limit
    eye = jnp.eye(size, dtype=dtype)
    bounds = [jnp.where(below, tame.lower, 0), -jnp.where(above, tame.upper, 0)]
    return ScaledQP(
        P=tame.P,
        q=tame.q,
        C=jnp.concatenate([tame.A / known.stretch[:, None], eye, -eye]),
        c=jnp.concatenate([tame.b / known.stretch, *bounds]),
        usable=jnp.concatenate([~known.blank, below, above]),
        soft=soft,
        weight=jnp.where(soft, weight, 0),
        compliance=jnp.where(soft, 1 / weight, 0),
        root=known.root,
        white=known.white,
        start=known.start,
    )


def _moderate(price: Float[Array, " K"], limit: float) -> Bool[Array, " K"]:
    """Whether a price and its inverse can be worked with."""
    return (price <= limit**1.5) & (price >= limit**-1.3)


def _row_length(A: Float[Array, "K n"]) -> tuple[Float[Array, " K"], Bool[Array, " K"]]:
    """Length of each row free of overflow, and which rows are too short to have a direction."""
    largest = jnp.max(jnp.abs(A), axis=1, initial=0)
    # Squares of shorter rows would underflow.
    blank = largest <= float(jnp.finfo(A.dtype).tiny) ** 0.4
    safe = jnp.where(blank, 1, largest)
    length = safe * jnp.sqrt(jnp.sum((A / safe[:, None]) ** 2, axis=1))
    return jnp.where(blank, 1, length), blank
