"""The pilot that ships: `make fly` with other seeds, families never trained on, its papers."""

from __future__ import annotations

import json

import jax
import pytest
from flax import nnx

from lnn_nav.commands import fly as command
from lnn_nav.store import load_pilot, load_policy
from sim import verdict
from sim.families import generate
from sim.flight import fly

FILES = {"report.html", "flight.gif", "flight.npz", "verdict.json", "config.json"}


LATER = (pytest.param(seed, marks=pytest.mark.long) for seed in range(1_500_003, 1_500_006))


@pytest.mark.parametrize("seed", [1_500_001, 1_500_002, *LATER])
def test_make_fly_with_another_seed(seed, tmp_path, capfd):
    assert command.main(["--seed", str(seed), "--out", str(tmp_path)]) == 0
    told = capfd.readouterr()
    assert len(told.out.splitlines()) <= 25 and not told.err
    assert {path.name for path in tmp_path.iterdir()} == FILES
    judged = json.loads((tmp_path / "verdict.json").read_text())
    assert judged["reached"] and judged["outcome"] == "reached" and judged["pilot"] == "default"
    assert judged["contacts"] == judged["limit_violations"] == judged["nonfinite"] == 0
    assert judged["max_rotor_fraction"] <= 1


@pytest.mark.parametrize("family", ["walls", "dense_forest"])
def test_families_that_it_never_saw(family):
    """Three worlds each; the straight line fails in at least three of four of them by design."""
    pilot = load_pilot("default")
    for seed in (1_500_001, 1_500_002, 1_500_003):
        judged = verdict(fly(generate(family, seed), pilot, "pybullet"))
        assert judged.outcome == "reached", (family, seed)
        assert judged.contacts == judged.limit_violations == judged.nonfinite == 0


def test_it_is_small_and_says_how_it_was_made():
    _, policy, about = load_policy("default")
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(policy))) <= 20_000
    assert about["trained_by"].startswith("scripts/train.py")
    assert about["iterations"] > 0
