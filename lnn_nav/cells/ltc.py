"""The liquid time-constant cell (LTC) with the fused semi-implicit solver.

Hasani, Lechner, Amini et al., "Liquid time-constant networks", AAAI 2021: synapses are
sigmoidal conductances, and each of `unfolds` solver steps of length dt / unfolds is

    v <- (c v + g_leak v_leak + sum w s(v_pre) e) / (c + g_leak + sum w s(v_pre)),

c = capacitance unfolds / dt, s(v) = sigmoid(sigma (v - mu)). Capacitances, conductances and
weights are positive by parametrisation (softplus), so v stays between the reversal potentials.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

EPSILON = 1e-8
"""Conductance that every neuron has besides, as in the published cells: no division by zero."""
LEAST = 1e-30
"""Least capacitance: softplus of what is far below zero is zero in floating point."""


class LTC(nnx.Module):
    """Fully connected LTC cell; the output is the potential of every neuron.

    Attributes:
        inputs: number of input features.
        outputs: number of output features, equal to the memory's.
        memory_size: number of neurons.
        unfolds: solver steps an input.
    """

    def __init__(self, inputs: int, neurons: int, unfolds: int = 6, *, rngs: nnx.Rngs) -> None:
        """Draw the parameters (float32) from the ranges of the published cells.

        Raises:
            ValueError: if a size is not positive.
        """
        if min(inputs, neurons, unfolds) < 1:
            raise ValueError(f"inputs, neurons, unfolds: expected >= 1: {inputs, neurons, unfolds}")
        self.inputs, self.unfolds = inputs, unfolds
        self.outputs = self.memory_size = neurons
        self.leak = positive(rngs, (neurons,), 0.001, 1.0)
        self.rest = nnx.Param(jax.random.uniform(rngs(), (neurons,), jnp.float32, -0.2, 0.2))
        self.capacitance = positive(rngs, (neurons,), 0.4, 0.6)
        self.synapses = _Synapses(neurons, neurons, rngs)
        self.senses = _Synapses(inputs, neurons, rngs)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
        """Advance by `dt` [s]; `dt = 0` leaves the memory as it is."""
        elapsed = jnp.asarray(dt, memory.dtype)[..., None]
        leak = jax.nn.softplus(self.leak[...])
        capacity = capacity_of(self.capacitance[...]) * self.unfolds
        driven, conductance = self.senses(inputs)
        driven, conductance = driven + leak * self.rest[...], conductance + leak + EPSILON

        def unfold(potential: Array, _: None) -> tuple[Array, None]:
            current, opening = self.synapses(potential)
            # Both sides times dt, so that dt = 0 divides capacity by itself.
            above = capacity * potential + elapsed * (driven + current)
            return above / (capacity + elapsed * (conductance + opening)), None

        # For the gradient each unfold is worked out anew: cheaper than to keep what it held.
        memory, _ = jax.lax.scan(jax.checkpoint(unfold), memory, None, length=self.unfolds)
        return memory, memory


def capacity_of(raw: Float[Array, " m"]) -> Float[Array, " m"]:
    """Capacitances from any real numbers; positive."""
    return jnp.maximum(jax.nn.softplus(raw), LEAST)


class _Synapses(nnx.Module):
    """All sigmoidal synapses from one layer to another."""

    def __init__(self, sources: int, targets: int, rngs: nnx.Rngs) -> None:
        shape = (sources, targets)
        self.weight = positive(rngs, shape, 0.001, 1.0)
        self.slope = nnx.Param(jax.random.uniform(rngs(), shape, jnp.float32, 3.0, 8.0))
        self.middle = nnx.Param(jax.random.uniform(rngs(), shape, jnp.float32, 0.3, 0.8))
        self.reversal = nnx.Param(jax.random.rademacher(rngs(), shape, jnp.float32))

    def openings(self, potential: Array) -> Array:
        """Conductance of every synapse."""
        gate = jax.nn.sigmoid(self.slope[...] * (potential[..., None] - self.middle[...]))
        return jax.nn.softplus(self.weight[...]) * gate

    def __call__(self, potential: Array) -> tuple[Array, Array]:
        """Current into, and conductance of, each target neuron."""
        opening = self.openings(potential)
        return jnp.sum(opening * self.reversal[...], axis=-2), jnp.sum(opening, axis=-2)


def positive(rngs: nnx.Rngs, shape: tuple[int, ...], low: float, high: float) -> nnx.Param:
    """A parameter whose softplus is uniform in [low, high]."""
    value = jax.random.uniform(rngs(), shape, jnp.float32, low, high)
    return nnx.Param(jnp.log(jnp.expm1(value)))
