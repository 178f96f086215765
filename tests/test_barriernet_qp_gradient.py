"""solve_qp: derivatives against differences of itself and of an independent solver."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barriernet_oracle import (
    BATCH,
    exact_answer,
    flat,
    pull_back,
    push_forward,
    random_problem,
    solve_batch,
    stacked,
)

from barriernet import Outcome, solve_qp

INPUTS = ("P", "q", "A", "b", "lower", "upper", "weight")
X, SLACK, MULTIPLIERS = slice(0, 4), slice(4, 20), slice(20, None)
ALL = 4 + 16 + 24


@functools.cache
def batch():
    rng = np.random.default_rng(5)
    return stacked([random_problem(rng, 4, 16, hard=0.1) for _ in range(BATCH)])


def direction(name):
    """A random change of one input, zero where the input is infinite."""
    rng = np.random.default_rng(INPUTS.index(name))
    changes = [np.zeros_like(part) for part in batch()]
    at = INPUTS.index(name)
    value = batch()[at]
    change = rng.normal(size=value.shape)
    if name == "P":
        change = change + np.swapaxes(change, 1, 2)
    if name == "weight":
        change = change * np.where(np.isfinite(value), value, 0)
    changes[at] = np.where(np.isfinite(value), change, 0)
    return tuple(changes)


def shifted(change, step):
    return tuple(part + step * move for part, move in zip(batch(), change, strict=True))


def differences(function, change, step):
    """Central differences of fourth order."""
    values = {k: function(*shifted(change, k * step)) for k in (-2, -1, 1, 2)}
    return (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)


def keeps_active_set(change, step):
    """Accepted problems whose active set is the same over the whole stencil."""
    here = solve_batch(*batch())
    same = np.asarray(here.outcome) == Outcome.SOLVED
    for k in (-2, -1, 1, 2):
        there = solve_batch(*shifted(change, k * step))
        same &= np.all(np.asarray(there.active == here.active), axis=1)
    return same


@pytest.mark.parametrize("name", INPUTS)
def test_derivatives_agree_with_differences_of_the_solver(name):
    change, step = direction(name), 1e-4
    got = np.asarray(push_forward(batch(), change))
    expected = np.asarray(differences(lambda *p: flat(solve_batch(*p)), change, step))
    value = np.abs(np.asarray(flat(solve_batch(*batch()))))
    chosen = keeps_active_set(change, step)
    assert chosen.sum() > 0.6 * BATCH
    # x, slack and multipliers differ by orders of magnitude: each is held to its own size.
    for part in (X, SLACK, MULTIPLIERS):
        level = value[chosen, part].max(axis=1)
        size = np.maximum(np.abs(expected[chosen, part]).max(axis=1), 1e-3 * (1 + level))
        error = np.abs(got - expected)[chosen, part].max(axis=1) / size
        assert error.max() <= 1e-6


FEW = 40


def slope_along(change, weights, step):
    """Derivative of weights'x along a change of the problem, by differences of another solver."""
    values = {}
    for k in (-2, -1, 1, 2):
        moved = zip(
            *(
                part[:FEW] + k * step * move[:FEW]
                for part, move in zip(batch(), change, strict=True)
            ),
            strict=True,
        )
        answers = [exact_answer(problem) for problem in moved]
        values[k] = np.array(
            [np.nan if x is None else w @ x for x, w in zip(answers, weights, strict=True)]
        )
    return (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)


