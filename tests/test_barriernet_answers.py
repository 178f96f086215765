"""solve_qp at scale: error bounds, bounds bit for bit, verdicts; batches of every shape."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barriernet_oracle import exact_answer, random_problem, stacked

from barriernet import Outcome, solve_qp
from barriernet._qp import solve
from barriernet.verify import answers
from barriernet.verify.problems import adversarial_problems

COUNT = answers.BATCH


def test_adversarial_answers_are_exact_in_both_precisions():
    for check in answers.check_answers(COUNT):
        assert check.passed, check


def test_the_error_bound_sees_an_error():
    """Negative control, and the bound against another solver's answers."""
    problems = adversarial_problems(COUNT, 4, 16)
    x = answers.solved(problems).x
    exact = np.array([exact_answer(one) for one in zip(*problems.part(0, 200), strict=True)])
    np.testing.assert_allclose(x[:200], exact, rtol=0, atol=1e-9)
    moved = np.clip(x + 1e-8 * np.random.default_rng(0).normal(size=x.shape), 0, 1)
    different = np.abs(moved - x).max(axis=1) > 1e-9
    assert np.all(answers.error_bound(problems, moved)[different] > 1e-9)
    assert np.all(np.isinf(answers.error_bound(problems, x + 2)))


def test_bounds_and_finite_numbers_whatever_comes():
    for check in answers.check_bounds(1):
        assert check.passed, check


def test_infeasible_problems_are_told_from_feasible_ones():
    for check in answers.check_verdicts(COUNT):
        assert check.passed, check


def test_one_more_row_makes_the_difference():
    """Negative control of the verdicts: Clarabel's kind of judge agrees with the construction."""
    feasible, infeasible = answers.verdict_problems(np.random.default_rng(0))
    for i in range(40):
        assert exact_answer(tuple(part[i] for part in feasible)) is not None
        assert exact_answer(tuple(part[i] for part in infeasible)) is None


LARGE = ((16, 12), (3, 256))
SHAPES = ((1, 0), *(pytest.param(*shape, marks=pytest.mark.long) for shape in LARGE))


@pytest.mark.parametrize(("variables", "rows"), SHAPES)
def test_small_and_large_problems(variables, rows):
    rng = np.random.default_rng([variables, rows])
    problems = [random_problem(rng, variables, rows, hard=0.02) for _ in range(12)]
    solution = jax.jit(jax.vmap(solve_qp))(*stacked(problems))
    for i, problem in enumerate(problems):
        expected = exact_answer(problem)
        if expected is None:
            assert solution.outcome[i] == Outcome.INFEASIBLE
        else:
            assert solution.outcome[i] == Outcome.SOLVED
            np.testing.assert_allclose(solution.x[i], expected, rtol=1e-9, atol=1e-9)


def test_every_way_to_batch_gives_the_same_answers():
    """One by one in a scan, in nested vmaps with shared parts, in one, and cut into pieces."""
    problems = adversarial_problems(90, 4, 8)
    expected = jax.jit(jax.vmap(solve_qp))(*problems)
    one_by_one = jax.jit(lambda p: jax.lax.map(lambda one: solve_qp(*one), p))(tuple(problems))
    folded = tuple(part.reshape(9, 10, *part.shape[1:]) for part in problems[1:])
    inner = jax.vmap(solve_qp, in_axes=(None, 0, 0, 0, 0, 0, 0))
    nested = jax.jit(jax.vmap(inner, in_axes=(None, 0, 0, 0, 0, 0, 0)))(problems.P[0], *folded)
    for other in (one_by_one, nested):
        x = np.asarray(other.x).reshape(90, 4)
        np.testing.assert_allclose(x, expected.x, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(np.asarray(other.active).reshape(90, -1), expected.active)


def test_batches_cut_into_pieces(monkeypatch):
    problems = adversarial_problems(90, 4, 8)
    expected = jax.jit(jax.vmap(solve_qp))(*problems)
    monkeypatch.setattr(solve, "SMALLEST", 40)
    monkeypatch.setattr(solve, "NUMBERS", 1)
    pieces = jax.jit(lambda *p: jax.vmap(solve_qp)(*p))(*problems)
    np.testing.assert_allclose(pieces.x, expected.x, rtol=0, atol=1e-12)


def test_gradients_through_a_loop_of_filters():
    """A scan of solves inside vmap, differentiated backwards, against differences."""
    problems = adversarial_problems(6, 3, 4)

    def final(wish, problem):
        P, _, A, b, lower, upper, weight = problem

        def tick(x, _):
            return solve_qp(P, -P @ (wish + 0.3 * x), A, b, lower, upper, weight).x, None

        return jnp.sum(jax.lax.scan(tick, jnp.zeros(3), None, length=4)[0] ** 2)

    wish = -np.einsum("bij,bj->bi", np.linalg.inv(problems.P), problems.q)
    values = jax.jit(jax.vmap(final))
    slopes = jax.jit(jax.vmap(jax.grad(final)))(wish, tuple(problems))
    step = 1e-6
    for j in range(3):
        move = step * np.eye(3)[j]
        ahead, behind = (np.asarray(values(wish + s * move, tuple(problems))) for s in (1, -1))
        np.testing.assert_allclose(slopes[:, j], (ahead - behind) / (2 * step), atol=1e-6)


def test_a_process_without_double_precision():
    problems = adversarial_problems(256, 4, 16).as_type(np.float32)
    expected = jax.jit(jax.vmap(solve_qp))(*problems)
    with jax.enable_x64(False):
        single = jax.tree.map(np.asarray, jax.jit(jax.vmap(solve_qp))(*problems))
    assert single.x.dtype == np.float32
    assert np.all(single.outcome == Outcome.SOLVED)
    np.testing.assert_allclose(single.x, expected.x, rtol=0, atol=1e-3)
