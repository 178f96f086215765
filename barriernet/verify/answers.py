"""Answers of `solve_qp`: how exact they are, and that bounds hold whatever comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from barriernet.qp import Outcome, Solution, solve_qp
from barriernet.verify.check import Check
from barriernet.verify.corrupted import SPOILS
from barriernet.verify.problems import Problems, adversarial_problems

VARIABLES, ROWS, BATCH = 4, 16, 2_048


@cache
def _solver() -> Callable[..., Solution]:
    return jax.jit(jax.vmap(solve_qp))


@cache
def _gradients() -> Callable[..., tuple[jax.Array, ...]]:
    def loss(*problem: jax.Array) -> jax.Array:
        answer = solve_qp(*problem)
        return jnp.sum(answer.x) + jnp.sum(answer.slack) + jnp.sum(answer.multipliers)

    return jax.jit(jax.vmap(jax.grad(loss, argnums=tuple(range(7)))))


def solved(problems: Problems) -> Solution:
    """Answers as numpy arrays."""
    return jax.tree.map(np.asarray, _solver()(*problems))


def error_bound(problems: Problems, x: np.ndarray) -> np.ndarray:
    """No answer is further than this from x: a bound, not an estimate, and no solver's word.

    x inside its bounds solves the problem whose q is moved by the force v that is left over at x
    (the gradient of the function without slacks, but for what a bound in its way takes up), and
    strong convexity puts the true answer within |v| / smallest eigenvalue of P. Worked out in
    extended precision. For soft rows only.
    """
    P, q, A, b, lower, upper, weight = (np.asarray(part, np.longdouble) for part in problems)
    x = np.asarray(x, np.longdouble)
    lack = np.maximum(b - np.einsum("bki,bi->bk", A, x), 0)
    force = np.einsum("bij,bj->bi", P, x) + q - np.einsum("bki,bk->bi", A, weight * lack)
    left = np.where(x <= lower, np.minimum(force, 0), force)
    left = np.where(x >= upper, np.maximum(force, 0), left)
    left = np.where((x <= lower) & (x >= upper), 0, left)
    least = np.linalg.eigvalsh(problems.P).min(axis=1)
    outside = np.any((x < lower) | (x > upper), axis=1)
    bound = np.sqrt(np.sum(left**2, axis=1)).astype(float) / least
    return np.where(outside, np.inf, bound)


def check_answers(count: int, seed: int = 0) -> Iterator[Check]:
    """Errors on adversarial problems, in double and in single precision."""
    worst, worst_single, lost, lost_single = 0.0, 0.0, 0, 0
    for first in range(0, count, BATCH):
        problems = adversarial_problems(BATCH, VARIABLES, ROWS, seed=seed + first)
        answer = solved(problems)
        lost += int(np.sum(answer.outcome != Outcome.SOLVED))
        worst = max(worst, float(error_bound(problems, np.asarray(answer.x)).max()))
        rounded = problems.as_type(np.float32)
        single, double = solved(rounded), solved(rounded.as_type(np.float64))
        lost_single += int(np.sum(single.outcome != Outcome.SOLVED))
        worst_single = max(worst_single, float(np.abs(single.x - double.x).max()))
    for name, error, limit, bad in (
        ("float64", worst, 1e-9, lost),
        ("float32", worst_single, 1e-5, lost_single),
    ):
        yield Check(
            name=f"error of {count:,} adversarial answers, {name}",
            passed=bad == 0 and error <= limit,
            figure=f"{error:.1e} (at most {limit:.0e}), {bad} unconverged",
            numbers={"error": error, "unconverged": float(bad)},
        )


def check_bounds(count: int, seed: int = 0) -> Iterator[Check]:
    """Bounds bit for bit, and no number that is none, on spoilt problems of both precisions."""
    each = max(1, count // (len(SPOILS) * 2 * BATCH))
    for number, (name, spoil) in enumerate(SPOILS.items()):
        outside = bad = bad_gradients = 0
        for round_ in range(each):
            for dtype in (np.float64, np.float32):
                rng = np.random.default_rng([seed, number, round_])
                sound = adversarial_problems(BATCH, VARIABLES, ROWS, seed=seed + round_)
                problems = spoil(rng, sound.as_type(dtype)).as_type(dtype)
                answer = solved(problems)
                outside += _outside(problems, np.asarray(answer.x))
                bad += sum(
                    int(np.sum(~np.isfinite(part)))
                    for part in (answer.x, answer.slack, answer.multipliers, answer.residual)
                )
                slopes = _gradients()(*problems) if round_ % 8 == 0 else ()
                bad_gradients += sum(int(np.sum(~np.isfinite(part))) for part in slopes)
        seen = {"outside": outside, "nonfinite": bad, "nonfinite_gradients": bad_gradients}
        yield Check(
            name=f"bounds and finite numbers: {name}",
            passed=not any(seen.values()),
            figure=f"{outside} outside, {bad} and {bad_gradients} (gradients) not finite "
            f"of {2 * each * BATCH:,} problems",
            numbers={key: float(value) for key, value in seen.items()},
        )


def _outside(problems: Problems, x: np.ndarray) -> int:
    """How many numbers lie outside their bounds; none can where both are the same infinity."""
    possible = (problems.lower < np.inf) & (problems.upper > -np.inf)
    possible &= problems.lower <= problems.upper
    return int(np.sum(((x < problems.lower) | (x > problems.upper)) & possible))


def check_verdicts(count: int, seed: int = 0) -> Iterator[Check]:
    """Every problem built infeasible is called so, and none that was built feasible."""
    missed = alarmed = 0
    for first in range(0, count, BATCH):
        rng = np.random.default_rng([seed, first])
        feasible, infeasible = verdict_problems(rng)
        missed += int(np.sum(solved(infeasible).outcome != Outcome.INFEASIBLE))
        alarmed += int(np.sum(solved(feasible).outcome != Outcome.SOLVED))
    yield Check(
        name=f"infeasible problems told from feasible ones, {count:,} of each",
        passed=not (missed or alarmed),
        figure=f"{missed} missed, {alarmed} false alarms",
        numbers={"missed": float(missed), "false_alarms": float(alarmed)},
    )


def verdict_problems(rng: np.random.Generator) -> tuple[Problems, Problems]:
    """Problems with hard rows around a point, and the same with one more that excludes them.

    The first n + 1 rows of the feasible ones hold at a point inside the box; the next row of the
    infeasible ones is minus a sum of those with factors > 0, its side beyond minus the sum of
    theirs (Farkas).
    """
    sound = adversarial_problems(BATCH, VARIABLES, ROWS, seed=int(rng.integers(2**31)))
    A, b, weight = sound.A.copy(), sound.b.copy(), sound.weight.copy()
    inner = rng.uniform(0.1, 0.9, (BATCH, VARIABLES))
    hard = VARIABLES + 1
    room = rng.exponential(0.2, (BATCH, hard))
    b[:, :hard] = np.einsum("bki,bi->bk", A[:, :hard], inner) - room
    weight[:, :hard] = np.inf
    feasible = sound._replace(A=A, b=b, weight=weight)
    factors = rng.exponential(1.0, (BATCH, hard)) * (rng.random((BATCH, hard)) < 0.6)
    factors[:, 0] += 0.1
    A, b, weight = A.copy(), b.copy(), weight.copy()
    A[:, hard] = -np.einsum("bk,bki->bi", factors, A[:, :hard])
    b[:, hard] = -np.einsum("bk,bk->b", factors, b[:, :hard]) + rng.uniform(1e-3, 1, BATCH)
    weight[:, hard] = np.inf
    return feasible, sound._replace(A=A, b=b, weight=weight)
