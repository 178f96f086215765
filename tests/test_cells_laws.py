"""Cells against plain numpy, and the laws that hold for any weights, any input and any dt."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from lnn_nav.cells import CELLS, LTC, Cell, CfC, build_cell, neurons_within
from lnn_nav.policy import Policy, PolicyShape

INPUTS, NEURONS = 5, 7


def doubled(cell: nnx.Module) -> nnx.Module:
    """The same cell with float64 parameters."""
    graph, params = nnx.split(cell)
    return nnx.merge(graph, jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params))


def numbers(variable: nnx.Variable) -> np.ndarray:
    return np.asarray(variable[...], np.float64)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def draws(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def cfc_by_hand(cell: CfC, memory: np.ndarray, inputs: np.ndarray, dt: float) -> np.ndarray:
    """Equation 10 of the paper, one neuron at a time."""
    x = np.concatenate([inputs, memory])
    kernel, bias = numbers(cell.backbone.kernel), numbers(cell.backbone.bias)
    hidden = 1.7159 * np.tanh(0.666 * (x @ kernel + bias))
    kernel, bias = numbers(cell.heads.kernel), numbers(cell.heads.bias)
    after = np.zeros(NEURONS)
    for neuron in range(NEURONS):
        f1, f2, a, b = (
            hidden @ kernel[:, head * NEURONS + neuron] + bias[head * NEURONS + neuron]
            for head in range(4)
        )
        gate = sigmoid(a * dt + b)
        after[neuron] = np.tanh(f1) * (1 - gate) + np.tanh(f2) * gate
    return after


@pytest.mark.parametrize("dt", [0.0, 1 / 24, 3.0])
def test_cfc_is_the_equation_of_the_paper(dt):
    cell = doubled(CfC(INPUTS, NEURONS, backbone=11, rngs=nnx.Rngs(3)))
    cell.heads.bias[...] = jnp.asarray(draws(1, 4 * NEURONS))
    memory, inputs = draws(2, NEURONS), 3 * draws(3, INPUTS)
    after, output = cell(jnp.asarray(memory), jnp.asarray(inputs), dt)
    np.testing.assert_allclose(after, cfc_by_hand(cell, memory, inputs, dt), atol=1e-12, rtol=0)
    np.testing.assert_array_equal(after, output)
    # The time step does matter, and so does every part of the equation.
    assert np.abs(after - cfc_by_hand(cell, memory, inputs, dt + 1)).max() > 1e-3


def ltc_rate(cell: LTC, potential: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """The cell's differential equation, dv/dt, one synapse at a time."""

    def softplus(x: np.ndarray) -> np.ndarray:
        return np.log1p(np.exp(x))

    leak, capacitance = softplus(numbers(cell.leak)), softplus(numbers(cell.capacitance))
    current = leak * (numbers(cell.rest) - potential)
    for synapses, sources in ((cell.senses, inputs), (cell.synapses, potential)):
        weight, slope = softplus(numbers(synapses.weight)), numbers(synapses.slope)
        middle, reversal = numbers(synapses.middle), numbers(synapses.reversal)
        for source in range(len(sources)):
            for target in range(len(potential)):
                gate = sigmoid(slope[source, target] * (sources[source] - middle[source, target]))
                drive = reversal[source, target] - potential[target]
                current[target] += weight[source, target] * gate * drive
    return current / capacitance


def test_ltc_follows_its_differential_equation():
    cell = doubled(LTC(INPUTS, NEURONS, rngs=nnx.Rngs(4)))
    potential, inputs = draws(5, NEURONS), draws(6, INPUTS)
    dt = 1e-6
    after, _ = cell(jnp.asarray(potential), jnp.asarray(inputs), dt)
    np.testing.assert_allclose(
        (np.asarray(after) - potential) / dt, ltc_rate(cell, potential, inputs), rtol=1e-4
    )


def test_ltc_steps_agree_with_a_fine_integration():
    cell = doubled(LTC(INPUTS, NEURONS, unfolds=600, rngs=nnx.Rngs(4)))
    potential, inputs = draws(5, NEURONS), draws(6, INPUTS)
    exact, step = potential.copy(), 1 / 24 / 2_000
    for _ in range(2_000):
        half = exact + step / 2 * ltc_rate(cell, exact, inputs)
        exact = exact + step * ltc_rate(cell, half, inputs)
    after, _ = cell(jnp.asarray(potential), jnp.asarray(inputs), 1 / 24)
    assert np.abs(after - potential).max() > 0.05
    np.testing.assert_allclose(after, exact, atol=2e-3)


def test_no_time_leaves_an_ltc_as_it_is():
    cell = LTC(INPUTS, NEURONS, rngs=nnx.Rngs(0))
    memory = jnp.asarray(draws(0, NEURONS), jnp.float32)
    after, _ = cell(memory, jnp.asarray(draws(1, INPUTS), jnp.float32), 0.0)
    np.testing.assert_allclose(after, memory, rtol=1e-6)


