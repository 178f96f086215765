"""`fly`: five files that agree, an exit code to be trusted, one sentence for a mistake."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import flying
import numpy as np
import pytest
from PIL import Image

from lnn_nav import cli
from lnn_nav.archive import write_archive
from lnn_nav.commands import fly as command
from lnn_nav.store import PILOT
from sim import Disturbance, Physics, Rotors, fly, load_flight, save_world, verdict, world_hash
from sim.families import FAMILIES
from sim.world import Cylinder

FILES = {"report.html", "flight.gif", "flight.npz", "verdict.json", "config.json"}


@pytest.fixture
def quick(monkeypatch):
    """Fly with pilots that need no compiling."""
    monkeypatch.setattr("lnn_nav.store.load_pilot", flying.stand_in)


@pytest.fixture
def hall(tmp_path) -> Path:
    save_world(tmp_path / "hall.json", flying.open_world())
    return tmp_path / "hall.json"


def run(*arguments: object) -> int:
    return command.main([str(argument) for argument in arguments])


def test_five_files_tell_of_one_flight(quick, hall, tmp_path, capfd):
    out = tmp_path / "out"
    assert run("--pilot", "straight-line", "--world-file", hall, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == FILES

    flight = load_flight(out / "flight.npz")
    assert flight.outcome == "reached" and flight.engine == "pybullet"
    assert (flight.family, flight.seed) == ("hall", None)
    judged = json.loads((out / "verdict.json").read_text())
    assert judged == json.loads(verdict(flight).to_json())

    config = json.loads((out / "config.json").read_text())
    assert config["world_hash"] == world_hash(flying.open_world())
    assert config["options"]["world_file"] == str(hall)
    assert config["options"]["barrier"] == "on" and config["options"]["pilot"] == "straight-line"

    film = (out / "flight.gif").read_bytes()
    with Image.open(io.BytesIO(film)) as picture:
        assert picture.n_frames > 5
    page = (out / "report.html").read_text(encoding="utf-8")
    (embedded,) = re.findall(r"data:image/gif;base64,([^\"]+)", page)
    assert base64.b64decode(embedded) == film

    text, errors = capfd.readouterr()
    assert len(text.splitlines()) <= 25 and not errors
    assert [line for line in text.splitlines() if line.startswith(str(out))]
    assert all(str(out / name) in text for name in FILES)
    assert "reached" in text and "0 of" in text


@pytest.mark.parametrize(
    ("pilot", "changes", "outcome"),
    [
        ("straight-line", {"obstacles": (Cylinder((1.0, 0.0, 1.5), 0.2, 3.0),)}, "contact"),
        ("straight-line", {"time_limit": 0.3}, "timeout"),
        ("greedy", {}, "reached"),
    ],
)
def test_a_flight_that_is_not_flawless_exits_with_1(quick, tmp_path, pilot, changes, outcome):
    save_world(tmp_path / "w.json", flying.open_world(**changes))
    options = ("--pilot", pilot, "--engine", "twin", "--out", tmp_path / "out")
    assert run("--world-file", tmp_path / "w.json", *options) == 1
    judged = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert judged["outcome"] == outcome
    assert (judged["limit_violations"] > 0) == (pilot == "greedy")


def test_a_familys_world_goes_to_a_folder_of_its_own(quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--world", "forest", "--seed", 1_000_004, "--engine", "twin", "--speed", 2.5)
    assert run("--pilot", "straight-line", *options) in (0, 1)
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}Z-forest-1000004", folder.name)
    judged = json.loads((folder / "verdict.json").read_text())
    assert (judged["world"], judged["seed"], judged["engine"]) == ("forest", 1_000_004, "twin")
    config = json.loads((folder / "config.json").read_text())
    assert config["speed"] == 2.5 and Path(config["options"]["out"]) == folder.relative_to(tmp_path)


def test_a_set_speed_scales_the_time_limit_of_a_file(quick, hall, tmp_path):
    options = ("--pilot", "straight-line", "--engine", "twin", "--out", tmp_path / "out")
    assert run("--world-file", hall, "--speed", 0.75, *options) == 0
    world = load_flight(tmp_path / "out" / "flight.npz").world
    assert (world.speed, world.time_limit) == (0.75, 12.0)


def test_a_flight_in_other_conditions_is_told_by_its_files(quick, hall, tmp_path):
    """The same options as those of `evaluate`, drawn from the same seed."""
    options = ("--pilot", "straight-line", "--engine", "twin", "--world-file", hall)
    rough = ("--wind", 1.5, "--position-noise", 0.02, "--motor-lag", 0.02, "--drag", "--seed", 7)
    for more, name in ((rough, "rough"), ((), "calm")):
        run(*options, *more, "--out", tmp_path / name)
    flights = {name: load_flight(tmp_path / name / "flight.npz") for name in ("rough", "calm")}
    again = fly(
        flying.open_world(),
        flying.Plain(),
        "twin",
        disturbance=Disturbance(wind=1.5, position_noise=0.02),
        physics=Physics(drag=True, rotors=Rotors(time_constant=0.02)),
        seed=7,
    )
    np.testing.assert_array_equal(flights["rough"].position, again.position)
    assert (flights["rough"].seed, flights["calm"].seed) == (7, None)
    told = json.loads((tmp_path / "rough" / "config.json").read_text())["options"]
    assert (told["wind"], told["drag"], told["motor_lag"], told["gust"]) == (1.5, True, 0.02, 0.0)


def damaged(folder: Path) -> Path:
    """A pilot with one bit of its weights flipped."""
    write_archive(folder, PILOT, {"head.bias": np.ones(5, np.float32)}, {})
    (weights,) = folder.glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-5] ^= 4
    weights.write_bytes(bytes(content))
    return folder


def spoiled(path: Path, change: str) -> Path:
    """A world file that is not right."""
    data = json.loads(flying.open_world().to_json())
    if change == "no json":
        path.write_text("{")
        return path
    if change == "start":
        data["start"]["position"] = [1.0, 1.5, 1.5]
    elif change == "nan":
        data["speed"] = float("nan")
    elif change == "key":
        data["weather"] = "fine"
    elif change == "moving":
        data["obstacles"][0]["velocity"] = [1.0, 0.0, 0.0]
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--world", "jungle"], r"--world: expected one of forest, .*, got 'jungle'"),
        (["--pilot", "nobody"], r"--pilot nobody: pilot: expected a folder"),
        (["--pilot", "DAMAGED"], r"--pilot .*: weights-.*: expected SHA-256"),
        (["--seed", "-1"], r"--seed: expected 0 or more, got -1"),
        (["--speed", "nan"], r"--speed: expected a number"),
        (["--speed", "-2"], r"--speed: expected a number"),
        (["--speed", "0", "--world-file", "GOOD"], r"--speed: expected 0\.001 to 100"),
        (["--world-file", "nowhere.json"], r"--world-file nowhere\.json: file: expected"),
        (["--world-file", "no json"], r"--world-file .*: file: expected JSON"),
        (["--world-file", "start"], r"--world-file .*: start\.position: expected"),
        (["--world-file", "nan"], r"--world-file .*: speed: expected"),
        (["--world-file", "key"], r"--world-file .*: weather: expected|weather"),
        (["--world", "moving", "--barrier-sees", "map"], r"--barrier-sees: expected rays where"),
        (["--world-file", "moving", "--barrier-sees", "map"], r"--barrier-sees: expected rays"),
        (["--wind", "-1"], r"--wind: expected a finite number >= 0"),
        (["--battery", "nan"], r"--battery: expected a fraction"),
        (["--out", "FILE"], r"--out: "),
        (["--out", "FILE/below"], r"--out: "),
        (["--gui", "--engine", "twin"], r"--gui: expected --engine pybullet"),
        (["--gui"], r"--gui: expected a display"),
    ],
)
def test_bad_input_is_one_sentence(options, names, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    (tmp_path / "FILE").write_text("in the way")
    save_world("GOOD", flying.open_world())
    if "DAMAGED" in options:
        damaged(tmp_path / "DAMAGED")
    place = options.index("--world-file") + 1 if "--world-file" in options else 0
    if place and options[place] in ("no json", "start", "nan", "key", "moving"):
        spoiled(tmp_path / options[place], options[place])
    who = [] if "--pilot" in options else ["--pilot", "straight-line"]
    assert run(*who, *options) == 2
    _, errors = capfd.readouterr()
    assert len(errors.splitlines()) == 1 and re.search(f"lnn-nav fly: (?:{names})", errors), errors
    assert not list(tmp_path.rglob("flight.npz")) and not Path("runs").exists()


@pytest.mark.parametrize(
    "options", [["--speed", "fast"], ["--barrier", "maybe"], ["--wings", "2"], ["--engine", "cart"]]
)
def test_options_that_do_not_parse_exit_with_2(options, capfd):
    with pytest.raises(SystemExit) as end:
        run(*options)
    assert end.value.code == 2
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("verb", ["fly", "evaluate", "train"])
def test_help_comes_at_once(verb):
    """Without jax: its import takes longer than everything that help needs."""
    code = (
        f"import sys; from lnn_nav.cli import main\ntry: main(['{verb}', '--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'jax', 'flax', 'numpy', 'pybullet'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if verb != "train":
        assert all(family in done.stdout for family in FAMILIES)
        assert "[m/s]" in done.stdout


def test_the_command_has_verbs(capsys):
    assert cli.main([]) == 2
    assert cli.main(["dance"]) == 2
    assert "expected one of fly, train, evaluate, verify" in capsys.readouterr().err
    assert cli.main(["--help"]) == 0
    assert cli.main(["--version"]) == 0
    assert "lnn-nav" in capsys.readouterr().out
    assert cli.main(["fly", "--seed", "-1"]) == 2


def test_the_script_flies_a_pilot_with_its_barrier(repository, hall, tmp_path):
    """The whole chain as a user has it: script, compiled pilot, PyBullet, files."""
    options = ["--pilot", "straight-line", "--world-file", str(hall), "--out", str(tmp_path / "o")]
    script = subprocess.Popen(
        [sys.executable, "-u", str(repository / "scripts" / "fly.py"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"},
    )
    assert script.stdout is not None
    first = script.stdout.readline()
    assert "straight-line flies hall" in first
    rest, errors = script.communicate()
    assert script.returncode == 0, errors
    assert len(rest.splitlines()) < 25 and not errors
    assert {path.name for path in (tmp_path / "o").iterdir()} == FILES
    flight = load_flight(tmp_path / "o" / "flight.npz")
    assert flight.records["acceleration"].shape == (len(flight.times), 3)
    assert verdict(flight).passed
