"""Cells that solve a differential equation: their equations, their solvers, and their bounds."""

from __future__ import annotations

import math
import sys

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

from lnn_nav.cells import (
    CTRNN,
    GRUODE,
    LTC,
    ODELTC,
    ODERNN,
    Cell,
    Integration,
    LiquidExtraError,
    WiredLTC,
    unroll,
)
from lnn_nav.cells._ode import SOLVERS, integrate
from lnn_nav.cells.ct_rnn import FLOWN
from lnn_nav.cells.wirings import auto_ncp
from lnn_nav.convert.arrays import filled, parameters

INPUTS, NEURONS = 4, 6
TIGHT = Integration("dopri5", rtol=1e-9, atol=1e-11)
CELLS = {"ctrnn": CTRNN, "odernn": ODERNN, "gruode": GRUODE}


def shaken(cell, seed=0):
    """The same cell in float64, every parameter moved off its start."""
    rng = np.random.default_rng(seed)
    values = {
        path: value.astype(float) + rng.uniform(-0.3, 0.3, value.shape)
        for path, value in sorted(parameters(cell).items(), key=str)
    }
    return filled(cell, values)


def make(name, **options):
    if name == "odeltc":
        return ODELTC(LTC(INPUTS, NEURONS, rngs=nnx.Rngs(1)), **options)
    return CELLS[name](INPUTS, NEURONS, **options, rngs=nnx.Rngs(1))


def drawn(cell, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, cell.memory_size), rng.uniform(-2, 2, cell.inputs)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def rate_by_hand(name, cell):
    """Right side of the equation, in numpy: (memory, inputs) -> rate."""
    if name == "odeltc":
        return ltc_rate(cell.cell)
    values = parameters(cell)

    def layer(part, x):
        return x @ values[part, "kernel"] + values[part, "bias"]

    def ctrnn(hidden, inputs):
        total = inputs @ values["kernel",] + hidden @ values["recurrent",] + values["bias",]
        return values["scale",] * np.tanh(total) - cell.decay * hidden

    def odernn(hidden, inputs):
        return layer("rate", np.tanh(layer("hidden", hidden)))

    def gruode(hidden, inputs):
        both = np.concatenate([inputs, hidden])
        reset, update = sigmoid(layer("reset", both)), sigmoid(layer("update", both))
        candidate = np.tanh(layer("candidate", np.concatenate([inputs, reset * hidden])))
        return (1 - update) * (candidate - hidden)

    return {"ctrnn": ctrnn, "odernn": odernn, "gruode": gruode}[name]


def gru_by_hand(cell, hidden, inputs):
    """What an ODE-RNN does at an input; flax's cell has one bias a gate."""
    values = parameters(cell.cell)
    heard = inputs @ values["dense_i", "kernel"] + values["dense_i", "bias"]
    recalled = hidden @ values["dense_h", "kernel"]
    (r, z, n), (hr, hz, hn) = np.split(heard, 3), np.split(recalled, 3)
    if ("dense_h", "bias") in values:
        hn = hn + values["dense_h", "bias"]
    reset, keep = sigmoid(r + hr), sigmoid(z + hz)
    return (1 - keep) * np.tanh(n + reset * hn) + keep * hidden


def ltc_rate(cell):
    """The differential equation of an LTC, one synapse at a time."""
    values, wired = parameters(cell), isinstance(cell, WiredLTC)
    leak, capacitance = softplus(values["leak",]), softplus(values["capacitance",])
    tables = {}
    for name, count in (("senses", cell.inputs), ("synapses", cell.memory_size)):
        there = getattr(cell.wiring, name) if wired else np.ones((count, cell.memory_size))
        parts = ("weight", "slope", "middle", "reversal")
        tables[name] = np.argwhere(there), [values[name, part].ravel() for part in parts]

    def rate(potential, inputs):
        heard = inputs * values["gain",] + values["offset",] if wired else inputs
        current = leak * (values["rest",] - potential) - 1e-8 * potential
        for name, sources in (("senses", heard), ("synapses", potential)):
            for pair, weight, slope, middle, reversal in zip(
                tables[name][0], *tables[name][1], strict=True
            ):
                gate = sigmoid(slope * (sources[pair[0]] - middle))
                current[pair[1]] += softplus(weight) * gate * (reversal - potential[pair[1]])
        return current / capacitance

    return rate


