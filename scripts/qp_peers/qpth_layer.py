"""qpth: batched interior point in torch (Amos and Kolter, OptNet, ICML 2017)."""

from __future__ import annotations

from qp_peers.forms import Arrays, explicit
from qp_peers.in_torch import TorchPeer
from qp_peers.peer import Foreign, needed


class Qpth(TorchPeer):
    """`QPFunction` on n + K variables, as it comes (eps 1e-12, 20 iterations at most)."""

    name = "qpth"

    def start(self) -> None:
        """Import qpth."""
        super().start()
        self.function = needed("qpth.qp").QPFunction

    def solve(self, problem: Arrays) -> Foreign:
        """Without its printed warnings, and without its check of Q."""
        form, n = explicit(self.torch, problem), problem.q.shape[-1]
        none = self.torch.empty(0, dtype=form.c.dtype)
        layer = self.function(verbose=-1, check_Q_spd=False)
        return layer(form.Q, form.c, form.G, form.h, none, none)[:, :n]
