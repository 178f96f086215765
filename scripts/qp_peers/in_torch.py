"""What the layers written for torch share: gradients by autograd."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.forms import Arrays
from qp_peers.peer import Answers, Foreign, Peer, needed


class TorchPeer(Peer):
    """A function of a batch of tensors; torch differentiates it."""

    def start(self) -> None:
        """Import torch, on one thread."""
        self.torch = needed("torch")
        self.torch.set_num_threads(1)

    @abstractmethod
    def solve(self, problem: Arrays) -> Foreign:
        """The x of a batch, as a tensor."""

    def load(self, problems: Problems, single: bool) -> list[Arrays]:
        """Tensors of one call each."""
        tensors = Arrays(*(self.torch.from_numpy(part) for part in problems))
        if not single:
            return [tensors]
        return [tensors.part(i, i + 1) for i in range(len(problems.q))]

    def forward(self, inputs: list[Arrays]) -> list[Foreign]:
        """Without recording gradients."""
        with self.torch.no_grad():
            return [(self.solve(batch),) for batch in inputs]

    def forward_backward(self, inputs: list[Arrays]) -> list[Foreign]:
        """By `torch.autograd.grad`; rows that do not matter have a gradient of zeros."""
        results = []
        for batch in inputs:
            leaves = [part.detach().requires_grad_() for part in batch[:4]]
            x = self.solve(Arrays(*leaves, *batch[4:]))
            gradients = self.torch.autograd.grad(
                (x**2).sum(), leaves, allow_unused=True, materialize_grads=True
            )
            results.append((x.detach(), *gradients))
        return results

    def read(self, result: list[Foreign]) -> Answers:
        """These layers do not say whether they converged: what is not finite did not."""
        x, *gradients = (
            np.concatenate([one.numpy() for one in part]) for part in zip(*result, strict=True)
        )
        unsolved = int(np.sum(~np.all(np.isfinite(x), axis=1)))
        return Answers(x, unsolved or None, tuple(gradients) or None)
