"""Time constants are what relaxing neurons show, inside the theorem's bounds on random nets."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lnn_nav.cells import LSTM, LTC, CfC, Projected, WiredCfC, WiredLTC
from lnn_nav.cells.wirings import auto_ncp, random_wiring
from lnn_nav.convert.arrays import filled, parameters
from lnn_nav.insight.neuron_plots import draw_time_constants
from lnn_nav.insight.probe import ProbeError
from lnn_nav.insight.time_constants import (
    synaptic_activity,
    time_constant,
    time_constant_bounds,
)

INPUTS, NETS = 4, 300
NCP = auto_ncp(INPUTS, 12, 3)
ONE_LAYER = random_wiring(INPUTS, 6, 2, sparsity=0.4)


def invented(make, seed=0):
    """A cell in float64 with parameters of numpy's; its own are never drawn."""
    rng, cell = np.random.default_rng(seed), nnx.eval_shape(make)
    flat = nnx.to_flat_state(nnx.state(cell))
    shapes = sorted(((path, leaf.shape) for path, leaf in flat), key=str)
    return filled(cell, {path: 0.7 * rng.normal(size=shape) for path, shape in shapes})


def drawn(cell, count=3):
    rng = np.random.default_rng(1)
    memory = rng.uniform(-1, 1, (count, cell.memory_size))
    return jnp.asarray(memory), jnp.asarray(rng.uniform(-2, 2, (count, cell.inputs)))


@pytest.fixture(scope="module")
def ltc():
    return invented(lambda: WiredLTC(NCP, unfolds=1, rngs=nnx.Rngs(0)))


def softplus(x):
    return np.log1p(np.exp(x))


def conductance(values, part, k, before):
    """Of synapse k of a list, and the derivative with respect to the potential before it."""
    gate = 1 / (1 + np.exp(-values[part, "slope"][k] * (before - values[part, "middle"][k])))
    weight = softplus(values[part, "weight"][k])
    return weight * gate, weight * gate * (1 - gate) * values[part, "slope"][k]


def slope_of_potential(cell, potential, inputs):
    """dv/dt of the equation, one synapse at a time [1/s]."""
    values = parameters(cell)
    leak, capacitance = softplus(values["leak",]) + 1e-8, softplus(values["capacitance",])
    flow = (leak - 1e-8) * values["rest",] - leak * potential
    heard = {"senses": inputs * values["gain",] + values["offset",], "synapses": potential}
    for part, before in heard.items():
        for k, (source, target) in enumerate(np.argwhere(getattr(cell.wiring, part))):
            opening, _ = conductance(values, part, k, before[source])
            flow[target] += opening * (values[part, "reversal"][k] - potential[target])
    return flow / capacitance


def test_tau_is_how_an_ltc_relaxes(ltc):
    """-1 / tau is the diagonal of the Jacobian of dv/dt: a displaced neuron decays by exp(-t/tau).

    A neuron that hears itself shifts its own gate as well; tau has its gates held, so that the
    gate's part of the diagonal, ds/dv w (e - v) / c, is taken off.
    """
    (memory,), (inputs,) = (np.array(part) for part in drawn(ltc, 1))
    tau, step = np.asarray(time_constant(ltc, jnp.asarray(memory), jnp.asarray(inputs))), 1e-6
    values = parameters(ltc)
    capacitance, own = softplus(values["capacitance",]), np.zeros(12)
    for k, (source, target) in enumerate(np.argwhere(NCP.synapses)):
        if source == target:
            _, opens = conductance(values, "synapses", k, memory[source])
            pull = values["synapses", "reversal"][k] - memory[source]
            own[source] += opens * pull / capacitance[source]
    for neuron, nudge in enumerate(step * np.eye(12)):
        ends = [slope_of_potential(ltc, memory + side * nudge, inputs) for side in (1, -1)]
        diagonal = (ends[0] - ends[1])[neuron] / (2 * step)
        assert diagonal - own[neuron] == pytest.approx(-1 / tau[neuron], rel=1e-7)
    # Some neuron hears itself, and for it the difference is not small.
    assert np.abs(own * tau).max() > 0.01
    # And the cell relaxes as the equation does.
    short = 1e-6
    kept = jnp.diagonal(
        jax.jit(jax.jacobian(lambda m: ltc(m, jnp.asarray(inputs), short)[0]))(memory)
    )
    np.testing.assert_allclose((1 - kept) / short + own, 1 / tau, rtol=1e-4)


