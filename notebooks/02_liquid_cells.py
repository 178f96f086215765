# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Liquid cells
#
# A liquid cell is a small recurrent network whose neurons have time constants that depend on what
# they hear, and that is told how much time passed between two inputs. Here: the cells and their
# protocol, wirings, time constants, irregular sampling, and what training hears of the past.

# %%
# %matplotlib inline
import json
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

from lnn_nav.cells import LSTM, LTC, CfC, MixedMemory, WiredCfC, WiredLTC, unroll
from lnn_nav.cells.wirings import auto_ncp
from lnn_nav.convert import from_drone_causality, from_ncps, to_ncps
from lnn_nav.insight.gradients import gradient_norms
from lnn_nav.insight.lipschitz import lipschitz, step_lipschitz
from lnn_nav.insight.neuron_plots import draw_gradient_norms, draw_states, draw_time_constants
from lnn_nav.insight.neurons import activity, memory_limits, record
from lnn_nav.insight.time_constants import (
    synaptic_activity,
    time_constant,
    time_constant_bounds,
)
from lnn_nav.insight.wiring import connectivity, graph, strengths, synapses_by_layer
from lnn_nav.insight.wiring_plots import draw_connectivity, draw_wiring

plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
plt.rcParams["figure.constrained_layout.use"] = True

# %% tags=["parameters"]
NEURONS = 19
LESSONS = 250
PAST = 100
WEIGHTS = ""  # a folder with weight files of drone_causality, see the last section

# %% [markdown]
# ## One protocol
#
# Every cell is `cell(memory, input, dt) -> (memory, output)`. The memory starts as zeros; `dt` is
# the time since the last input [s]. Calling a cell input after input and unrolling it over the
# whole sequence give the same numbers.

# %%
rngs = nnx.Rngs(0)
wiring = auto_ncp(inputs=4, neurons=NEURONS, outputs=3)
cells = {
    "CfC": CfC(4, NEURONS, backbone=32, rngs=rngs),
    "LTC": LTC(4, NEURONS, rngs=rngs),
    "wired CfC": WiredCfC(wiring, rngs=rngs),
    "wired LTC": WiredLTC(wiring, rngs=rngs),
    "CfC with an LSTM before it": MixedMemory(CfC(4, NEURONS, backbone=32, rngs=rngs), rngs=rngs),
    "LSTM": LSTM(4, NEURONS, rngs=rngs),
}
rng = np.random.default_rng(0)
inputs = rng.normal(size=(20, 4)).astype(np.float32)
times = rng.uniform(0.02, 0.5, 20).astype(np.float32)

for name, cell in cells.items():
    size = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(cell)))
    shapes = f"memory {cell.memory_size:2d}, output {cell.outputs:2d}"
    print(f"{name:26s} {shapes}, {size:4d} parameters")

cell = cells["wired CfC"]
last, whole = unroll(cell, inputs, times)
step, memory = jax.jit(cell.__call__), jnp.zeros(cell.memory_size)
for row, dt in zip(inputs, times, strict=True):
    memory, output = step(memory, row, dt)
print(f"streamed and unrolled differ by {np.abs(memory - last).max():.0e}")
np.testing.assert_allclose(output, whole[-1], atol=1e-6)

# %% [markdown]
# ## Wirings
#
# A wiring says who hears whom. A neural circuit policy has inter neurons, which hear the inputs,
# command neurons, which hear inter neurons and each other, and motor neurons. Blue synapses excite,
# orange ones inhibit. A wiring never changes, survives JSON, and is a graph of networkx as well.

# %%
for (source, target), count in synapses_by_layer(wiring).items():
    print(f"{source:8s} -> {target:8s} {count:3d} synapses")
net = graph(wiring)
heard = max(net.in_degree(), key=lambda pair: pair[1])
print(f"{net.number_of_edges()} in all; {heard[0]} hears most: {heard[1]}")
draw_wiring(wiring)

# %% [markdown]
# The same as a table, with the strength of each synapse of the LTC: what it drives into a neuron
# when it is open.

# %%
draw_connectivity(wiring, strengths=strengths(cells["wired LTC"]))

# %% [markdown]
# What has no synapse has no influence: not little, none. Of all derivatives of one step of the LTC
# with one unfold, those that are not zero are the synapses, and each neuron's own memory.

