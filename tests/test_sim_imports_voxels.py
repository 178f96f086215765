"""Grids of voxels as boxes, and worlds of what was imported: exact, small, and ready to fly in."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import flying
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import Box, WorldError, fly, load_world, save_world
from sim.imports import boxes_of_voxels, load_obstacles, load_voxels, world_from
from sim.shapes import distances_of

# As it is for a program that is run from there.
sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

import import_world


def caves(seed: int, shape=(13, 9, 7)) -> np.ndarray:
    """Lumps: neighbours are alike."""
    noise = np.random.default_rng(seed).normal(size=shape)
    for axis in range(3):
        noise = noise + np.roll(noise, 1, axis)
    return noise > 1.0


def occupied_at(grid, edge, origin, points):
    cells = np.floor((points - origin) / edge).astype(int)
    inside = ((cells >= 0) & (cells < grid.shape)).all(axis=1)
    cells = np.clip(cells, 0, np.array(grid.shape) - 1)
    return inside & grid[tuple(cells.T)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 3.0), st.tuples(*[st.floats(-50, 50)] * 3))
def test_the_union_of_the_boxes_is_that_of_the_voxels(seed, edge, origin):
    grid, rng = caves(seed), np.random.default_rng(seed)
    boxes = boxes_of_voxels(grid, edge, origin)
    low, high = np.array(origin) - edge, np.array(origin) + edge * (np.array(grid.shape) + 1)
    points = rng.uniform(low, high, (1000, 3))
    # On a face nobody can tell.
    off = np.abs((points - origin) / edge - np.round((points - origin) / edge)).min(axis=1) > 1e-6
    inside = distances_of(boxes, points).min(axis=1, initial=np.inf) < 0
    np.testing.assert_array_equal(inside[off], occupied_at(grid, edge, origin, points)[off])
    # Each voxel is in one box, and there are far fewer boxes than voxels.
    volume = sum(8 * np.prod(box.half_extents) for box in boxes)
    assert volume == pytest.approx(grid.sum() * edge**3)
    assert len(boxes) < 0.75 * grid.sum()


def test_a_missing_voxel_is_noticed():
    """The comparison above can fail."""
    grid = caves(0)
    boxes = boxes_of_voxels(grid, 0.5, (0.0, 0.0, 0.0))[1:]
    points = np.random.default_rng(0).uniform(0, 0.5 * np.array(grid.shape), (20_000, 3))
    inside = distances_of(boxes, points).min(axis=1) < 0
    assert (inside != occupied_at(grid, 0.5, 0.0, points)).any()


def test_blocks_are_one_box_and_empty_grids_none(monkeypatch):
    grid = np.zeros((6, 7, 8), bool)
    assert boxes_of_voxels(grid, 0.1, (0, 0, 0)) == []
    grid[1:5, 2:6, 3:8] = True
    (box,) = boxes_of_voxels(grid, 0.1, (1.0, 0.0, 0.0))
    assert box.half_extents == pytest.approx((0.2, 0.2, 0.25))
    assert box.center == pytest.approx((1.3, 0.4, 0.55))
    assert len(boxes_of_voxels(np.ones((50, 50, 50), bool), 0.1, (0, 0, 0))) == 1
    # A checkerboard has no two voxels to join: more boxes than a world may have.
    monkeypatch.setattr("sim.imports.voxels.MOST_OBSTACLES", 500)
    board = np.indices((11, 11, 11)).sum(axis=0) % 2 == 0
    with pytest.raises(WorldError, match="occupied: expected voxels that 500 boxes can hold"):
        boxes_of_voxels(board, 0.1, (0, 0, 0))


def saved(folder, **arrays) -> Path:
    path = folder / "map.npz"
    np.savez_compressed(path, **arrays)
    return path


PLACE = {"resolution": 0.5, "origin": np.array([1.0, 2.0, 0.0])}


def test_chances_count_as_occupied_above_the_threshold_and_where_nobody_looked(tmp_path):
    chance = np.zeros((1, 1, 4), np.float32)
    chance[0, 0] = 0.2, 0.5, 0.51, np.nan
    (box,) = load_voxels(saved(tmp_path, probability=chance, **PLACE))
    assert box == Box((1.25, 2.25, 1.5), (0.25, 0.25, 0.5))
    (box,) = load_voxels(saved(tmp_path, probability=chance, **PLACE), 0.1)
    assert box.half_extents[2] == 1.0
    odds = np.log((chance + 1e-9) / (1 - chance + 1e-9))
    (box,) = load_voxels(saved(tmp_path, log_odds=odds - 1e-6, **PLACE))
    assert box.half_extents[2] == 0.5
    solid = load_obstacles(saved(tmp_path, occupied=chance > 0, **PLACE))
    assert solid[0].half_extents[2] == 0.75


GRID = np.ones((2, 2, 2), bool)
BAD = [
    ({"occupied": GRID}, "file: expected the arrays resolution, origin besides"),
    (PLACE, "file: expected one of the arrays occupied, probability, log_odds"),
    ({"occupied": GRID, **PLACE, "more": GRID}, "file: expected 3 arrays, got 4"),
    ({"occupied": GRID.astype(int), **PLACE}, "occupied: expected an array of bool"),
    ({"occupied": GRID[0], **PLACE}, r"occupied: expected an array \[nx, ny, nz\]"),
    ({"occupied": GRID, **PLACE, "resolution": 0.0}, "resolution: expected a number above 0"),
    ({"occupied": GRID, **PLACE, "resolution": np.nan}, "resolution: expected a finite number"),
    ({"occupied": GRID, **PLACE, "resolution": np.ones(2)}, "resolution: expected a number"),
    ({"occupied": GRID, **PLACE, "origin": np.zeros(2)}, "origin: expected 3 numbers"),
    ({"occupied": GRID, **PLACE, "origin": [0, 0, np.inf]}, r"origin\[2\]: expected a finite"),
    ({"occupied": GRID.astype(object), **PLACE}, "occupied: expected"),
    ({"log_odds": GRID.astype(complex), **PLACE}, "log_odds: expected"),
    ({"probability": np.full((2, 2, 2), "x"), **PLACE}, "probability: expected"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD)
def test_bad_arrays_are_refused_by_name(arrays, message, tmp_path):
    with pytest.raises(WorldError, match=message) as caught:
        load_voxels(saved(tmp_path, **arrays))
    assert len(str(caught.value)) < 300


def test_a_threshold_of_what_has_none_is_refused(tmp_path):
    with pytest.raises(WorldError, match="threshold: expected none"):
        load_voxels(saved(tmp_path, occupied=GRID, **PLACE), 0.5)
    with pytest.raises(WorldError, match="threshold: expected a finite number"):
        load_voxels(saved(tmp_path, log_odds=GRID.astype(float), **PLACE), np.nan)


def with_grid(folder, content: bytes) -> Path:
    """A file whose grid is these bytes."""
    path = saved(folder, **PLACE)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("occupied.npy", content)
    return path


def header(shape) -> bytes:
    buffer = io.BytesIO()
    told = {"descr": "|b1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, told)
    return buffer.getvalue()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("occupied.npy", "w") as file:
            for _ in range(40):
                file.write(bytes(1 << 22))  # 160 MiB of zeros.
    assert path.stat().st_size < 1_000_000
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(WorldError, match="occupied: expected at most .* bytes, got '167,772,160"):
        load_voxels(path)


def test_a_header_that_lies_is_refused(tmp_path):
    for content in (
        header((1 << 40, 1, 1)),
        header((300, 300, 300)) + bytes(10),
        header((2, 2, 2)) + bytes(3),
        b"\x93NUMPY\x01\x00",
        b"junk",
        b"",
    ):
        with pytest.raises(WorldError, match="occupied: expected"):
            load_voxels(with_grid(tmp_path, content))
    (tmp_path / "map.npz").write_bytes(b"PK not a zip")
    with pytest.raises(WorldError, match=r"file: expected an \.npz file"):
        load_voxels(tmp_path / "map.npz")


def test_what_was_imported_is_saved_loaded_and_flown_in(tmp_path):
    grid = np.zeros((12, 8, 6), bool)
    grid[6, :, :4] = True
    boxes = load_obstacles(saved(tmp_path, occupied=grid, **PLACE))
    world = world_from(boxes, (0.0, 4.0, 1.5), (9.0, 4.0, 1.5), time_limit=1.0)
    assert world.bounds == ((-2.0, 0.0, 0.0), (11.0, 8.0, 4.0)) and world.start_yaw == 0.0
    save_world(tmp_path / "world.json", world)
    again = load_world(tmp_path / "world.json")
    assert again == world
    flight = fly(again, flying.Plain(), "twin")
    assert flight.outcome in ("timeout", "contact") and np.isfinite(flight.position).all()


def test_worlds_have_the_usual_time_and_checked_points():
    world = world_from([], (0, 0, 1), (3, 4, 1), via=[(3, 0, 1)], speed=2.0)
    assert world.time_limit == 5 + 2.5 * 7 / 2 and world.via == ((3.0, 0.0, 1.0),)
    assert world.bounds == ((-2.0, -2.0, 0.0), (5.0, 6.0, 3.0))
    with pytest.raises(WorldError, match="start.position: expected at least 0.06 m from"):
        world_from([Box((0, 0, 1), (1, 1, 1))], (0, 0, 1), (3, 4, 1))
    with pytest.raises(WorldError, match="speed: expected a number above 0"):
        world_from([], (0, 0, 1), (3, 4, 1), speed=0.0)


def test_the_script_writes_a_world_file_and_says_what_is_wrong(tmp_path, capsys):
    source, out = saved(tmp_path, occupied=GRID, **PLACE), tmp_path / "out.json"
    words = f"{source} --start -1 0 1.5 --target 5 5 1 --speed 3 --out {out}".split()
    assert import_world.main(words) == 0
    assert load_world(out).speed == 3.0 and "1 box" in capsys.readouterr().out
    out.unlink()
    inside = f"{source} --start 1.5 2.5 0.5 --target 5 5 1 --out {out}".split()
    assert import_world.main(inside) == 2 and not out.exists()
    assert "start.position: expected" in capsys.readouterr().err
