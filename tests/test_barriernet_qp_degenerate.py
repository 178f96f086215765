"""solve_qp on problems that break solvers: never a NaN, never outside the bounds, never silent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barriernet_oracle import (
    BATCH,
    optimality_violation,
    pull_back,
    random_problem,
    solve_batch,
    stacked,
)

from barriernet import Outcome, solve_qp

P_, Q, A_, B, LOWER, UPPER, WEIGHT = range(7)


def gradients(*problem):
    """Derivatives of a sum over x, the slacks and the multipliers."""
    weights = np.concatenate([np.ones(20), np.full(24, 1e-3)]).astype(problem[Q].dtype)
    return pull_back(problem, np.broadcast_to(weights, (len(problem[Q]), 44)))


def draw(hard=0.0, contradictory=0.3):
    rng = np.random.default_rng(2)
    problems = [
        random_problem(rng, 4, 16, hard=hard, contradictory=contradictory) for _ in range(BATCH)
    ]
    return [np.array(part) for part in stacked(problems)]


def inside(problem, x):
    """In the bounds, compared as numpy does: subnormal numbers count."""
    return bool(np.all((np.asarray(x) >= problem[LOWER]) & (np.asarray(x) <= problem[UPPER])))


def checked(problem, outcome, dtype=np.float64):
    """Solve, and hold every lane to the outcome and to what is promised for any outcome."""
    problem = tuple(np.asarray(part, dtype) for part in problem)
    solution = jax.tree.map(np.asarray, solve_batch(*problem))
    assert np.all(np.isfinite(solution.x)) and inside(problem, solution.x)
    assert np.all(solution.slack >= 0) and np.all(solution.multipliers >= 0)
    assert np.all(np.isfinite(solution.slack)) and np.all(np.isfinite(solution.multipliers))
    assert set(solution.outcome.tolist()) == {int(outcome)}
    for part in gradients(*problem):
        assert np.all(np.isfinite(part))
        if outcome != Outcome.SOLVED:
            assert np.all(np.asarray(part) == 0)
    if outcome == Outcome.SOLVED:
        tolerance = 1e-9 if dtype == np.float64 else 1e-4
        for i, one in enumerate(zip(*problem, strict=True)):
            parts = solution.x[i], solution.slack[i], solution.multipliers[i]
            assert optimality_violation(one, *parts) <= tolerance
    return solution


def test_a_wish_a_million_times_too_large():
    problem = draw()
    problem[Q] *= 1e6
    checked(problem, Outcome.SOLVED)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", [P_, Q, A_, B])
def test_one_number_that_is_none(part, bad):
    problem = draw()
    problem[part].reshape(BATCH, -1)[:, 0] = bad
    solution = checked(problem, Outcome.NONFINITE)
    zero = np.clip(0.0, problem[LOWER], problem[UPPER])
    np.testing.assert_array_equal(solution.x, zero)
    assert not solution.active.any()


def test_bad_bounds_and_weights():
    for part, value, outcome in (
        (LOWER, np.inf, Outcome.NONFINITE),
        (UPPER, -np.inf, Outcome.NONFINITE),
        (LOWER, np.nan, Outcome.NONFINITE),
        (WEIGHT, np.nan, Outcome.NONFINITE),
        (WEIGHT, 0.0, Outcome.INVALID),
        (WEIGHT, -1.0, Outcome.INVALID),
    ):
        problem = draw()
        problem[part][:, 0] = value
        solution = solve_batch(*problem)
        assert np.all(np.asarray(solution.outcome) == outcome)
        assert np.all(np.isfinite(solution.x))
    problem = draw()
    problem[LOWER][:, 0], problem[UPPER][:, 0] = 1.0, -1.0
    assert np.all(np.asarray(solve_batch(*problem).outcome) == Outcome.INVALID)


def test_cost_that_is_not_convex():
    problem = draw()
    problem[P_][:, 0, 0] = -1.0
    checked(problem, Outcome.INVALID)
    problem[P_][:] = 0.0
    checked(problem, Outcome.INVALID)


def test_duplicate_rows():
    problem = draw(hard=0.2)
    problem[A_][:, 8:] = problem[A_][:, :8]
    problem[B][:, 8:] = problem[B][:, :8]
    problem[WEIGHT][:, 8:] = problem[WEIGHT][:, :8]
    keep = np.asarray(solve_batch(*problem).outcome) == Outcome.SOLVED
    assert keep.sum() > BATCH / 2
    fill = np.resize(np.flatnonzero(keep), BATCH)
    checked([part[fill] for part in problem], Outcome.SOLVED)


def test_parallel_rows_that_contradict_each_other():
    problem = draw()
    problem[A_][:, 8:] = -2 * problem[A_][:, :8]
    problem[B][:, 8:] = 2 * (1 - problem[B][:, :8])
    solution = checked(problem, Outcome.SOLVED)
    assert np.all(solution.slack[:, :8] + solution.slack[:, 8:] / 2 > 0.9)
    problem[WEIGHT][:] = np.inf
    checked(problem, Outcome.INFEASIBLE)


def test_rows_of_zeros():
    problem = draw()
    problem[A_][:], problem[B][:] = 0.0, 1.0
    solution = checked(problem, Outcome.SOLVED)
    np.testing.assert_allclose(solution.slack, 1.0, rtol=1e-15)
    np.testing.assert_allclose(solution.multipliers[:, :16], problem[WEIGHT], rtol=1e-15)
    problem[WEIGHT][:, 3] = np.inf
    checked(problem, Outcome.INFEASIBLE)
    problem[B][:] = -1.0
    checked(problem, Outcome.SOLVED)


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.long), np.float64])
def test_rows_in_any_unit(dtype):
    """Row, right side and slack in other units, from 1e-6 to 1e6: the same x."""
    problem = draw()
    unit = 10.0 ** np.random.default_rng(3).uniform(-6, 6, (BATCH, 16))
    solution = checked(problem, Outcome.SOLVED, dtype)
    problem[A_] *= unit[:, :, None]
    problem[B] *= unit
    problem[WEIGHT] /= unit**2
    scaled = checked(problem, Outcome.SOLVED, dtype)
    tolerance = 1e-11 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(scaled.x, solution.x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(scaled.slack / unit, solution.slack, rtol=0.01, atol=tolerance)


def test_rows_ten_thousand_times_too_long_or_a_million_times_too_short():
    for factor in (1e4, 1e-6):
        problem = draw()
        problem[A_] *= factor
        checked(problem, Outcome.SOLVED)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_row_violated(dtype):
    problem = draw()
    problem[B] += 5
    checked(problem, Outcome.SOLVED, dtype)


def test_a_bound_that_leaves_no_room():
    problem = draw()
    problem[LOWER][:, 1] = problem[UPPER][:, 1] = 0.3
    solution = checked(problem, Outcome.SOLVED)
    np.testing.assert_array_equal(solution.x[:, 1], 0.3)
    problem[LOWER][:] = problem[UPPER][:] = np.random.default_rng(4).normal(size=(BATCH, 4))
    solution = checked(problem, Outcome.SOLVED)
    np.testing.assert_array_equal(solution.x, problem[LOWER])


def test_no_bounds_at_all():
    problem = draw()
    problem[LOWER][:], problem[UPPER][:] = -np.inf, np.inf
    checked(problem, Outcome.SOLVED)


def test_all_rows_through_one_vertex():
    problem = draw(hard=0.3)
    wish = -np.linalg.solve(problem[P_], problem[Q][..., None])[..., 0]
    corner = np.clip(wish, problem[LOWER], problem[UPPER])
    problem[B] = np.einsum("bkn,bn->bk", problem[A_], corner)
    checked(problem, Outcome.SOLVED)


def test_hard_rows_as_pairs_of_equalities():
    problem = draw(contradictory=0.0)
    problem[A_][:, 2:4] = -problem[A_][:, :2]
    problem[B][:, 2:4] = -problem[B][:, :2]
    problem[WEIGHT][:, :4] = np.inf
    problem[LOWER][:], problem[UPPER][:] = -np.inf, np.inf
    solution = checked(problem, Outcome.SOLVED)
    held = np.einsum("bkn,bn->bk", problem[A_][:, :2], solution.x)
    np.testing.assert_allclose(held, problem[B][:, :2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [1.0, 1e6])
def test_redundant_equalities_are_not_called_infeasible(dtype, far):
    """Three equalities, each written three times in other units, and their sum."""
    problem = draw(contradictory=0.0)
    A, b = problem[A_], problem[B]
    unit = np.random.default_rng(7).uniform(0.3, 3, (BATCH, 3))
    A[:, 3:6], b[:, 3:6] = -A[:, :3] * unit[..., None], -b[:, :3] * unit
    A[:, 6:9], b[:, 6:9] = A[:, :3] / unit[..., None], b[:, :3] / unit
    A[:, 9], b[:, 9] = A[:, :3].sum(axis=1), b[:, :3].sum(axis=1)
    problem[WEIGHT][:, :10] = np.inf
    problem[LOWER][:], problem[UPPER][:] = -np.inf, np.inf
    problem[Q] *= far
    solution = solve_batch(*(part.astype(dtype) for part in problem))
    assert np.all(np.asarray(solution.outcome) == Outcome.SOLVED)
    # Negative control: one of them moved by more than the rounding of such numbers.
    b[:, 9] += 1e-3 * far
    solution = solve_batch(*(part.astype(dtype) for part in problem))
    assert np.all(np.asarray(solution.outcome) == Outcome.INFEASIBLE)


def test_what_float32_cannot_solve_is_not_called_solved():
    """Soft rows 1e15 times stiffer than the cost: refused or right, never wrong and certain.

    In a process without float64, where nothing else can help.
    """
    problem = draw()
    problem[A_] *= 1e6
    problem = [part.astype(np.float32) for part in problem]
    with jax.enable_x64(False):
        solution = jax.tree.map(np.asarray, jax.jit(jax.vmap(solve_qp))(*problem))
    accepted = solution.outcome == Outcome.SOLVED
    violation = np.array(
        [
            optimality_violation(one, solution.x[i], solution.slack[i], solution.multipliers[i])
            for i, one in enumerate(zip(*problem, strict=True))
        ]
    )
    assert np.all(violation[accepted] <= 5e-4)
    assert np.all(np.isin(solution.outcome, [Outcome.SOLVED, Outcome.UNCONVERGED]))
    # Negative control: what was refused really is wrong, so the check has something to catch.
    assert np.sum(violation[~accepted] > 1e-2) >= 4


def random_bits(rng, *shape):
    return rng.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)


@pytest.mark.parametrize("everything", [False, True])
def test_any_bit_pattern_stays_inside_the_bounds(everything):
    """100,000 problems whose bounds and wish (or whose every number) are random bits."""
    rng = np.random.default_rng(6)
    solved = 0
    for chunk in range(100_000 // BATCH + 1):
        problem = bits_problem(rng, everything)
        solution = jax.tree.map(np.asarray, solve_batch(*problem))
        lower, upper = problem[LOWER], problem[UPPER]
        assert solution.x.dtype == np.float32
        assert np.all(np.isfinite(solution.x))
        # No x is inside bounds that are both the same infinity.
        possible = (lower < np.inf) & (upper > -np.inf)
        assert np.all((solution.x >= lower) | ~possible)
        assert np.all((solution.x <= upper) | ~possible)
        solved += (solution.outcome == Outcome.SOLVED).sum()
        if chunk < 10:
            for part in gradients(*problem):
                assert np.all(np.isfinite(part))
    assert everything or solved > 5_000


def bits_problem(rng, everything):
    lower, upper = random_bits(rng, 2, BATCH, 4)
    lower, upper = np.nan_to_num([lower, upper], nan=0.0, posinf=np.inf, neginf=-np.inf)
    lower, upper = np.minimum(lower, upper), np.maximum(lower, upper)
    if everything:
        P, A = random_bits(rng, BATCH, 4, 4), random_bits(rng, BATCH, 16, 4)
        b, weight = random_bits(rng, 2, BATCH, 16)
    else:
        P = np.broadcast_to(np.eye(4, dtype=np.float32), (BATCH, 4, 4))
        A = rng.normal(size=(BATCH, 16, 4)).astype(np.float32)
        b, weight = A[:, :, 0], np.full((BATCH, 16), 1e3, np.float32)
    return P, random_bits(rng, BATCH, 4), A, b, lower, upper, weight


def test_clipping_in_the_compiler_would_not_do():
    """Negative control: compiled comparisons flush subnormal bounds, and let x outside."""
    lower = np.full(8, 1e-40, np.float32)
    clipped = np.asarray(jax.jit(jnp.clip)(np.zeros(8, np.float32), lower, 1 + lower))
    one, none = np.ones(1, np.float32), np.zeros((0, 1), np.float32)
    solution = jax.jit(solve_qp)(
        one[:, None], -0 * one, none, none[:, 0], lower[:1], one, none[:, 0]
    )
    assert np.all(clipped < lower)
    assert np.asarray(solution.x) >= lower[:1]