# %%
single = WiredLTC(wiring, unfolds=1, rngs=nnx.Rngs(0))
slopes = jax.jit(jax.jacobian(lambda i, m: single(m, i, 0.1)[0], (0, 1)))(
    jnp.ones(4), jnp.zeros(NEURONS)
)
shown = np.concatenate([np.asarray(slope).T for slope in slopes]) != 0
wired = connectivity(wiring).table != 0
wired[4:] |= np.eye(NEURONS, dtype=bool)
print(f"derivatives that are not 0: {shown.sum()}, of {shown.size}")
assert np.array_equal(shown, wired)

# %% [markdown]
# ## Time constants
#
# A neuron of an LTC is a leaky capacitor, and every synapse that opens makes it leak more:
# tau = c / (g + sum of w s). So tau is short while much is heard and long in silence, and always
# between c / (g + sum of w) and c / g (theorem 1 of the LTC paper), drawn as dashes. Below, four
# inputs that swing, one after the other, and then nothing.

# %%
seconds = np.arange(0, 8, 0.05, dtype=np.float32)
swing = np.sin(2 * np.pi * (seconds[:, None] - np.arange(4) / 4)) * (seconds[:, None] < 5)
liquid = cells["wired LTC"]
recording = jax.jit(lambda inputs: record(liquid, inputs, 0.05))(2 * swing)
draw_states(recording, neurons=[0, 1, 2, 5, 10, 15])

# %%
tau = jax.jit(lambda r: time_constant(liquid, r.before, r.inputs))(recording)
bounds = time_constant_bounds(liquid)
assert np.all((tau >= bounds.low * 0.9999) & (tau <= bounds.high * 1.0001))
neuron = int(np.argmax(np.ptp(np.log(tau), axis=0)))
print(f"neuron {neuron}: tau from {tau[:, neuron].min():.2f} to {tau[:, neuron].max():.2f} s")
draw_time_constants(recording.time, tau, bounds, neurons=[neuron, 0, 5])

# %% [markdown]
# What makes it so is the conductance of every synapse just now; and there are figures of every
# neuron: how fast it moved, whether it is dead, how much of the time it was at an end of its range.
# A step whose Lipschitz constant is below 1 brings together what differed.

# %%
opened = jax.jit(lambda r: synaptic_activity(liquid, r.before, r.inputs))(recording)
loudest = [connectivity(wiring).sources[k] for k in np.argsort(-opened[..., neuron].mean(0))[:3]]
figures = activity(recording, memory_limits(liquid))
constants = jax.jit(lambda r: step_lipschitz(liquid, r.before, r.inputs, 0.05))(recording)
print(f"neuron {neuron} hears {', '.join(loudest)} most")
print(f"dead: {int(figures.dead.sum())}; saturated {float(figures.saturated.max()):.0%} at most")
print(f"fastest neuron: {float(lipschitz(recording).max()):.2f} a second")
print(
    f"the step's Lipschitz constant: {constants.memory.min():.3f} to {constants.memory.max():.3f}"
)

# %% [markdown]
# ## Irregular sampling
#
# A leaky integral, y' = u - y, of a signal that is seen at random times. The same CfC learns it
# twice: told the true time since the last sample, and told that it is always 1 s.

# %%
rng = np.random.default_rng(1)


def lesson(batch=64, steps=32):
    """A signal that jumps at each sample, gaps between samples, and its leaky integral."""
    u = rng.normal(size=(batch, steps, 1))
    gaps = rng.exponential(1.0, (batch, steps)) + 0.05
    y, course = np.zeros((batch, 1)), []
    for k in range(steps):
        left = np.exp(-gaps[:, k, None])
        y = left * y + (1 - left) * u[:, k]
        course.append(y)
    return [part.astype(np.float32) for part in (u, gaps, np.stack(course, axis=1))]


def study(told):
    """Train a CfC that is told `told(gaps)`; its error on a lesson that it has not seen."""
    cell, readout = CfC(1, 16, backbone=32, rngs=nnx.Rngs(0)), nnx.Linear(16, 1, rngs=nnx.Rngs(1))
    form, weights = nnx.split((cell, readout))
    optimiser = optax.adam(1e-2)

    def error(weights, u, gaps, y):
        cell, readout = nnx.merge(form, weights)
        return jnp.mean((readout(unroll(cell, u, told(gaps))[1]) - y) ** 2)

    @jax.jit
    def learn(weights, moments, *given):
        value, slope = jax.value_and_grad(error)(weights, *given)
        change, moments = optimiser.update(slope, moments)
        return optax.apply_updates(weights, change), moments, value

    moments, course = optimiser.init(weights), []
    for _ in range(LESSONS):
        weights, moments, value = learn(weights, moments, *lesson())
        course.append(float(value))
    return course, float(jax.jit(error)(weights, *lesson(512)))


