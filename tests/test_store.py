"""Checkpoints: exact bits come back, and every damage is refused."""

from __future__ import annotations

import json
import os
import pickle
import random
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from lnn_nav import archive
from lnn_nav.archive import ArchiveError, read_archive, write_archive
from lnn_nav.design import Design
from lnn_nav.policy import Policy, PolicyShape
from lnn_nav.store import (
    PILOT,
    PilotError,
    StateError,
    load_arrays,
    load_pilot,
    load_policy,
    load_tree,
    save_arrays,
    save_pilot,
    save_tree,
)
from lnn_nav.straight import StraightLine

SMALL = Design(policy=PolicyShape(parameters=8_000))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy(SMALL.policy, rngs=nnx.Rngs(1))


@pytest.fixture
def saved(tmp_path, policy) -> Path:
    save_pilot(tmp_path / "mine", SMALL, policy, {"command": "train", "success": 0.5})
    return tmp_path / "mine"


def weights_of(folder: Path) -> Path:
    (path,) = folder.glob("weights-*.safetensors")
    return path


def same_bits(left, right) -> bool:
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes() and a.dtype == b.dtype for a, b in pairs
    )


def test_a_pilot_comes_back_bit_by_bit(saved, policy):
    design, loaded, about = load_policy(saved)
    assert design == SMALL
    assert about == {"command": "train", "success": 0.5}
    assert nnx.graphdef(loaded) == nnx.graphdef(policy)
    assert same_bits(nnx.state(loaded), nnx.state(policy))
    assert sorted(path.name for path in saved.iterdir()) == ["pilot.json", weights_of(saved).name]


def test_a_pilot_flies_under_its_names(saved):
    assert load_pilot(saved).name == "mine"
    assert load_pilot(str(saved), barrier=False).barrier is False
    straight = load_pilot("straight-line")
    assert straight.name == "straight-line" and isinstance(straight.policy, StraightLine)


def test_the_next_save_takes_the_place_of_the_last(saved, policy):
    first = weights_of(saved)
    save_pilot(saved, SMALL, Policy(SMALL.policy, rngs=nnx.Rngs(2)))
    assert weights_of(saved) != first
    assert not same_bits(nnx.state(load_policy(saved).policy), nnx.state(policy))
    assert load_policy(saved).about == {}


@pytest.mark.parametrize("name", ["pilot.json", "weights"])
def test_every_flipped_bit_is_refused(saved, name):
    path = saved / name if name == "pilot.json" else weights_of(saved)
    good = path.read_bytes()
    draws = random.Random(3)
    spots = [draws.randrange(8 * len(good)) for _ in range(150)]
    # The JSON of a small pilot: every bit of its beginning and its end.
    spots += list(range(200)) + [8 * len(good) - 1 - bit for bit in range(200)]
    for spot in spots:
        bad = bytearray(good)
        bad[spot // 8] ^= 1 << spot % 8
        path.write_bytes(bytes(bad))
        with pytest.raises(PilotError):
            read_archive(saved, PILOT)
    path.write_bytes(good)
    load_policy(saved)


@pytest.mark.parametrize("name", ["pilot.json", "weights"])
def test_every_cut_is_refused(saved, name):
    path = saved / name if name == "pilot.json" else weights_of(saved)
    good = path.read_bytes()
    draws = random.Random(4)
    for length in [0, 1, len(good) - 1, *(draws.randrange(len(good)) for _ in range(60))]:
        path.write_bytes(good[:length])
        with pytest.raises(PilotError):
            read_archive(saved, PILOT)
    path.write_bytes(good + b"\0")
    with pytest.raises(PilotError):
        read_archive(saved, PILOT)


def test_without_the_hashes_flips_would_pass(saved):
    """The control: safetensors alone takes nearly any flipped bit of the numbers for good."""
    from safetensors.numpy import load

    good = weights_of(saved).read_bytes()
    draws, taken = random.Random(5), 0
    for _ in range(100):
        bad = bytearray(good)
        spot = draws.randrange(len(good) // 2, len(good))
        bad[spot] ^= 1 << draws.randrange(8)
        taken += load(bytes(bad)).keys() == load(good).keys()
    assert taken > 90


def changed(arrays: dict, content: dict, case: str) -> tuple[dict, dict]:
    """An archive that is whole, but not a pilot."""
    arrays, content = dict(arrays), json.loads(json.dumps(content))
    if case == "shape":
        arrays["head.bias"] = arrays["head.bias"][:-1]
    elif case == "dtype":
        arrays["head.bias"] = arrays["head.bias"].astype(np.float64)
    elif case in ("nan", "inf"):
        arrays["head.bias"] = np.full_like(arrays["head.bias"], float(case))
    elif case == "missing":
        del arrays["head.bias"]
    elif case == "more":
        arrays["tail.bias"] = np.zeros(2, np.float32)
    elif case == "unknown key":
        content["design"]["wings"] = 2
    elif case == "missing key":
        del content["design"]["sights"]
    elif case == "wrong type":
        content["design"]["sight_rate"] = "24"
    elif case == "impossible":
        content["design"]["policy"]["cell"] = "cabbage"
    elif case == "content":
        content["more"] = 1
    return arrays, content


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("shape", r"head\.bias: expected float32 \[5\], got float32 \[4\]"),
        ("dtype", r"head\.bias: expected float32 \[5\], got float64 \[5\]"),
        ("nan", r"head\.bias: expected finite"),
        ("inf", r"head\.bias: expected finite"),
        ("missing", r"head\.bias: expected an array"),
        ("more", r"tail\.bias: expected only"),
        ("unknown key", r"design\.wings: unknown"),
        ("missing key", r"design\.sights: missing"),
        ("wrong type", r"design\.sight_rate: expected float"),
        ("impossible", r"cell: expected one of"),
        ("content", r"content\.more: expected"),
    ],
)
def test_a_whole_archive_that_is_no_pilot_is_refused(saved, case, names):
    write_archive(saved, PILOT, *changed(*read_archive(saved, PILOT), case))
    with pytest.raises(PilotError, match=names):
        load_policy(saved)