def lives(make):
    """Time constants at wild memories and inputs, and their bounds, of random networks."""
    rng, graph_and_weights = np.random.default_rng(0), nnx.split(nnx.eval_shape(make))
    graph, (shapes, form) = graph_and_weights[0], jax.tree.flatten(graph_and_weights[1])
    # From tame to wild, every parameter on its own.
    scales = [10 ** rng.uniform(-1, 1.5, (NETS, *[1] * len(leaf.shape))) for leaf in shapes]
    weights = [
        (scale * rng.normal(size=(NETS, *leaf.shape))).astype(np.float32)
        for scale, leaf in zip(scales, shapes, strict=True)
    ]

    def life(weights, memory, inputs):
        cell = nnx.merge(graph, jax.tree.unflatten(form, weights))
        return time_constant(cell, memory, inputs), *time_constant_bounds(cell)

    size = nnx.eval_shape(make).memory_size
    memory = rng.uniform(-2, 2, (NETS, 8, size)).astype(np.float32)
    inputs = 3 * rng.normal(size=(NETS, 8, INPUTS)).astype(np.float32)
    every = jax.jit(jax.vmap(life))(weights, memory, inputs)
    return [np.asarray(part, float) for part in every]


@pytest.mark.parametrize("kind", ["dense", "wired"])
def test_tau_stays_in_the_bounds_of_the_theorem(kind):
    kinds = {
        "dense": lambda: LTC(INPUTS, 6, rngs=nnx.Rngs(0)),
        "wired": lambda: WiredLTC(NCP, rngs=nnx.Rngs(0)),
    }
    tau, low, high = lives(kinds[kind])
    assert tau.shape[:2] == (NETS, 8) and np.all(low > 0) and np.all(np.isfinite(tau))
    rounding = 1e-5
    assert np.all(tau >= low[:, None] * (1 - rounding))
    assert np.all(tau <= high[:, None] * (1 + rounding))
    # The bounds are the tightest there are: both are come near, at different inputs.
    assert (tau / low[:, None]).min() < 1.01 and (tau / high[:, None]).max() > 0.99
    assert np.median(high / low) > 2


def test_bounds_are_all_gates_open_and_all_shut(ltc):
    values = parameters(ltc)
    for part in ("senses", "synapses"):
        values[part, "slope"] = np.full_like(values[part, "slope"], 50.0)
    values["gain",] = np.ones(INPUTS)
    gated, (low, high) = filled(ltc, values), time_constant_bounds(ltc)
    for potential, expected in ((9.0, low), (-9.0, high)):
        tau = time_constant(gated, jnp.full(12, potential), jnp.full(INPUTS, potential))
        np.testing.assert_allclose(tau, expected, rtol=1e-12)


def test_conductances_are_those_of_the_synapses_and_make_tau(ltc):
    memory, inputs = drawn(ltc)
    found, values = np.asarray(synaptic_activity(ltc, memory, inputs)), parameters(ltc)
    assert found.shape == (3, INPUTS + 12, 12)
    expected = np.zeros_like(found)
    heard = {"senses": inputs * values["gain",] + values["offset",], "synapses": memory}
    for part, first in (("senses", 0), ("synapses", INPUTS)):
        for k, (source, target) in enumerate(np.argwhere(getattr(NCP, part))):
            opening, _ = conductance(values, part, k, np.asarray(heard[part])[:, source])
            expected[:, first + source, target] = opening
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    leak = softplus(values["leak",]) + 1e-8
    tau = softplus(values["capacitance",]) / (leak + found.sum(axis=1))
    np.testing.assert_allclose(time_constant(ltc, memory, inputs), tau, rtol=1e-12)


def by_distance(cell, memory, inputs, dt):
    """Distance from where the memory would settle, over the speed at which it goes there."""

    def at(dt):
        return cell(memory, inputs, dt)[0]

    def tau(dt):
        here, speed = jax.jvp(at, (dt,), (jnp.ones_like(dt),))
        return -(here - at(1e6)) / speed

    return jax.jit(tau)(jnp.full(memory.shape[:1], dt))


