"""Wirings: those of ncps to the bit, never changed, and the same after a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden.make_ncps import digest, drawn_sizes
from hypothesis import given
from hypothesis import strategies as st

from lnn_nav.cells import Wiring
from lnn_nav.cells.wirings import auto_ncp, fully_connected, ncp, random_wiring

GOLDEN = Path(__file__).parent / "golden" / "ncps_wirings.json"


def drawn(size):
    """Each kind of wiring of a size."""
    shape = (size["inputs"], size["neurons"], size["outputs"])
    seed, sparsity = size["seed"], size["sparsity"]
    yield "auto_ncp", auto_ncp(*shape, sparsity=sparsity, seed=seed)
    yield "random_wiring", random_wiring(*shape, sparsity=sparsity, seed=seed)
    yield "fully_connected", fully_connected(*shape, seed=seed)


def test_wirings_are_those_of_ncps_on_200_seeds():
    """As `ncps` 1.0.1 draws them, see golden/make_ncps.py."""
    golden = json.loads(GOLDEN.read_text())
    assert len(golden) == 200
    for expected, size in zip(golden, drawn_sizes(), strict=True):
        assert {name: expected[name] for name in size} == size
        for name, wiring in drawn(size):
            assert digest(wiring.synapses, wiring.senses) == expected[name], (name, size)


def test_another_seed_is_another_wiring():
    """Negative control of the comparison above."""
    golden = json.loads(GOLDEN.read_text())
    for expected, size in zip(golden[:5], drawn_sizes()[:5], strict=True):
        for name, wiring in drawn({**size, "seed": size["seed"] + 1000}):
            assert digest(wiring.synapses, wiring.senses) != expected[name]


def test_sizes_are_those_of_the_papers():
    wired = auto_ncp(8, 32, 4)
    assert (wired.synapse_count, wired.sense_count) == (116, 64)
    assert [(name, len(ids)) for name, ids in wired.layers] == [
        ("inter", 17),
        ("command", 11),
        ("motor", 4),
    ]
    wired = auto_ncp(32, 19, 4)
    assert (wired.synapse_count, wired.sense_count) == (46, 128)
    flown = ncp(
        32, 18, 12, 4, sensory_fanout=6, inter_fanout=4, recurrent=4, motor_fanin=6, seed=22224
    )
    assert flown.neurons == 34


sizes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "inputs": st.integers(1, 12),
        "neurons": st.integers(8, 24),
        "outputs": st.integers(1, 5),
        "sparsity": st.floats(0.1, 0.9),
    }
)


@given(size=sizes)
def test_laws_of_every_wiring(size):
    for name, wiring in drawn(size):
        assert (wiring.inputs, wiring.neurons) == (size["inputs"], size["neurons"])
        again = Wiring.from_json(wiring.to_json())
        assert again == wiring and hash(again) == hash(wiring)
        if name == "auto_ncp":
            _check_ncp(wiring)


def _check_ncp(wiring):
    """Signals pass the layers in order; every input is heard, every neuron reached."""
    order = {neuron: k for k, (_, ids) in enumerate(wiring.layers) for neuron in ids}
    for source, target in np.argwhere(wiring.synapses):
        step = order[target] - order[source]
        assert step == 1 or (step == 0 and wiring.layer_of(int(source)) == "command")
    assert {wiring.layer_of(int(target)) for _, target in np.argwhere(wiring.senses)} == {"inter"}
    assert np.any(wiring.senses, axis=1).all()
    assert wiring.reaches().any(axis=0).all()


def test_a_wiring_cannot_be_changed():
    """In ncps, building a shared wiring for a second network changes the first one's."""
    given_table = np.ones((3, 3), int)
    wiring = Wiring(given_table, np.ones((2, 3), int), (("neurons", (0, 1, 2)),), 1)
    given_table[0, 0] = -1
    assert wiring.synapses[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        wiring.synapses[0, 0] = -1
    with pytest.raises(AttributeError):
        wiring.outputs = 2


ONE = (("neurons", (0, 1)),)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((np.full((2, 2), 2), np.ones((1, 2)), ONE, 1), "synapses: expected a table of -1, 0"),
        ((np.ones((2, 2)), np.full((1, 2), np.nan), ONE, 1), "senses: expected a table"),
        ((np.ones((2, 3)), np.ones((1, 2)), ONE, 1), r"expected \[n, n\] and \[inputs, n\]"),
        ((np.ones((2, 2)), np.ones((1, 3)), ONE, 1), r"expected \[n, n\] and \[inputs, n\]"),
        ((np.ones((2, 2)), np.ones((1, 2)), (("a", (0,)),), 1), "layers: expected each of 2"),
        ((np.ones((2, 2)), np.ones((1, 2)), ONE, 3), "outputs: expected 1 to 2, got 3"),
        ((np.ones((2, 2)), np.ones((1, 2)), ONE, 0), "outputs: expected 1 to 2, got 0"),
    ],
)
def test_what_is_no_wiring_is_refused(parts, said):
    with pytest.raises(ValueError, match=said):
        Wiring(*parts)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="outputs: expected 1 to 5, got 6"):
        auto_ncp(3, 8, 6)
    with pytest.raises(ValueError, match="sparsity"):
        auto_ncp(3, 8, 2, sparsity=0.95)
    with pytest.raises(ValueError, match="sparsity"):
        random_wiring(3, 8, sparsity=1.0)
    with pytest.raises(ValueError, match="inputs, neurons"):
        fully_connected(0, 8)
    fans = {"sensory_fanout": 3, "inter_fanout": 2, "recurrent": 1, "motor_fanin": 2}
    for name, count in (("sensory_fanout", 4), ("inter_fanout", 3), ("motor_fanin", 3)):
        with pytest.raises(ValueError, match=f"{name}: expected 1 to {count}, got 9"):
            ncp(5, 4, 3, 2, **{**fans, name: 9})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "format: expected 'lnn_nav wiring 1'"),
        ({"neurons": -1}, "neurons: expected a count, got -1"),
        ({"inputs": "3"}, "inputs: expected a count, got '3'"),
        ({"layers": 3}, "layers: expected pairs"),
        ({"synapses": None}, "synapses: expected a list of synapses, got None"),
        ({"synapses": [[0, 1]]}, "synapses: expected source, target, polarity"),
        ({"senses": [[0, 99, 1]]}, "senses: .* is no synapse of a table"),
        ({"senses": [[0, 1, 2]]}, "senses: .* is no synapse of a table"),
    ],
)
def test_a_damaged_file_is_refused(change, said):
    plain = json.loads(auto_ncp(3, 8, 2).to_json())
    with pytest.raises(ValueError, match=said):
        Wiring.from_json(json.dumps({**plain, **change}))


def test_text_that_is_no_file_is_refused():
    for text in ("", "[1, 2]", "{", "null"):
        with pytest.raises(ValueError, match="wiring|format"):
            Wiring.from_json(text)