def exactly(name, cell, memory, inputs, dt):
    """The path's end, by scipy."""
    rate = rate_by_hand(name, cell)
    answer = solve_ivp(
        lambda _, hidden: rate(hidden, inputs), (0, dt), memory, "DOP853", rtol=1e-10, atol=1e-12
    )
    return answer.y[:, -1]


@pytest.fixture(scope="module", params=[*CELLS, "odeltc"])
def compiled(request):
    """A cell in tight or many steps, and its memory after a time with the slopes of a sum of it."""
    integration = TIGHT if request.param in ("ctrnn", "odeltc") else Integration("heun", steps=300)
    cell = shaken(make(request.param, integration=integration))
    graph, weights = nnx.split(cell)
    flat, form = ravel_pytree(weights)

    def loss(memory, inputs, dt, flat):
        after, output = nnx.merge(graph, form(flat))(memory, inputs, dt)
        return jnp.sum(jnp.sin(after)), (after, output)

    slopes = jax.jit(jax.value_and_grad(loss, (0, 1, 2, 3), has_aux=True))
    return request.param, cell, flat, slopes


def test_a_cell_is_its_equation(compiled):
    """By scipy's solver, from a transcription; and not that of another time."""
    name, cell, flat, slopes = compiled
    memory, inputs = drawn(cell)
    for dt in (1 / 24, 0.9):
        expected = exactly(name, cell, memory, inputs, dt)
        if name == "odernn":
            expected = gru_by_hand(cell, expected, inputs)
        (_, (after, output)), _ = slopes(memory, inputs, np.float64(dt), flat)
        tolerance = 1e-5 if cell.integration.steps else 1e-8
        np.testing.assert_allclose(after, expected, atol=tolerance, rtol=0)
        np.testing.assert_array_equal(after, output)
    (_, (other, _)), _ = slopes(memory, inputs, np.float64(1.1), flat)
    assert np.abs(other - expected).max() > 1e-3


def test_no_time_changes_nothing(compiled):
    name, cell, flat, slopes = compiled
    memory, inputs = drawn(cell)
    (_, (after, _)), slope = slopes(memory, inputs, np.float64(0.0), flat)
    expected = gru_by_hand(cell, memory, inputs) if name == "odernn" else memory
    np.testing.assert_allclose(after, expected, atol=1e-14, rtol=0)
    assert all(np.isfinite(part).all() for part in slope)


def test_gradients_are_those_of_finite_differences(compiled):
    _, cell, flat, slopes = compiled
    start = (*drawn(cell), np.float64(0.6), flat)
    _, slope = slopes(*start)
    rng = np.random.default_rng(0)
    for part in range(4):
        way = rng.normal(size=start[part].shape)
        ends = []
        for far in (1e-4, -1e-4):
            moved = (*start[:part], start[part] + far * way, *start[part + 1 :])
            ends.append(float(slopes(*moved)[0][0]))
        along = float(np.sum(slope[part] * way))
        np.testing.assert_allclose(along, (ends[0] - ends[1]) / 2e-4, rtol=1e-5, atol=1e-7)
        assert abs(along) > 1e-4


EXPLICIT = {
    "euler": lambda f, h, s: h + s * f(h),
    "midpoint": lambda f, h, s: h + s * f(h + s / 2 * f(h)),
    "heun": lambda f, h, s: h + s / 2 * (f(h) + f(h + s * f(h))),
}


@pytest.mark.parametrize("solver", EXPLICIT)
@pytest.mark.parametrize("name", CELLS)
def test_constant_steps_are_those_of_the_textbook(name, solver):
    cell = shaken(make(name, integration=Integration(solver, steps=4)))
    memory, inputs = drawn(cell)
    hidden, rate = memory, rate_by_hand(name, cell)
    for _ in range(4):
        hidden = EXPLICIT[solver](lambda h: rate(h, inputs), hidden, 0.7 / 4)
    expected = gru_by_hand(cell, hidden, inputs) if name == "odernn" else hidden
    after, _ = cell(jnp.asarray(memory), jnp.asarray(inputs), 0.7)
    np.testing.assert_allclose(after, expected, atol=1e-12, rtol=0)


