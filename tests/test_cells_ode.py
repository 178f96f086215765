"""Cells that solve a differential equation: their equations, their solvers, and their bounds."""

from __future__ import annotations

import math
import subprocess
import sys

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

from lnn_nav.cells import CTRNN, GRUODE, LTC, ODELTC, ODERNN, Cell, Integration, WiredLTC, unroll
from lnn_nav.cells._ode import SOLVERS, integrate
from lnn_nav.cells.ct_rnn import FLOWN
from lnn_nav.cells.wirings import auto_ncp
from lnn_nav.convert.arrays import filled, parameters

INPUTS, NEURONS = 4, 6
TIGHT = Integration("dopri5", rtol=1e-11, atol=1e-13)
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
        lambda _, hidden: rate(hidden, inputs), (0, dt), memory, "DOP853", rtol=1e-11, atol=1e-13
    )
    return answer.y[:, -1]


@pytest.fixture(scope="module", params=[*CELLS, "odeltc"])
def compiled(request):
    """A cell at a tight tolerance, and its memory after a time with the slopes of a sum of it."""
    cell = shaken(make(request.param, integration=TIGHT))
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
        (_, (after, output)), _ = slopes(memory, inputs, dt, flat)
        np.testing.assert_allclose(after, expected, atol=1e-10, rtol=0)
        np.testing.assert_array_equal(after, output)
    (_, (other, _)), _ = slopes(memory, inputs, 1.1, flat)
    assert np.abs(other - expected).max() > 1e-3


def test_no_time_changes_nothing(compiled):
    name, cell, flat, slopes = compiled
    memory, inputs = drawn(cell)
    (_, (after, _)), slope = slopes(memory, inputs, 0.0, flat)
    expected = gru_by_hand(cell, memory, inputs) if name == "odernn" else memory
    np.testing.assert_allclose(after, expected, atol=1e-14, rtol=0)
    assert all(np.isfinite(part).all() for part in slope)


def test_gradients_are_those_of_finite_differences(compiled):
    _, cell, flat, slopes = compiled
    start = (*map(jnp.asarray, drawn(cell)), jnp.asarray(0.6), flat)
    _, slope = slopes(*start)
    rng = np.random.default_rng(0)
    for part in range(4):
        way = rng.normal(size=start[part].shape)
        ends = []
        for far in (1e-5, -1e-5):
            moved = (*start[:part], start[part] + far * way, *start[part + 1 :])
            ends.append(float(slopes(*moved)[0][0]))
        along = float(np.sum(slope[part] * way))
        np.testing.assert_allclose(along, (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-9)
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
    """GRU-ODE: four steps of Euler. CT-RNN: the exact path, within its tolerances."""
    assert make("gruode").integration == Integration("euler", steps=4)
    flown, exact = shaken(make("ctrnn")), shaken(make("ctrnn", integration=TIGHT))
    assert flown.integration == FLOWN
    memory, inputs = map(jnp.asarray, drawn(flown))
    error = np.abs(flown(memory, inputs, 1.5)[0] - exact(memory, inputs, 1.5)[0]).max()
    assert 1e-7 < error < 1e-2


def orders(cell, unfolds, dt=0.4):
    """Error of the fused solver at each number of unfolds, and the slope of its logarithm."""
    memory, inputs = map(jnp.asarray, drawn(cell, 2))
    exact, _ = ODELTC(cell, TIGHT)(memory, inputs, dt)
    errors = []
    for count in unfolds:
        cell.unfolds = count
        errors.append(float(jnp.abs(cell(memory, inputs, dt)[0] - exact).max()))
    return errors, -np.polyfit(np.log(unfolds), np.log(errors), 1)[0]


@pytest.mark.parametrize(
    "cell",
    [LTC(INPUTS, NEURONS, rngs=nnx.Rngs(1)), WiredLTC(auto_ncp(INPUTS, 12, 3), rngs=nnx.Rngs(1))],
    ids=["ltc", "wired_ltc"],
)
def test_the_fused_solver_converges_at_first_order(cell, record_property):
    errors, order = orders(shaken(cell), (4, 8, 16, 32, 64, 128))
    record_property("order", order)
    print(f"errors {', '.join(f'{error:.2e}' for error in errors)}; order {order:.3f}")
    assert 0.9 < order < 1.1
    assert errors[-1] < 3e-3 < errors[0]


def test_a_wired_ltc_is_its_equation_too():
    cell = shaken(WiredLTC(auto_ncp(INPUTS, 12, 3), rngs=nnx.Rngs(1)))
    solved, (memory, inputs) = ODELTC(cell, TIGHT), drawn(cell)
    for moved in (0.0, 1.0):
        # The parameters are those of the cell, not copies.
        cell.rest[...] += moved
        after, output = solved(jnp.asarray(memory), jnp.asarray(inputs), 0.7)
        expected, values = exactly("odeltc", solved, memory, inputs, 0.7), parameters(cell)
        np.testing.assert_allclose(after, expected, atol=1e-10, rtol=0)
        heard = expected[:3] * values["read",] + values["level",]
        np.testing.assert_allclose(output, heard, atol=1e-9)


def test_every_element_of_a_batch_has_its_own_time_and_steps():
    """Streaming equals sequence, under jit and vmap, with times from none to many seconds."""
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(3, 5, INPUTS)), jnp.float32)
    dt = jnp.asarray(rng.choice([0.0, 1e-4, 0.04, 1.0, 9.0], (3, 5)), jnp.float32)
    for name in CELLS:
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


