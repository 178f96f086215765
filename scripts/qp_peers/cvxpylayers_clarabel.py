"""Clarabel through cvxpylayers and diffcp (Agrawal et al., NeurIPS 2019)."""

from __future__ import annotations

from qp_peers.forms import Arrays
from qp_peers.in_torch import TorchPeer
from qp_peers.peer import FLOAT64_ONLY, Foreign, needed


class CvxpyLayer(TorchPeer):
    """The problem written in cvxpy, as a torch layer; compiled once for each shape."""

    refuses_float32 = FLOAT64_ONLY

    def start(self) -> None:
        """Import cvxpy and cvxpylayers."""
        super().start()
        self.cvxpy = needed("cvxpy")
        self.layers = needed("cvxpylayers.torch")
        self.compiled: dict[tuple[int, int], Foreign] = {}

    def make(self, n: int, rows: int, *, quadratic: bool, **options: Foreign) -> Foreign:
        """The layer; its slack is t = sqrt(weight) slack.

        Args:
            n: variables.
            rows: soft rows.
            quadratic: the first parameter is P itself, else a root R with R'R = P.
            options: of the layer.
        """
        cvxpy = self.cvxpy
        x, q = cvxpy.Variable(n), cvxpy.Parameter(n)
        lower, upper = cvxpy.Parameter(n), cvxpy.Parameter(n)
        P = cvxpy.Parameter((n, n), PSD=True) if quadratic else cvxpy.Parameter((n, n))
        cost = cvxpy.quad_form(x, P) if quadratic else cvxpy.sum_squares(P @ x)
        cost, rules, parameters = cost / 2 + q @ x, [x >= lower, x <= upper], [P, q]
        if rows:
            A, b = cvxpy.Parameter((rows, n)), cvxpy.Parameter(rows)
            give, t = cvxpy.Parameter(rows, nonneg=True), cvxpy.Variable(rows)
            cost += cvxpy.sum_squares(t) / 2
            rules += [A @ x + cvxpy.multiply(give, t) >= b]
            parameters += [A, b, give]
        problem = cvxpy.Problem(cvxpy.Minimize(cost), rules)
        return self.layers.CvxpyLayer(problem, [*parameters, lower, upper], [x], **options)

    def call(self, problem: Arrays, root: Foreign, layer: Foreign, **options: Foreign) -> Foreign:
        """The x; a problem without rows has no parameters for them."""
        rows = (problem.A, problem.b, problem.weight.rsqrt()) if problem.b.shape[-1] else ()
        bounds = (problem.lower, problem.upper)
        return layer(root, problem.q, *rows, *bounds, solver_args=options)[0]


class ClarabelLayer(CvxpyLayer):
    """diffcp calls Clarabel, with tolerances of 1e-10, in one process."""

    name = "cvxpylayers-clarabel"

    def solve(self, problem: Arrays) -> Foreign:
        """A root of P is part of the layer: diffcp takes no quadratic cost."""
        shape = (problem.q.shape[-1], problem.b.shape[-1])
        if shape not in self.compiled:
            self.compiled[shape] = self.make(*shape, quadratic=False)
        root = self.torch.linalg.cholesky(problem.P).mT
        options: dict[str, Foreign] = {"solve_method": "Clarabel", "n_jobs_forward": 1}
        options |= dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
        if self.torch.is_grad_enabled():
            options["n_jobs_backward"] = 1
        return self.call(problem, root, self.compiled[shape], **options)
