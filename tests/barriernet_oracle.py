"""Independent judges of a quadratic program's answer.

The rules themselves; Clarabel; cvxpy; and, exact to the last digits, least distance programming.
"""

from __future__ import annotations

import functools

import clarabel
import cvxpy
import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize, sparse

from barriernet import solve_qp

BATCH = 340
"""Problems in every batch: with few shapes, few programs are compiled."""

TOLERANCES = (1e-13, 1e-11, 1e-9)
NAMES = ("tol_gap_abs", "tol_gap_rel", "tol_feas")


def random_problem(rng, variables, rows, *, hard=0.25, contradictory=0.3):
    """One adversarial problem as a tuple (P, q, A, b, lower, upper, weight) of numpy arrays.

    The wished point mostly lies outside the bounds; with probability `contradictory` two rows
    oppose each other; with probability `hard` each row is hard.
    """
    root = rng.normal(size=(variables, variables))
    P = root @ root.T + 0.2 * np.eye(variables)
    q = -P @ (3 * rng.normal(size=variables))
    A = rng.normal(size=(rows, variables))
    b = rng.normal(size=rows)
    if rows >= 2 and rng.random() < contradictory:
        A[1], b[1] = -2 * A[0], 2 * (rng.uniform(0.1, 2.0) - b[0])
    weight = np.where(rng.random(rows) < hard, np.inf, 10 ** rng.uniform(-1, 4, rows))
    lower, upper = -rng.uniform(0.1, 2, variables), rng.uniform(0.1, 2, variables)
    lower[rng.random(variables) < 0.2] = -np.inf
    upper[rng.random(variables) < 0.2] = np.inf
    return P, q, A, b, lower, upper, weight


def stacked(problems):
    """Many problems of one shape as one tuple with a leading batch axis."""
    return tuple(np.stack(part) for part in zip(*problems, strict=True))


@jax.jit
@jax.vmap
def solve_batch(*problem):
    """Solve a batch; the same compiled program for every test of one shape."""
    return solve_qp(*problem)


def flat(solution):
    """All numbers of an answer in one vector."""
    return jnp.concatenate([solution.x, solution.slack, solution.multipliers], axis=-1)


@jax.jit
@jax.vmap
def push_forward(problem, direction):
    """Derivative of the flat answer along a change of the problem."""
    return jax.jvp(lambda *problem: flat(solve_qp(*problem)), problem, direction)[1]


@jax.jit
@jax.vmap
def pull_back(problem, weights):
    """Derivative of a weighted sum of the flat answer with respect to every input."""
    return jax.vjp(lambda *problem: flat(solve_qp(*problem)), *problem)[1](weights)


def optimality_violation(problem, x, slack, multipliers):
    """Largest violation of the conditions of optimality, relative to the terms in each.

    Written from the problem's statement alone; it needs no active set.
    """
    P, q, A, b, lower, upper, weight = (np.asarray(part, float) for part in problem)
    x, slack, multipliers = (np.asarray(part, float) for part in (x, slack, multipliers))
    n, rows = q.shape[0], b.shape[0]
    row, low, high = multipliers[:rows], multipliers[rows : rows + n], multipliers[rows + n :]
    length = np.linalg.norm(A, axis=1)
    length = np.where(length > 0, length, 1.0)
    reach = max(np.abs(x).max(), 1e-300)
    worst = [0.0]

    force = P @ x + q - A.T @ row - low + high
    terms = np.abs(P) @ np.abs(x) + np.abs(q) + np.abs(A).T @ np.abs(row) + low + high
    worst.append(np.abs(force).max() / max(terms.max(), 1e-300))
    # A soft row's multiplier is the price of its slack.
    soft = np.isfinite(weight)
    price = np.where(soft, weight, 0.0) * slack
    worst.append((np.abs(price - row) * soft / np.maximum(np.abs(row), 1e-300)).max(initial=0.0))
    worst.append(np.where(soft, 0.0, np.abs(slack)).max(initial=0.0))
    # Rows and bounds hold, and hold as equalities where their multiplier is positive.
    gap = (b - A @ x - slack) / (np.abs(b) + length * reach)
    worst.append(np.where(row > 0, np.abs(gap), np.maximum(gap, 0)).max(initial=0.0))
    for multiplier, distance in ((low, x - lower), (high, upper - x)):
        worst.append(np.maximum(-distance, 0).max())
        worst.append(np.where(multiplier > 0, np.abs(distance), 0).max() / reach)
    worst.append(-min(multipliers.min(), 0.0))
    return float(max(worst))


