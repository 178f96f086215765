"""moreau: a compiled dual active set, batched, through jax and through numpy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.forms import Arrays, explicit
from qp_peers.in_jax import JaxPeer
from qp_peers.peer import FLOAT64_ONLY, Answers, Foreign, Peer, needed

TOLERANCE = 1e-9


def _settings(library: Foreign, **more: Foreign) -> Foreign:
    exact = library.ActiveSetSettings(primal_tol=TOLERANCE)
    return library.Settings(solver="active_set", device="cpu", active_set_settings=exact, **more)


def _patterns(n: int, rows: int) -> tuple[np.ndarray, ...]:
    """Row offsets and columns of the entries of Q, then of G, that are not structural zeros."""
    example = Arrays(
        *(np.ones((n, n)), np.ones(n), np.ones((rows, n)), np.ones(rows)),
        *(np.ones(n), np.ones(n), np.ones(rows)),
    )
    form = explicit(np, example)
    offsets = [np.append(0, np.cumsum((part != 0).sum(1))) for part in (form.Q, form.G)]
    columns = [np.nonzero(part)[1] for part in (form.Q, form.G)]
    return offsets[0], columns[0], offsets[1], columns[1]


def _values(
    arrays: Foreign, problem: Arrays | Problems
) -> tuple[Foreign, Foreign, Foreign, Foreign]:
    """The entries of Q and G in that order, c and h; with any leading batch axes."""
    n, rows = problem.q.shape[-1], problem.b.shape[-1]
    batch = problem.q.shape[:-1]
    ones = arrays.broadcast_to(arrays.asarray(-np.ones((rows, 1))), (*batch, rows, 1))
    ends = arrays.broadcast_to(arrays.asarray(np.repeat([1.0, -1.0], n)), (*batch, 2 * n))
    none = arrays.zeros((*batch, rows))
    lines = arrays.concatenate([-problem.A, ones], -1).reshape(*batch, rows * (n + 1))
    return (
        arrays.concatenate([problem.P.reshape(*batch, n * n), problem.weight], -1),
        arrays.concatenate([lines, ends], -1),
        arrays.concatenate([problem.q, none], -1),
        arrays.concatenate([-problem.b, problem.upper, -problem.lower], -1),
    )


class MoreauJax(JaxPeer):
    """`moreau.jax.Solver`: a callback out of jax, under vmap one call for the batch."""

    name = "moreau.jax"
    apart = True
    refuses_float32 = FLOAT64_ONLY

    def start(self) -> None:
        """Import moreau."""
        self.library = needed("moreau")
        self.in_jax = needed("moreau.jax")
        self.solvers: dict[tuple[int, int], Foreign] = {}

    def solve(self, *problem: jax.Array) -> tuple[jax.Array, Foreign, Foreign]:
        """It tells its status outside jax only: here an answer counts as one if it is finite."""
        n, rows = problem[1].shape[0], problem[3].shape[0]
        if (n, rows) not in self.solvers:
            cones = self.library.Cones(num_nonneg_cones=rows + 2 * n)
            size = (n + rows, rows + 2 * n)
            self.solvers[n, rows] = self.in_jax.Solver(
                *size, *_patterns(n, rows), cones, _settings(self.library)
            )
        found = self.solvers[n, rows].solve(*_values(jnp, Arrays(*problem)))
        return found.x[:n], jnp.all(jnp.isfinite(found.x)), found


class MoreauNumpy(Peer):
    """`moreau.CompiledSolver`: matrices and vectors of the whole batch, without jax."""

    name = "moreau"
    refuses_float32 = FLOAT64_ONLY

    def start(self) -> None:
        """Import moreau."""
        self.library = needed("moreau")

    def load(
        self, problems: Problems, single: bool
    ) -> list[tuple[Foreign, Foreign, tuple[Foreign, ...]]]:
        """A solver without gradients, one with, and the values; for each batch."""
        n, rows = problems.q.shape[1], problems.b.shape[1]
        size = 1 if single else len(problems.q)
        cones = self.library.Cones(num_nonneg_cones=rows + 2 * n)
        plain, graded = (
            self.library.CompiledSolver(
                *(n + rows, rows + 2 * n, *_patterns(n, rows), cones),
                _settings(self.library, batch_size=size, enable_grad=enable),
            )
            for enable in (False, True)
        )
        batches = [problems.part(i, i + size) for i in range(0, len(problems.q), size)]
        return [(plain, graded, (n, *_values(np, batch))) for batch in batches]

    def forward(self, inputs: list[Foreign]) -> list[Foreign]:
        """Set the matrices, then solve."""
        return [_solved(plain, *values) for plain, _, values in inputs]

    def forward_backward(self, inputs: list[Foreign]) -> list[Foreign]:
        """The gradient of sum(x^2) with respect to all entries."""
        results = []
        for _, graded, values in inputs:
            x, status = _solved(graded, *values)
            slope = np.zeros_like(values[3])
            slope[:, : x.shape[1]] = 2 * x
            results.append((x, status, graded.backward(slope)))
        return results

    def read(self, result: list[Foreign]) -> Answers:
        """Status 1 is solved; gradients in the order P, q, A, b (all entries of Q and G)."""
        x = np.concatenate([one[0] for one in result])
        unsolved = sum(int(status) != 1 for one in result for status in one[1])
        if len(result[0]) == 2:
            return Answers(x, unsolved)
        keys = ("dP_values", "dq", "dA_values", "db")
        gradients = tuple(
            np.concatenate([np.reshape(one[2][key], (len(one[0]), -1)) for one in result])
            for key in keys
        )
        return Answers(x, unsolved, gradients)


def _solved(
    solver: Foreign,
    n: int,
    Q: np.ndarray,
    G: np.ndarray,
    c: np.ndarray,
    h: np.ndarray,
) -> tuple[np.ndarray, Foreign]:
    solver.setup(Q, G)
    found = solver.solve(c, h)
    return found.x[:, :n], solver.info.status
