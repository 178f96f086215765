"""solve_qp: answers against other solvers and against the conditions of optimality themselves."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barriernet_oracle import (
    BATCH,
    clarabel_answer,
    cvxpy_answer,
    optimality_violation,
    random_problem,
    solve_batch,
    stacked,
)

from barriernet import Outcome, Solution, describe, solve_qp

SHAPES = ((3, 0), (3, 7), (4, 2), (4, 16))
COMPILED = (4, 16)
"""The shape that all others are embedded in, so that one program serves them all."""


@functools.cache
def drawn(variables, rows):
    """Random problems of one shape with float32 numbers, so that both dtypes see the same ones."""
    rng = np.random.default_rng([variables, rows])
    problems = [
        random_problem(rng, variables, rows, hard=rng.choice([0.0, 0.25, 0.5]))
        for _ in range(BATCH)
    ]
    return [tuple(part.astype(np.float32).astype(float) for part in p) for p in problems]


def embedded(problem):
    """The same problem with idle variables and idle rows."""
    P, q, A, b, lower, upper, weight = problem
    more, rows = COMPILED[0] - len(q), COMPILED[1] - len(b)
    wide = np.eye(COMPILED[0])
    wide[: len(q), : len(q)] = P
    vectors = [np.pad(part, (0, more)) for part in (q, lower, upper)]
    return (
        wide,
        vectors[0],
        np.pad(A, ((0, rows), (0, more))),
        np.pad(b, (0, rows), constant_values=-1),
        *vectors[1:],
        np.pad(weight, (0, rows), constant_values=1),
    )


@functools.cache
def solved(variables, rows, dtype):
    """Answers to `drawn`, cut back to its shape."""
    problems = [embedded(problem) for problem in drawn(variables, rows)]
    found = solve_batch(*(jnp.asarray(part, dtype) for part in stacked(problems)))
    bounds = COMPILED[1] + np.arange(variables)
    kept = np.concatenate([np.arange(rows), bounds, bounds + COMPILED[0]])
    found = jax.tree.map(np.asarray, found)
    return found.replace(
        x=found.x[:, :variables],
        slack=found.slack[:, :rows],
        multipliers=found.multipliers[:, kept],
        active=found.active[:, kept],
    )


@functools.cache
def judged(variables, rows):
    return [clarabel_answer(problem) for problem in drawn(variables, rows)]


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_agree_with_cvxpy(shape):
    """A few of the problems, in the words of a modelling language."""
    solution = solved(*shape, np.float64)
    for i, problem in enumerate(drawn(*shape)[:15]):
        expected = cvxpy_answer(problem)
        assert (solution.outcome[i] == Outcome.INFEASIBLE) == (expected is None)
        if expected is not None:
            np.testing.assert_allclose(solution.x[i], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_agree_with_an_interior_point_method(shape):
    solution = solved(*shape, np.float64)
    for i, expected in enumerate(judged(*shape)):
        if expected is None:
            assert solution.outcome[i] == Outcome.INFEASIBLE
        else:
            assert solution.outcome[i] == Outcome.SOLVED
            np.testing.assert_allclose(solution.x[i], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_meet_the_conditions_of_optimality(shape):
    solution = solved(*shape, np.float64)
    for i, problem in enumerate(drawn(*shape)):
        if solution.outcome[i] == Outcome.SOLVED:
            parts = solution.x[i], solution.slack[i], solution.multipliers[i]
            assert optimality_violation(problem, *parts) <= 1e-9
            assert solution.residual[i] <= 1e-9


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_answers_agree_with_float64(shape):
    single, double = solved(*shape, np.float32), solved(*shape, np.float64)
    assert single.x.dtype == single.residual.dtype == np.float32
    np.testing.assert_array_equal(single.outcome, double.outcome)
    good = double.outcome == Outcome.SOLVED
    size = np.maximum(np.abs(double.x[good]).max(axis=1, keepdims=True), 1)
    assert np.max(np.abs(single.x[good] - double.x[good]) / size) <= 1e-4


def test_the_draw_is_adversarial():
    everything = [solved(*shape, np.float64) for shape in SHAPES]
    infeasible = sum((s.outcome == Outcome.INFEASIBLE).sum() for s in everything)
    idle = sum((~s.active.any(axis=1)).sum() for s in everything)
    total = BATCH * len(SHAPES)
    assert infeasible > 0.1 * total and idle < 0.1 * total
    assert max(s.iterations.max() for s in everything) > 20


def test_the_judges_catch_a_broken_solver():
    """Negative control: the cost's own minimum, clipped into the bounds, is not an answer."""
    caught = 0
    problems = drawn(4, 16)
    for problem, expected in zip(problems, judged(4, 16), strict=True):
        if expected is None:
            continue
        P, q, A, b, lower, upper, weight = problem
        x = np.clip(-np.linalg.solve(P, q), lower, upper)
        slack = np.where(np.isfinite(weight), np.maximum(b - A @ x, 0), 0)
        row = np.where(np.isfinite(weight), weight, 0) * slack
        force = P @ x + q - A.T @ row
        bounds = np.concatenate([np.maximum(force, 0), np.maximum(-force, 0)])
        by_rule = optimality_violation(problem, x, slack, np.concatenate([row, bounds])) > 1e-9
        by_peer = np.abs(x - expected).max() > 1e-6
        assert by_rule == by_peer
        caught += by_rule
    assert caught > 0.9 * sum(expected is not None for expected in judged(4, 16))


