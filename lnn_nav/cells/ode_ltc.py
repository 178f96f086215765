"""The equation of an LTC solved to any tolerance: what its fused solver is measured against.

Hasani, Lechner, Amini et al., "Liquid time-constant networks", AAAI 2021; as in
`lnn_nav.cells.ltc`, with the input held over the interval:

    c dv/dt = g_leak (v_leak - v) + sum w s(v_pre) (e - v).
"""

from __future__ import annotations

import jax
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells._ode import Integration, diffrax_or_error, integrate
from lnn_nav.cells.ltc import EPSILON, LTC, capacity_of
from lnn_nav.cells.protocol import Cell
from lnn_nav.cells.wired_ltc import WiredLTC

EXACT = Integration("tsit5", rtol=1e-5, atol=1e-7)


class ODELTC(nnx.Module):
    """An LTC with another solver; its parameters are those of the cell, not copies of them.

    Attributes:
        inputs: the cell's.
        outputs: the cell's.
        memory_size: the cell's.
        cell: the cell; its `unfolds` do not matter.
        integration: how the equation is solved.
    """

    def __init__(self, cell: Cell, integration: Integration = EXACT) -> None:
        """Take over a cell.

        Raises:
            ValueError: if it is no LTC.
            LiquidExtraError: diffrax is not installed.
        """
        if not isinstance(cell, LTC | WiredLTC):
            raise ValueError(f"cell: expected LTC or WiredLTC, got {type(cell).__name__}")
        diffrax_or_error()
        self.inputs, self.outputs, self.memory_size = cell.inputs, cell.outputs, cell.memory_size
        self.cell, self.integration = cell, nnx.static(integration)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by `dt` [s]; `dt = 0` leaves the memory as it is."""
        cell = self.cell
        leak, capacity = jax.nn.softplus(cell.leak[...]), capacity_of(cell.capacitance[...])
        if isinstance(cell, WiredLTC):
            inputs = inputs * cell.gain[...] + cell.offset[...]
        driven, conductance = cell.senses(inputs)
        driven, conductance = driven + leak * cell.rest[...], conductance + leak + EPSILON

        def rate(potential: Array, driven: Array, conductance: Array) -> Array:
            current, opening = cell.synapses(potential)
            return (driven + current - (conductance + opening) * potential) / capacity

        memory = integrate(rate, memory, (driven, conductance), dt, self.integration)
        if isinstance(cell, WiredLTC):
            return memory, memory[..., : self.outputs] * cell.read[...] + cell.level[...]
        return memory, memory