@pytest.mark.parametrize(("key", "value"), [("version", 2), ("version", True), ("format", "x")])
def test_another_format_or_version_is_refused(saved, key, value):
    manifest = json.loads((saved / "pilot.json").read_text()) | {key: value}
    (saved / "pilot.json").write_text(json.dumps(manifest))
    with pytest.raises(PilotError, match=f"pilot.json: {key}: expected"):
        load_policy(saved)


@pytest.mark.parametrize(
    "name", ["../escape.safetensors", "/dev/zero", "..", "", "a/b", "pilot.json"]
)
def test_a_sealed_manifest_cannot_lead_elsewhere(saved, name):
    manifest = json.loads((saved / "pilot.json").read_text())
    del manifest["sha256"]
    manifest["arrays"]["file"] = name
    (saved / "pilot.json").write_bytes(archive._sealed(PILOT, manifest))
    with pytest.raises(PilotError):
        load_policy(saved)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(PilotError, match="pilot: expected a folder"):
        load_policy(tmp_path / "nowhere")
    with pytest.raises(PilotError, match=r"pilot\.json: expected a file that can be read"):
        load_policy(tmp_path)
    for text in ["", "[]", "7", "{}", "[" * 100_000, '{"format": 1e999}', "\xff"]:
        (tmp_path / "pilot.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(PilotError, match=r"pilot\.json"):
            load_policy(tmp_path)
    (tmp_path / "pilot.json").write_bytes(b" " * (archive.MOST_JSON_BYTES + 1))
    with pytest.raises(PilotError, match="bytes"):
        load_policy(tmp_path)
    (tmp_path / "pilot.json").unlink()
    os.mkfifo(tmp_path / "pilot.json")
    with pytest.raises(PilotError, match="regular file"):
        load_policy(tmp_path)


def test_bad_weights_are_refused_before_they_are_saved(saved, policy):
    graph, params = nnx.split(policy)
    rotten = nnx.merge(graph, jax.tree.map(lambda leaf: leaf * jnp.nan, params))
    for given, names in ((rotten, "finite"), (Policy(PolicyShape(), rngs=nnx.Rngs(0)), "expected")):
        with pytest.raises(PilotError, match=names):
            save_pilot(saved, SMALL, given)
    with pytest.raises(PilotError, match="content: expected plain data"):
        save_pilot(saved, SMALL, policy, {"loss": float("nan")})
    assert same_bits(nnx.state(load_policy(saved).policy), nnx.state(policy))


def every_dtype() -> dict[str, np.ndarray]:
    """Random bits, nan and infinities among them, as every dtype; and odd shapes."""
    draws = np.random.default_rng(6)
    result = {"bool": draws.integers(0, 2, (3, 4)).astype(bool)}
    for name in (*archive.NATIVE - {"bool"}, "bfloat16", "float8_e4m3fn", "float8_e5m2"):
        dtype = np.dtype(getattr(jnp, name))
        bits = draws.integers(0, 256, (3, 4 * dtype.itemsize), np.uint8)
        result[name] = bits.view(dtype)
    odd = {"scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 3))}
    return result | odd | {"strided": np.arange(12.0).reshape(3, 4)[:, ::2].T}


def test_arrays_of_every_dtype_come_back_bit_by_bit(tmp_path):
    arrays = every_dtype()
    save_arrays(tmp_path, arrays, {"step": 3})
    loaded, about = load_arrays(tmp_path)
    assert about == {"step": 3} and loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes(), name
        assert loaded[name].flags.writeable
    with pytest.raises(StateError, match="words: expected one of"):
        save_arrays(tmp_path, {"words": np.array(["a"])})
    with pytest.raises(StateError, match="objects: expected one of"):
        save_arrays(tmp_path, {"objects": np.array([{}])})


def test_a_training_state_comes_back_as_it_was(tmp_path, policy):
    params = nnx.state(policy)
    optimizer = optax.adamw(1e-3)
    trees = {
        "params": params,
        "optimizer": optimizer.init(params),
        "rest": {
            "key": jax.random.key(5),
            "keys": jax.random.split(jax.random.key(6), 3),
            "raw": jax.random.PRNGKey(7),
            "done": jnp.array([True, False]),
            "low": jnp.arange(3, dtype=jnp.bfloat16),
            "count": 12,
            "share": 0.1,
            "numpy": np.arange(4, dtype=np.uint32),
        },
    }
    save_tree(tmp_path, trees, {"iteration": 12})
    blank = jax.tree.map(lambda leaf: leaf, trees)
    loaded, about = load_tree(tmp_path, blank)
    assert about == {"iteration": 12}
    assert jax.tree.structure(loaded) == jax.tree.structure(trees)
    rest = loaded["rest"]
    for name in ("key", "keys"):
        assert rest[name].dtype == trees["rest"][name].dtype
        assert same_bits(
            jax.random.key_data(rest.pop(name)), jax.random.key_data(trees["rest"].pop(name))
        )
    assert type(rest.pop("count")) is int and type(rest.pop("share")) is float
    assert type(rest["numpy"]) is np.ndarray
    del trees["rest"]["count"], trees["rest"]["share"]
    assert same_bits(loaded, trees)


def test_a_state_of_another_run_is_refused(tmp_path):
    save_tree(tmp_path, {"a": {"x": jnp.zeros(3)}})
    for like, names in (
        ({"a": {"x": jnp.zeros(4)}}, "x.*expected float64"),
        ({"a": {"x": jnp.zeros(3, jnp.float32)}}, "x.*expected float32"),
        ({"a": {"y": jnp.zeros(3)}}, "expected"),
        ({"a": {"x": jnp.zeros(3), "y": jnp.zeros(3)}}, "y.*expected an array"),
    ):
        with pytest.raises(StateError, match=names):
            load_tree(tmp_path, like)


def test_several_archives_share_a_folder(saved):
    save_tree(saved, {"a": jnp.ones(2)})
    save_arrays(saved, {"b": np.ones(2)})
    save_tree(saved, {"a": jnp.zeros(2)})
    load_policy(saved)
    assert load_arrays(saved)[0]["b"].tolist() == [1, 1]
    assert load_tree(saved, {"a": jnp.ones(2)})[0]["a"].tolist() == [0, 0]


def test_errors_survive_a_journey_between_processes():
    error = PilotError("head.bias", "finite numbers", 3.5)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is PilotError and str(again) == str(error)
    assert isinstance(error, ArchiveError) and isinstance(error, ValueError)


def test_loading_runs_no_code(saved):
    """Nothing is imported, executed, or opened for writing while a pilot is read."""
    load_policy(saved)
    events: list[str] = []
    watching = [True]

    def watch(event: str, details: tuple) -> None:
        if watching[0]:
            writes = (
                event == "open" and isinstance(details[1], str) and set(details[1]) & set("wax+")
            )
            if writes or event in ("exec", "pickle.find_class", "subprocess.Popen", "os.system"):
                events.append(f"{event} {details}")

    sys.addaudithook(watch)
    read_archive(saved, PILOT)
    watching[0] = False
    assert not events
