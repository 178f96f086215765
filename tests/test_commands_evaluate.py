"""`evaluate`: exactly the figures that are promised, and one sentence for a mistake."""

from __future__ import annotations

import dataclasses
import json
import re

import flying
import pytest

from lnn_nav.commands import evaluate as command
from lnn_nav.commands.conditions import DisturbanceOptions, PhysicsOptions
from sim import Battery, Disturbance, Physics, Rotors, generate, save_world

FIGURES = {
    "missions",
    "reached",
    "contacts",
    "timeouts",
    "out_of_bounds",
    "limit_violations",
    "nonfinite",
    "success",
    "success_ci95",
    "mean_speed_mps",
    "time_ratio",
    "path_ratio",
    "min_clearance_m",
    "interventions",
    "fallback_ticks",
    "wall_s",
}
MISSION = {"seed", "world", "outcome", "time_s", "min_clearance_m"}


@pytest.fixture
def quick(monkeypatch):
    """Fly with pilots that need no compiling; workers find them by their module's name."""
    monkeypatch.setattr("lnn_nav.store.load_pilot", flying.stand_in)


def run(*arguments: object) -> int:
    return command.main([str(argument) for argument in arguments])


def test_the_figures_are_those_that_are_promised(quick, tmp_path, capfd):
    options = ("--worlds", "forest,walls", "--missions", 3, "--first-seed", 1_000_010)
    more = ("--speed", 2.0, "--wind", 0.3, "--jitter", 0.002, "--gust", 2.0, "--processes", 2)
    path = tmp_path / "new" / "e.json"
    assert run("--pilot", "straight-line", *options, *more, "--json", path) == 0
    sums = json.loads(path.read_text())
    assert sums.keys() == FIGURES | {"per_world", "per_mission"}
    assert list(sums["per_world"]) == ["forest", "walls"]
    for figures in sums["per_world"].values():
        assert figures.keys() == FIGURES
    flown = [(row["world"], row["seed"]) for row in sums["per_mission"]]
    assert flown == [("forest", 1_000_010), ("forest", 1_000_011), ("walls", 1_000_010)]
    assert all(row.keys() == MISSION for row in sums["per_mission"])
    for name in ("missions", "reached", "contacts", "timeouts", "limit_violations"):
        assert sums[name] == sum(figures[name] for figures in sums["per_world"].values())
    outcomes = [row["outcome"] for row in sums["per_mission"]]
    assert sums["reached"] == outcomes.count("reached")
    assert sums["success"] == sums["reached"] / 3
    assert sums["contacts"] == outcomes.count("contact")
    assert sums["min_clearance_m"] == min(row["min_clearance_m"] for row in sums["per_mission"])

    text, errors = capfd.readouterr()
    assert not errors and str(path) in text
    assert len(re.findall(r"^[123]/3  ", text, re.MULTILINE)) == 3
    for row in ("all", "forest", "walls"):
        assert re.search(rf"^{row} +\d", text, re.MULTILINE), text


