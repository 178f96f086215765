"""Small dense quadratic programs with soft rows: one function, exact answers, exact gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from barriernet._qp.active_set import ActiveSet, Constraints, iteration_limit, run
from barriernet._qp.dense import factor, solve
from barriernet._qp.polish import optimality_residual, polish
from barriernet._qp.problem import QP, FloatArray, Outcome, Solution, describe

__all__ = ["QP", "Outcome", "Solution", "describe", "solve_qp"]


def solve_qp(
    P: Float[FloatArray, "n n"],
    q: Float[FloatArray, " n"],
    A: Float[FloatArray, "K n"],
    b: Float[FloatArray, " K"],
    lower: Float[FloatArray, " n"],
    upper: Float[FloatArray, " n"],
    weight: Float[FloatArray, " K"],
) -> Solution:
    """Solve one strictly convex quadratic program with soft and hard rows.

    minimise 1/2 x'Px + q'x + 1/2 sum weight slack^2
    subject to A x + slack >= b, slack >= 0, lower <= x <= upper.

    Pure; works under `jit`, `vmap`, `grad` and `jvp`, in float32 and float64. For batches use
    `vmap`. Bad numbers never raise and never come out: look at `outcome`. Gradients of an answer
    that was not accepted are zero.

    Args:
        P: cost matrix, positive definite; its symmetric part counts.
        q: linear cost.
        A: rows; K = 0 is fine.
        b: right side of each row.
        lower: smallest x; -inf for none.
        upper: largest x; +inf for none. May equal `lower`.
        weight: price > 0 of each row's squared slack; +inf makes the row hard.

    Returns:
        The answer; `x` lies in [lower, upper] bit for bit.
    """
    dtype = jnp.result_type(P, q, A, b, lower, upper, weight)
    asked = QP(*(jnp.asarray(part, dtype) for part in (P, q, A, b, lower, upper, weight)))
    asked = asked.replace(P=(asked.P + asked.P.T) / 2)
    frozen = jax.lax.stop_gradient(asked)
    refused = _refuse(frozen)
    sound = refused == int(Outcome.SOLVED)

    tame = _tamed(frozen, sound)
    chol = factor(tame.P)
    start = -solve(chol, tame.q)
    sound = sound & chol.positive & jnp.all(jnp.isfinite(start))
    constraints, impossible = _constraints(tame)
    found = run(tame.P, start, constraints, sound)
    finished = found.iterations < iteration_limit(start.shape[0], tame.b.shape[0])
    sound = sound & jnp.all(jnp.isfinite(found.x))
    return _finish(asked, refused, sound, finished, impossible, found, start)


def _refuse(asked: QP) -> Array:
    """`NONFINITE` or `INVALID` for what is no problem at all, else `SOLVED`."""
    finite = jnp.asarray(True)
    for part in (asked.P, asked.q, asked.A, asked.b):
        finite = finite & jnp.all(jnp.isfinite(part))
    finite = finite & jnp.all(asked.lower < jnp.inf) & jnp.all(asked.upper > -jnp.inf)
    finite = finite & ~jnp.any(jnp.isnan(asked.weight))
    valid = jnp.all(asked.lower <= asked.upper) & jnp.all(asked.weight > 0)
    return jnp.where(
        finite,
        jnp.where(valid, int(Outcome.SOLVED), int(Outcome.INVALID)),
        int(Outcome.NONFINITE),
    ).astype(jnp.int32)


def _tamed(asked: QP, sound: Bool[Array, ""]) -> QP:
    """The problem itself, or a harmless one in its place."""
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


def _constraints(asked: QP) -> tuple[Constraints, Bool[Array, ""]]:
    """Rows of length one and bounds in one list; and whether a hard row of zeros asks for more."""
    size = asked.q.shape[0]
    scale = _row_scale(asked.A)
    blank = scale == 0
    stretch = jnp.where(blank, 1, scale)
    soft = jnp.isfinite(asked.weight)
    weight = jnp.where(soft, asked.weight, 1) * stretch * stretch
    below, above = jnp.isfinite(asked.lower), jnp.isfinite(asked.upper)
    eye = jnp.eye(size, dtype=asked.q.dtype)
    constraints = Constraints(
        C=jnp.concatenate([asked.A / stretch[:, None], eye, -eye]),
        c=jnp.concatenate(
            [
                asked.b / stretch,
                jnp.where(below, asked.lower, 0),
                -jnp.where(above, asked.upper, 0),
            ]
        ),
        usable=jnp.concatenate([~blank, below, above]),
        weight=jnp.where(soft, weight, 0),
        compliance=jnp.where(soft, 1 / weight, 0),
        soft=soft,
    )
    return constraints, jnp.any(blank & ~soft & (asked.b > 0))


def _row_scale(A: Float[Array, "K n"]) -> Float[Array, " K"]:
    """Length of each row, free of overflow; a constant as far as derivatives go."""
    A = jax.lax.stop_gradient(A)
    largest = jnp.max(jnp.abs(A), axis=1, initial=0)
    safe = jnp.where(largest > 0, largest, 1)
    return largest * jnp.sqrt(jnp.sum((A / safe[:, None]) ** 2, axis=1))


def _finish(
    asked: QP,
    refused: Array,
    sound: Array,
    finished: Array,
    impossible: Array,
    found: ActiveSet,
    start: Array,
) -> Solution:
    """Polish, check, and keep every number finite and inside the bounds."""
    dtype = asked.q.dtype
    rows = asked.b.shape[0]
    double = dtype == jnp.float64
    tolerance = 1e-8 if double else 1e-4
    found = jax.tree.map(lambda part: jnp.where(sound, part, jnp.zeros_like(part)), found)
    found = found.replace(slot=jnp.where(sound, found.slot, -1))
    tame = _tamed(asked, sound)
    constraints, _ = _constraints(tame)
    answer = polish(tame.P, tame.q, constraints, found)

    rounding = 1e3 * jnp.finfo(dtype).eps / tolerance
    residual = optimality_residual(
        *jax.lax.stop_gradient((tame.P, tame.q, constraints, found.relaxed, answer)),
        rounding * jnp.max(jnp.abs(start)),
    )
    checked = sound & finished & (residual <= tolerance)
    infeasible = found.relaxed | impossible
    outcome = jnp.where(
        refused != int(Outcome.SOLVED),
        refused,
        jnp.where(
            ~sound,
            int(Outcome.INVALID),
            jnp.where(
                infeasible,
                int(Outcome.INFEASIBLE),
                jnp.where(checked, int(Outcome.SOLVED), int(Outcome.UNCONVERGED)),
            ),
        ),
    ).astype(jnp.int32)
    good = outcome == int(Outcome.SOLVED)
    usable_answer = sound & jnp.all(jnp.isfinite(answer.x))
    unsure = jax.lax.stop_gradient(jnp.where(usable_answer, answer.x, jnp.zeros_like(answer.x)))
    x = _inside(jnp.where(good, answer.x, unsure), asked.lower, asked.upper, good)
    return Solution(
        x=x,
        **_duals(asked, tame, constraints, found, answer, good, sound),
        outcome=outcome,
        iterations=found.iterations,
        residual=jnp.where(sound & jnp.isfinite(residual), residual, 1).astype(dtype),
    )


def _inside(x: Array, lower: Array, upper: Array, good: Array) -> Array:
    """Clip by selection, so that a clipped x is its bound bit for bit and its derivative too."""
    fixed_lower, fixed_upper = jax.lax.stop_gradient((lower, upper))
    low = jnp.where(good, lower, fixed_lower)
    high = jnp.where(good, upper, fixed_upper)
    x = jnp.where((x < low) & (low < jnp.inf), low, x)
    return jnp.where((x > high) & (high > -jnp.inf), high, x)


def _duals(
    asked: QP,
    tame: QP,
    constraints: Constraints,
    found: ActiveSet,
    answer: object,
    good: Array,
    sound: Array,
) -> dict[str, Array]:
    rows = asked.b.shape[0]
    scale = _row_scale(tame.A)
    blank = scale == 0
    soft = constraints.soft
    missing = blank & soft & (tame.b > 0)
    stretch = jnp.where(blank, 1, scale)
    row = answer.multipliers[:rows] / stretch
    weight = jnp.where(soft, tame.weight, 1)
    row = jnp.where(missing, weight * tame.b, row)
    slack = jnp.where(soft, row / weight, 0)
    multipliers = jnp.concatenate([row, answer.multipliers[rows:]])
    fixed = jax.lax.stop_gradient
    keep = lambda value: jnp.where(good, value, jnp.where(sound, fixed(value), 0))  # noqa: E731
    active = answer.active & sound
    return {
        "slack": keep(slack),
        "multipliers": keep(multipliers),
        "active": active.at[:rows].set(active[:rows] | (missing & sound)),
    }
