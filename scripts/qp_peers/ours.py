"""barriernet itself."""

from __future__ import annotations

import jax

from qp_peers.in_jax import JaxPeer
from qp_peers.peer import Foreign


class Ours(JaxPeer):
    """`barriernet.solve_qp`, with all that it answers."""

    name = "barriernet"

    def start(self) -> None:
        """Always there."""

    def solve(self, *problem: jax.Array) -> tuple[jax.Array, Foreign, Foreign]:
        """The whole certificate is computed."""
        from barriernet import solve_qp

        solution = solve_qp(*problem)
        return solution.x, solution.accepted, solution