def test_as_they_flew():
    """GRU-ODE: four steps of Euler. CT-RNN: the path by scipy, within its tolerances."""
    assert make("gruode").integration == Integration("euler", steps=4)
    flown = shaken(make("ctrnn"))
    assert flown.integration == FLOWN
    memory, inputs = drawn(flown)
    after, _ = flown(jnp.asarray(memory), jnp.asarray(inputs), 1.5)
    assert 1e-6 < np.abs(after - exactly("ctrnn", flown, memory, inputs, 1.5)).max() < 1e-2


@pytest.mark.parametrize(
    "cell",
    [LTC(INPUTS, NEURONS, rngs=nnx.Rngs(1)), WiredLTC(auto_ncp(INPUTS, 12, 3), rngs=nnx.Rngs(1))],
    ids=["ltc", "wired_ltc"],
)
def test_the_fused_solver_converges_at_first_order(cell, record_property):
    """To the solution by diffrax, which is that by scipy."""
    cell, dt, unfolds, errors = shaken(cell), 0.4, (4, 11, 38, 128), []
    solved, (memory, inputs) = ODELTC(cell, TIGHT), drawn(cell, 2)
    assert solved.cell is cell
    exact, output = solved(jnp.asarray(memory), jnp.asarray(inputs), dt)
    expected = exactly("odeltc", solved, memory, inputs, dt)
    np.testing.assert_allclose(exact, expected, atol=1e-8, rtol=0)
    if isinstance(cell, WiredLTC):
        expected = expected[:3] * parameters(cell)["read",] + parameters(cell)["level",]
    np.testing.assert_allclose(output, expected, atol=1e-7, rtol=0)
    for count in unfolds:
        cell.unfolds = count
        after, _ = cell(jnp.asarray(memory), jnp.asarray(inputs), dt)
        errors.append(float(jnp.abs(after - exact).max()))
    order = -np.polyfit(np.log(unfolds), np.log(errors), 1)[0]
    record_property("order", order)
    print(f"errors {', '.join(f'{error:.2e}' for error in errors)}; order {order:.3f}")
    assert 0.9 < order < 1.1
    assert errors[-1] < 3e-3 < errors[0]


def test_every_element_of_a_batch_has_its_own_time_and_steps():
    """Streaming equals sequence, under jit and vmap, with times from none to many seconds."""
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(3, 5, INPUTS)), jnp.float32)
    dt = jnp.asarray(rng.choice([0.0, 1e-4, 0.04, 1.0, 9.0], (3, 5)), jnp.float32)
    for name in ("ctrnn", "gruode"):
        cell = make(name)
        assert isinstance(cell, Cell)
        step = jax.jit(lambda m, x, t, cell=cell: cell(m, x, t))
        memories, outputs = jax.jit(lambda x, t, cell=cell: unroll(cell, x, t))(inputs, dt)
        for b in range(3):
            memory = jnp.zeros(cell.memory_size, jnp.float32)
            for t in range(5):
                memory, output = step(memory, inputs[b, t], dt[b, t])
                np.testing.assert_allclose(outputs[b, t], output, atol=3e-6)
            np.testing.assert_allclose(memories[b], memory, atol=3e-6)


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
    inputs = 100 * draw(steps, INPUTS)

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
    ((memories, start, _, weights),) = lives(make("ctrnn", integration=integration), (1e-4, 1e3))
    bound = np.maximum(np.abs(start), np.abs(weights["scale"]))[:, None]
    assert np.all(np.abs(memories) <= bound * (1 + 1e-3) + 1e-3)
    assert np.max(np.abs(memories[:, -1]) / bound[:, 0]) > 0.9


def test_a_gru_ode_stays_in_its_range():
    """By Euler as long as no step is longer than a second; by an adaptive solver always."""
    short, long = lives(make("gruode"), (1e-4, 4), (30, 100))
    bound = np.maximum(np.abs(short[1]).max(axis=1), 1)[:, None, None]
    assert np.all(np.abs(short[0]) <= bound * (1 + 1e-6))
    # Negative control: steps of many seconds leave the range.
    assert not np.all(np.abs(long[0]) <= bound)
    adaptive = make(
        "gruode", integration=Integration("tsit5", rtol=1e-4, atol=1e-5, max_steps=4096)
    )
    ((memories, *_),) = lives(adaptive, (1e-4, 1e3))
    assert np.all(np.abs(memories) <= bound * (1 + 1e-3) + 1e-3)


