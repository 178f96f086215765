"""Answers to compare with: another solver's, made exact on its active set, and checked."""

from __future__ import annotations

import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.forms import explicit
from qp_peers.peer import needed

ENOUGH = 1e-9
NEAR = 1e-6
"""How far from a bound a solver may leave an x that is at the bound."""


def exact_answers(problems: Problems) -> np.ndarray:
    """Exact x `[B n]` in float64, from quadprog, or from Clarabel where that is missing.

    Raises:
        ImportError: neither is installed.
        ArithmeticError: an answer fails the check of optimality.
    """
    problems = problems.as_type(np.float64)
    try:
        answers = _from_quadprog(problems)
    except ImportError:
        answers = _from_clarabel(problems)
    every = [_settled(problems.part(i, i + 1), x) for i, x in enumerate(answers)]
    worst = max(optimality_gap(problems.part(i, i + 1), x) for i, x in enumerate(every))
    if not worst <= ENOUGH:
        raise ArithmeticError(f"reference: expected a residual of {ENOUGH} or less, got {worst}")
    return np.stack(every)


def optimality_gap(problem: Problems, x: np.ndarray) -> float:
    """|x - clip(x - gradient, lower, upper)|, zero at the answer only; slacks are eliminated."""
    lacking = np.maximum(problem.b[0] - problem.A[0] @ x, 0)
    gradient = problem.P[0] @ x + problem.q[0] - problem.A[0].T @ (problem.weight[0] * lacking)
    projected = np.clip(x - gradient, problem.lower[0], problem.upper[0])
    return float(np.max(np.abs(x - projected)))


def _settled(problem: Problems, x: np.ndarray) -> np.ndarray:
    """Hold x exactly by what holds it about: Newton steps until the rows and bounds that do stay.

    A step corrects x by the residual, so that a last one takes away what rounding left.
    """
    P, q, A, b, lower, upper, weight = (part[0] for part in problem)
    x, last = np.clip(x, lower, upper), None
    for _ in range(20):
        held = b - A @ x > 0
        prices = A[held].T * weight[held]
        gradient = P @ x + q - prices @ (b - A @ x)[held]
        at_lower = (x <= lower + NEAR) & (gradient > 0)
        at_upper = (x >= upper - NEAR) & (gradient < 0)
        free = ~(at_lower | at_upper)
        answer = np.where(at_lower, lower, np.where(at_upper, upper, x))
        gradient = P @ answer + q - prices @ (b - A @ answer)[held]
        H = (P + prices @ A[held])[np.ix_(free, free)]
        answer[free] -= np.linalg.solve(H, gradient[free])
        x, before, last = np.clip(answer, lower, upper), last, (held, free)
        if before and all(map(np.array_equal, before, last)):
            break
    return x


def _from_quadprog(problems: Problems) -> list[np.ndarray]:
    quadprog, form = needed("quadprog"), explicit(np, problems)
    n = problems.q.shape[1]
    parts = zip(form.Q, form.c, form.G, form.h, strict=True)
    return [quadprog.solve_qp(Q, -c, np.array(-G.T, order="C"), -h)[0][:n] for Q, c, G, h in parts]


def _from_clarabel(problems: Problems) -> list[np.ndarray]:
    clarabel = needed("clarabel")
    sparse = needed("scipy.sparse")
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas"):
        setattr(settings, name, 1e-12)
    form, n = explicit(np, problems), problems.q.shape[1]
    found = []
    for Q, c, G, h in zip(form.Q, form.c, form.G, form.h, strict=True):
        cost, lines = sparse.csc_matrix(np.triu(Q)), sparse.csc_matrix(G)
        cones = [clarabel.NonnegativeConeT(len(h))]
        answer = clarabel.DefaultSolver(cost, c, lines, h, cones, settings).solve()
        found.append(np.array(answer.x)[:n])
    return found