@pytest.fixture(scope="module")
def compiled() -> dict:
    """CfC and LTC compiled for batches, with weights far larger than any training gives."""

    def wild(cell: nnx.Module, factor: float) -> nnx.Module:
        graph, params = nnx.split(cell)
        return nnx.merge(graph, jax.tree.map(lambda leaf: factor * leaf, params))

    cells = {
        "cfc": wild(CfC(INPUTS, NEURONS, backbone=14, rngs=nnx.Rngs(0)), 30.0),
        "ltc": LTC(INPUTS, NEURONS, rngs=nnx.Rngs(1)),
    }
    parts = {name: nnx.split(cell) for name, cell in cells.items()}
    return {
        name: jax.jit(lambda m, i, dt, g=graph, p=params: nnx.merge(g, p)(m, i, dt)[0])
        for name, (graph, params) in parts.items()
    }


@given(
    scale=st.floats(-6, 6),
    dt=st.floats(-6, 6),
    seed=st.integers(0, 2**31 - 1),
    name=st.sampled_from(["cfc", "ltc"]),
)
def test_the_memory_never_leaves_its_range(compiled, scale, dt, seed, name):
    # Inputs up to 1e6, dt from 1e-6 to 1e6, 64 at a time, 8 steps on.
    random = np.random.default_rng(seed)
    memory = jnp.asarray(random.uniform(-1, 1, (64, NEURONS)), jnp.float32)
    elapsed = jnp.asarray(10.0**dt * random.uniform(0.1, 1, 64), jnp.float32)
    for _ in range(8):
        inputs = jnp.asarray(10.0**scale * random.uniform(-1, 1, (64, INPUTS)), jnp.float32)
        memory = compiled[name](memory, inputs, elapsed)
        assert np.isfinite(memory).all()
        # Convex combinations of numbers in [-1, 1]; an LTC divides, hence a last bit.
        assert np.abs(memory).max() <= (1 if name == "cfc" else 1 + 1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_cells_agree_with_themselves_under_jit_vmap_and_batches(name):
    cell = build_cell(name, INPUTS, NEURONS, nnx.Rngs(2))
    assert isinstance(cell, Cell)
    memory = jnp.asarray(0.5 * draws(7, 3, cell.memory_size), jnp.float32)
    inputs = jnp.asarray(draws(8, 3, INPUTS), jnp.float32)
    elapsed = jnp.asarray([0.01, 0.04, 0.5], jnp.float32)
    one = [cell(memory[k], inputs[k], elapsed[k]) for k in range(3)]
    graph, params = nnx.split(cell)
    fast = jax.jit(jax.vmap(lambda m, i, dt: nnx.merge(graph, params)(m, i, dt)))
    for after, output in (cell(memory, inputs, elapsed), fast(memory, inputs, elapsed)):
        assert after.shape == (3, cell.memory_size)
        assert output.shape == (3, cell.outputs)
        assert after.dtype == output.dtype == jnp.float32
        np.testing.assert_allclose(after, jnp.stack([m for m, _ in one]), atol=1e-6)
        np.testing.assert_allclose(output, jnp.stack([o for _, o in one]), atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_no_policy_has_more_parameters_than_it_may(name):
    policy = nnx.eval_shape(lambda: Policy(PolicyShape(cell=name), rngs=nnx.Rngs(0)))
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(policy)))
    assert 0.9 * 20_000 < count <= 20_000


@pytest.mark.parametrize("name", CELLS)
def test_the_largest_cell_that_fits_is_found(name):
    def size(neurons: int) -> int:
        cell = nnx.eval_shape(lambda: build_cell(name, INPUTS, neurons, nnx.Rngs(0)))
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(cell)))

    neurons = neurons_within(name, INPUTS, 5_000)
    assert size(neurons) <= 5_000 < size(neurons + 1)


def test_what_is_no_cell_is_refused_by_name():
    with pytest.raises(ValueError, match="cell: expected one of cfc"):
        build_cell("transformer", INPUTS, NEURONS, nnx.Rngs(0))
    with pytest.raises(ValueError, match="cell: expected one of cfc"):
        neurons_within("transformer", INPUTS, 5_000)
    with pytest.raises(ValueError, match="parameters: cfc with 5 inputs"):
        neurons_within("cfc", INPUTS, 3)
    with pytest.raises(ValueError, match="neurons: expected a positive size"):
        CfC(INPUTS, 0, 4, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="unfolds"):
        LTC(INPUTS, NEURONS, 0, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="parameters"):
        Policy(replace(PolicyShape(), parameters=100), rngs=nnx.Rngs(0))
