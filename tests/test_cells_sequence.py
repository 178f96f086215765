"""Sequences: the cell step after step, whatever the shape of the times, masks and segments."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lnn_nav.cells import (
    CELLS,
    GRU,
    LSTM,
    LTC,
    MLP,
    CellError,
    CfC,
    MixedMemory,
    WiredCfC,
    WiredLTC,
    build_cell,
    unroll,
)
from lnn_nav.cells.wirings import auto_ncp
from lnn_nav.convert.arrays import filled, parameters

INPUTS, B, T = 4, 3, 6


def make(name):
    rngs = nnx.Rngs(0)
    return {
        "cfc": lambda: CfC(INPUTS, 5, 8, rngs=rngs),
        "no_gate": lambda: CfC(INPUTS, 5, (8, 8), mode="no_gate", rngs=rngs),
        "pure": lambda: CfC(INPUTS, 5, 8, mode="pure", rngs=rngs),
        "wired_cfc": lambda: WiredCfC(auto_ncp(INPUTS, 12, 3), rngs=rngs),
        "wired_ltc": lambda: WiredLTC(auto_ncp(INPUTS, 12, 3), rngs=rngs),
        "ltc": lambda: LTC(INPUTS, 5, rngs=rngs),
        "mixed": lambda: MixedMemory(CfC(INPUTS, 5, 8, rngs=rngs), rngs=rngs),
        "lstm": lambda: LSTM(INPUTS, 5, rngs=rngs),
        "gru": lambda: GRU(INPUTS, 5, rngs=rngs),
        "mlp": lambda: MLP(INPUTS, 5, rngs=rngs),
    }[name]()


NAMES = ("cfc", "no_gate", "pure", "wired_cfc", "wired_ltc", "ltc", "mixed", "lstm", "gru", "mlp")


def drawn(batch=B, steps=T):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(batch, steps, INPUTS)), jnp.float32)
    return inputs, jnp.asarray(rng.uniform(0, 2, (batch, steps)), jnp.float32)


def one_by_one(cell, inputs, dt):
    """Streaming, sequence after sequence."""
    step, memories, outputs = jax.jit(lambda m, x, dt: cell(m, x, dt)), [], []
    for sequence, times in zip(inputs, dt, strict=True):
        memory, told = jnp.zeros(cell.memory_size, jnp.float32), []
        for x, elapsed in zip(sequence, times, strict=True):
            memory, output = step(memory, x, elapsed)
            told.append(output)
        memories.append(memory)
        outputs.append(jnp.stack(told))
    return jnp.stack(memories), jnp.stack(outputs)


def same(got, expected, tolerance=2e-6):
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_is_its_steps(name):
    cell, (inputs, dt) = make(name), drawn()
    over = jax.jit(lambda x, t: unroll(cell, x, t))
    expected = one_by_one(cell, inputs, dt)
    same(over(inputs, dt), expected)
    same((part[0] for part in expected), over(inputs[0], dt[0]))
    same(jax.jit(jax.vmap(over))(inputs, dt), expected)


def test_every_shape_of_time_is_taken():
    cell, (inputs, dt) = make("cfc"), drawn()
    alike = jnp.full((B, T), 0.7, jnp.float32)
    expected = unroll(cell, inputs, alike)
    same(unroll(cell, inputs, 0.7), expected)
    same(unroll(cell, inputs, alike[0]), expected)
    same(unroll(cell, inputs[0], alike[0][:, None]), [part[0] for part in expected])
    same(unroll(cell, inputs, dt[..., None]), unroll(cell, inputs, dt))
    shared = unroll(cell, inputs, dt[0])
    same(shared, unroll(cell, inputs, jnp.broadcast_to(dt[0], (B, T))))
    assert np.abs(shared[1] - expected[1]).max() > 1e-3


@pytest.mark.parametrize("name", ["cfc", "no_gate", "wired_cfc"])
def test_one_pace_for_all_is_the_same_step_made_quicker(name):
    """With the gradient: at one pace some cells take another way to the same numbers."""
    cell, (inputs, _) = make(name), drawn()
    graph, state = nnx.split(cell)

    def answer(state, dt):
        return jnp.sum(unroll(nnx.merge(graph, state), inputs, dt)[1] ** 2)

    for dt in (0.0, 0.7):
        paced = jax.value_and_grad(answer)(state, dt)
        usual = jax.value_and_grad(answer)(state, jnp.full((B, T), dt, jnp.float32))
        for a, b in zip(jax.tree.leaves(paced), jax.tree.leaves(usual), strict=True):
            np.testing.assert_allclose(a, b, atol=3e-6 * (1 + np.abs(b).max()), rtol=0)
    with pytest.raises(AssertionError):
        same([answer(state, 0.7)], [answer(state, 0.8)])


def test_the_quicker_sequence_has_the_same_derivatives_of_every_kind():
    """Forward, backward and forward over backward, by weights, memory, inputs and time."""
    cell, (inputs, _) = make("cfc"), drawn()
    graph, state = nnx.split(cell)
    wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), state)
    memory = np.random.default_rng(1).uniform(-1, 1, (B, cell.memory_size))
    points = (wide, memory, inputs.astype(float), 0.7)
    key = jax.random.key(0)
    changes = jax.tree.map(lambda leaf: jax.random.normal(key, jnp.shape(leaf), float), points)

    def answer(alike, state, memory, inputs, dt):
        dt = dt if alike else jnp.full((B, T), dt)
        after, outputs = unroll(nnx.merge(graph, state), inputs, dt, memory=memory)
        return jnp.sum(after**3) + jnp.sum(jnp.sin(outputs))

    def derivatives(alike):
        slope = jax.grad(partial(answer, alike), (0, 1, 2, 3))
        return jax.jit(
            lambda: (
                jax.jvp(partial(answer, alike), points, changes),
                jax.jvp(slope, points, changes),
            )
        )()

    quick, usual = derivatives(True), derivatives(False)
    for a, b in zip(jax.tree.leaves(quick), jax.tree.leaves(usual), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12 * (1 + np.abs(b).max()), rtol=0)


@pytest.mark.parametrize("name", ["ltc", "wired_ltc"])
def test_no_time_changes_no_ltc(name):
    """In ncps it is NaN."""
    cell, (inputs, _) = make(name), drawn()
    memory = jnp.full((B, cell.memory_size), 0.3, jnp.float32)
    after, outputs = unroll(cell, inputs, 0.0, memory=memory)
    np.testing.assert_allclose(after, memory, rtol=1e-5)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("name", ["cfc", "wired_ltc", "mixed", "gru"])
def test_what_is_not_there_is_as_if_it_never_was(name):
    cell, (inputs, dt) = make(name), drawn()
    lengths = jnp.array([2, 6, 4])
    memory, outputs = unroll(cell, inputs, dt, lengths=lengths)
    for k, length in enumerate(lengths):
        short = unroll(cell, inputs[k, :length], dt[k, :length])
        same((memory[k], outputs[k, :length]), short)
        assert np.all(outputs[k, length:] == 0)
    gaps = jnp.asarray(np.random.default_rng(1).random((B, T)) < 0.6).at[:, 0].set(True)
    memory, outputs = unroll(cell, inputs, dt, mask=gaps)
    for k in range(B):
        left = unroll(cell, inputs[k][gaps[k]], dt[k][gaps[k]])
        same((memory[k], outputs[k][gaps[k]]), left)
    # What stands there does not matter, and has no gradient, even if it is no number.
    broken = jnp.where(gaps[..., None], inputs, jnp.nan)
    same(unroll(cell, broken, dt, mask=gaps), (memory, outputs))
    graph, weights = nnx.split(cell)
    slope = jax.grad(lambda w: unroll(nnx.merge(graph, w), broken, dt, mask=gaps)[1].sum())(weights)
    assert all(np.isfinite(part).all() for part in jax.tree.leaves(slope))


@pytest.mark.parametrize("name", ["cfc", "wired_ltc", "mixed"])
def test_a_reset_begins_anew(name):
    cell, (inputs, dt) = make(name), drawn()
    flags = jnp.zeros((B, T), bool).at[1, 3].set(True)
    memory, outputs = unroll(cell, inputs, dt, reset=flags)
    plain = unroll(cell, inputs, dt)
    same((memory[0], outputs[0]), [part[0] for part in plain])
    anew = unroll(cell, inputs[1, 3:], dt[1, 3:])
    same((memory[1], outputs[1, 3:]), anew)
    assert np.abs(outputs[1] - plain[1][1]).max() > 1e-3


@pytest.mark.parametrize("segment", [1, 4, 100])
def test_segments_change_nothing(segment):
    cell, (inputs, dt) = make("mixed"), drawn(steps=13)
    graph, weights = nnx.split(cell)

    def loss(weights, segment):
        memory, outputs = unroll(nnx.merge(graph, weights), inputs, dt, segment=segment)
        return jnp.sum(memory**2) + jnp.sum(outputs**2)

    slope, again = jax.grad(loss)(weights, None), jax.grad(loss)(weights, segment)
    for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    same(unroll(cell, inputs, dt, segment=segment), unroll(cell, inputs, dt))


def test_ten_thousand_steps_fit():
    """Held for the gradient: sqrt(T) memories and one segment, not T steps with all they hold."""
    cell = make("cfc")
    graph, weights = nnx.split(cell)
    inputs = jax.ShapeDtypeStruct((8, 10_000, INPUTS), jnp.float32)

    def held(segment):
        def loss(weights, inputs):
            return jnp.sum(unroll(nnx.merge(graph, weights), inputs, segment=segment)[0])

        return jax.jit(jax.grad(loss)).lower(weights, inputs).compile().memory_analysis()

    assert held(100).temp_size_in_bytes < 0.35 * held(None).temp_size_in_bytes


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_stays_half(name):
    """In ncps a module in bfloat16 fails."""
    cell = make(name)
    half = filled(cell, {k: v.astype(jnp.bfloat16) for k, v in parameters(cell).items()})
    inputs, dt = drawn()
    memory, outputs = unroll(half, inputs.astype(jnp.bfloat16), dt.astype(jnp.bfloat16))
    assert memory.dtype == outputs.dtype == jnp.bfloat16
    expected = unroll(cell, inputs, dt)
    assert np.abs(np.asarray(outputs, float) - np.asarray(expected[1], float)).max() < 0.2


def test_seeds_side_by_side():
    inputs, dt = drawn()

    def answer(key):
        return unroll(CfC(INPUTS, 5, 8, rngs=nnx.Rngs(key)), inputs, dt)[1]

    together = jax.vmap(answer)(jax.random.split(jax.random.key(0), 3))
    assert together.shape == (3, B, T, 5)
    assert np.abs(together[0] - together[1]).max() > 1e-2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": jnp.zeros((B, T, INPUTS + 1))}, r"inputs: expected \[T, 4\] or \[B, T, 4\]"),
        ({"inputs": jnp.zeros(INPUTS)}, r"inputs: .* got \(4,\)"),
        ({"dt": -1.0}, "dt: expected finite times >= 0, got -1"),
        ({"dt": jnp.full((B, T), jnp.nan)}, "dt: expected finite times >= 0, got nan"),
        ({"dt": jnp.full(T, jnp.inf)}, "dt: .* got inf"),
        ({"dt": jnp.ones(T + 1)}, r"dt: expected a number, \(6,\), \(3, 6\) or \(3, 6, 1\), got"),
        ({"dt": jnp.ones((T, B))}, r"dt: .* got shape \(6, 3\)"),
        ({"mask": jnp.ones((B, T - 1), bool)}, r"mask: expected bool \(3, 6\), got bool \(3, 5\)"),
        ({"reset": jnp.ones(T, bool)}, r"reset: expected bool \(3, 6\), got bool \(6,\)"),
        ({"lengths": jnp.ones(2, int)}, r"lengths: expected integers \(3,\), got int64 \(2,\)"),
        ({"memory": jnp.zeros((B, 6))}, r"memory: expected \(3, 5\), got \(3, 6\)"),
        ({"segment": 0}, "segment: expected at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, said):
    inputs, dt = drawn()
    given = {"inputs": inputs, "dt": dt, **change}
    with pytest.raises(CellError, match=said):
        unroll(make("cfc"), given.pop("inputs"), given.pop("dt"), **given)


@pytest.mark.parametrize("name", CELLS)
def test_a_step_that_does_not_fit_is_refused_by_name(name):
    cell = build_cell(name, INPUTS, 8, nnx.Rngs(0))
    memory, inputs = jnp.zeros((B, cell.memory_size)), jnp.zeros((B, INPUTS))
    for given, said in (
        ((memory[:, 1:], inputs, 1.0), rf"memory: expected \[\*batch, {cell.memory_size}\], got"),
        ((memory, inputs[:, 1:], 1.0), r"inputs: expected \[\*batch, 4\], got \(3, 3\)"),
        (
            (memory, inputs, jnp.ones((B, 1))),
            r"dt: expected a number or .* \(3, 1\)",
        ),
        ((memory, inputs, -0.5), "dt: expected finite times >= 0, got -0.5"),
        ((memory, inputs, jnp.array([0.0, jnp.nan, 1.0])), "dt: .* got nan"),
        ((memory, inputs, float("inf")), "dt: .* got inf"),
    ):
        with pytest.raises(CellError, match=said):
            cell(*given)
