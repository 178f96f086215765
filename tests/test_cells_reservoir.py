"""Reservoirs: what is drawn, what is remembered, and the readout that is solved for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from sklearn.linear_model import Ridge

from lnn_nav.cells import Cell, Projected, Reservoir, ridge, unroll
from lnn_nav.cells.reservoir import Frozen, sparse
from lnn_nav.convert.arrays import filled, parameters


def make(inputs=1, neurons=120, seed=0, **options):
    return Reservoir(inputs, neurons, **options, rngs=nnx.Rngs(seed))


def doubled(cell):
    return filled(cell, {path: value.astype(float) for path, value in parameters(cell).items()})


@pytest.mark.parametrize(("neurons", "radius"), [(7, 0.5), (120, 0.95), (300, 1.3)])
def test_the_spectral_radius_is_what_it_was_said_to_be(neurons, radius):
    matrix = np.asarray(make(2, neurons, spectral_radius=radius).recurrent[...], float)
    assert abs(np.abs(np.linalg.eigvals(matrix)).max() - radius) < 1e-6
    if neurons == 300:
        # About ten are heard by each; another seed hears others.
        assert 9 < np.mean(np.count_nonzero(matrix, axis=0)) < 11
        other = make(2, neurons, seed=1, spectral_radius=radius).recurrent[...]
        assert np.count_nonzero((matrix != 0) & (other != 0)) < 0.2 * np.count_nonzero(matrix)


@pytest.mark.parametrize("dt", [0.0, 0.3, 1.0, 7.0])
@pytest.mark.parametrize("leak", [0.2, 1.0])
def test_a_reservoir_is_its_equation(leak, dt):
    """Neuron by neuron, in numpy."""
    cell = doubled(make(3, 8, leak=leak, connections=4))
    heard, recurrent = (np.asarray(part[...]) for part in (cell.heard, cell.recurrent))
    rng = np.random.default_rng(0)
    memory, inputs = rng.uniform(-1, 1, 8), rng.normal(size=3)
    expected, taken = np.zeros(8), 1 - (1 - leak) ** dt
    for k in range(8):
        total = heard[0, k] + sum(inputs[i] * heard[1 + i, k] for i in range(3))
        total += sum(memory[j] * recurrent[j, k] for j in range(8))
        expected[k] = (1 - taken) * memory[k] + taken * np.tanh(total)
    after, output = cell(jnp.asarray(memory), jnp.asarray(inputs), dt)
    np.testing.assert_allclose(after, expected, atol=1e-12, rtol=0)
    np.testing.assert_array_equal(after, output)
    slope = jax.grad(lambda dt: cell(jnp.asarray(memory), jnp.asarray(inputs), dt)[0].sum())(dt)
    assert np.isfinite(slope)


def test_streaming_is_the_sequence_with_times_of_their_own():
    cell, rng = make(2, 30, leak=0.4), np.random.default_rng(0)
    assert isinstance(cell, Cell)
    inputs = jnp.asarray(rng.normal(size=(3, 6, 2)), jnp.float32)
    dt = jnp.asarray(rng.uniform(0, 3, (3, 6)), jnp.float32)
    _, outputs = jax.jit(lambda x, t: unroll(cell, x, t))(inputs, dt)
    for b in range(3):
        memory = jnp.zeros(30, jnp.float32)
        for t in range(6):
            memory, output = cell(memory, inputs[b, t], dt[b, t])
            np.testing.assert_allclose(outputs[b, t], output, atol=1e-6)


def test_the_start_is_forgotten_below_a_spectral_radius_of_one():
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(300, 1)))
    starts = jnp.asarray(rng.uniform(-1, 1, (2, 120)))

    def apart(radius, scale=1.0):
        cell = doubled(make(spectral_radius=radius, leak=0.7, input_scale=scale))
        first, second = (unroll(cell, inputs, memory=start)[1] for start in starts)
        return np.abs(first - second).max(axis=1)

    gone = apart(0.9)
    assert gone[0] > 0.1 and gone[-1] < 1e-9
    # Negative control: a network that lives on its own, with hardly any input.
    assert apart(1.6, 0.01)[-1] > 0.1


def test_a_memory_stays_in_its_range():
    rng = np.random.default_rng(0)
    cell = make(2, 40, spectral_radius=50.0, leak=0.3, input_scale=100.0)
    inputs = jnp.asarray(
        10.0 ** rng.uniform(-3, 6, (50, 1)) * rng.normal(size=(50, 2)), jnp.float32
    )
    dt = jnp.asarray(10.0 ** rng.uniform(-4, 3, 50), jnp.float32)
    start = jnp.asarray(rng.uniform(-3, 3, 40), jnp.float32)
    _, outputs = unroll(cell, inputs, dt, memory=start)
    assert np.all(np.abs(outputs) <= np.maximum(1, np.abs(start)))
    assert np.all(np.abs(outputs[-1]) <= 1) and np.abs(outputs).max() > 0.99


def test_an_optimizer_of_parameters_leaves_a_reservoir_alone():
    network = Projected(make(2, 20), 1, rngs=nnx.Rngs(1))
    before = np.asarray(network.cell.recurrent[...])
    graph, weights, frozen = nnx.split(network, nnx.Param, ...)
    assert set(nnx.to_pure_dict(weights)) == {"readout"}
    assert len(jax.tree.leaves(nnx.filter_state(frozen, Frozen))) == 2
    optimizer = nnx.Optimizer(network, optax.sgd(0.1), wrt=nnx.Param)
    inputs = jnp.ones((5, 2), jnp.float32)
    slope = nnx.grad(lambda n: jnp.sum(unroll(n, inputs)[1] ** 2))(network)
    readout = np.asarray(network.readout.kernel[...])
    optimizer.update(network, slope)
    np.testing.assert_array_equal(network.cell.recurrent[...], before)
    assert np.abs(network.readout.kernel[...] - readout).max() > 1e-4


@pytest.mark.parametrize("penalty", [0.0, 1e-6, 3.0])
def test_the_readout_is_that_of_scikit_learn(penalty):
    rng = np.random.default_rng(0)
    states, targets = rng.normal(size=(200, 12)) + 5, rng.normal(size=(200, 3)) - 2
    readout = ridge(states, targets, penalty)
    peer = Ridge(alpha=penalty, solver="svd").fit(states, targets)
    np.testing.assert_allclose(readout.kernel[...], peer.coef_.T, atol=1e-12)
    np.testing.assert_allclose(readout.bias[...], peer.intercept_, atol=1e-11)
    # Sequences of samples are samples.
    again = ridge(states.reshape(4, 50, 12), targets.reshape(4, 50, 3), penalty)
    np.testing.assert_array_equal(again.kernel[...], readout.kernel[...])
    assert ridge(states.astype(np.float32), targets, penalty).kernel.dtype == jnp.float32


def test_the_readout_is_the_best_there_is():
    """No step in any direction makes error and penalty less; also where columns are alike."""
    rng = np.random.default_rng(0)
    states, targets = rng.normal(size=(50, 6)), rng.normal(size=(50, 2))
    states[:, 3] = states[:, 1]

    def cost(kernel, bias):
        return jnp.sum((states @ kernel + bias - targets) ** 2) + 0.5 * jnp.sum(kernel**2)

    best = ridge(states, targets, 0.5)
    for slope in jax.grad(cost, (0, 1))(best.kernel[...], best.bias[...]):
        np.testing.assert_allclose(slope, 0, atol=1e-12)
    # Least squares of the least length, where there are many.
    plain = ridge(states, targets, 0.0)
    np.testing.assert_allclose(plain.kernel[3], plain.kernel[1], atol=1e-12)
    assert ridge(np.ones((5, 2)), np.ones((5, 1))).bias[0] == 1


def narma(count, rng):
    """The tenth-order series of Atiya and Parlos (2000)."""
    told, series = rng.uniform(0, 0.5, count), np.zeros(count)
    for t in range(9, count - 1):
        past = series[t - 9 : t + 1].sum()
        series[t + 1] = 0.3 * series[t] + 0.05 * series[t] * past
        series[t + 1] += 1.5 * told[t - 9] * told[t] + 0.1
    return told[:, None], np.roll(series, -1)[:, None]


def test_a_reservoir_foretells_what_needs_a_memory():
    """NARMA-10: normalized error of 1,000 new steps, against a readout of the inputs alone."""
    inputs, targets = narma(3200, np.random.default_rng(0))
    network = Projected(make(1, 200, spectral_radius=0.95, input_scale=0.3), 1, rngs=nnx.Rngs(1))
    _, states = unroll(network.cell, jnp.asarray(inputs, jnp.float32))
    learnt, new = slice(200, 2200), slice(2200, 3199)
    network.readout = ridge(states[learnt], targets[learnt], 1e-6)
    _, foretold = unroll(network, jnp.asarray(inputs, jnp.float32))
    blind = ridge(inputs[learnt], targets[learnt])(inputs)

    def error(guess):
        return np.sqrt(np.mean((guess[new] - targets[new]) ** 2) / np.var(targets[new]))

    print(f"NARMA-10: {error(foretold):.3f}, without a memory {error(blind):.3f}")
    assert error(foretold) < 0.3 < 0.8 < error(blind)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": 0}, "inputs: expected a number, 1 to inf, got 0"),
        ({"neurons": 0}, "neurons: .* got 0"),
        ({"leak": 0.0}, "leak: expected a number, 1e-06 to 1, got 0.0"),
        ({"leak": 1.5}, "leak: .* got 1.5"),
        ({"spectral_radius": -1.0}, "spectral_radius: .* got -1.0"),
        ({"spectral_radius": np.nan}, "spectral_radius: .* got nan"),
        ({"input_scale": np.inf}, "input_scale: .* got inf"),
        ({"connections": 0}, "connections: .* got 0"),
    ],
)
def test_a_reservoir_that_cannot_be_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        make(**change)


def test_neurons_without_a_loop_are_refused():
    class OneWay(np.random.Generator):
        """Draws synapses to later neurons only."""

        def random(self, shape):
            return np.tril(np.ones(shape))

        def normal(self, size):
            return np.full(size, 2.0)

    with pytest.raises(ValueError, match="connections: no loop among 60 neurons with 10 each"):
        sparse(OneWay(np.random.PCG64(0)), 60, 10)


@pytest.mark.parametrize(
    ("states", "targets", "penalty", "said"),
    [
        (np.ones((5, 2)), np.ones((4, 1)), 1.0, r"same samples, got \(5, 2\) and \(4, 1\)"),
        (np.ones((5, 2)), np.ones((5, 1)), -1.0, "penalty: expected a finite number >= 0, got -1"),
        (np.full((5, 2), np.nan), np.ones((5, 1)), 1.0, "states: expected finite numbers"),
        (np.ones((5, 2)), np.full((5, 1), np.inf), 1.0, "targets: expected finite numbers"),
        (np.ones((0, 2)), np.ones((0, 1)), 1.0, r"states: .* got others in \(0, 2\)"),
    ],
)
def test_a_readout_that_cannot_be_is_refused(states, targets, penalty, said):
    with pytest.raises(ValueError, match=said):
        ridge(states, targets, penalty)
