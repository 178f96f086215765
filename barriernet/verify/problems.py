"""Adversarial quadratic programs: wishes outside the limits, rows that are tight or contradict.

One set for the tests, the benches and the campaigns, the same at every seed. numpy only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

EFFORTS = np.array(
    [
        [0.25, 0.25, 0.25, 0.25],  # sum
        [0.5, -0.5, -0.5, 0.5],
        [0.5, 0.5, -0.5, -0.5],
        [0.5, -0.5, 0.5, -0.5],
    ]
)
"""Sum and three differences of four actuators in [0, 1], each in units of its largest value."""
EFFORT_WEIGHTS = np.array([1.0, 1.0, 1.0, 0.5])
"""Price of a squared error in each effort: the last one matters least."""
ROW_WEIGHT = 1e3
"""Price of each row's squared slack."""


class Problems(NamedTuple):
    """A batch of B quadratic programs, in the order in which `solve_qp` takes its arguments.

    Attributes:
        P: cost matrices, positive definite.
        q: linear costs.
        A: rows, A x + slack >= b.
        b: right sides.
        lower: smallest x.
        upper: largest x.
        weight: price of each row's squared slack.
    """

    P: Float[np.ndarray, "B n n"]
    q: Float[np.ndarray, "B n"]
    A: Float[np.ndarray, "B K n"]
    b: Float[np.ndarray, "B K"]
    lower: Float[np.ndarray, "B n"]
    upper: Float[np.ndarray, "B n"]
    weight: Float[np.ndarray, "B K"]

    def as_type(self, dtype: type[np.floating]) -> Problems:
        """The same problems, their numbers rounded to `dtype`."""
        return Problems(*(part.astype(dtype) for part in self))

    def part(self, start: int, stop: int) -> Problems:
        """The problems from `start` up to, not including, `stop`."""
        return Problems(*(part[start:stop] for part in self))


def adversarial_problems(
    count: int, variables: int, rows: int, *, seed: int = 0, contradictory: float = 0.3
) -> Problems:
    """Problems of a safety filter in trouble, float64.

    With four variables x is the effort of four actuators in [0, 1] that are mixed into a sum and
    three differences (`EFFORTS`), and P prices errors in those; with any other number P is the
    unit matrix and x lies in [-1, 1], as for an acceleration. Then

    - the wish -P^-1 q is normal with a standard deviation of the whole range, so that it mostly
      lies outside the bounds;
    - in every other problem a random point in the inner part of the box meets all rows, with room
      drawn from an exponential distribution of mean 0.3: tight but feasible barriers;
    - in the others b is normal (0.3, 0.5), so that most rows want what others forbid;
    - in a share `contradictory` of all problems each fourth row's neighbour opposes it: no x meets
      both, by a gap of 0.1 to 1 of the row's own units (two rows at least).

    Every row is soft, of weight `ROW_WEIGHT`. This is the set of the figures in the README.

    Args:
        count: number of problems B.
        variables: n >= 1.
        rows: K >= 0.
        seed: of the random numbers; the same arguments give the same problems.
        contradictory: share of problems with rows that contradict each other.

    Returns:
        The batch.

    Raises:
        ValueError: an argument is out of range.
    """
    for name, value, least in (("count", count, 1), ("variables", variables, 1), ("rows", rows, 0)):
        if value < least:
            raise ValueError(f"{name}: expected {least} or more, got {value}")
    if not 0 <= contradictory <= 1:
        raise ValueError(f"contradictory: expected a share in [0, 1], got {contradictory}")
    rng = np.random.default_rng([seed, variables, rows])
    P, lower, upper, directions = _box(rng, count, variables, rows)
    width = upper - lower
    wish = (lower + upper) / 2 + width * rng.normal(size=(count, variables))
    inner = lower + width * rng.uniform(0.1, 0.9, (count, variables))
    tight = np.einsum("bkn,bn->bk", directions, inner) - rng.exponential(0.3, (count, rows))
    b = np.where(np.arange(count)[:, None] % 2 == 0, tight, rng.normal(0.3, 0.5, (count, rows)))
    A, b = _with_contradictions(rng, directions, b, contradictory)
    q = -np.einsum("bij,bj->bi", P, wish)
    return Problems(P, q, A, b, lower, upper, np.full((count, rows), ROW_WEIGHT))


def _box(
    rng: np.random.Generator, count: int, variables: int, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """P, lower, upper and the rows' normals."""
    normals = rng.normal(size=(count, rows, variables))
    shape = (count, variables)
    if variables == 4:
        P = EFFORTS.T @ np.diag(EFFORT_WEIGHTS) @ EFFORTS
        # A row is drawn in terms of the efforts.
        return _many(P, count), np.zeros(shape), np.ones(shape), normals @ EFFORTS
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return _many(np.eye(variables), count), np.full(shape, -1.0), np.ones(shape), normals


def _many(matrix: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(matrix[None], count, axis=0)


def _with_contradictions(
    rng: np.random.Generator, A: np.ndarray, b: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Let rows 1, 5, 9, ... of some problems oppose rows 0, 4, 8, ..."""
    count, rows = b.shape
    chosen = rng.random(count) < share
    second = np.arange(1, rows, 4)
    gap = rng.uniform(0.1, 1.0, (count, len(second)))
    A, b = A.copy(), b.copy()
    A[:, second] = np.where(chosen[:, None, None], -A[:, second - 1], A[:, second])
    b[:, second] = np.where(chosen[:, None], gap - b[:, second - 1], b[:, second])
    return A, b