@pytest.mark.parametrize("mode", ["gated", "no_gate", "pure"])
def test_tau_of_a_cfc_is_distance_over_speed(mode):
    cell = invented(lambda: CfC(INPUTS, 6, 5, mode=mode, rngs=nnx.Rngs(0)))
    memory, inputs = drawn(cell)
    found = time_constant(cell, memory, inputs, 0.3)
    assert np.all(np.asarray(found) > 0)
    np.testing.assert_allclose(found, by_distance(cell, memory, inputs, 0.3), rtol=1e-7)
    late = time_constant(cell, memory, inputs, 50.0)
    assert np.all(late <= found * (1 + 1e-12))


@pytest.mark.parametrize("mode", ["gated", "pure"])
def test_tau_of_a_wired_cfc_is_distance_over_speed(mode):
    cell = invented(lambda: WiredCfC(ONE_LAYER, mode=mode, rngs=nnx.Rngs(0)))
    memory, inputs = drawn(cell)
    expected = by_distance(cell, memory, inputs, 0.3)
    np.testing.assert_allclose(time_constant(cell, memory, inputs, 0.3), expected, rtol=1e-7)


def test_tau_of_later_layers_has_what_they_hear_held():
    """Gates of the first layers that do not move: infinite tau, and the last layer's as before."""
    cell = invented(lambda: WiredCfC(NCP, rngs=nnx.Rngs(0)))
    values = parameters(cell)
    for k in (0, 1):
        size = len(NCP.layers[k][1])
        for name in ("kernels", "biases"):
            values[name, k] = values[name, k].copy()
            values[name, k][..., 2 * size : 3 * size] = 0.0
    still = filled(cell, values)
    memory, inputs = drawn(cell)
    found = np.asarray(time_constant(still, memory, inputs, 0.3))
    expected = np.asarray(by_distance(still, memory, inputs, 0.3))
    assert np.all(np.isinf(found[:, 3:]))
    np.testing.assert_allclose(found[:, :3], expected[:, :3], rtol=1e-7)


def test_a_projection_has_the_time_constants_of_its_cell(ltc):
    memory, inputs = drawn(ltc)
    whole = Projected(ltc, 2, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(
        time_constant(whole, memory, inputs), time_constant(ltc, memory, inputs)
    )
    np.testing.assert_array_equal(time_constant_bounds(whole).low, time_constant_bounds(ltc).low)
    np.testing.assert_array_equal(
        synaptic_activity(whole, memory, inputs), synaptic_activity(ltc, memory, inputs)
    )


def test_a_cell_without_them_is_refused():
    cell = invented(lambda: LSTM(INPUTS, 3, rngs=nnx.Rngs(0)))
    memory, inputs = drawn(cell)
    with pytest.raises(ProbeError, match="known of CfC, LTC, WiredCfC, WiredLTC, got LSTM"):
        time_constant(cell, memory, inputs)
    with pytest.raises(ProbeError, match="bounds .* known of LTC, WiredLTC, got LSTM"):
        time_constant_bounds(cell)
    with pytest.raises(ProbeError, match="conductance .* known of LTC, WiredLTC, got LSTM"):
        synaptic_activity(cell, memory, inputs)


@pytest.mark.parametrize("ask", [time_constant, synaptic_activity])
def test_shapes_that_do_not_fit_are_refused(ltc, ask):
    memory, inputs = drawn(ltc)
    with pytest.raises(ProbeError, match=r"memory: expected \[..., 12\], got \(3, 11\)"):
        ask(ltc, memory[:, 1:], inputs)
    with pytest.raises(ProbeError, match=r"inputs: expected \[..., 4\], got \(3, 3\)"):
        ask(ltc, memory, inputs[:, 1:])


def test_a_drawing_has_each_neuron_in_its_bounds(ltc):
    time, constants = np.arange(3.0), np.array([[1.0, 2, 3], [2, np.inf, 3], [3, 2, 3]])
    bounds = time_constant_bounds(ltc)
    figure = draw_time_constants(time, constants, bounds, neurons=[2, 1])
    lines = figure.axes[0].lines
    np.testing.assert_array_equal(lines[0].get_ydata(), [3, 3, 3])
    np.testing.assert_array_equal(lines[3].get_ydata(), [2, np.nan, 2])
    assert [line.get_ydata()[0] for line in lines[1:3]] == [bounds.low[2], bounds.high[2]]
    figure.canvas.draw()
    assert 0.005 < np.mean(np.asarray(figure.canvas.buffer_rgba())[..., :3] < 200) < 0.9
    with pytest.raises(ProbeError, match=r"time, constants: expected \[T\] and \[T, m\]"):
        draw_time_constants(time, constants[:2])
