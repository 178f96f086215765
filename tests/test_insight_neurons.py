"""Probes of neurons: what they recorded happened, and their figures are those of the records."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lnn_nav.cells import GRU, LSTM, LTC, CfC, MixedMemory, WiredCfC, WiredLTC, unroll
from lnn_nav.cells.wirings import auto_ncp
from lnn_nav.convert.arrays import filled
from lnn_nav.insight.gradients import gradient_norms
from lnn_nav.insight.lipschitz import lipschitz, step_lipschitz
from lnn_nav.insight.neuron_plots import draw_gradient_norms, draw_states
from lnn_nav.insight.neurons import Recording, activity, memory_limits, record
from lnn_nav.insight.probe import ProbeError

INPUTS, NEURONS, BATCH, STEPS = 3, 5, 2, 7
WIRING = auto_ncp(INPUTS, 8, 2)
KINDS = {
    "cfc": lambda: CfC(INPUTS, NEURONS, 6, rngs=nnx.Rngs(0)),
    "ltc": lambda: LTC(INPUTS, NEURONS, rngs=nnx.Rngs(0)),
    "lstm": lambda: LSTM(INPUTS, NEURONS, rngs=nnx.Rngs(0)),
    "mixed": lambda: MixedMemory(KINDS["cfc"](), rngs=nnx.Rngs(0)),
    "wired": lambda: WiredCfC(WIRING, rngs=nnx.Rngs(0)),
    "wired_ltc": lambda: WiredLTC(WIRING, rngs=nnx.Rngs(0)),
    "gru": lambda: GRU(INPUTS, NEURONS, rngs=nnx.Rngs(0)),
}


def invented(make, seed=0):
    """A cell in float64 with parameters of numpy's; its own are never drawn."""
    rng, cell = np.random.default_rng(seed), nnx.eval_shape(make)
    flat = nnx.to_flat_state(nnx.state(cell))
    shapes = sorted(((path, leaf.shape) for path, leaf in flat), key=str)
    return filled(cell, {path: 0.7 * rng.normal(size=shape) for path, shape in shapes})


@pytest.fixture(scope="module")
def cells():
    return {name: invented(make) for name, make in KINDS.items()}


@pytest.fixture(scope="module")
def sequence():
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH, STEPS, INPUTS)), rng.uniform(0.1, 2.0, (BATCH, STEPS))


def test_a_recording_is_the_cell_step_by_step(cells, sequence):
    cell, (inputs, dt) = cells["wired"], sequence
    rng = np.random.default_rng(1)
    start = rng.uniform(-1, 1, (BATCH, cell.memory_size))
    mask, reset = rng.random((BATCH, STEPS)) < 0.7, rng.random((BATCH, STEPS)) < 0.3
    mask[0, 0] = False
    wild = np.where(mask[..., None], inputs, np.nan)
    told = {"memory": start, "mask": mask, "reset": reset}
    watch = jax.jit(lambda i, t, rest: (record(cell, i, t, **rest), unroll(cell, i, t, **rest)))
    found, (last, outputs) = watch(wild, dt, told)
    step, memory, passed = jax.jit(cell.__call__), start, np.zeros(BATCH)
    for t in range(STEPS):
        here = mask[:, t, None]
        before = np.where(here & reset[:, t, None], 0.0, memory)
        after, output = step(before, inputs[:, t], dt[:, t])
        memory, passed = np.where(here, after, memory), passed + dt[:, t] * mask[:, t]
        close = {"atol": 1e-14, "rtol": 1e-13}
        np.testing.assert_allclose(found.before[:, t], before, **close)
        np.testing.assert_allclose(found.memory[:, t], memory, **close)
        np.testing.assert_allclose(found.output[:, t], np.where(here, output, 0), **close)
        np.testing.assert_allclose(found.time[:, t], passed, **close)
    np.testing.assert_array_equal(found.there, mask)
    np.testing.assert_array_equal(found.dt, dt * mask)
    np.testing.assert_array_equal(found.inputs, np.where(mask[..., None], inputs, 0))
    np.testing.assert_allclose(found.memory[:, -1], last, atol=1e-14)
    np.testing.assert_allclose(found.output, outputs, atol=1e-14)


