"""The same problem with its slacks spelled out: n + K variables, hard rows only."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.peer import Foreign


class Arrays(NamedTuple):
    """`Problems` in the arrays of any library, with any leading batch axes."""

    P: Foreign
    q: Foreign
    A: Foreign
    b: Foreign
    lower: Foreign
    upper: Foreign
    weight: Foreign

    def part(self, start: int, stop: int) -> Arrays:
        """The problems from `start` up to, not including, `stop`."""
        return Arrays(*(part[start:stop] for part in self))


class Explicit(NamedTuple):
    """minimise 1/2 z'Qz + c'z subject to G z <= h, with z = [x, slack].

    That a slack is not negative needs no row: a negative one would only cost.

    Attributes:
        Q: `[... n+K n+K]`.
        c: `[... n+K]`.
        G: `[... K+2n n+K]`: the rows, then upper, then lower bounds.
        h: `[... K+2n]`.
    """

    Q: Foreign
    c: Foreign
    G: Foreign
    h: Foreign


def explicit(arrays: ModuleType, problem: Arrays | Problems) -> Explicit:
    """Spell the slacks out.

    Args:
        arrays: numpy, jax.numpy or torch, whose arrays `problem` holds.
        problem: with any leading batch axes.
    """
    n, rows = problem.q.shape[-1], problem.b.shape[-1]
    batch = tuple(problem.q.shape[:-1])

    def constant(values: np.ndarray) -> Foreign:
        array = arrays.asarray(values, dtype=problem.q.dtype)
        return arrays.broadcast_to(array, (*batch, *values.shape))

    def join(parts: list[Foreign], axis: int) -> Foreign:
        return arrays.concatenate(parts, axis)

    unit = np.eye(rows)
    prices = problem.weight[..., None] * constant(unit)
    above = join([problem.P, constant(np.zeros((n, rows)))], -1)
    below = join([constant(np.zeros((rows, n))), prices], -1)
    bounds = np.concatenate([np.eye(n, n + rows), -np.eye(n, n + rows)])
    return Explicit(
        Q=join([above, below], -2),
        c=join([problem.q, constant(np.zeros(rows))], -1),
        G=join([join([-problem.A, constant(-unit)], -1), constant(bounds)], -2),
        h=join([-problem.b, problem.upper, -problem.lower], -1),
    )
