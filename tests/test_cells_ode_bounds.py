"""Memories under a differential equation stay in their range: random networks, any input."""

from __future__ import annotations

import jax
import numpy as np
from flax import nnx

from lnn_nav.cells import CTRNN, GRUODE, ODERNN, Integration, unroll

SIZES = (4, 6)


def lives(cell, *spans, nets=100, steps=4):
    """Random networks of a cell's kind: memories, first memories, times and weights.

    Args:
        cell: says the kind and the sizes.
        spans: shortest and longest time [s]; networks live once for each.
        nets: how many.
        steps: how many inputs each is given.
    """
    graph, weights = nnx.split(cell)
    leaves, form = jax.tree.flatten(weights)
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(size=(nets, *shape)).astype(np.float32)

    # From a tenth to 30 times what is usual, every parameter on its own.
    wild = [10 ** rng.uniform(-1.5, 1, nets) for _ in leaves]
    drawn = [
        draw(*leaf.shape) * scale.reshape(-1, *[1] * leaf.ndim).astype(np.float32)
        for leaf, scale in zip(leaves, wild, strict=True)
    ]
    weights, start = jax.tree.unflatten(form, drawn), 3 * draw(cell.memory_size)
    inputs = 100 * draw(steps, SIZES[0])

    def life(weights, start, inputs, dt):
        # Outputs are memories.
        return unroll(nnx.merge(graph, weights), inputs, dt, memory=start)[1]

    life = jax.jit(jax.vmap(life))
    for low, high in spans:
        dt = np.exp(rng.uniform(*np.log([low, high]), (nets, steps))).astype(np.float32)
        yield np.asarray(life(weights, start, inputs, dt)), start, dt, nnx.to_pure_dict(weights)


def test_a_ct_rnn_stays_in_its_range():
    """Each neuron for itself, to the solver's tolerance, from 0.1 ms to 1,000 s."""
    integration = Integration("dopri5", rtol=1e-4, atol=1e-5, max_steps=4096)
    ((memories, start, _, weights),) = lives(
        CTRNN(*SIZES, integration=integration, rngs=nnx.Rngs(1)), (1e-4, 1e3)
    )
    bound = np.maximum(np.abs(start), np.abs(weights["scale"]))[:, None]
    assert np.all(np.abs(memories) <= bound * (1 + 1e-3) + 1e-3)
    assert np.max(np.abs(memories[:, -1]) / bound[:, 0]) > 0.9


def test_a_gru_ode_stays_in_its_range():
    """By Euler as long as no step is longer than a second; by an adaptive solver always."""
    short, long = lives(GRUODE(*SIZES, rngs=nnx.Rngs(1)), (1e-4, 4), (30, 100))
    bound = np.maximum(np.abs(short[1]).max(axis=1), 1)[:, None, None]
    assert np.all(np.abs(short[0]) <= bound * (1 + 1e-6))
    # Negative control: steps of many seconds leave the range.
    assert not np.all(np.abs(long[0]) <= bound)
    solver = Integration("tsit5", rtol=1e-4, atol=1e-5, max_steps=4096)
    adaptive = GRUODE(*SIZES, integration=solver, rngs=nnx.Rngs(1))
    ((memories, start, *_),) = lives(adaptive, (1e-4, 1e3))
    bound = np.maximum(np.abs(start).max(axis=1), 1)[:, None, None]
    assert np.all(np.abs(memories) <= bound * (1 + 1e-3) + 1e-3)


def test_an_ode_rnn_grows_no_faster_than_its_equation_allows():
    ((memories, start, dt, weights),) = lives(ODERNN(*SIZES, rngs=nnx.Rngs(1)), (1e-4, 1e3))
    layer = weights["rate"]
    fastest = np.abs(layer["kernel"]).sum(axis=1).max(axis=1) + np.abs(layer["bias"]).max(axis=1)
    before = np.concatenate([start[:, None], memories[:, :-1]], axis=1)
    grown = np.abs(before).max(axis=2) + fastest[:, None] * dt
    assert np.all(np.abs(memories).max(axis=2) <= np.maximum(grown, 1) * (1 + 1e-5))