def lives(make, low, high, nets=100, steps=4):
    """Memories of random networks after every step, their first ones, and weights.

    Args:
        make: rngs to cell.
        low: logarithm of the shortest time.
        high: logarithm of the longest time.
        nets: how many networks.
        steps: how many steps.
    """

    def life(key):
        drawn, wild, told, times = jax.random.split(key, 4)
        graph, weights = nnx.split(make(nnx.Rngs(drawn)))
        leaves, form = jax.tree.flatten(weights)
        factors = 10 ** jax.random.uniform(wild, len(leaves), jnp.float32, -1, 1.5)
        weights = jax.tree.unflatten(form, map(jnp.multiply, leaves, factors))
        start = 3 * jax.random.normal(wild, NEURONS, jnp.float32)
        inputs = 100 * jax.random.normal(told, (steps, INPUTS), jnp.float32)
        dt = 10 ** jax.random.uniform(times, (steps,), jnp.float32, low, high)
        _, memories = unroll(nnx.merge(graph, weights), inputs, dt, memory=start)
        return memories, start, dt, nnx.to_pure_dict(weights)

    return jax.jit(jax.vmap(life))(jax.random.split(jax.random.key(0), nets))


def test_a_ct_rnn_stays_in_its_range():
    """Each neuron for itself, to the solver's tolerance, from 0.1 ms to 1,000 s."""
    integration = Integration("dopri5", rtol=1e-4, atol=1e-5)
    memories, start, _, weights = lives(
        lambda rngs: CTRNN(INPUTS, NEURONS, integration=integration, rngs=rngs), -4, 3
    )
    bound = np.maximum(np.abs(start), np.abs(weights["scale"]))[:, None]
    assert np.all(np.abs(memories) <= bound * (1 + 1e-3) + 1e-3)
    assert np.max(np.abs(memories[:, -1]) / bound[:, 0]) > 0.9


def test_a_gru_ode_stays_in_its_range():
    """By Euler as long as no step is longer than a second; by an adaptive solver always."""
    memories, start, _, _ = lives(
        lambda rngs: GRUODE(INPUTS, NEURONS, rngs=rngs), -4, math.log10(4)
    )
    bound = np.maximum(np.abs(start).max(axis=1), 1)[:, None, None]
    assert np.all(np.abs(memories) <= bound * (1 + 1e-6))
    adaptive = Integration("tsit5", rtol=1e-4, atol=1e-5)
    memories, start, _, _ = lives(
        lambda rngs: GRUODE(INPUTS, NEURONS, integration=adaptive, rngs=rngs), -4, 3
    )
    assert np.all(np.abs(memories) <= bound * (1 + 1e-3) + 1e-3)
    # Negative control: Euler's steps of many seconds leave the range.
    memories, *_ = lives(lambda rngs: GRUODE(INPUTS, NEURONS, rngs=rngs), 1.5, 2)
    assert not np.all(np.abs(memories) <= bound)


def test_an_ode_rnn_grows_no_faster_than_its_equation_allows():
    memories, start, dt, weights = lives(lambda rngs: ODERNN(INPUTS, NEURONS, rngs=rngs), -4, 3)
    layer = weights["rate"]
    fastest = np.abs(layer["kernel"]).sum(axis=1).max(axis=1) + np.abs(layer["bias"]).max(axis=1)
    before = np.concatenate([np.asarray(start)[:, None], memories[:, :-1]], axis=1)
    grown = np.abs(before).max(axis=2) + fastest[:, None] * dt
    assert np.all(np.abs(memories).max(axis=2) <= np.maximum(grown, 1) * (1 + 1e-5))


@pytest.mark.parametrize("name", ["ctrnn", "gruode"])
def test_half_precision_stays_half(name):
    cell = make(name)
    half = filled(cell, {k: v.astype(jnp.bfloat16) for k, v in parameters(cell).items()})
    memory, inputs = (jnp.asarray(part, jnp.bfloat16) for part in drawn(cell))
    after, output = half(memory, inputs, jnp.bfloat16(0.5))
    expected, _ = cell(memory.astype(jnp.float32), inputs.astype(jnp.float32), 0.5)
    assert after.dtype == output.dtype == jnp.bfloat16
    assert np.abs(after.astype(float) - expected).max() < 0.05


@pytest.mark.parametrize("solver", ["bosh3", "kvaerno3"])
def test_a_solver_follows_a_decay(solver):
    """exp(-3 dt), for each element its own dt, to about the tolerance."""
    integration = Integration(solver, rtol=1e-6, atol=1e-8)
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
        integration = Integration("dopri5", rtol=1e-8, atol=1e-10, max_steps=8, throw=throw)
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


def test_without_diffrax_one_sentence_names_the_extra():
    program = """if True:
        import sys
        sys.modules["diffrax"] = None
        from flax import nnx
        from lnn_nav.cells import CTRNN, GRUODE, ODERNN, CfC
        CfC(2, 3, 4, rngs=nnx.Rngs(0))
        for cell in (CTRNN, GRUODE, ODERNN):
            try:
                cell(2, 3, rngs=nnx.Rngs(0))
            except ImportError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.count("this cell needs the extra [liquid] of this package") == 3, done.stderr
