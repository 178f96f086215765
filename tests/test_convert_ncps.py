"""Networks of ncps, imported: the answers that ncps 1.0.1 gives (golden/make_ncps.py)."""

from __future__ import annotations

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden.make_ncps import BATCH, INPUTS, KEPT, cases, drawn_inputs, drawn_weights

from lnn_nav.cells import CfC, MixedMemory, Projected, WiredCfC, WiredLTC
from lnn_nav.cells.wirings import auto_ncp, fully_connected, ncp, random_wiring
from lnn_nav.convert import WeightsError, from_ncps, to_ncps

GOLDEN = Path(__file__).parent / "golden" / "ncps_cells.npz"
LIMITS = {np.float32: 2e-6, np.float64: 1e-13}


def wired(kind, family):
    return {
        "full": lambda: fully_connected(INPUTS, 16),
        "auto_ncp": lambda: auto_ncp(INPUTS, 32, 4),
        "ncp": lambda: ncp(
            INPUTS, 10, 10, 8, sensory_fanout=6, inter_fanout=6, recurrent=4, motor_fanin=6
        ),
        "random": lambda: random_wiring(INPUTS, 24, 4, sparsity=0.5),
    }[kind]()


def fresh(family, kind, mode, mixed):
    """A cell of the same make, whose weights do not matter."""
    rngs = nnx.Rngs(0)
    if family == "ltc":
        cell = WiredLTC(wired(kind, family), rngs=rngs)
    elif kind == "full":
        cell = CfC(INPUTS, 48, mode=mode, rngs=rngs)
    else:
        cell = WiredCfC(wired(kind, family), mode=mode, compat="ncps", rngs=rngs)
    return MixedMemory(cell, rngs=rngs) if mixed else cell


def weights_of(case, seed, dtype):
    shown = to_ncps(fresh(*case[:4]))
    return {name: value.astype(dtype) for name, value in drawn_weights(shown, seed).items()}


def imported(case, seed, dtype):
    family, kind, mode = case[:3]
    wiring = None if kind == "full" else wired(kind, family)
    mode = "gated" if family == "ltc" else mode
    return from_ncps(weights_of(case, seed, dtype), wiring=wiring, mode=mode)


@functools.partial(jax.jit, static_argnums=0)
def over(graph, state, memory, inputs, elapsed):
    """Outputs of every step; cells of one make share the program."""
    cell = nnx.merge(graph, state)
    _, outputs = jax.lax.scan(lambda m, given: cell(m, *given), memory, (inputs, elapsed))
    return outputs


def answers(cell, inputs, elapsed, dtype):
    """Outputs at the steps that are kept, from a memory of zeros."""
    memory = jnp.zeros((BATCH, cell.memory_size), dtype)
    steps = (jnp.asarray(np.moveaxis(given, 1, 0), dtype) for given in (inputs, elapsed))
    return np.asarray(over(*nnx.split(cell), memory, *steps))[list(KEPT)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("seed", "case"), list(enumerate(cases())), ids=lambda v: str(v))
def test_imported_cells_answer_as_ncps_does(seed, case, dtype):
    family, kind, mode, mixed, irregular = case
    cell = imported(case, seed, dtype)
    inputs, elapsed = drawn_inputs(seed)
    elapsed = (elapsed if irregular else np.ones_like(elapsed)).astype(dtype)
    name = f"{seed:02} {family} {kind} {mode} {mixed} {irregular} {np.dtype(dtype)}"
    with np.load(GOLDEN) as golden:
        expected = golden[name]
    got = answers(cell, inputs, elapsed, dtype)
    assert got.dtype == expected.dtype == dtype
    assert np.abs(expected).max() > 0.05
    error = np.abs(got - expected).max() / max(1, np.abs(expected).max())
    assert error <= LIMITS[dtype]
    if irregular and dtype == np.float64:
        # Negative control: time matters.
        other = answers(cell, inputs, np.ones_like(elapsed), dtype)
        assert np.abs(other - expected).max() > 1e-3


SOME = [
    (k, case) for k, case in enumerate(cases()) if not case[4] and (case[3] or case[0] == "ltc")
]


@pytest.mark.parametrize(("seed", "case"), SOME, ids=lambda v: str(v))
def test_exports_come_back_to_the_bit(seed, case):
    weights = weights_of(case, seed, np.float32)
    again = to_ncps(imported(case, seed, np.float32))
    assert again.keys() == weights.keys()
    for name, value in weights.items():
        if case[0] == "ltc" and value.ndim == 2 and "lstm" not in name:
            # What has no synapse is of no account.
            value = value * weights[mask_of(name)]
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def mask_of(name):
    return "rnn_cell.sensory_sparsity_mask" if "sensory" in name else "rnn_cell.sparsity_mask"


