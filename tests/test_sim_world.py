"""Worlds and their files: what is written is read back equal, and what is wrong is refused."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import stat

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from sim.world import (
    Box,
    Cylinder,
    Sphere,
    World,
    WorldError,
    load_world,
    save_world,
    world_hash,
)

# The example of the contract, word for word.
EXAMPLE = """
{"format": "lnn-nav/world", "version": 1, "bounds": [[-2,-7,0],[18,7,4]],
 "obstacles": [{"shape": "cylinder", "center": [5,0,2], "radius": 0.3, "height": 4, "axis": "z"},
               {"shape": "sphere", "center": [7,1,1.5], "radius": 0.5, "velocity": [0,0.5,0]},
               {"shape": "box", "center": [9,-1,1.5], "half_extents": [0.3,1.0,1.5], "yaw": 0.2}],
 "start": {"position": [0,0,1.5], "yaw": 0.0}, "target": [14,0.5,1.5], "target_radius": 0.5,
 "via": [], "speed": 2.0, "time_limit": 30.0}
"""

lengths = st.floats(-100, 100)
sizes = st.floats(1e-6, 50)
vectors = st.tuples(lengths, lengths, lengths)
obstacles = st.one_of(
    st.builds(Cylinder, vectors, sizes, sizes, st.sampled_from("xyz"), vectors),
    st.builds(Sphere, vectors, sizes, vectors),
    st.builds(Box, vectors, st.tuples(sizes, sizes, sizes), lengths, vectors),
)


within = st.tuples(lengths, lengths, st.floats(1, 100))
values_of_worlds = st.fixed_dictionaries(
    {
        "bounds": st.just(((-100, -100, 0), (100, 100, 100))),
        "obstacles": st.lists(obstacles, max_size=6),
        "start_position": within,
        "start_yaw": lengths,
        "target": within,
        "target_radius": sizes,
        "via": st.lists(within, max_size=3),
        "speed": sizes,
        "time_limit": sizes,
    }
)


def example() -> dict:
    return json.loads(EXAMPLE)


def changed(path: tuple, value: object) -> str:
    """The example as JSON, the field at `path` set to `value`."""
    data = example()
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(data)


def test_the_example_of_the_contract_is_read():
    world = World.from_json(EXAMPLE)
    assert world.obstacles == (
        Cylinder((5.0, 0.0, 2.0), 0.3, 4.0, "z"),
        Sphere((7.0, 1.0, 1.5), 0.5, (0.0, 0.5, 0.0)),
        Box((9.0, -1.0, 1.5), (0.3, 1.0, 1.5), 0.2),
    )
    assert world.bounds == ((-2.0, -7.0, 0.0), (18.0, 7.0, 4.0))
    assert (world.start_position, world.start_yaw) == ((0.0, 0.0, 1.5), 0.0)
    assert (world.speed, world.time_limit, world.target_radius) == (2.0, 30.0, 0.5)
    assert world.length == pytest.approx(math.hypot(14, 0.5))


def test_axis_velocity_and_via_are_optional():
    data = example()
    del data["via"], data["obstacles"][0]["axis"], data["obstacles"][1]["velocity"]
    world = World.from_json(json.dumps(data))
    assert world.via == ()
    assert world.obstacles[0] == Cylinder((5, 0, 2), 0.3, 4)
    assert world.obstacles[1] == Sphere((7, 1, 1.5), 0.5)


@settings(max_examples=60)
@given(values_of_worlds)
def test_json_round_trip(values):
    try:
        world = World(**values)
    except WorldError as error:
        assert error.field == "start.position"
        reject()
    again = World.from_json(world.to_json())
    assert again == world
    assert world_hash(again) == world_hash(world)
    assert all(math.isfinite(n) for n in (*again.target, again.speed, again.start_yaw))


def test_hash_sees_the_value_not_the_spelling():
    world = World.from_json(EXAMPLE)
    data = dict(reversed(example().items()))
    data["speed"], data["bounds"][0][2] = 2, -0.0
    assert world_hash(World.from_json(json.dumps(data, indent=3))) == world_hash(world)
    assert world_hash(World.from_json(changed(("speed",), 2.0000001))) != world_hash(world)
    assert len(world_hash(world)) == 64


def test_lists_and_numpy_numbers_become_tuples_of_floats():
    sphere = Sphere(np.array([1, 2, 3]), np.float32(0.5), [0, 0, 0])
    assert sphere == Sphere((1.0, 2.0, 3.0), 0.5)
    assert [type(n) for n in (*sphere.center, sphere.radius)] == [float] * 4
    hash(sphere)


@pytest.mark.parametrize("kind", ["cylinder", "sphere", "box"])
def test_every_required_key_of_an_obstacle_is_required(kind):
    index = ["cylinder", "sphere", "box"].index(kind)
    for key in set(example()["obstacles"][index]) - {"axis", "velocity", "shape"}:
        data = example()
        del data["obstacles"][index][key]
        with pytest.raises(WorldError, match=rf"obstacles\[{index}\]\.{key}: expected a value"):
            World.from_json(json.dumps(data))


@pytest.mark.parametrize("key", sorted(set(json.loads(EXAMPLE)) - {"via"}))
def test_every_required_key_of_a_world_is_required(key):
    data = example()
    del data[key]
    with pytest.raises(WorldError) as caught:
        World.from_json(json.dumps(data))
    assert caught.value.field == key


FAR = [0, 0, 99]
REFUSED = [
    # field named by the error, path in the file, value put there
    ("format", ("format",), "lnn-nav/mission"),
    ("version", ("version",), 2),
    ("version", ("version",), True),
    ("version", ("version",), "1"),
    ("name", ("name",), "mine"),
    ("start.pitch", ("start", "pitch"), 0.0),
    ("obstacles[1].colour", ("obstacles", 1, "colour"), "red"),
    ("obstacles[1].height", ("obstacles", 1, "height"), 1.0),
    ("obstacles[1].shape", ("obstacles", 1, "shape"), "torus"),
    ("obstacles[1].shape", ("obstacles", 1, "shape"), ["sphere"]),
    ("obstacles[2]", ("obstacles", 2), "box"),
    ("obstacles", ("obstacles",), {"0": {}}),
    ("obstacles", ("obstacles",), [None] * 10_001),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), 0),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), -0.3),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), True),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), "0.3"),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), None),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), [0.3]),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), math.nan),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), math.inf),
    ("obstacles[0].radius", ("obstacles", 0, "radius"), 10**400),
    ("obstacles[0].height", ("obstacles", 0, "height"), 0.0),
    ("obstacles[0].axis", ("obstacles", 0, "axis"), "w"),
    ("obstacles[0].axis", ("obstacles", 0, "axis"), ["z"]),
    ("obstacles[0].axis", ("obstacles", 0, "axis"), ""),
    ("obstacles[0].center[1]", ("obstacles", 0, "center", 1), math.nan),
    ("obstacles[0].center[1]", ("obstacles", 0, "center", 1), False),
    ("obstacles[0].center[1]", ("obstacles", 0, "center", 1), 1e300),
    ("obstacles[0].center", ("obstacles", 0, "center"), [1, 2]),
    ("obstacles[0].center", ("obstacles", 0, "center"), "abc"),
    ("obstacles[1].velocity[2]", ("obstacles", 1, "velocity"), [0, 0, math.inf]),
    ("obstacles[2].half_extents[0]", ("obstacles", 2, "half_extents", 0), 0),
    ("obstacles[2].half_extents[2]", ("obstacles", 2, "half_extents", 2), -1.5),
    ("obstacles[2].yaw", ("obstacles", 2, "yaw"), math.inf),
    ("bounds", ("bounds",), [[-2, -7, 0]]),
    ("bounds", ("bounds",), [[-2, -7, 0], [18, -7, 4]]),
    ("bounds[1]", ("bounds", 1), [18, 7]),
    ("bounds[0][2]", ("bounds", 0, 2), math.nan),
    ("start", ("start",), [0, 0, 1.5]),
    ("start.yaw", ("start", "yaw"), math.nan),
    ("start.position[0]", ("start", "position", 0), True),
    ("start.position", ("start", "position"), FAR),
    ("start.position", ("start", "position"), [0, 0, 0.05]),
    ("start.position", ("start", "position"), [5, 0.1, 1]),
    ("start.position", ("start", "position"), [7, 1.555, 1.5]),
    ("start.position", ("start", "position"), [9, -1, 1.5]),
    ("target", ("target",), FAR),
    ("via[1]", ("via",), [[1, 1, 1], FAR]),
    ("via[0][0]", ("via",), [["1", 1, 1]]),
    ("via", ("via",), [[1, 1, 1]] * 1001),
    ("target_radius", ("target_radius",), 0),
    ("speed", ("speed",), 0),
    ("speed", ("speed",), -1),
    ("speed", ("speed",), math.nan),
    ("time_limit", ("time_limit",), 0),
    ("time_limit", ("time_limit",), math.inf),
]


@pytest.mark.parametrize(("field", "path", "value"), REFUSED)
def test_a_bad_value_is_refused_by_the_name_of_its_field(field, path, value):
    with pytest.raises(WorldError) as caught:
        World.from_json(changed(path, value))
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: expected ")
    assert ", got " in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("obstacles[0].radius", EXAMPLE.replace('"radius": 0.3', '"radius": 1e999')),
        ("obstacles[0].radius", EXAMPLE.replace('"radius": 0.3', '"radius": NaN')),
        ("target[0]", EXAMPLE.replace("[14,", "[-Infinity,")),
        ("speed", EXAMPLE.replace('"speed": 2.0', '"speed": 2.0, "speed": 3.0')),
        ("radius", EXAMPLE.replace('"radius": 0.3', '"radius": 0.3, "radius": 0.3')),
        ("file", EXAMPLE.replace('"speed": 2.0', f'"speed": {"9" * 5000}')),
        ("file", EXAMPLE[:-20]),
        ("file", ""),
        ("file", "\ufeff" + EXAMPLE),
        ("file", "[" * 200_000),
        ("file", '{"a":' * 200_000),
        ("target", EXAMPLE.replace("[14,0.5,1.5]", "[" * 400 + "]" * 400)),
        ("file", " " * 10_000_001),
        ("world", "[]"),
        ("world", "null"),
        ("format", "{}"),
    ],
)
def test_a_bad_text_is_refused(field, text):
    with pytest.raises(WorldError) as caught:
        World.from_json(text)
    assert caught.value.field == field
    assert len(str(caught.value)) < 300


def test_a_world_made_by_hand_is_checked_too():
    good = World.from_json(EXAMPLE)
    values = dict(vars(good))
    for field, value in [("speed", math.nan), ("target", (99, 0, 1)), ("obstacles", ("box",))]:
        with pytest.raises(WorldError, match=field):
            World(**{**values, field: value})


def test_a_start_just_clear_of_an_obstacle_is_accepted():
    World.from_json(changed(("start", "position"), [7, 1.561, 1.5]))


def test_errors_survive_pickling_and_copying():
    error = WorldError("a", "b", [1])
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(again), again.field) == (str(error), "a")


def test_files_round_trip_and_replace_whole(tmp_path):
    path, world = tmp_path / "world.json", World.from_json(EXAMPLE)
    path.write_text("old")
    save_world(path, world)
    assert load_world(path) == world
    assert os.listdir(tmp_path) == ["world.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "world.json"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_world(path, World.from_json(EXAMPLE))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["world.json"]


def test_a_large_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.json"
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # Sparse: reading it would not fit in memory.
    with pytest.raises(WorldError, match=r"file: expected at most 10,000,000 bytes"):
        load_world(path)


def test_what_is_no_readable_text_file_is_refused(tmp_path):
    (tmp_path / "latin1.json").write_bytes(b'{"format": "\xe9"}')
    os.mkfifo(tmp_path / "pipe")
    for name in ("latin1.json", "pipe", "nowhere.json", "."):
        with pytest.raises(WorldError, match="^file: expected "):
            load_world(tmp_path / name)


def test_the_largest_world_fits_the_file_limit():
    long = (1 / 3e3, 1 / 7e3, 1 / 9e3)  # Numbers of many digits.
    box = Box((-1e6 / 7, 1e6 / 7, 1e6 / 9), long, 1 / 3, long)
    good = vars(World.from_json(EXAMPLE))
    full = World(**{**good, "obstacles": (box,) * 10_000, "via": ((1 / 3, 0, 1 / 3),) * 1000})
    assert World.from_json(full.to_json()) == full
