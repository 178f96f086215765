"""OSQP through cvxpylayers: as a custom solver of theirs, with OSQP's own adjoint derivative."""

from __future__ import annotations

import numpy as np

from qp_peers.cvxpylayers_clarabel import CvxpyLayer
from qp_peers.forms import Arrays
from qp_peers.peer import Foreign, needed

SETTINGS = {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iter": 20_000, "polishing": True}
SOLVED = 1


class OSQPLayer(CvxpyLayer):
    """cvxpylayers has no OSQP of its own; `SolverInterface` is its door for other solvers."""

    name = "cvxpylayers-osqp"
    note = "through cvxpylayers' SolverInterface, with the adjoint derivative that osqp has"

    def start(self) -> None:
        """Import osqp, scipy and the interface."""
        super().start()
        self.osqp = needed("osqp")
        self.sparse = needed("scipy.sparse")
        self.interface = needed("cvxpylayers.interfaces.base").SolverInterface

    def solve(self, problem: Arrays) -> Foreign:
        """P itself is a parameter, of which the layer reads the upper triangle."""
        shape = (problem.q.shape[-1], problem.b.shape[-1])
        if shape not in self.compiled:
            solver = _interface(self.interface, self.osqp, self.sparse)
            self.compiled[shape] = self.make(*shape, quadratic=True, solver=solver)
        symmetric = (problem.P + problem.P.mT) / 2
        return self.call(problem, symmetric, self.compiled[shape])


def _interface(base: Foreign, osqp: Foreign, sparse: Foreign) -> Foreign:
    """OSQP behind cvxpylayers' interface."""

    class ByOSQP(base):
        """Cones of cvxpy are A z + s = b with s >= 0: rows A z <= b of OSQP."""

        canon_solver = "CLARABEL"
        supports_quad_obj = True

        def setup(self, ctx: Foreign) -> None:
            """Where the entries of P and of [A b] stand (columns compressed)."""
            self.cost = ctx.reduced_P.problem_data_index
            rows, starts, (height, _) = ctx.reduced_A.problem_data_index
            last = starts[-2]
            self.lines = (rows[:last], starts[:-1], height)
            self.sides = rows[last:]

        def solve_numpy(
            self,
            P: np.ndarray,
            q: np.ndarray,
            A: np.ndarray,
            dims: Foreign,
            solver_args: dict[str, Foreign],
            needs_grad: bool,
        ) -> tuple[np.ndarray, np.ndarray, Foreign]:
            """Answer one problem; the solver is kept for its derivative."""
            del dims, solver_args, needs_grad
            rows, starts, height = self.lines
            size = len(q) - 1
            above = np.zeros(height)
            above[self.sides] = A[len(rows) :]
            lines = sparse.csc_matrix((-A[: len(rows)], rows, starts), shape=(height, size))
            cost = sparse.csc_matrix((P, *self.cost[:2]), shape=(size, size))
            solver = osqp.OSQP()
            solver.setup(
                *(sparse.triu(cost, format="csc"), q[:-1], lines),
                *(np.full(height, -np.inf), above),
                verbose=False,
                **SETTINGS,
            )
            found = solver.solve(raise_error=False)
            solved = found.info.status_val == SOLVED
            x = found.x if solved else np.full(size, np.nan)
            return x, found.y, (solver if solved else None, size)

        def derivative_numpy(
            self, dprimal: np.ndarray, ddual: np.ndarray, saved_state: Foreign
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """By OSQP's adjoint; NaN where there was no answer."""
            del ddual
            solver, size = saved_state
            count = len(self.lines[0])
            if solver is None:
                nothing = np.full(size + 1, np.nan)
                entries = np.full(count + len(self.sides), np.nan)
                return np.full(len(self.cost[0]), np.nan), nothing, entries
            solver.adjoint_derivative_compute(dx=dprimal)
            cost, lines = solver.adjoint_derivative_get_mat(as_dense=False, dP_as_triu=True)
            linear, _, above = solver.adjoint_derivative_get_vec()
            upper = sparse.csc_matrix((cost.x, cost.i, cost.p), shape=(size, size)).toarray()
            full = upper + np.triu(upper, 1).T
            columns = np.repeat(np.arange(size), np.diff(self.cost[1]))
            return (
                full[self.cost[0], columns],
                np.append(linear, 0.0),
                np.concatenate([-np.asarray(lines.x), above[self.sides]]),
            )

    return ByOSQP()
