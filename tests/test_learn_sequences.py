"""Training on sequences: what is told can be told back, cells learn, time matters, runs repeat."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from lnn_nav.cells import CfC
from lnn_nav.learn.config import TrainError
from lnn_nav.learn.sequences.command import main
from lnn_nav.learn.sequences.config import SequenceConfig
from lnn_nav.learn.sequences.contestants import (
    CONTESTANTS,
    LATEST,
    Backbone,
    blind,
    spread_gates,
    told,
)
from lnn_nav.learn.sequences.digits import Pictures, as_points, as_rows, load_pictures
from lnn_nav.learn.sequences.fit import Fitted, Recipe, fit, rates_of
from lnn_nav.learn.sequences.model import Classifier, accuracy, parameters_of
from lnn_nav.learn.sequences.samples import Samples, batches
from lnn_nav.learn.sequences.xor import as_events, as_steps, bits_of, draw_bits, parity

REPOSITORY = Path(__file__).parents[1]
SILU = Backbone("silu", 1)
SMALL = Recipe(epochs=20.0, batch=64, rate=1e-2, warm_up=0.0)


def small_classifier(seed: int, features: int = 1) -> Classifier:
    rngs = nnx.Rngs(seed)
    cell = CfC(features, 16, 24, activation="relu", rngs=rngs)
    spread_gates(cell)
    return Classifier(cell, 2, rngs=rngs)


def fitted(recipe: Recipe, samples: Samples, seed: int = 0) -> Fitted:
    return fit(recipe, small_classifier(seed), lambda _: samples, seed)


def scores_of(model: Classifier, samples: Samples) -> np.ndarray:
    told_it = (samples.inputs, samples.dt, samples.lengths)
    return np.asarray(model(*map(jnp.asarray, told_it)))


def same(one: nnx.Module, other: nnx.Module) -> bool:
    pairs = zip(jax.tree.leaves(nnx.state(one)), jax.tree.leaves(nnx.state(other)), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# --- event-based XOR -----------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=32), min_size=1, max_size=8))
def test_what_events_tell_is_every_bit(streams: list[list[int]]) -> None:
    lengths = np.array([len(stream) for stream in streams], np.int32)
    bits = np.zeros((len(streams), 32), np.int32)
    for row, stream in enumerate(streams):
        bits[row, : len(stream)] = stream
    events = as_events(bits, lengths)
    again, ends = bits_of(events, 32)
    np.testing.assert_array_equal(again, bits)
    np.testing.assert_array_equal(ends, lengths)
    np.testing.assert_array_equal(events.labels, [sum(stream) % 2 for stream in streams])
    np.testing.assert_array_equal(events.dt.sum(axis=1), lengths)


def test_an_event_is_a_change_or_the_end() -> None:
    """Against a stream that was encoded by hand."""
    bits = np.array([[1, 1, 1, 0, 1, 1, 0, 0]], np.int32)
    events = as_events(bits, np.array([6], np.int32))
    assert events.lengths[0] == 4
    np.testing.assert_array_equal(events.inputs[0, :5, 0], [1, 0, 1, 1, 0])
    np.testing.assert_array_equal(events.dt[0, :5], [1, 3, 1, 1, 0])


def test_streams_are_of_every_length_and_half_of_them_odd() -> None:
    bits, lengths = draw_bits(20_000, 32, np.random.default_rng(0))
    assert set(lengths) == set(range(2, 33))
    assert not (bits * (np.arange(32) >= lengths[:, None])).any()
    assert abs(parity(bits).mean() - 0.5) < 0.02
    np.testing.assert_array_equal(parity(bits), bits.sum(axis=1) % 2)
    np.testing.assert_array_equal(as_steps(bits, lengths).dt.sum(axis=1), lengths)


# --- digits --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return load_pictures().train


@pytest.mark.parametrize("encode", [as_rows, as_points])
def test_time_tells_where_in_the_picture_a_step_was(encode, pictures: Pictures) -> None:
    samples = encode(pictures, np.random.default_rng(0))
    when = np.cumsum(samples.dt.astype(np.float64), axis=1)
    there = np.arange(when.shape[1]) < samples.lengths[:, None]
    if encode is as_rows:
        place = np.rint(when).astype(int) - 1
        steps = pictures.pixels
    else:
        place = np.floor(when * 8).astype(int)
        steps = pictures.pixels.reshape(-1, 64, 1)
    found = np.take_along_axis(steps, np.where(there, place, 0)[..., None], axis=1)
    np.testing.assert_array_equal(samples.inputs[there], found[there])
    assert (np.diff(when, axis=1)[there[:, 1:]] > 0).all()
    assert not samples.dt[~there].any() and not samples.inputs[~there].any()


def test_as_many_rows_are_lost_as_was_said(pictures: Pictures) -> None:
    rng = np.random.default_rng(0)
    left = as_rows(pictures, rng).lengths
    assert left.min() >= 2 and left.max() <= 6
    assert abs(left.mean() - 4) < 0.1
    whole = as_rows(pictures, rng, (0.0, 0.0))
    np.testing.assert_array_equal(whole.inputs, pictures.pixels)
    assert (whole.dt == 1).all()


def test_the_split_is_fixed_and_parts_share_nothing() -> None:
    parts, again = load_pictures(), load_pictures()
    assert [len(part.labels) for part in parts] == [1000, 297, 500]
    for one, other in zip(parts, again, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert set(one.labels) == set(range(10))
    rows = np.concatenate([part.pixels.reshape(-1, 64) for part in parts])
    assert len(np.unique(rows, axis=0)) == len(rows) == 1797


# --- batches -------------------------------------------------------------------------------------


def test_batches_show_everything_and_cut_nothing() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 33, 1000).astype(np.int32)
    plan = batches(lengths, 64, rng, 8)
    assert {len(rows) for rows, _ in plan} == {64}
    assert all(lengths[rows].max() <= width and width % 8 == 0 for rows, width in plan)
    counts = np.bincount(np.concatenate([rows for rows, _ in plan]), minlength=1000)
    assert counts.min() == 1 and counts.sum() == 1024
    steps = sum(64 * width for _, width in plan)
    assert steps < 0.75 * 1000 * 32, "batches of like length are to save steps"


def test_what_lies_behind_the_end_changes_no_score() -> None:
    events, model = as_events(*draw_bits(5, 6, np.random.default_rng(0))), small_classifier(0)
    wide = ((0, 0), (0, 6))
    dt = np.pad(events.dt, wide, constant_values=9.0)
    inputs = np.pad(events.inputs, (*wide, (0, 0)), constant_values=np.nan)
    padded = replace(events, inputs=inputs, dt=dt)
    np.testing.assert_allclose(scores_of(model, padded), scores_of(model, events), atol=1e-6)


# --- training ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short_streams() -> Samples:
    return as_events(*draw_bits(1024, 6, np.random.default_rng(0)))


@pytest.fixture(scope="module")
def learned(short_streams: Samples) -> Fitted:
    return fitted(SMALL, short_streams)


def test_a_cell_learns_the_parity_of_short_streams(learned: Fitted) -> None:
    unseen = as_events(*draw_bits(1024, 6, np.random.default_rng(1)))
    assert learned.rounds[-1].loss < 0.3 * learned.rounds[0].loss
    assert accuracy(learned.model, unseen) > 0.95
    assert learned.skipped == 0
    assert learned.rounds[-1].share == 1.0


def test_a_run_repeats_itself_and_another_seed_does_not(
    short_streams: Samples, learned: Fitted
) -> None:
    again = fitted(SMALL, short_streams)
    assert same(again.model, learned.model)
    np.testing.assert_array_equal(np.array(again.rounds), np.array(learned.rounds))
    assert not same(fitted(replace(SMALL, epochs=1.0), short_streams, 1).model, learned.model)


def test_what_only_time_tells_is_not_learned_without_it() -> None:
    """The label is whether the two steps are more than two seconds apart; inputs are constant."""
    rng = np.random.default_rng(0)
    gap = rng.uniform(0, 4, 1024).astype(np.float32)
    dt = np.zeros((1024, 6), np.float32)
    dt[:, 0], dt[:, 1] = 1.0, gap
    inputs = np.zeros((1024, 6, 1), np.float32)
    inputs[:, :2] = 1.0
    lengths = np.full(1024, 2, np.int32)
    timed = Samples(inputs, dt, lengths, (gap > 2).astype(np.int32))
    assert accuracy(fitted(SMALL, timed).model, timed) > 0.95
    assert accuracy(fitted(SMALL, blind(timed)).model, blind(timed)) < 0.6


def test_what_is_known_is_shown_seldom(short_streams: Samples, learned: Fitted) -> None:
    sparing = fitted(replace(SMALL, again=0.1), short_streams)
    assert len(sparing.rounds) > len(learned.rounds), "rounds get shorter, so there are more"
    assert accuracy(sparing.model, short_streams) > 0.95


def test_steps_that_are_no_numbers_are_counted_and_then_refused(short_streams: Samples) -> None:
    inputs = short_streams.inputs.copy()
    inputs[0, 0] = np.nan
    recipe = replace(SMALL, epochs=3.0)
    spoilt = fitted(recipe, replace(short_streams, inputs=inputs))
    assert 1 <= spoilt.skipped == spoilt.rounds[-1].skipped <= 4
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(nnx.state(spoilt.model)))
    with pytest.raises(TrainError, match="rate: .* steps were not finite"):
        fitted(recipe, replace(short_streams, inputs=inputs * np.nan))


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = rates_of(Recipe(rate=2.0, warm_up=0.1))
    share = np.linspace(0, 1, len(rates))
    assert share[rates.argmax()] == pytest.approx(0.1)
    late = np.clip((share - 0.1) / 0.9, 0, 1)
    wanted = np.where(share < 0.1, 20 * share, 1 + np.cos(np.pi * late))
    np.testing.assert_allclose(rates, wanted, atol=1e-6)
    assert rates_of(Recipe(warm_up=0.0))[0] == pytest.approx(Recipe().rate)


# --- cells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cfc", "mixed", "ltc", "lstm-told", "gruode"])
def test_each_cell_has_nearly_all_parameters_that_are_allowed(name: str) -> None:
    count = CONTESTANTS[name].neurons_within(8, 10, SILU, 8000)
    size, more = (
        parameters_of(
            nnx.eval_shape(lambda n=n: CONTESTANTS[name].classifier(8, n, 10, SILU, nnx.Rngs(0)))
        )
        for n in (count, count + 1)
    )
    assert 0.85 * 8000 < size <= 8000 < more


def test_blind_hides_time_and_told_adds_it(short_streams: Samples) -> None:
    assert (blind(short_streams).dt == 1).all()
    features = told(short_streams).inputs
    np.testing.assert_array_equal(features[..., :1], short_streams.inputs)
    np.testing.assert_array_equal(features[..., 1], short_streams.dt)


def test_spread_gates_open_one_after_the_other() -> None:
    """At a time t, the gates that are open are those of the first t / LATEST of the neurons."""
    cell = CfC(1, 60, (), rngs=nnx.Rngs(0))
    spread_gates(cell)
    bias = cell.heads.bias
    assert bias is not None
    cell.heads.kernel[...] = 0 * cell.heads.kernel[...]
    bias[...] = bias[...].at[:60].set(-2.0).at[60:120].set(2.0)
    for share in (0.25, 0.5, 0.75):
        memory, _ = cell(jnp.zeros(60), jnp.zeros(1), share * LATEST)
        assert abs(int((np.asarray(memory) > 0).sum()) - 60 * share) <= 1
    with pytest.raises(ValueError, match="mode: expected a gated CfC"):
        spread_gates(CfC(1, 4, mode="pure", rngs=nnx.Rngs(0)))


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seeds": 0}, "seeds: expected 1 or more, got 0"),
        ({"samples": -5}, "samples: expected 1 or more"),
        ({"epochs": float("nan")}, "epochs: expected a positive number"),
        ({"minutes": 0.0}, "minutes: expected a positive number"),
        ({"rates": (1e-3, -1.0)}, "rates: expected a positive number, got -1.0"),
        ({"lost": (0.7, 0.3)}, "lost: expected two shares in order"),
        ({"task": "digits", "dense": True}, "dense: expected --task xor"),
        ({"points": True}, "points: expected --task digits"),
    ],
)
def test_bad_options_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        SequenceConfig(**fields)


def test_what_cannot_be_trained_ends_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for arguments, wanted in (
        (["--cell", "perceptron"], "--cell: expected one of cfc, .* got 'perceptron'"),
        (["--task", "digits", "--parameters", "5"], "--parameters: expected .* got 5"),
        (["--out", str(tmp_path / "file")], "--out: "),
    ):
        assert main([*arguments, "--quick"]) == 2
        (said,) = capsys.readouterr().err.splitlines()
        assert re.search(wanted, said), said


def test_the_script_writes_results_cells_and_the_drawing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = ["--cell", "gru", "reservoir", "--neurons", "40"]
    assert main(["--task", "digits", "--quick", *cells, "--out", str(tmp_path)]) == 0
    result, shown = json.loads((tmp_path / "result.json").read_text()), capsys.readouterr().out
    assert [row["cell"] for row in result["results"]] == ["gru", "reservoir"]
    for row in result["results"]:
        (right,) = row["accuracy"]["digits"]
        assert 0 <= right <= 1 and row["figures"]["digits"] == {"mean": right, "spread": 0.0}
        assert (tmp_path / row["cell"] / "state.json").is_file()
        assert f"{100 * right:.2f} +- 0.00 %" in shown
    assert result["results"][1]["accuracy"]["digits"][0] > 0.4, "the reservoir is solved, not luck"
    assert (tmp_path / "gradient_norms.png").stat().st_size > 10_000


def test_the_script_has_a_help() -> None:
    script = [sys.executable, str(REPOSITORY / "scripts" / "train_sequence.py"), "--help"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        script, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert all(f"--{name}" in done.stdout for name in ("task", "cell", "seeds", "minutes", "out"))