def clarabel_answer(problem):
    """The answer of an interior point method, x, or None where the problem is infeasible.

    In terms of x and t = sqrt(weight) slack, so that a hard row is one whose t gives nothing.
    """
    P, q, A, b, lower, upper, weight = (np.asarray(part, float) for part in problem)
    n, rows = q.shape[0], b.shape[0]
    below, above = np.isfinite(lower), np.isfinite(upper)
    eye = np.eye(n)
    sides = np.concatenate([b, lower[below], -upper[above]])
    normals = np.concatenate([A, eye[below], -eye[above]])
    gives = np.concatenate([np.diag(1 / np.sqrt(weight)), np.zeros((len(sides) - rows, rows))])
    cost = sparse.csc_matrix(np.triu(sparse.block_diag([P, sparse.eye(rows)]).toarray()))
    matrix = sparse.csc_matrix(-np.concatenate([normals, gives], axis=1))
    cones = [clarabel.NonnegativeConeT(len(sides))] if len(sides) else []
    for tolerance in TOLERANCES:
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        for name in NAMES:
            setattr(settings, name, tolerance)
        linear = np.concatenate([q, np.zeros(rows)])
        found = clarabel.DefaultSolver(cost, linear, matrix, -sides, cones, settings).solve()
        if str(found.status) == "Solved":
            return np.array(found.x)[:n]
        if str(found.status) == "PrimalInfeasible":
            return None
    raise AssertionError(f"the judge has no verdict: {found.status}")


def exact_answer(problem):
    """Least distance programming (Lawson and Hanson, 1974, ch. 23): x, or None if infeasible.

    In terms of z = (R x + R^-T q, sqrt(weight) slack), R'R = P, the answer is the shortest z with
    E z >= f, and that is what non-negative least squares leaves over. The active set is scipy's;
    it is then taken as equalities and refined in extended precision.
    """
    P, q, A, b, lower, upper, weight = (np.asarray(part, float) for part in problem)
    n, rows = q.shape[0], b.shape[0]
    below, above = np.isfinite(lower), np.isfinite(upper)
    inverse = np.linalg.inv(np.linalg.cholesky(P).T)
    centre = -inverse @ inverse.T @ q
    eye = np.eye(n)
    normals = np.concatenate([A, eye[below], -eye[above]])
    sides = np.concatenate([b, lower[below], -upper[above]]) - normals @ centre
    gives = np.concatenate([np.diag(1 / np.sqrt(weight)), np.zeros((len(sides) - rows, rows))])
    E = np.concatenate([normals @ inverse, gives], axis=1)
    unit = 1 / np.maximum(np.linalg.norm(E, axis=1), 1e-300)
    E, sides = E * unit[:, None], sides * unit
    target = np.zeros(n + rows + 1)
    target[-1] = 1
    matrix = np.concatenate([E, sides[:, None]], axis=1).T
    multipliers, _ = optimize.nnls(matrix, target, maxiter=50 * len(sides))
    left = matrix @ multipliers - target
    if np.linalg.norm(left) < 1e-9:
        return None
    active = multipliers > 0
    compliance = np.concatenate([1 / weight, np.zeros(len(sides) - rows)])[active]
    N, ends = normals[active], np.concatenate([b, lower[below], -upper[above]])[active]
    conditions = np.block([[P, -N.T], [N, np.diag(compliance)]])
    right, found = np.concatenate([-q, ends]), np.zeros(n + len(ends), np.longdouble)
    for _ in range(4):
        off = right.astype(np.longdouble) - conditions.astype(np.longdouble) @ found
        found = found + np.linalg.solve(conditions, off.astype(float))
    return found[:n].astype(float)


@functools.cache
def _template(variables, rows):
    x = cvxpy.Variable(variables)
    t = cvxpy.Variable(max(rows, 1))
    root = cvxpy.Parameter((variables, variables))
    q = cvxpy.Parameter(variables)
    A = cvxpy.Parameter((max(rows, 1), variables))
    give = cvxpy.Parameter(max(rows, 1), nonneg=True)
    b = cvxpy.Parameter(max(rows, 1))
    mask = cvxpy.Parameter((2 * variables, variables))
    side = cvxpy.Parameter(2 * variables)
    # t = sqrt(weight) slack: a hard row is one whose t gives nothing.
    cost = 0.5 * cvxpy.sum_squares(root @ x) + q @ x + 0.5 * cvxpy.sum_squares(t)
    rules = [A @ x + cvxpy.multiply(give, t) >= b, mask @ x >= side]
    return cvxpy.Problem(cvxpy.Minimize(cost), rules), x, (root, q, A, give, b, mask, side)


def cvxpy_answer(problem):
    """The same problem through cvxpy and Clarabel: x, or None where it is infeasible."""
    P, q, A, b, lower, upper, weight = (np.asarray(part, float) for part in problem)
    n, rows = q.shape[0], b.shape[0]
    program, x, parameters = _template(n, rows)
    if rows == 0:
        A, b, weight = np.zeros((1, n)), np.full(1, -1.0), np.ones(1)
    below, above = np.isfinite(lower), np.isfinite(upper)
    values = (
        np.linalg.cholesky(P).T,
        q,
        A,
        1 / np.sqrt(weight),
        b,
        np.concatenate([np.diag(below.astype(float)), -np.diag(above.astype(float))]),
        np.concatenate([np.where(below, lower, -1), np.where(above, -upper, -1)]),
    )
    for parameter, value in zip(parameters, values, strict=True):
        parameter.value = value
    for tolerance in TOLERANCES:
        try:
            program.solve(solver=cvxpy.CLARABEL, **dict.fromkeys(NAMES, tolerance))
        except cvxpy.SolverError:
            continue
        if program.status == "optimal":
            return np.array(x.value)
        if program.status == "infeasible":
            return None
    raise AssertionError(f"the judge has no verdict: {program.status}")
