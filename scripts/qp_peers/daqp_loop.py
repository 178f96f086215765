"""DAQP: a dual active set in C (Arnstrom, Bemporad and Axehill, IEEE TAC 2022), in a loop."""

from __future__ import annotations

import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.forms import explicit
from qp_peers.peer import FLOAT64_ONLY, NO_GRADIENT, Answers, Foreign, Peer, needed

TOLERANCE = 1e-9
SOFT = 8
"""Its sense of a row that may be violated at a price."""


class DAQP(Peer):
    """`daqp.solve` on n + K variables, one problem after the other; it has no batched call."""

    name = "daqp"
    refuses_float32 = FLOAT64_ONLY
    refuses_gradient = NO_GRADIENT

    def start(self) -> None:
        """Import daqp."""
        self.library = needed("daqp")

    def load(self, problems: Problems, single: bool) -> tuple[int, list[tuple[np.ndarray, ...]]]:
        """Bounds on x come first, then the rows as lower bounds on -G z."""
        del single
        form, (count, n) = explicit(np, problems), problems.q.shape
        rows = problems.b.shape[1]
        free = np.full((count, rows), np.inf)
        upper = np.concatenate([problems.upper, free, free], 1)
        lower = np.concatenate([problems.lower, -free, problems.b], 1)
        lines, sense = -form.G[:, :rows], np.zeros(n + 2 * rows, np.int32)
        parts = (form.Q, form.c, np.ascontiguousarray(lines), upper, lower)
        return n, [(*one, sense) for one in zip(*parts, strict=True)]

    def forward(self, inputs: tuple[int, list[Foreign]]) -> Foreign:
        """Solve each from the start."""
        solve = self.library.solve
        return inputs[0], [solve(*one, primal_tol=TOLERANCE) for one in inputs[1]]

    def read(self, result: Foreign) -> Answers:
        """Exit flags above zero are solved."""
        n, found = result
        x = np.stack([one[0][:n] for one in found])
        return Answers(x, sum(one[2] <= 0 for one in found))


class DAQPSoft(DAQP):
    """`daqp.Model` with its own soft rows: n variables, and one workspace for all problems."""

    name = "daqp-soft"

    def load(self, problems: Problems, single: bool) -> Foreign:
        """The workspace is set up on the first problem; without rows there is none to set up."""
        count, n = problems.q.shape
        rows = problems.b.shape[1]
        if not rows:
            return super().load(problems, single)
        upper = np.concatenate([problems.upper, np.full((count, rows), np.inf)], 1)
        lower = np.concatenate([problems.lower, problems.b], 1)
        sense = np.repeat(np.array([0, SOFT], np.int32), (n, rows))
        softness = np.concatenate([np.zeros((count, n)), 1 / problems.weight], 1)
        parts = (problems.P, problems.q, problems.A, upper, lower)
        every = [(*one, sense) for one in zip(*parts, strict=True)]
        model = self.library.Model()
        model.setup(*every[0])
        model.settings = {"primal_tol": TOLERANCE}
        return n, model, softness, every

    def forward(self, inputs: Foreign) -> Foreign:
        """Hand each problem to the workspace, then solve."""
        if len(inputs) == 2:
            return super().forward(inputs)
        n, model, softness, every = inputs
        found = []
        for one, soft in zip(every, softness, strict=True):
            model.update(*one)
            model.soft_weights(rho_l=soft)
            found.append(model.solve())
        return n, found