def test_an_ode_rnn_grows_no_faster_than_its_equation_allows():
    ((memories, start, dt, weights),) = lives(make("odernn"), (1e-4, 1e3))
    layer = weights["rate"]
    fastest = np.abs(layer["kernel"]).sum(axis=1).max(axis=1) + np.abs(layer["bias"]).max(axis=1)
    before = np.concatenate([start[:, None], memories[:, :-1]], axis=1)
    grown = np.abs(before).max(axis=2) + fastest[:, None] * dt
    assert np.all(np.abs(memories).max(axis=2) <= np.maximum(grown, 1) * (1 + 1e-5))


def test_half_precision_stays_half():
    for name, adaptive in (("ctrnn", FLOWN), ("gruode", Integration("euler", steps=40))):
        cell = make(name, integration=adaptive)
        half = filled(cell, {k: v.astype(jnp.bfloat16) for k, v in parameters(cell).items()})
        memory, inputs = drawn(cell)
        expected = exactly(name, cell, memory, inputs, 0.5)
        memory, inputs = (jnp.asarray(part, jnp.bfloat16) for part in (memory, inputs))
        after, output = half(memory, inputs, jnp.bfloat16(0.5))
        assert after.dtype == output.dtype == jnp.bfloat16
        assert np.abs(after.astype(float) - expected).max() < 0.05


def test_an_implicit_solver_follows_a_decay():
    """exp(-3 dt), for each element its own dt, to about the tolerance."""
    integration = Integration("kvaerno3", rtol=1e-6, atol=1e-8)
    dt = jnp.array([0.0, 0.3, 2.0])
    after = integrate(lambda h: -3 * h, jnp.ones((3, 2)), (), dt, integration)
    np.testing.assert_allclose(after, np.exp(-3 * dt)[:, None] * np.ones(2), atol=2e-5)


def test_every_solver_is_there():
    assert all(
        issubclass(getattr(diffrax, name), diffrax.AbstractSolver) for name in SOLVERS.values()
    )


def test_running_out_of_steps_is_never_silent():
    """An error; or, where that is asked for, the memory of the time that was reached."""

    def late(h, throw):
        integration = Integration("bosh3", rtol=1e-8, atol=1e-10, max_steps=8, throw=throw)
        return integrate(lambda h: -100 * h, h, (), 1.0, integration)

    with pytest.raises(RuntimeError, match="maximum number of solver steps"):
        jax.block_until_ready(jax.jit(lambda h: late(h, True))(jnp.ones(2)))
    after = late(jnp.ones(2), False)
    assert np.all((after > 1e-30) & (after < 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"solver": "rk4"}, "solver: expected one of euler, heun, .*, got 'rk4'"),
        ({"solver": "euler"}, "steps: expected a count, euler does not know its error"),
        ({"solver": "kvaerno5", "steps": 4}, "steps: expected None, kvaerno5 is adaptive; got 4"),
        ({"steps": 0}, "steps: expected a finite number, 1 to inf, got 0"),
        ({"rtol": -1e-3}, "rtol: .* 0 to 1, got -0.001"),
        ({"atol": 0.0}, "atol: .* got 0.0"),
        ({"first_step": math.nan}, "first_step: .* got nan"),
        ({"safety": 1.5}, "safety: .* 0 to 1, got 1.5"),
        ({"least_factor": 2.0}, "least_factor: .* got 2.0"),
        ({"greatest_factor": 0.5}, "greatest_factor: .* 1 to inf, got 0.5"),
        ({"max_steps": 0}, "max_steps: .* got 0"),
    ],
)
def test_a_solver_that_cannot_be_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        Integration(**change)


def test_sizes_that_cannot_be_are_refused():
    for cell in CELLS.values():
        with pytest.raises(ValueError, match="inputs, neurons"):
            cell(0, 3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="decay: expected a positive number, got 0"):
        CTRNN(2, 3, decay=0.0, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="cell: expected LTC or WiredLTC, got GRUODE"):
        ODELTC(make("gruode"))


def test_without_diffrax_one_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffrax", None)
    ltc = LTC(2, 3, rngs=nnx.Rngs(0))
    for cell in (*CELLS.values(), lambda *_, rngs: ODELTC(ltc)):
        with pytest.raises(LiquidExtraError, match=r"needs the extra \[liquid\] of this package"):
            cell(2, 3, rngs=nnx.Rngs(0))
