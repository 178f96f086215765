"""quadprog: the dual active set of Goldfarb and Idnani (1983) in C, in a loop."""

from __future__ import annotations

import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.forms import explicit
from qp_peers.peer import FLOAT64_ONLY, NO_GRADIENT, Answers, Foreign, Peer, needed


class Quadprog(Peer):
    """`quadprog.solve_qp` on n + K variables, one problem after the other."""

    name = "quadprog"
    refuses_float32 = FLOAT64_ONLY
    refuses_gradient = NO_GRADIENT

    def start(self) -> None:
        """Import quadprog."""
        self.library = needed("quadprog")

    def load(self, problems: Problems, single: bool) -> tuple[int, list[tuple[np.ndarray, ...]]]:
        """It maximises c'z and wants its rows as columns, at least."""
        del single
        form = explicit(np, problems)
        columns = [np.array(-one.T, order="C") for one in form.G]
        parts = (form.Q, -form.c, columns, -form.h)
        return problems.q.shape[1], list(zip(*parts, strict=True))

    def forward(self, inputs: tuple[int, list[Foreign]]) -> Foreign:
        """Solve each from the start."""
        n, problems = inputs
        found = []
        for one in problems:
            try:
                found.append(self.library.solve_qp(*one)[0])
            except ValueError:  # Its way to say that there is no answer.
                found.append(np.full(len(one[1]), np.nan))
        return n, found

    def read(self, result: Foreign) -> Answers:
        """What raised is unconverged."""
        n, found = result
        x = np.stack([one[:n] for one in found])
        return Answers(x, int(np.sum(np.any(np.isnan(x), axis=1))))
