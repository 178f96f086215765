"""What `ncps` 1.0.1 was measured to do wrongly, one test each."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lnn_nav.cells import LTC, CfC, WiredCfC, WiredLTC, Wiring, unroll
from lnn_nav.cells.wirings import auto_ncp, ncp, random_wiring
from lnn_nav.convert.arrays import filled, parameters

INPUTS, NEURONS, T = 4, 8, 5
POLICY = {"sensory_fanout": 3, "inter_fanout": 2, "recurrent": 3, "motor_fanin": 2}


def cells():
    rngs = nnx.Rngs(0)
    wiring = auto_ncp(INPUTS, NEURONS, 2)
    return {
        "cfc": CfC(INPUTS, NEURONS, 8, rngs=rngs),
        "wired cfc": WiredCfC(wiring, rngs=rngs),
        "ltc": LTC(INPUTS, NEURONS, rngs=rngs),
        "wired ltc": WiredLTC(wiring, rngs=rngs),
    }


def drawn(batch):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(batch, T, INPUTS)), jnp.float32)
    return inputs, jnp.asarray(rng.uniform(0.1, 2, (batch, T)), jnp.float32)


def outputs_of(cell):
    return jax.jit(lambda inputs, dt: unroll(cell, inputs, dt)[1])


@pytest.mark.parametrize("batch", [3, NEURONS], ids=["batch", "batch as large as the memory"])
@pytest.mark.parametrize("name", ["cfc", "ltc"])
def test_each_sequence_has_its_own_times(name, batch):
    """There: an error, and where the batch is as large as the memory, silence and wrong numbers."""
    cell, (inputs, dt) = cells()[name], drawn(batch)
    together, alone = outputs_of(cell)(inputs, dt), outputs_of(cell)
    for k in range(batch):
        np.testing.assert_allclose(together[k], alone(inputs[k], dt[k]), atol=2e-6)
    assert np.abs(together - outputs_of(cell)(inputs, dt[::-1])).max() > 1e-3


def jacobian(cell, argument):
    rng = np.random.default_rng(1)
    memory = jnp.asarray(rng.normal(size=cell.memory_size), jnp.float32)
    inputs = jnp.asarray(rng.normal(size=cell.inputs), jnp.float32)
    after = jax.jacobian(lambda m, x: cell(m, x, 0.7)[0], argnums=argument)
    return np.asarray(after(memory, inputs)).T


@pytest.mark.parametrize("name", ["wired cfc", "wired ltc"])
def test_no_input_leaks_past_the_wiring(name):
    """There: all 72 pairs of input and inter neuron without a synapse had one in the time heads."""
    cell = cells()[name]
    first = cell.wiring.layers[0][1]
    heard = jacobian(cell, 1)[:, first] != 0
    assert np.array_equal(heard, cell.wiring.senses[:, first] != 0)
    assert not heard.all()


def test_loops_among_neurons_are_the_wirings():
    """There: 121 of 121 pairs of command neurons, where the wiring has 11 synapses."""
    wiring = ncp(INPUTS, 6, 5, 2, **POLICY)
    commands = np.array(dict(wiring.layers)["command"])
    inner = np.ix_(commands, commands)
    heard = jacobian(WiredCfC(wiring, rngs=nnx.Rngs(0)), 0)[inner] != 0
    wired = (wiring.synapses[inner] != 0) | np.eye(len(commands), dtype=bool)
    assert np.array_equal(heard, wired)
    assert not heard.all()
    compatible = WiredCfC(wiring, compat="ncps", rngs=nnx.Rngs(0))
    assert (jacobian(compatible, 0)[inner] != 0).all()


def test_a_shared_wiring_stays_as_it_is():
    """There: a second cell with it changes 91 synapses of the first."""
    wiring = auto_ncp(INPUTS, 16, 3)
    before = Wiring.from_json(wiring.to_json())
    first = WiredCfC(wiring, rngs=nnx.Rngs(0))
    WiredLTC(wiring, rngs=nnx.Rngs(1))
    assert wiring == before == first.wiring == auto_ncp(INPUTS, 16, 3)


def test_synapses_are_counted_in_the_right_table_and_once():
    """There: inputs' synapses are counted among the neurons', and drawn twice."""
    wiring = random_wiring(INPUTS, 12, 3, sparsity=0.5)
    assert wiring.sense_count == np.count_nonzero(wiring.senses)
    assert wiring.synapse_count == np.count_nonzero(wiring.synapses)
    assert set(np.unique(wiring.senses)) <= {-1, 0, 1}


@pytest.mark.parametrize("name", ["cfc", "wired cfc", "ltc", "wired ltc"])
def test_no_time_at_all_is_a_number(name):
    """There: NaN in an LTC."""
    cell, memory = cells()[name], jnp.linspace(-0.5, 0.5, NEURONS, dtype=jnp.float32)
    after, output = cell(memory, jnp.ones(INPUTS, jnp.float32), 0.0)
    assert np.isfinite(after).all() and np.isfinite(output).all()
    if "ltc" in name:
        np.testing.assert_allclose(after, memory, atol=1e-7)


@pytest.mark.parametrize("name", ["cfc", "wired ltc"])
def test_half_precision_works(name):
    """There: a module in bfloat16 fails."""
    cell, (inputs, dt) = cells()[name], drawn(2)
    half = filled(cell, {k: v.astype(jnp.bfloat16) for k, v in parameters(cell).items()})
    outputs = outputs_of(half)(inputs.astype(jnp.bfloat16), dt)
    assert outputs.dtype == jnp.bfloat16
    whole = outputs_of(cell)(inputs, dt)
    assert np.abs(np.asarray(outputs, float) - np.asarray(whole, float)).max() < 0.1


def test_other_parameters_are_heard():
    """There: `torch.func.functional_call` on an LTC changes nothing."""
    graph, state = nnx.split(cells()["wired ltc"])
    inputs, dt = drawn(2)

    @jax.jit
    def outputs(state):
        return unroll(nnx.merge(graph, state), inputs, dt)[1]

    other = jax.tree.map(lambda leaf: leaf * 1.1, state)
    assert np.abs(outputs(state) - outputs(other)).max() > 1e-3
