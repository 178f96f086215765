"""qpax: primal-dual interior point in jax (Tracy and Manchester, arXiv:2406.11749)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from qp_peers.forms import Arrays, explicit
from qp_peers.in_jax import JaxPeer
from qp_peers.peer import Foreign, needed


class Qpax(JaxPeer):
    """Its explicit backend on n + K variables; tolerance 1e-9 in float64, 1e-5 in float32.

    Its gradient is that of a relaxed problem; the relaxation is 1e-9 in float64 (its default of
    1e-3 changes gradients by half), and its default in float32.
    """

    name = "qpax"
    note = (
        "never calls itself converged below its floor of 1.5e-8, so that it runs to its limit; "
        "its gradient for A is wrong (one term holds the multiplier squared)"
    )

    def start(self) -> None:
        """Import qpax."""
        self.library = needed("qpax")

    def solve(self, *problem: jax.Array) -> tuple[jax.Array, Foreign, Foreign]:
        """Everything that it answers."""
        form, none = self._form(problem)
        tolerance, _ = _tolerances(problem[1])
        found = self.library.solve_qp(form.Q, form.c, *none, form.G, form.h, solver_tol=tolerance)
        return found[0][: problem[1].shape[0]], found[4], found

    def differentiable(self, *problem: jax.Array) -> tuple[jax.Array, Foreign]:
        """By its own custom derivative; it does not say there whether it converged."""
        form, none = self._form(problem)
        tolerance, relaxation = _tolerances(problem[1])
        z = self.library.solve_qp_primal(
            *(form.Q, form.c, *none, form.G, form.h),
            solver_tol=tolerance,
            target_kappa=relaxation,
        )
        return z[: problem[1].shape[0]], jnp.array(True)

    def _form(self, problem: tuple[jax.Array, ...]) -> tuple[Foreign, tuple[jax.Array, jax.Array]]:
        form = explicit(jnp, Arrays(*problem))
        size = form.c.shape[0]
        return form, (jnp.zeros((0, size), form.c.dtype), jnp.zeros(0, form.c.dtype))


def _tolerances(array: jax.Array) -> tuple[float, float]:
    return (1e-9, 1e-9) if array.dtype == jnp.float64 else (1e-5, 1e-3)
