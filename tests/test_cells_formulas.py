"""Every cell against a transcription of its equations in plain numpy, one neuron at a time."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lnn_nav.cells import LTC, CfC, MixedMemory, Projected, WiredCfC, WiredLTC
from lnn_nav.cells.wirings import auto_ncp, fully_connected, random_wiring
from lnn_nav.convert.arrays import filled, parameters

MODES = ("gated", "no_gate", "pure")
ACTIVATIONS = {
    "lecun_tanh": lambda x: 1.7159 * math.tanh(0.666 * x),
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "linear": lambda x: x,
}


def shaken(cell, seed=0):
    """The same cell in float64, every parameter moved off its start."""
    rng = np.random.default_rng(seed)
    values = {
        path: value.astype(float) + rng.uniform(-0.3, 0.3, value.shape)
        for path, value in sorted(parameters(cell).items(), key=str)
    }
    return filled(cell, values)


def drawn(cell, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, cell.memory_size), rng.uniform(-2, 2, cell.inputs)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def through(kernel, bias, x, k):
    return sum(x[j] * kernel[j, k] for j in range(len(x))) + bias[k]


def one_neuron(heads, mode, squash, dt, decay=0.0, rest=1.0):
    """New memory of one neuron from its heads."""
    if mode == "pure":
        return rest - rest * math.exp(-dt * (abs(decay) + abs(heads[0]))) * heads[0]
    first, second = ACTIVATIONS[squash](heads[0]), ACTIVATIONS[squash](heads[1])
    gate = sigmoid(heads[2] * dt + heads[3])
    if mode == "no_gate":
        return first + gate * second
    return first * (1 - gate) + gate * second


def cfc_by_hand(cell, memory, inputs, dt):
    values, x = parameters(cell), [*inputs, *memory]
    paths = [("backbone",), ("deeper", 0), ("deeper", 1)]
    for path in paths:
        if (*path, "kernel") in values:
            kernel, bias = values[*path, "kernel"], values[*path, "bias"]
            active = ACTIVATIONS[cell.activation]
            x = [active(through(kernel, bias, x, k)) for k in range(kernel.shape[1])]
    kernel, bias, size = values["heads", "kernel"], values["heads", "bias"], cell.memory_size
    count = 1 if cell.mode == "pure" else 4
    after = []
    for k in range(size):
        heads = [through(kernel, bias, x, head * size + k) for head in range(count)]
        pure = (values["decay",][k], values["rest",][k]) if cell.mode == "pure" else ()
        after.append(one_neuron(heads, cell.mode, cell.squash, dt, *pure))
    return np.array(after)


@pytest.mark.parametrize("dt", [0.0, 1 / 24, 3.0])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backbone", [(), 11, (9, 6, 5)], ids=str)
def test_cfc_is_its_equation(mode, backbone, dt):
    cell = shaken(CfC(5, 7, backbone, mode=mode, rngs=nnx.Rngs(3)))
    memory, inputs = drawn(cell)
    after, output = cell(jnp.asarray(memory), jnp.asarray(inputs), dt)
    np.testing.assert_allclose(after, cfc_by_hand(cell, memory, inputs, dt), atol=1e-12, rtol=0)
    np.testing.assert_array_equal(after, output)
    assert np.abs(after - cfc_by_hand(cell, memory, inputs, dt + 1)).max() > 1e-3


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_that_are_named(name):
    cell = shaken(CfC(5, 7, 11, activation=name, squash=name, rngs=nnx.Rngs(3)))
    memory, inputs = drawn(cell)
    after, _ = cell(jnp.asarray(memory), jnp.asarray(inputs), 0.4)
    np.testing.assert_allclose(after, cfc_by_hand(cell, memory, inputs, 0.4), atol=1e-12, rtol=0)


def wired_by_hand(cell, memory, inputs, dt):
    """Each neuron of each layer from exactly those that it hears."""
    values, wiring, compat = parameters(cell), cell.wiring, cell.compat == "ncps"
    after, before, signal = np.zeros(len(memory)), None, inputs
    count = 1 if cell.mode == "pure" else 4
    for k, (_, ids) in enumerate(wiring.layers):
        kernel, bias = values["kernels", k], values["biases", k]
        for place, neuron in enumerate(ids):
            heads = []
            for head in range(count):
                column, timed = head * len(ids) + place, head >= 2
                total = bias[column]
                for j, value in enumerate(signal):
                    there = (
                        wiring.senses[j, neuron] if k == 0 else wiring.synapses[before[j], neuron]
                    )
                    if there or (compat and timed):
                        total += kernel[j, column] * value
                for j, other in enumerate(ids):
                    if compat or other == neuron or wiring.synapses[other, neuron]:
                        total += kernel[len(signal) + j, column] * memory[other]
                heads.append(total)
            pure = ()
            if cell.mode == "pure":
                pure = (values["decays", k][place], values["rests", k][place])
            after[neuron] = one_neuron(heads, cell.mode, cell.squash, dt, *pure)
        before, signal = ids, after[list(ids)]
    return after, signal


WIRINGS = {
    "auto_ncp": auto_ncp(6, 14, 3),
    "random": random_wiring(6, 9, 3, sparsity=0.6),
}


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("compat", [None, "ncps"])
@pytest.mark.parametrize("mode", MODES)
def test_wired_cfc_is_its_equation(mode, compat, wiring):
    cell = shaken(WiredCfC(WIRINGS[wiring], mode=mode, compat=compat, rngs=nnx.Rngs(3)))
    memory, inputs = drawn(cell)
    after, output = cell(jnp.asarray(memory), jnp.asarray(inputs), 0.7)
    expected, heard = wired_by_hand(cell, memory, inputs, 0.7)
    np.testing.assert_allclose(after, expected, atol=1e-12, rtol=0)
    np.testing.assert_allclose(output, heard, atol=1e-12, rtol=0)


def reachable(wiring, from_memory):
    """Who can influence whom in one step, over the layers in order: old memories, or inputs."""
    count, before = wiring.neurons, None
    reached = np.zeros((count if from_memory else wiring.inputs, count), bool)
    for _, neurons in wiring.layers:
        ids = list(neurons)
        if from_memory:
            own = (wiring.synapses[np.ix_(ids, ids)] != 0) | np.eye(len(ids), dtype=bool)
            reached[np.ix_(ids, ids)] |= own
        elif before is None:
            reached[:, ids] |= wiring.senses[:, ids] != 0
        if before is not None:
            step = (wiring.synapses[np.ix_(before, ids)] != 0).astype(int)
            reached[:, ids] |= reached[:, before].astype(int) @ step > 0
        before = ids
    return reached


@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_wired_has_no_influence_at_all(mode):
    """In ncps, 72 of 72 inputs and inter neurons without a synapse have one (the time heads)."""
    wiring = auto_ncp(8, 32, 4)
    cell = shaken(WiredCfC(wiring, mode=mode, rngs=nnx.Rngs(0)))
    memory, inputs = map(jnp.asarray, drawn(cell))
    to_memory, to_inputs = jax.jacobian(lambda m, i: cell(m, i, 0.7)[0], (0, 1))(memory, inputs)
    for slopes, inside in ((to_inputs, False), (to_memory, True)):
        wired = reachable(wiring, inside)
        assert np.all(np.asarray(slopes).T[~wired] == 0.0)
        assert np.mean(np.asarray(slopes).T[wired] != 0.0) > 0.99
    # Negative control: the wiring of ncps leaks.
    leaky = shaken(WiredCfC(wiring, mode="gated", compat="ncps", rngs=nnx.Rngs(0)))
    slopes = jax.jacobian(lambda i: leaky(memory, i, 0.7)[0])(inputs)
    assert np.all(np.asarray(slopes).T[~reachable(wiring, False)] != 0.0)


def ltc_by_hand(cell, memory, inputs, dt):
    """The fused solver, one synapse at a time."""
    values, wiring = parameters(cell), cell.wiring
    heard = inputs * values["gain",] + values["offset",]
    leak, capacitance = softplus(values["leak",]), softplus(values["capacitance",])
    potential = np.array(memory)
    for _ in range(cell.unfolds):
        above = capacitance * cell.unfolds / dt * potential + leak * values["rest",]
        below = capacitance * cell.unfolds / dt + leak + 1e-8
        for name, sources in (("senses", heard), ("synapses", potential)):
            weight = softplus(values[name, "weight"])
            pairs = np.argwhere(getattr(wiring, name))
            for k, (source, target) in enumerate(pairs):
                slope, middle = values[name, "slope"][k], values[name, "middle"][k]
                open_by = weight[k] * sigmoid(slope * (sources[source] - middle))
                above[target] += open_by * values[name, "reversal"][k]
                below[target] += open_by
        potential = above / below
    outputs = potential[: cell.outputs] * values["read",] + values["level",]
    return potential, outputs


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("dt", [1 / 24, 3.0])
def test_wired_ltc_is_its_equation(wiring, dt):
    cell = shaken(WiredLTC(WIRINGS[wiring], rngs=nnx.Rngs(3)))
    memory, inputs = drawn(cell)
    after, output = cell(jnp.asarray(memory), jnp.asarray(inputs), dt)
    expected, heard = ltc_by_hand(cell, memory, inputs, dt)
    np.testing.assert_allclose(after, expected, atol=1e-12, rtol=0)
    np.testing.assert_allclose(output, heard, atol=1e-12, rtol=0)


def test_a_fully_wired_ltc_is_the_dense_one():
    dense = shaken(LTC(5, 7, rngs=nnx.Rngs(0)))
    wired = WiredLTC(fully_connected(5, 7), rngs=nnx.Rngs(0))
    values, ours = parameters(dense), parameters(wired)
    for path, value in values.items():
        ours[path] = value.reshape(ours[path].shape)
    wired = filled(wired, ours)
    memory, inputs = map(jnp.asarray, drawn(dense))
    np.testing.assert_allclose(
        wired(memory, inputs, 0.5)[0], dense(memory, inputs, 0.5)[0], atol=1e-7
    )


def test_no_neuron_of_an_ltc_hears_what_it_is_not_wired_to():
    wiring = auto_ncp(8, 32, 4)
    cell = shaken(WiredLTC(wiring, unfolds=1, rngs=nnx.Rngs(0)))
    memory, inputs = map(jnp.asarray, drawn(cell))
    to_memory, to_inputs = jax.jacobian(lambda m, i: cell(m, i, 0.7)[0], (0, 1))(memory, inputs)
    own = (wiring.synapses != 0) | np.eye(32, dtype=bool)
    for slopes, wired in ((to_inputs, wiring.senses != 0), (to_memory, own)):
        assert np.all(np.asarray(slopes).T[~wired] == 0.0)
        assert np.all(np.asarray(slopes).T[wired] != 0.0)


def test_mixed_memory_is_an_lstm_before_the_cell():
    cell = shaken(MixedMemory(CfC(5, 7, 6, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1)))
    values, (memory, inputs) = parameters(cell), drawn(cell)
    carry, recalled = memory[:7].copy(), memory[7:]
    handed = np.zeros(7)
    for k in range(7):
        value, write, keep, read = (
            through(values["heard", "kernel"], values["heard", "bias"], inputs, 7 * gate + k)
            + sum(recalled[j] * values["recalled", "kernel"][j, 7 * gate + k] for j in range(7))
            for gate in range(4)
        )
        carry[k] = carry[k] * sigmoid(keep + 1) + math.tanh(value) * sigmoid(write)
        handed[k] = math.tanh(carry[k]) * sigmoid(read)
    expected = cfc_by_hand(cell.cell, handed, inputs, 0.7)
    after, output = cell(jnp.asarray(memory), jnp.asarray(inputs), 0.7)
    np.testing.assert_allclose(after, [*carry, *expected], atol=1e-12, rtol=0)
    np.testing.assert_allclose(output, expected, atol=1e-12, rtol=0)


def test_a_projection_is_linear():
    cell = shaken(Projected(CfC(5, 7, 6, rngs=nnx.Rngs(0)), 2, rngs=nnx.Rngs(1)))
    values, (memory, inputs) = parameters(cell), drawn(cell)
    inner = cfc_by_hand(cell.cell, memory, inputs, 0.7)
    _, output = cell(jnp.asarray(memory), jnp.asarray(inputs), 0.7)
    expected = [
        through(values["readout", "kernel"], values["readout", "bias"], inner, k) for k in range(2)
    ]
    np.testing.assert_allclose(output, expected, atol=1e-12, rtol=0)


def test_what_is_no_mode_is_refused():
    with pytest.raises(ValueError, match="mode: expected one of gated, no_gate, pure"):
        CfC(3, 4, mode="default", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="activation: expected one of lecun_tanh"):
        CfC(3, 4, activation="swish", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="compat"):
        WiredCfC(auto_ncp(3, 8, 2), compat="torch", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="unfolds: expected at least 1"):
        WiredLTC(auto_ncp(3, 8, 2), 0, rngs=nnx.Rngs(0))