def test_failures_are_in_the_figures_and_in_the_exit_code(quick, monkeypatch, tmp_path, capfd):
    monkeypatch.setattr("lnn_nav.store.load_policy", lambda name: None)
    save_world(tmp_path / "hall.json", flying.open_world(speed=1.5))
    options = ("--engine", "twin", "--missions", 2, "--processes", 1, "--json", tmp_path / "e")
    assert run("--pilot", "frail", "--world-file", tmp_path / "hall.json", *options) == 1
    sums = json.loads((tmp_path / "e").read_text())
    assert sums["missions"] == 2 and sums["reached"] == 0 and sums["success"] == 0
    assert [row["outcome"] for row in sums["per_mission"]] == ["failed", "failed"]
    assert sums["per_mission"][0]["reason"] == "Unfit: a fault of the pilot"
    assert "failed: Unfit" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--missions", "0"], r"--missions: expected 1 or more, got 0"),
        (["--processes", "0"], r"--processes: expected 1 or more, got 0"),
        (["--first-seed", "-1"], r"--first-seed: expected 0 or more, got -1"),
        (["--worlds", "forest,jungle"], r"--worlds: expected one of forest, .*, got 'jungle'"),
        (["--worlds", ""], r"--worlds: expected one of"),
        (["--worlds", "walls,walls"], r"--worlds: expected each name once"),
        (["--speed", "nan"], r"--speed: expected a number"),
        (["--density", "-1"], r"--density: expected a number"),
        (["--density", "1", "--world-file", "GOOD"], r"--density: expected none"),
        (["--world-file", "BAD"], r"--world-file BAD: file: expected JSON"),
        (["--worlds", "forest,moving", "--barrier-sees", "map"], r"--barrier-sees: expected rays"),
        (["--pilot", "nobody"], r"--pilot nobody: pilot: expected a folder"),
        (["--wind", "nan"], r"--wind: expected a finite number >= 0, got nan"),
        (["--mass-error", "-0.1"], r"--mass-error: expected a finite number >= 0"),
        (["--mass-error", "1"], r"--mass-error: expected a fraction below 1"),
        (["--range-noise", "inf"], r"--range-noise: expected a finite"),
        (["--drop", "1.5"], r"--drop: expected a fraction below 1"),
        (["--jitter", "-1"], r"--jitter: expected a finite"),
        (["--delay", "nan"], r"--delay: expected a finite"),
        (["--gust", "-1"], r"--gust: expected a finite number >= 0, got -1"),
        (["--inertia-error", "1"], r"--inertia-error: expected a fraction below 1"),
        (["--blind", "7"], r"--blind: expected at most 6.2832 rad, got 7"),
        (["--start-tilt", "4"], r"--start-tilt: expected at most 3.1416 rad"),
        (["--position-noise", "inf"], r"--position-noise: expected a finite"),
        (["--motor-lag", "nan"], r"--motor-lag: expected a number >= 0, got nan"),
        (["--motor-delay", "-1"], r"--motor-delay: expected 0 to 240 whole ticks, got -1"),
        (["--wear", "1", "1", "1", "0"], r"--wear: expected 4 numbers in \(0, 1\]"),
        (["--battery", "1.5"], r"--battery: expected a fraction in \[0, 1\], got 1.5"),
        (["--json", "."], r"--json: expected a file"),
        (["--json", "BAD/e.json"], r"--json: "),
    ],
)
def test_bad_input_is_one_sentence(options, names, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    save_world("GOOD", flying.open_world())
    (tmp_path / "BAD").write_text("{")
    who = [] if "--pilot" in options else ["--pilot", "straight-line"]
    assert run(*who, *options) == 2
    _, errors = capfd.readouterr()
    assert len(errors.splitlines()) == 1, errors
    assert re.search(f"lnn-nav evaluate: (?:{names})", errors), errors


def test_the_default_suite_is_unseen():
    options = command.Evaluate()
    assert options.first_seed >= 1_000_000 and options.missions == 200
    assert generate(options.worlds.split(",")[0], options.first_seed)


def test_shards_and_a_logbook_make_one_campaign(quick, tmp_path, capfd):
    """Two machines fly halves; the whole, asked for afterwards, flies nothing and has it all."""
    options = ("--pilot", "straight-line", "--worlds", "forest", "--missions", 3)
    options = (*options, "--engine", "twin", "--first-seed", 1_000_010, "--processes", 1)
    kept = ("--logbook", tmp_path / "kept")
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    assert run(*options, *kept, "--shard", "1/2", "--json", part) == 0
    seeds = [row["seed"] for row in json.loads(part.read_text())["per_mission"]]
    assert seeds == [1_000_010, 1_000_012]
    assert run(*options, *kept, "--shard", "2/2") == 0
    capfd.readouterr()
    assert run(*options, *kept, "--json", whole) == 0
    assert not re.search(r"\d/\d  forest", capfd.readouterr().out)
    alone = tmp_path / "alone.json"
    assert run(*options, "--json", alone) == 0
    both = [json.loads(path.read_text()) for path in (whole, alone)]
    assert both[0]["per_mission"] == both[1]["per_mission"] and both[0]["missions"] == 3
    # Other terms are another campaign.
    assert run(*options, *kept, "--speed", 2.0) == 2
    assert "--logbook: " in (error := capfd.readouterr().err) and "speed None, not 2.0" in error
    for shard in ("3/2", "0/2", "2", "a/b", "4/4"):
        assert run(*options, "--shard", shard) == 2
        assert "--shard: expected" in capfd.readouterr().err
    assert run(*options, "--deadline", 0) == 2


def test_every_disturbance_has_an_option_of_its_name():
    options = {field.name: field for field in dataclasses.fields(DisturbanceOptions)}
    assert list(options) == [field.name for field in dataclasses.fields(Disturbance)]
    for field in dataclasses.fields(Disturbance):
        assert options[field.name].default == field.default == 0.0
    assert DisturbanceOptions().disturbance() == Disturbance()
    assert DisturbanceOptions(wind=2.0, blind=0.5).disturbance() == Disturbance(wind=2.0, blind=0.5)


def test_every_effect_has_an_option():
    """But downwash: a drone of a campaign is alone in its world."""
    assert PhysicsOptions().physics() == Physics()
    given = PhysicsOptions(True, True, 0.03, 2, (1.0, 0.9, 1.0, 1.0), 0.25).physics()
    expected = Rotors(2, 0.03, (1.0, 0.9, 1.0, 1.0), Battery(used=0.25))
    assert given == Physics(drag=True, ground_effect=True, rotors=expected)
    others = {"downwash", "start"}
    for kind in (given, given.rotors):
        for field in dataclasses.fields(kind):
            same = getattr(kind, field.name) == getattr(type(kind)(), field.name)
            assert same == (field.name in others), field.name


def test_effects_of_the_physics_are_flown(quick, tmp_path, capfd):
    """What the options say reaches the engine: worn rotors drop the drone, and a fresh one not."""
    options = ("--pilot", "straight-line", "--worlds", "forest", "--missions", 1, "--processes", 1)
    found = []
    for more in ((), ("--wear", 0.3, 0.3, 0.3, 0.3)):
        path = tmp_path / "e.json"
        assert run(*options, "--engine", "twin", *more, "--json", path) == 0
        found.append(json.loads(path.read_text())["per_mission"][0])
    assert found[1]["outcome"] == "contact" and found[1]["time_s"] < found[0]["time_s"]