def test_wirings_are_read_off_the_weights():
    wiring = auto_ncp(INPUTS, 32, 4)
    ltc = from_ncps(to_ncps(WiredLTC(wiring, rngs=nnx.Rngs(3))))
    np.testing.assert_array_equal(ltc.wiring.synapses, wiring.synapses)
    np.testing.assert_array_equal(ltc.wiring.senses, wiring.senses)
    cfc = from_ncps(to_ncps(WiredCfC(wiring, compat="ncps", rngs=nnx.Rngs(3))))
    assert cfc.wiring.layers == wiring.layers
    # Polarities and synapses among command neurons are not in the arrays of a CfC.
    commands = np.array(wiring.layers[1][1])
    expected = np.abs(wiring.synapses)
    expected[np.ix_(commands, commands)] = 0
    np.testing.assert_array_equal(cfc.wiring.synapses, expected)


def test_a_projection_is_part_of_it():
    cell = Projected(CfC(3, 6, 5, rngs=nnx.Rngs(0)), 2, rngs=nnx.Rngs(1))
    again = from_ncps(to_ncps(cell))
    memory, inputs = jnp.ones((2, 6)) / 3, jnp.ones((2, 3))
    for ours, theirs in zip(cell(memory, inputs, 0.3), again(memory, inputs, 0.3), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_softplus_weights_are_what_they_are_and_not_negative():
    whole = to_ncps(WiredLTC(auto_ncp(3, 12, 2), rngs=nnx.Rngs(0)))
    meant = dict(whole)
    for name in ("w", "sensory_w", "gleak", "cm"):
        raw = whole[f"rnn_cell.{name}"].astype(np.float64)
        meant[f"rnn_cell.{name}"] = np.log1p(np.exp(raw)).astype(np.float32)
    one, other = from_ncps(whole), from_ncps(meant, softplus=False)
    memory, inputs = jnp.ones((2, 12)) / 3, jnp.ones((2, 3))
    np.testing.assert_allclose(
        one(memory, inputs, 1.0)[1], other(memory, inputs, 1.0)[1], atol=1e-6
    )
    meant["rnn_cell.cm"] = -meant["rnn_cell.cm"]
    with pytest.raises(WeightsError, match="rnn_cell.cm: expected no negative"):
        from_ncps(meant, softplus=False)


def damaged():
    """Each way to break an import, and what it says."""
    cfc, wiring = to_ncps(CfC(3, 6, 5, rngs=nnx.Rngs(0))), auto_ncp(3, 12, 2)
    ltc = to_ncps(WiredLTC(wiring, rngs=nnx.Rngs(0)))
    net = to_ncps(WiredCfC(wiring, compat="ncps", rngs=nnx.Rngs(0)))
    without = {name: value for name, value in cfc.items() if "time_a" not in name}
    name = "rnn_cell.ff2.weight"
    yield {}, {}, "ff1.weight: missing; there is nothing"
    yield without, {}, "rnn_cell.time_a.weight: missing"
    yield {**cfc, name: cfc[name][:, 1:]}, {}, r"ff2.weight: expected shape \(6, 5\), got \(6, 4\)"
    yield {**cfc, name: cfc[name][0]}, {}, r"ff2.weight: expected 2 axes, got shape \(5,\)"
    yield {**cfc, name: cfc[name] * np.nan}, {}, "ff2.weight: expected finite real numbers"
    yield {**cfc, name: np.array(["a"])}, {}, "ff2.weight: expected finite real numbers, got dtype"
    yield {**cfc, "extra": np.ones(3)}, {}, r"unknown weights: extra \(3,\)"
    other = auto_ncp(3, 12, 2, seed=1)
    yield ltc, {"wiring": other}, "wiring: expected the synapses"
    yield net, {"wiring": other}, "wiring: expected the synapses"


@pytest.mark.parametrize(("weights", "more", "said"), list(damaged()))
def test_damaged_weights_are_refused_by_name(weights, more, said):
    with pytest.raises(WeightsError, match=said):
        from_ncps(weights, **more)


def test_what_ncps_does_not_have_is_not_exported():
    wiring = auto_ncp(3, 12, 2)
    with pytest.raises(WeightsError, match="compat='ncps'"):
        to_ncps(WiredCfC(wiring, rngs=nnx.Rngs(0)))
    with pytest.raises(WeightsError, match="squash"):
        to_ncps(CfC(3, 4, squash="linear", rngs=nnx.Rngs(0)))
