"""A memory stays in its range: 1,000 random networks, any input, dt from 1e-4 to 1e3 s."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lnn_nav.cells import LTC, CfC, MixedMemory, WiredCfC, WiredLTC
from lnn_nav.cells.wirings import auto_ncp, random_wiring

INPUTS, NETS, STEPS = 4, 1000, 16
WIRING = auto_ncp(INPUTS, 12, 3)
CELLS = {
    "gated": lambda rngs: CfC(INPUTS, 6, 8, rngs=rngs),
    "no_gate": lambda rngs: CfC(INPUTS, 6, 8, mode="no_gate", rngs=rngs),
    "pure": lambda rngs: CfC(INPUTS, 6, 8, mode="pure", rngs=rngs),
    "wired": lambda rngs: WiredCfC(WIRING, rngs=rngs),
    "wired_pure": lambda rngs: WiredCfC(random_wiring(INPUTS, 7), mode="pure", rngs=rngs),
    "mixed": lambda rngs: MixedMemory(CfC(INPUTS, 6, 8, rngs=rngs), rngs=rngs),
    "ltc": lambda rngs: LTC(INPUTS, 6, rngs=rngs),
    "wired_ltc": lambda rngs: WiredLTC(WIRING, rngs=rngs),
}


def lives(make):
    """Memories after every step, times of the steps, and what bounds an LTC, of every network."""

    def life(key):
        drawn, wild, inputs_key, times_key = jax.random.split(key, 4)
        graph, weights = nnx.split(make(nnx.Rngs(drawn)))
        # From as they are drawn to 300 times that, every parameter on its own.
        leaves, form = jax.tree.flatten(weights)
        factors = 10 ** jax.random.uniform(wild, len(leaves), jnp.float32, -1, 2.5)
        cell = nnx.merge(graph, jax.tree.unflatten(form, map(jnp.multiply, leaves, factors)))
        scale = 10 ** jax.random.uniform(inputs_key, (STEPS, 1), minval=-3, maxval=6)
        inputs = scale * jax.random.normal(inputs_key, (STEPS, INPUTS))
        times = 10 ** jax.random.uniform(times_key, (STEPS,), minval=-4, maxval=3)

        def step(memory, given):
            after, output = cell(memory, *given)
            return after, (after, output)

        start = jnp.zeros(cell.memory_size, jnp.float32)
        told = (inputs.astype(jnp.float32), times.astype(jnp.float32))
        _, (memories, outputs) = jax.lax.scan(step, start, told)
        parts = [cell.rest[...]] if hasattr(cell, "rest") and cell.rest is not None else []
        if hasattr(cell, "synapses"):
            parts += [cell.synapses.reversal[...].ravel(), cell.senses.reversal[...].ravel()]
        elif hasattr(cell, "rests"):
            parts += [part[...] for part in cell.rests]
        anchors = jnp.concatenate([jnp.zeros(1, jnp.float32), *parts])
        return memories, outputs, told[1], anchors

    every = jax.jit(jax.vmap(life))(jax.random.split(jax.random.key(0), NETS))
    return [np.asarray(part, float) for part in every]


@pytest.mark.parametrize("name", CELLS)
def test_memories_stay_where_they_must(name):
    memories, outputs, times, anchors = lives(CELLS[name])
    assert memories.shape[:2] == (NETS, STEPS)
    assert np.isfinite(memories).all() and np.isfinite(outputs).all()
    rounding = 1 + 1e-5
    if "pure" in name:
        most = np.abs(anchors).max(axis=1)[:, None] * (1 + 1 / (np.e * times))
        assert np.all(np.abs(memories).max(axis=2) <= rounding * most)
    elif "ltc" in name:
        # Between the lowest and the highest of all that pulls, and the start.
        low, high = anchors.min(axis=1), anchors.max(axis=1)
        spare = 1e-5 * (1 + np.abs(anchors).max(axis=1))
        assert np.all(memories >= (low - spare)[:, None, None])
        assert np.all(memories <= (high + spare)[:, None, None])
    elif name == "mixed":
        # The LSTM's carry takes in less than one a step.
        assert np.all(np.abs(memories[..., :6]) <= rounding * np.arange(1, STEPS + 1)[:, None])
        assert np.abs(memories[..., 6:]).max() <= 1
    else:
        assert np.abs(memories).max() <= (2 if name == "no_gate" else 1)
    # And the range is made use of.
    assert np.abs(memories).max() > 0.9


def test_an_unbounded_cell_is_told_apart():
    """Negative control: without tanh before the gate, memories leave the range."""
    memories, *_ = lives(lambda rngs: CfC(INPUTS, 6, 8, squash="linear", rngs=rngs))
    assert np.abs(memories).max() > 10
