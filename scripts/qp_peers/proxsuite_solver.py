"""proxsuite: ProxQP, a proximal augmented Lagrangian in C++ (Bambade et al., RSS 2022)."""

from __future__ import annotations

import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.forms import Arrays, explicit
from qp_peers.in_torch import TorchPeer
from qp_peers.peer import FLOAT64_ONLY, NO_GRADIENT, Answers, Foreign, Peer, needed

TOLERANCE = 1e-9
UNBOUNDED = -1e20


class ProxQP(Peer):
    """`proxqp.dense.solve` on n + K variables, one problem after the other."""

    name = "proxsuite"
    refuses_float32 = FLOAT64_ONLY
    refuses_gradient = NO_GRADIENT + " here, see proxsuite-torch"

    def start(self) -> None:
        """Import proxsuite."""
        self.library = needed("proxsuite").proxqp

    def load(self, problems: Problems, single: bool) -> Foreign:
        """One tuple of arrays a problem."""
        del single
        form = explicit(np, problems)
        below = np.full_like(form.h, UNBOUNDED)
        none = (None, None)
        return problems.q.shape[1], [
            (Q, c, *none, G, low, h)
            for Q, c, G, low, h in zip(form.Q, form.c, form.G, below, form.h, strict=True)
        ]

    def forward(self, inputs: Foreign) -> Foreign:
        """Solve each from the start."""
        n, problems = inputs
        solve = self.library.dense.solve
        return n, [solve(*one, eps_abs=TOLERANCE, eps_rel=0.0) for one in problems]

    def read(self, result: Foreign) -> Answers:
        """By its status."""
        n, found = result
        solved = self.library.PROXQP_SOLVED
        unsolved = sum(one.info.status != solved for one in found)
        return Answers(np.stack([one.x[:n] for one in found]), unsolved)


class ProxQPLayer(TorchPeer):
    """`proxsuite.torch.qplayer.QPFunction` on n + K variables; gradients come in float32."""

    name = "proxsuite-torch"
    refuses_float32 = FLOAT64_ONLY

    def start(self) -> None:
        """Import proxsuite and its layer."""
        super().start()
        self.function = needed("proxsuite.torch.qplayer").QPFunction

    def solve(self, problem: Arrays) -> Foreign:
        """On one thread."""
        form, n = explicit(self.torch, problem), problem.q.shape[-1]
        none = self.torch.empty(0, dtype=form.c.dtype)
        below = self.torch.full_like(form.h, UNBOUNDED)
        layer = self.function(eps=TOLERANCE, maxIter=1000)
        return layer(form.Q, form.c, none, none, form.G, below, form.h)[0][:, :n]