def recorded(memory, dt, there=None):
    """A recording of memories that were not a cell's, from a start of zeros."""
    memory, dt = jnp.asarray(memory), jnp.asarray(dt)
    before = jnp.concatenate([jnp.zeros_like(memory[:1]), memory[:-1]])
    there = jnp.ones(dt.shape, bool) if there is None else jnp.asarray(there)
    return Recording(jnp.cumsum(dt), dt, there, memory, before, memory, memory)


def test_lipschitz_is_the_fastest_step():
    found = recorded([[1.0, -0.5], [1.5, -0.5], [1.2, 0.9], [9.0, 0.9]], [0.5, 2.0, 0.1, 0.0])
    # The last step takes no time: it has no speed, but it is a step.
    np.testing.assert_allclose(lipschitz(found), [3.0, 14.0], rtol=1e-12)
    np.testing.assert_allclose(lipschitz(found, per_second=False), [7.8, 1.4], rtol=1e-12)


@pytest.mark.parametrize("name", ["cfc", "ltc"])
def test_nothing_differs_by_more_than_the_local_constant_says(cells, sequence, name):
    cell, (inputs, dt) = cells[name], sequence
    rng = np.random.default_rng(2)
    memory = rng.uniform(-1, 1, (BATCH, STEPS, NEURONS))
    found = jax.jit(lambda m, i, t: step_lipschitz(cell, m, i, t))(memory, inputs, dt)
    assert found.memory.shape == found.inputs.shape == (BATCH, STEPS)
    step, small = jax.jit(lambda m, i: cell(m, i, jnp.asarray(dt))[0]), 1e-6
    here, most = step(memory, inputs), [np.zeros((BATCH, STEPS))] * 2
    for _ in range(300):
        moves = [rng.normal(size=part.shape) for part in (memory, inputs)]
        moves = [small * m / np.linalg.norm(m, axis=-1, keepdims=True) for m in moves]
        there = step(memory + moves[0], inputs), step(memory, inputs + moves[1])
        ratios = [np.linalg.norm(other - here, axis=-1) / small for other in there]
        most = [np.maximum(a, b) for a, b in zip(most, ratios, strict=True)]
    for constant, ratio in zip(found, most, strict=True):
        assert np.all(ratio <= np.asarray(constant) * (1 + 1e-4))
        assert np.all(ratio >= np.asarray(constant) * 0.6)  # And it is not a loose one.