def test_infeasible_answers_violate_least():
    """Hard rows that contradict each other get the answer of very stiff springs."""
    solution = solved(4, 16, np.float64)
    for i, problem in enumerate(drawn(4, 16)):
        if solution.outcome[i] != Outcome.INFEASIBLE:
            continue
        P, q, A, b, lower, upper, weight = problem
        hard = np.isinf(weight)
        length = np.linalg.norm(A, axis=1)

        def lack(x, A=A, b=b, hard=hard, length=length):
            return np.sum(np.maximum((b - A @ x) / length, 0)[hard] ** 2)

        rng = np.random.default_rng(i)
        least = lack(solution.x[i])
        assert least > 0
        assert np.all((solution.x[i] >= lower) & (solution.x[i] <= upper))
        for size in (1e-3, 1e-1):
            near = solution.x[i] + size * rng.normal(size=(30, 4))
            assert least <= 1e-6 + min(lack(x) for x in np.clip(near, lower, upper))


def test_vmap_and_single_calls_agree():
    problem = drawn(4, 16)[0]
    alone = jax.jit(solve_qp)(*problem)
    np.testing.assert_allclose(alone.x, solved(4, 16, np.float64).x[0], rtol=0, atol=1e-12)
    assert isinstance(alone, Solution) and alone.x.shape == (4,)


@pytest.mark.parametrize(("variables", "rows"), [(6, 10)])
def test_other_sizes(variables, rows):
    """N = 9 goes through the matrix routines, smaller n through unrolled scalars."""
    rng = np.random.default_rng(0)
    problems = [random_problem(rng, variables, rows, hard=0.1) for _ in range(20)]
    solution = solve_batch(*stacked(problems))
    for i, problem in enumerate(problems):
        expected = clarabel_answer(problem)
        if expected is None:
            assert solution.outcome[i] == Outcome.INFEASIBLE
        else:
            np.testing.assert_allclose(solution.x[i], expected, rtol=0, atol=1e-6)


def test_many_rows():
    rng = np.random.default_rng(1)
    P, q, A, b, lower, upper, _ = random_problem(rng, 3, 1000, contradictory=0)
    # Half-spaces that leave a small ball free, most of them far away.
    b = -0.05 * np.linalg.norm(A, axis=1) * rng.uniform(1, 20, 1000)
    problem = P, q, A, b, lower, upper, np.full(1000, np.inf)
    solution = jax.jit(solve_qp)(*problem)
    assert solution.outcome == Outcome.SOLVED
    assert int(solution.iterations) < 50
    np.testing.assert_allclose(solution.x, clarabel_answer(problem), rtol=0, atol=1e-6)


def test_nothing_violated_takes_no_pass():
    P, _, A, b, lower, upper, weight = drawn(4, 16)[0]
    solution = jax.jit(solve_qp)(P, np.zeros(4), A, -np.abs(b), lower, upper, weight)
    assert int(solution.iterations) == 0
    assert not solution.active.any()
    np.testing.assert_array_equal(solution.x, np.zeros(4))


def test_every_outcome_has_a_sentence():
    sentences = {describe(outcome) for outcome in Outcome}
    assert len(sentences) == len(Outcome)
    assert describe(jnp.asarray(1)).startswith("infeasible")
    with pytest.raises(ValueError):
        describe(99)