figure, axes = plt.subplots(figsize=(7, 3))
errors = {}
for name, told in {"true dt": lambda gaps: gaps, "constant dt": jnp.ones_like}.items():
    course, errors[name] = study(told)
    axes.semilogy(course, label=f"{name}: {errors[name]:.4f} on unseen signals")
axes.set(xlabel="lesson", ylabel="mean square error")
axes.legend()
print(f"constant dt: {errors['constant dt'] / errors['true dt']:.0f} times the error")

# %% [markdown]
# Sequences of different lengths go through together: `lengths` or a `mask` says which steps are
# there. The memory waits during those that are not, and their time does not pass.

# %%
cell = cells["CfC"]
rows = rng.normal(size=(2, 12, 4)).astype(np.float32)
gaps = rng.exponential(0.2, (2, 12)).astype(np.float32)
mask = rng.random((2, 12)) < 0.7
together, _ = jax.jit(lambda *given: unroll(cell, *given[:2], lengths=given[2], mask=given[3]))(
    rows, gaps, np.array([12, 7]), mask
)
for k, length in enumerate((12, 7)):
    there = np.flatnonzero(mask[k, :length])
    alone, _ = jax.jit(lambda *given: unroll(cell, *given))(rows[k, there], gaps[k, there])
    np.testing.assert_allclose(together[k], alone, atol=1e-6)
print("together, masked and alone: the same memories")

# %% [markdown]
# ## What training hears of the past
#
# The norm of d(last output) / d(memory), step by step back in time, of cells as they are drawn:
# median and quartiles of 16 sequences at ten inputs a second. Where a curve is at 1e-10, what
# happened is not learnt. An LTC forgets at its time constants, exp(-0.1 s / tau) a step. An LSTM
# before the CfC carries memory past it: mixed memory.

# %%
rows = jnp.asarray(rng.normal(size=(16, PAST, 4)), jnp.float32)
norms = {
    name: jax.jit(lambda rows, cell=cells[name]: gradient_norms(cell, rows, 0.1))(rows)
    for name in ("CfC", "LTC", "LSTM", "CfC with an LSTM before it")
}
for name, curve in norms.items():
    middle = np.median(np.asarray(curve, float), axis=0)
    kept = (middle[-1 - PAST // 2] / middle[-1]) ** (2 / PAST)
    print(f"{name:26s} keeps {kept:.2f} of the gradient a step")
draw_gradient_norms(norms)

# %% [markdown]
# ## An imported network
#
# What was trained with `ncps` goes on here: a state dictionary of arrays in, the same cell out, and
# back. Of a torch module they are
# `{name: value.numpy() for name, value in net.state_dict().items()}`; neither torch nor ncps is
# needed to read them. Here they are those of the wired LTC above.

# %%
arrays = to_ncps(cells["wired LTC"])
print(f"{len(arrays)} arrays, such as", *list(arrays)[:3])
imported = from_ncps(arrays, wiring=wiring)
rows = rng.normal(size=(12, imported.inputs)).astype(np.float32)
ours, theirs = (unroll(cell, rows, 0.1)[1] for cell in (cells["wired LTC"], imported))
print("largest difference after the way there and back:", float(jnp.abs(ours - theirs).max()))

# %% [markdown]
# The networks that flew in Chahine et al. (Science Robotics 2023) are weight files of Keras in
# makramchahine/drone_causality. `from_drone_causality` reads them with h5py alone, CNN and all:
# `network(frames [T, 144, 256, 3]) -> velocities [T, 4]`. With their folder in `WEIGHTS`, the NCP
# that flew looks at six frames.

# %%
if WEIGHTS:
    folder = Path(WEIGHTS)
    params = json.loads((folder / "params.json").read_text())["ncp"]
    network = from_drone_causality(folder / "ncp.hdf5", params)
    frames = np.load(folder / "golden.npz")["frames"]
    print("velocities:", np.round(network(frames)[-1], 3))
    flown = network.cell
    seen = record(flown, network.features(frames), network.dt)
    print(f"{flown.wiring.neurons} neurons, {flown.wiring.synapse_count} synapses among them")
draw_states(seen) if WEIGHTS else None