def test_figures_of_neurons_by_hand():
    memory = np.array([[0.99, 0.2, 0.0], [-0.97, 0.2, 0.5], [0.5, 0.2, -0.5], [5.0, 5.0, 5.0]])
    found = recorded(memory, np.ones(4), [True, True, True, False])
    low, high = np.array([-1.0, -1.0, -0.2]), np.array([1.0, 1.0, 0.8])
    figures = activity(found, (jnp.asarray(low), jnp.asarray(high)))
    np.testing.assert_allclose(figures.mean, memory[:3].mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(figures.spread, memory[:3].std(axis=0), atol=1e-15)
    np.testing.assert_array_equal(figures.dead, [False, True, False])
    np.testing.assert_allclose(figures.saturated, [2 / 3, 0, 1 / 3])
    assert activity(found).saturated is None
    with pytest.raises(ProbeError, match="recording: expected steps, got none"):
        activity(found._replace(there=jnp.zeros(4, bool)))


@pytest.mark.parametrize("name", ["cfc", "ltc", "wired_ltc", "gru"])
def test_memories_stay_in_their_limits_and_come_near(cells, name):
    cell = cells[name]
    rng = np.random.default_rng(3)
    inputs = 50 * rng.normal(size=(STEPS * 10, INPUTS))
    low, high = memory_limits(cell)
    memory = jax.jit(lambda i: record(cell, i, 5.0).memory)(inputs)
    spare = 1e-6 * (high - low)
    assert np.all(memory >= low - spare) and np.all(memory <= high + spare)
    share = (np.ptp(memory, axis=0) / np.asarray(high - low)).max()
    assert share > 0.25


def test_limits_that_are_not_known_are_refused(cells):
    with pytest.raises(ProbeError, match="known of CfC, WiredCfC, LTC, WiredLTC, GRU, got LSTM"):
        memory_limits(cells["lstm"])
    pure = invented(lambda: CfC(INPUTS, NEURONS, (), mode="pure", rngs=nnx.Rngs(0)))
    with pytest.raises(ProbeError, match="gated and no_gate with squash 'tanh', got mode 'pure'"):
        memory_limits(pure)


@pytest.mark.parametrize("name", ["cfc", "ltc", "lstm", "mixed"])
def test_gradient_norms_are_products_of_derivatives(cells, sequence, name):
    cell, weights = cells[name], np.random.default_rng(4).normal(size=NEURONS)

    def slopes(memory, inputs, dt):
        return jax.jacobian(lambda m: cell(m, inputs, dt))(memory)

    @jax.jit
    def probe(inputs, dt):
        norms = gradient_norms(cell, inputs, dt, loss=lambda o: o @ weights)
        before = record(cell, inputs, dt).before
        return norms, jax.vmap(jax.vmap(slopes))(before, inputs, dt)

    found, (after, output) = probe(*sequence)
    assert found.shape == (BATCH, STEPS)
    for b in range(BATCH):
        gradient = weights @ np.asarray(output[b, -1])
        for t in reversed(range(STEPS)):
            assert found[b, t] == pytest.approx(np.linalg.norm(gradient), rel=1e-10, abs=1e-14)
            gradient = gradient @ np.asarray(after[b, t - 1])


def test_a_drawing_of_states_has_all_of_them(cells, sequence):
    inputs, dt = sequence
    found = jax.jit(lambda i, t: record(cells["cfc"], i, t))(inputs, dt)
    one = jax.tree.map(lambda part: part[0], found)
    figure = draw_states(one, neurons=[3, 1])
    above, below = figure.axes[:2]
    np.testing.assert_allclose(above.collections[0].get_array(), one.memory.T)
    for line, neuron in zip(below.lines, [3, 1], strict=True):
        np.testing.assert_allclose(line.get_xdata(), one.time)
        np.testing.assert_allclose(line.get_ydata(), one.memory[:, neuron])
    assert is_a_picture(figure)
    with pytest.raises(ProbeError, match="recording: expected one sequence"):
        draw_states(found)
    with pytest.raises(ProbeError, match=r"neurons: expected 0 to 4, got \[5\]"):
        draw_states(one, neurons=[5])


def test_a_drawing_of_gradients_has_medians_of_sequences():
    norms = {
        "one": np.array([1e-6, 0.0, 1.0]),
        "many": np.array([[1.0, 2, 4], [3, 4, 4], [2, 9, 8]]),
    }
    figure = draw_gradient_norms(norms)
    one, many = figure.axes[0].lines
    np.testing.assert_array_equal(one.get_xdata(), [2, 1, 0])
    np.testing.assert_array_equal(one.get_ydata(), norms["one"])
    np.testing.assert_array_equal(many.get_ydata(), [2, 4, 4])
    assert is_a_picture(figure)
    with pytest.raises(ProbeError, match="norms: expected"):
        draw_gradient_norms({"cube": np.ones((2, 2, 2))})


def is_a_picture(figure) -> bool:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=60)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    return file.getvalue().startswith(b"\x89PNG") and 0.005 < np.mean(pixels < 200) < 0.9
