"""What the solvers written for jax share: compiled for a batch, for one, and within a loop."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.peer import Answers, Foreign, Peer


class Loaded(NamedTuple):
    """Compiled calls and what they are called with.

    Attributes:
        forward: everything that the solver answers.
        forward_backward: answers and gradients.
        batches: arguments of one call each.
    """

    forward: Callable[..., Foreign]
    forward_backward: Callable[..., Foreign]
    batches: list[tuple[jax.Array, ...]]


class JaxPeer(Peer):
    """A function of one problem; jax makes the rest of it."""

    @abstractmethod
    def solve(self, *problem: jax.Array) -> tuple[jax.Array, Foreign, Foreign]:
        """The x, whether it converged, and all else that the solver answers."""

    def differentiable(self, *problem: jax.Array) -> tuple[jax.Array, Foreign]:
        """The same without the rest; x can be differentiated."""
        return self.solve(*problem)[:2]

    def load(self, problems: Problems, single: bool) -> Loaded:
        """Arrays of jax; `single` without any batch axis."""
        if single:
            arrays = [tuple(map(jnp.asarray, one)) for one in zip(*problems, strict=True)]
        else:
            arrays = [tuple(map(jnp.asarray, problems))]
        return Loaded(*self._compiled(single), arrays)

    @functools.cache  # noqa: B019 (a peer lives as long as the bench)
    def _compiled(self, single: bool) -> tuple[Callable[..., Foreign], Callable[..., Foreign]]:
        def loss(*problem: jax.Array) -> tuple[jax.Array, Foreign]:
            x, converged = self.differentiable(*problem)
            return jnp.sum(x**2), (x, converged)

        forward, both = self.solve, jax.grad(loss, argnums=(0, 1, 2, 3), has_aux=True)
        if not single:
            forward, both = jax.vmap(forward), jax.vmap(both)
        return jax.jit(forward), jax.jit(both)

    def forward(self, inputs: Loaded) -> list[Foreign]:
        """Each call is waited for, as a control loop would."""
        return [jax.block_until_ready(inputs.forward(*batch)) for batch in inputs.batches]

    def forward_backward(self, inputs: Loaded) -> list[Foreign]:
        """Each call is waited for."""
        return [jax.block_until_ready(inputs.forward_backward(*batch)) for batch in inputs.batches]

    def read(self, result: list[Foreign]) -> Answers:
        """Join what the calls answered."""
        # A gradient's call answers (gradients, (x, converged)), a forward one (x, converged, ...).
        if isinstance(result[0][0], tuple):
            x, converged = _joined([one[1] for one in result])
            return Answers(x, _unsolved(converged), tuple(_joined([one[0] for one in result])))
        x, converged = _joined([one[:2] for one in result])
        return Answers(x, _unsolved(converged))

    def inside_jit(self, problems: Problems) -> Callable[[], Foreign]:
        """One problem after the other, in one compiled loop."""
        arrays = tuple(jnp.asarray(part) for part in problems)
        loop = jax.jit(lambda *parts: jax.lax.map(lambda one: self.solve(*one), parts))
        return lambda: jax.block_until_ready(loop(*arrays))


def _joined(parts: list[tuple[Foreign, ...]]) -> list[np.ndarray]:
    """Answers of many calls, each with or without a batch axis, as one batch."""
    if len(parts) == 1 and np.ndim(parts[0][1]) > 0:
        return [np.asarray(part) for part in parts[0]]
    return [np.stack([np.asarray(one) for one in column]) for column in zip(*parts, strict=True)]


def _unsolved(converged: np.ndarray) -> int:
    return int(np.sum(~converged.astype(bool)))
