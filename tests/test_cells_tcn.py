"""Temporal convolutions: one input at a time, they are convolutions of the whole sequence."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lnn_nav.cells import TCN, Cell, unroll
from lnn_nav.convert.arrays import filled, parameters

INPUTS, NEURONS, T = 3, 5, 40


def make(inputs=INPUTS, blocks=3, taps=3):
    """In float64, biases too moved off zero."""
    cell, rng = TCN(inputs, NEURONS, blocks, taps, rngs=nnx.Rngs(0)), np.random.default_rng(0)
    values = {
        path: value + rng.uniform(-0.3, 0.3, value.shape)
        for path, value in sorted(parameters(cell).items(), key=str)
    }
    return filled(cell, values)


def drawn(inputs=INPUTS):
    return jnp.asarray(np.random.default_rng(1).normal(size=(2, T, inputs)))


def convolved(x, kernel, bias, dilation):
    """By jax's convolution over time, padded with zeros on the left."""
    past = (kernel.shape[0] - 1) * dilation
    layout = ("NTC", "TIO", "NTC")
    y = jax.lax.conv_general_dilated(
        x, kernel, (1,), [(past, 0)], rhs_dilation=(dilation,), dimension_numbers=layout
    )
    return y + bias


def whole(cell, x):
    """All outputs at once, as in the paper."""
    values = parameters(cell)
    for block in range(len(cell.convolutions) // 2):
        hidden = x
        for k in (2 * block, 2 * block + 1):
            kernel, bias = (values["convolutions", k, part] for part in ("kernel", "bias"))
            hidden = np.maximum(convolved(hidden, kernel, bias, 2**block), 0)
        if block == 0 and ("shortcut", "kernel") in values:
            x = x @ values["shortcut", "kernel"] + values["shortcut", "bias"]
        x = np.maximum(x + hidden, 0)
    return x


@pytest.mark.parametrize("shape", [(INPUTS, 3, 3), (NEURONS, 2, 2)], ids=str)
def test_streaming_is_a_convolution_of_the_sequence(shape):
    cell, inputs = make(*shape), drawn(shape[0])
    assert isinstance(cell, Cell)
    _, outputs = unroll(cell, inputs)
    np.testing.assert_allclose(outputs, whole(cell, inputs), atol=1e-12, rtol=0)
    # Also after a pause, from the memory at the end of the first half; and time does not matter.
    memory, first = unroll(cell, inputs[:, :20], 0.0)
    _, second = unroll(cell, inputs[:, 20:], 9.0, memory=memory)
    np.testing.assert_allclose(jnp.concatenate([first, second], axis=1), outputs, atol=1e-13)


def test_one_tap_is_what_it_says():
    """In numpy, neuron by neuron: the last tap sees the input of now."""
    layer = make(INPUTS, 2).convolutions[2]
    kernel, bias = (np.asarray(part[...]) for part in (layer.kernel, layer.bias))
    inputs, memory = np.random.default_rng(2).normal(size=(9, NEURONS)), np.zeros(4 * NEURONS)
    for t in range(9):
        memory, output = layer(jnp.asarray(memory), jnp.asarray(inputs[t]), 1.0)
        expected = bias.copy()
        for tap in range(3):
            before = t - 2 * (2 - tap)
            if before >= 0:
                for i in range(NEURONS):
                    expected += inputs[before, i] * kernel[tap, i]
        np.testing.assert_allclose(output, expected, atol=1e-12, rtol=0)
    np.testing.assert_array_equal(memory, inputs[5:].ravel())


def test_an_output_depends_on_its_receptive_field_and_on_nothing_else():
    cell = make(INPUTS, 2)
    assert cell.receptive_field == 13
    graph, weights = nnx.split(cell)
    # Without ReLU's zeros: each weight positive, each input positive.
    cell = nnx.merge(graph, jax.tree.map(jnp.abs, weights))
    at = 25
    slopes = jax.grad(lambda x: unroll(cell, x)[1][at].sum())(jnp.abs(drawn()[0]))
    seen = np.flatnonzero(np.abs(slopes).sum(axis=1))
    np.testing.assert_array_equal(seen, np.arange(at - 12, at + 1))


def test_sizes_that_cannot_be_are_refused():
    for sizes in ((0, 3, 1, 2), (3, 0, 1, 2), (3, 3, 0, 2), (3, 3, 1, 1)):
        with pytest.raises(ValueError, match="blocks >= 1 and taps >= 2 expected, got"):
            TCN(*sizes, rngs=nnx.Rngs(0))