@pytest.mark.parametrize("name", INPUTS)
def test_gradients_agree_with_differences_of_another_solver(name):
    """Relative to the gradient's norm: 1e-7 is asked for."""
    change, step = direction(name), 3e-4
    weights = np.random.default_rng(12).normal(size=(BATCH, 4))
    cotangent = np.concatenate([weights, np.zeros((BATCH, ALL - 4))], axis=1)
    gradient = np.asarray(pull_back(batch(), cotangent)[INPUTS.index(name)])[:FEW]
    along = change[INPUTS.index(name)][:FEW]
    got = np.sum((gradient * along).reshape(FEW, -1), axis=1)
    expected = slope_along(change, weights[:FEW], step)
    size = np.linalg.norm(gradient.reshape(FEW, -1), axis=1)
    reach = np.linalg.norm(along.reshape(FEW, -1), axis=1)
    chosen = keeps_active_set(change, step)[:FEW] & (size > 1e-3)
    size = size * reach
    assert chosen.sum() >= FEW / 4
    assert np.max(np.abs(got - expected)[chosen] / size[chosen]) <= 1e-7
    # Negative control: a gradient off by a thousandth.
    assert np.max(np.abs(1.001 * got - expected)[chosen] / size[chosen]) > 1e-6


def test_reverse_mode_is_the_transpose_of_forward_mode():
    rng = np.random.default_rng(11)
    change = tuple(np.where(np.isfinite(part), rng.normal(size=part.shape), 0) for part in batch())
    forward = np.asarray(push_forward(batch(), change))
    weights = rng.normal(size=forward.shape)
    back = pull_back(batch(), weights)
    left = np.sum(forward * weights, axis=1)
    right = sum(
        np.sum((np.asarray(b) * c).reshape(BATCH, -1), axis=1)
        for b, c in zip(back, change, strict=True)
    )
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9)


def test_rejected_answers_have_zero_finite_derivatives():
    infeasible = np.asarray(solve_batch(*batch()).outcome) == Outcome.INFEASIBLE
    assert infeasible.sum() >= 3
    back = pull_back(batch(), np.ones((BATCH, ALL)))
    for part in back:
        assert np.all(np.isfinite(part))
        assert np.all(np.asarray(part)[infeasible] == 0)
        assert np.any(np.asarray(part)[~infeasible] != 0)


def test_an_active_bound_carries_the_derivative():
    problem = [np.array(part) for part in batch()]
    problem[0][:], problem[1][:], problem[5][:], problem[6][:] = np.eye(4), -100, 0.5, 1e-3
    weights = np.zeros((BATCH, ALL))
    weights[:, 0] = 1
    back = pull_back(tuple(problem), weights)
    np.testing.assert_array_equal(back[5], np.broadcast_to([1, 0, 0, 0], (BATCH, 4)))
    np.testing.assert_array_equal(back[1], 0)


def test_second_derivatives():
    """One soft row: x = q' w b / (1 + w), whose derivatives are known."""

    def x(weight):
        one = jnp.ones(1)
        return solve_qp(one[:, None], 0 * one, one[:, None], one, -9 * one, 9 * one, weight).x[0]

    def slope(weight):
        return jax.grad(x)(weight)[0]

    weight = jnp.full(1, 3.0)
    second, first = jax.jit(jax.value_and_grad(slope))(weight)[::-1]
    np.testing.assert_allclose(first, 1 / 16, rtol=1e-12)
    np.testing.assert_allclose(second[0], -2 / 64, rtol=1e-12)


@pytest.mark.parametrize("kind", ["row", "bound"])
def test_where_the_active_set_changes_derivatives_are_one_sided(kind):
    """The wish lies exactly on a row, or on a bound: either side's derivative, never a third."""
    one, far = np.ones(1), np.full(1, 9.0)
    side = one if kind == "row" else -far
    lower = -far if kind == "row" else one
    weight = np.full(1, 3.0)

    def x(wish, side, lower):
        return solve_qp(one[:, None], -wish, one[:, None], side, lower, far, weight).x[0]

    slopes = [g[0] for g in jax.jit(jax.grad(x, (0, 1, 2)))(one, side, lower)]
    free = (1.0, 0.0, 0.0)
    held = (0.25, 0.75, 0.0) if kind == "row" else (0.0, 0.0, 1.0)
    assert min(np.max(np.abs(np.subtract(slopes, s))) for s in (free, held)) <= 1e-12
