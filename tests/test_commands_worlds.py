"""`scripts/worlds.py` lists families, shows a world and writes its file."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest

from sim.difficulty import difficulty
from sim.families import FAMILIES, generate
from sim.world import load_world, world_hash


@pytest.fixture(scope="module")
def main(repository):
    path = repository / "scripts" / "worlds.py"
    spec = importlib.util.spec_from_file_location("worlds_script", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setitem(sys.modules, spec.name, module)  # Where dataclasses look for their types.
    spec.loader.exec_module(module)
    yield module.main
    monkeypatch.undo()


def test_all_families_are_listed(main, capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FAMILIES)
    assert all(
        family.summary in line for family, line in zip(FAMILIES.values(), lines, strict=True)
    )


def test_a_world_is_shown_and_written(main, capsys, tmp_path):
    path = tmp_path / "world.json"
    assert main(["--world", "iros2022_2", "--seed", "7", "--out", str(path)]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    world = generate("iros2022_2", 7)
    assert load_world(path) == world and shown["hash"] == world_hash(world)
    family = FAMILIES["iros2022_2"]
    measured = difficulty(world, family.corridor, family.cell)
    assert shown["traversability"] == f"{measured.traversability:.4f} 1/m"
    assert shown["occlusion"] == f"{measured.occlusion:.4f}"
    assert shown["size"] == "6 x 6 x 2 m" and shown["vias"] == "4"
    assert shown["obstacles"] == "22 box, 6 cylinder" and shown["moving"] == "none"
    assert main(["--world", "moving", "--seed", "7"]) == 0
    assert re.search(r"^moving +\d+, at up to (0\.9\d|1\.00) m/s$", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--world", "woods"], "worlds: family: expected one of"),
        (["--world", "rooms", "--seed", "-1"], "worlds: seed: expected 0 or more"),
        (["--world", "rooms", "--density", "2"], "worlds: density: expected 1 in rooms"),
        (["--world-file", "nowhere.json"], "worlds: file: expected a file that can be read"),
    ],
)
def test_bad_input_is_one_sentence(main, capsys, arguments, message):
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert streams.err.startswith(message) and streams.err.count("\n") == 1 and not streams.out
