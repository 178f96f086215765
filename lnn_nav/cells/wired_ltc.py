"""An LTC whose neurons hear only what the wiring says, one list of synapses instead of tables.

The equation is that of `lnn_nav.cells.ltc`. Every synapse has its own weight, slope, middle and
reversal; a synapse that does not exist costs nothing. Inputs and outputs pass an affine map each,
as in `ncps`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.ltc import EPSILON, capacity_of, positive
from lnn_nav.cells.protocol import check_step
from lnn_nav.cells.wiring import Wiring


class WiredLTC(nnx.Module):
    """Wired LTC cell; the output is the potential of the wiring's outputs, mapped.

    Attributes:
        inputs: number of input features.
        outputs: number of output features.
        memory_size: number of neurons.
        wiring: who hears whom.
        unfolds: solver steps an input.
        leak: conductance of the leak (before softplus).
        rest: its reversal potential.
        capacitance: (before softplus).
        synapses: between neurons.
        senses: from inputs to neurons.
        gain: of every input.
        offset: of every input.
        read: gain of every output.
        level: offset of every output.
    """

    def __init__(self, wiring: Wiring, unfolds: int = 6, *, rngs: nnx.Rngs) -> None:
        """Draw the parameters (float32) from the ranges of the published cells.

        Raises:
            ValueError: if `unfolds` is not positive.
        """
        if unfolds < 1:
            raise ValueError(f"unfolds: expected at least 1, got {unfolds}")
        neurons = wiring.neurons
        self.wiring, self.unfolds = nnx.static(wiring), unfolds
        self.inputs, self.outputs, self.memory_size = wiring.inputs, wiring.outputs, neurons
        self.leak = positive(rngs, (neurons,), 0.001, 1.0)
        self.rest = nnx.Param(jax.random.uniform(rngs(), (neurons,), jnp.float32, -0.2, 0.2))
        self.capacitance = positive(rngs, (neurons,), 0.4, 0.6)
        self.synapses = SynapseList(wiring.synapses, rngs)
        self.senses = SynapseList(wiring.senses, rngs)
        self.gain = nnx.Param(jnp.ones(wiring.inputs, jnp.float32))
        self.offset = nnx.Param(jnp.zeros(wiring.inputs, jnp.float32))
        self.read = nnx.Param(jnp.ones(wiring.outputs, jnp.float32))
        self.level = nnx.Param(jnp.zeros(wiring.outputs, jnp.float32))

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by `dt` [s]; `dt = 0` leaves the memory as it is."""
        check_step(self, memory, inputs, dt)
        elapsed = jnp.asarray(dt, memory.dtype)[..., None]
        leak = jax.nn.softplus(self.leak[...])
        capacity = capacity_of(self.capacitance[...]) * self.unfolds
        driven, conductance = self.senses(inputs * self.gain[...] + self.offset[...])
        driven, conductance = driven + leak * self.rest[...], conductance + leak + EPSILON

        def unfold(potential: Array, _: None) -> tuple[Array, None]:
            current, opening = self.synapses(potential)
            # Both sides times dt, so that dt = 0 divides capacity by itself.
            above = capacity * potential + elapsed * (driven + current)
            return above / (capacity + elapsed * (conductance + opening)), None

        # For the gradient each unfold is worked out anew: cheaper than to keep what it held.
        memory, _ = jax.lax.scan(jax.checkpoint(unfold), memory, None, length=self.unfolds)
        return memory, memory[..., : self.outputs] * self.read[...] + self.level[...]


class SynapseList(nnx.Module):
    """The sigmoidal synapses of a table, listed row by row.

    Attributes:
        table: where they are.
        weight: conductance of each when open (before softplus) `[synapses]`.
        slope: of each sigmoid `[synapses]`.
        middle: potential at which each is half open `[synapses]`.
        reversal: potential that each pulls to `[synapses]`.
    """

    def __init__(self, table: np.ndarray, rngs: nnx.Rngs) -> None:
        """Draw the parameters; reversals are the table's polarities."""
        self.table = nnx.static(_Table(table))
        count = int(np.count_nonzero(table))
        self.weight = positive(rngs, (count,), 0.001, 1.0)
        self.slope = nnx.Param(jax.random.uniform(rngs(), (count,), jnp.float32, 3.0, 8.0))
        self.middle = nnx.Param(jax.random.uniform(rngs(), (count,), jnp.float32, 0.3, 0.8))
        self.reversal = nnx.Param(jnp.asarray(table[table != 0], jnp.float32))

    def openings(
        self, potential: Float[Array, "*batch sources"]
    ) -> Float[Array, "*batch synapses"]:
        """Conductance of every synapse."""
        if self.table.full:
            opening = self._opened(potential)
            return opening.reshape(*potential.shape[:-1], -1)
        sources, _ = self.table.ends(potential.dtype)
        # Products with tables of zeros and ones: gathers and scatters run one number at a time,
        # and their derivatives too.
        before = jnp.matmul(potential, sources, precision=jax.lax.Precision.HIGHEST)
        gate = jax.nn.sigmoid(self.slope[...] * (before - self.middle[...]))
        return jax.nn.softplus(self.weight[...]) * gate

    def _opened(
        self, potential: Float[Array, "*batch sources"]
    ) -> Float[Array, "*batch sources targets"]:
        """The same where every pair has a synapse, as a table: half the time of a list."""
        weight, slope, middle = (
            part[...].reshape(self.table.shape) for part in (self.weight, self.slope, self.middle)
        )
        gate = jax.nn.sigmoid(slope * (potential[..., None] - middle))
        return jax.nn.softplus(weight) * gate

    def __call__(
        self, potential: Float[Array, "*batch sources"]
    ) -> tuple[Float[Array, "*batch targets"], Float[Array, "*batch targets"]]:
        """Current into, and conductance of, each target."""
        if self.table.full:
            opening = self._opened(potential)
            pulled = opening * self.reversal[...].reshape(self.table.shape)
            return jnp.sum(pulled, axis=-2), jnp.sum(opening, axis=-2)
        _, targets = self.table.ends(potential.dtype)
        opening = self.openings(potential)
        pulled = jnp.stack([opening * self.reversal[...], opening])
        current, conductance = jnp.matmul(pulled, targets, precision=jax.lax.Precision.HIGHEST)
        return current, conductance


class _Table:
    """Ends of synapses; equal tables are equal, so that networks of one wiring are alike."""

    def __init__(self, table: np.ndarray) -> None:
        self.pairs, self.shape = np.argwhere(table), table.shape
        self.key = (table.shape, self.pairs.tobytes())
        self.full = len(self.pairs) == table.size

    def ends(
        self, dtype: np.dtype
    ) -> tuple[Float[np.ndarray, "sources synapses"], Float[np.ndarray, "synapses targets"]]:
        """Which source each synapse hears, and which target hears it: ones among zeros."""
        each = np.arange(len(self.pairs))
        sources = np.zeros((self.shape[0], len(each)), dtype)
        targets = np.zeros((len(each), self.shape[1]), dtype)
        sources[self.pairs[:, 0], each] = 1
        targets[each, self.pairs[:, 1]] = 1
        return sources, targets

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Table) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)
