"""Networks of ncps.keras, imported: what ncps 1.0.1 answers (golden/make_ncps_keras.py)."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden.make_ncps_keras import BATCH, INPUTS, NEURONS, cases, drawn_inputs, drawn_weights

from lnn_nav.cells.wirings import auto_ncp
from lnn_nav.convert import WeightsError, from_ncps_keras

GOLDEN = Path(__file__).parent / "golden" / "ncps_keras.json"
ROWS = json.loads(GOLDEN.read_text(encoding="utf-8"))
LIMIT = 2e-6


def options_of(case):
    kind, mode, mixed, _ = case
    options = {} if kind == "ltc" else {"mode": "gated" if mode == "default" else mode}
    if kind in ("wired", "ltc"):
        options["wiring"] = auto_ncp(NEURONS if mixed else INPUTS, NEURONS, 4)
    return options | ({"activation": "silu"} if kind == "deep" else {})


def imported(number, **changed):
    return from_ncps_keras(
        drawn_weights(ROWS[number]["weights"], number), **(options_of(cases()[number]) | changed)
    )


@functools.partial(jax.jit, static_argnums=0)
def over(graph, state, memory, inputs, elapsed):
    """Outputs of every step; cells of one make share the program."""
    cell = nnx.merge(graph, state)
    _, outputs = jax.lax.scan(lambda m, given: cell(m, *given), memory, (inputs, elapsed))
    return outputs


def answers(cell, number):
    inputs, elapsed = drawn_inputs(number)
    memory = jnp.zeros((BATCH, cell.memory_size), jnp.float32)
    elapsed = elapsed if cases()[number][3] else np.ones_like(elapsed)
    return np.asarray(over(*nnx.split(cell), memory, inputs, elapsed))


@pytest.mark.parametrize("number", range(len(ROWS)), ids=lambda n: "-".join(map(str, cases()[n])))
def test_imported_cells_answer_as_ncps_keras_does(number):
    outputs = answers(imported(number), number)
    expected = np.array(ROWS[number]["outputs"])
    assert outputs[0].dtype == np.float32
    assert np.abs(expected).max() > 0.05
    error = np.abs(np.stack([outputs[0], outputs[-1]]) - expected).max()
    assert error <= LIMIT * max(1, np.abs(expected).max())


@pytest.mark.parametrize("planted", ["wrong wiring", "mode", "activation", "forget"])
def test_another_dialect_is_told_from_this_one(planted):
    """The comparison above would see each of these."""
    mixed = planted == "forget"
    kind = {"wrong wiring": "wired", "mode": "cfc", "activation": "deep", "forget": "cfc"}[planted]
    number = next(n for n, case in enumerate(cases()) if case[0] == kind and case[2] == mixed)
    changed = {
        "wrong wiring": {"wiring": auto_ncp(INPUTS, NEURONS, 4, seed=1)},
        "mode": {"mode": "no_gate"},
        "activation": {"activation": "tanh"},
        "forget": {"forget": 0.0},
    }[planted]
    expected = np.array(ROWS[number]["outputs"][1])
    assert np.abs(answers(imported(number, **changed), number)[-1] - expected).max() > 1e-3


def weights_of(number=0):
    return drawn_weights(ROWS[number]["weights"], number)


def test_what_does_not_fit_is_refused_by_name():
    whole = weights_of()
    name = next(name for name in whole if name.endswith("time_a/kernel"))
    less = {key: value for key, value in whole.items() if key != name}
    with pytest.raises(WeightsError, match="time_a/kernel: missing"):
        from_ncps_keras(less)
    with pytest.raises(WeightsError, match="time_b/bias: expected shape"):
        from_ncps_keras({**whole, name.replace("time_a", "time_b"): np.zeros((3, 3))})
    with pytest.raises(WeightsError, match="stranger"):
        from_ncps_keras({**whole, "stranger": np.zeros(3)})
    with pytest.raises(WeightsError, match="finite"):
        from_ncps_keras({**whole, name: whole[name] * np.nan})
    with pytest.raises(WeightsError, match="CfC or an LTC"):
        from_ncps_keras({"something": np.zeros(3)})
    with pytest.raises(ValueError, match="mode"):
        from_ncps_keras(whole, mode="other")


def test_a_wiring_that_does_not_fit_is_refused():
    number = next(n for n, case in enumerate(cases()) if case[0] == "wired" and not case[2])
    with pytest.raises(WeightsError, match="wiring: expected that"):
        from_ncps_keras(weights_of(number))
    with pytest.raises(WeightsError, match="wiring"):
        imported(number, wiring=auto_ncp(INPUTS + 1, NEURONS, 4))
    with pytest.raises(WeightsError, match="layers"):
        from_ncps_keras(weights_of(0), wiring=auto_ncp(INPUTS, NEURONS, 4))
    ltc = next(n for n, case in enumerate(cases()) if case[0] == "ltc" and not case[2])
    with pytest.raises(WeightsError):
        imported(ltc, wiring=auto_ncp(INPUTS + 1, NEURONS, 4))
    spoilt = {
        name: -value if name.endswith("/cm") else value for name, value in weights_of(ltc).items()
    }
    with pytest.raises(WeightsError, match="cm: expected no negative"):
        from_ncps_keras(spoilt, wiring=auto_ncp(INPUTS, NEURONS, 4))
