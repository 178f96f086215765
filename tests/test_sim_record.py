"""The record of a flight: it survives its file exactly, and refuses what contradicts itself."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from synthetic_flight import slalom

from sim.airframe import CF2X
from sim.files import write_atomically
from sim.record import Flight, FlightError, load_flight

TICK = ("times", "position", "velocity", "quaternion", "angular_velocity", "forces", "contact")
COLUMNS = (*TICK, "act_seconds", "think_times", "think_seconds")
FACTS = ("world", "family", "seed", "pilot", "engine", "airframe", "limit_violations", "outcome")


def assert_same_array(one: np.ndarray, other: np.ndarray) -> None:
    """Bit for bit: nan equals nan, and the dtype counts."""
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    assert one.tobytes() == other.tobytes()


def assert_same_flight(one: Flight, other: Flight) -> None:
    for name in FACTS:
        assert getattr(one, name) == getattr(other, name), name
    for name in COLUMNS:
        assert_same_array(getattr(one, name), getattr(other, name))
    for kind in ("records", "think_records"):
        assert dict(getattr(one, kind)).keys() == dict(getattr(other, kind)).keys()
        for name, column in getattr(one, kind).items():
            assert_same_array(column, getattr(other, kind)[name])
    assert dict(one.meanings) == dict(other.meanings)


def test_a_flight_survives_its_file(tmp_path: Path) -> None:
    airframe = dataclasses.replace(CF2X, name="heavier", mass=0.031)
    flight = slalom(300, airframe=airframe, meanings={"barrier": "[m] h of the walls alone"})
    flight.save(tmp_path / "flight.npz")
    assert_same_flight(load_flight(tmp_path / "flight.npz"), flight)


names = st.text("abcxyz_/ 0.", min_size=1, max_size=12)
values = st.floats(width=64) | st.sampled_from([np.nan, -0.0, 5e-324, np.inf])


@settings(max_examples=25)
@given(
    data=st.data(), ticks=st.integers(1, 6), sights=st.integers(0, 3), seed=st.none() | st.just(9)
)
def test_any_flight_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    ticks: int,
    sights: int,
    seed: int | None,
) -> None:
    def column(rows: int) -> st.SearchStrategy[np.ndarray]:
        dtype = data.draw(st.sampled_from([np.float64, np.float32, np.int32, np.bool_]))
        shape = (rows, *data.draw(st.sampled_from([(), (3,), (2, 2)])))
        return arrays.arrays(dtype, shape)

    records = {name: data.draw(column(ticks)) for name in data.draw(st.sets(names, max_size=3))}
    thinks = {name: data.draw(column(sights)) for name in data.draw(st.sets(names, max_size=2))}
    flight = slalom(
        ticks=2,
        seed=seed,
        times=np.arange(1, ticks + 1) / 240,
        position=data.draw(arrays.arrays(np.float64, (ticks, 3), elements=values)),
        velocity=np.zeros((ticks, 3)),
        quaternion=np.zeros((ticks, 4), np.float32),
        angular_velocity=np.zeros((ticks, 3)),
        forces=data.draw(arrays.arrays(np.float32, (ticks, 4))),
        contact=data.draw(arrays.arrays(np.bool_, ticks)),
        act_seconds=np.zeros(ticks),
        records=records,
        think_times=np.arange(sights) / 40,
        think_seconds=np.zeros(sights),
        think_records=thinks,
        outcome=data.draw(st.sampled_from(["reached", "contact", "timeout", "out_of_bounds"])),
    )
    path = tmp_path_factory.getbasetemp() / "any.npz"
    flight.save(path)
    assert_same_flight(load_flight(path), flight)


def test_every_column_is_named_with_its_unit_and_meaning(tmp_path: Path) -> None:
    slalom(40).save(tmp_path / "flight.npz")
    with np.load(tmp_path / "flight.npz", allow_pickle=False) as file:
        columns = json.loads(str(file["columns"]))
        assert set(columns) == set(file.files) - {"flight", "columns"}
    for name, text in columns.items():
        assert text.startswith("[") and "[?]" not in text, name
    assert columns["forces"].startswith("[N]")
    assert columns["records/acceleration"].startswith("[m/s^2]")
    assert columns["think/ranges"].startswith("[m]")


def test_the_flight_says_which_column_does_not_fit() -> None:
    good = slalom(40)
    wrong: dict[str, object] = {
        "contact": np.zeros(40),
        "position": good.position.tolist(),
        "quaternion": np.zeros((40, 4), int),
        "forces": good.forces[:, :3],
        "velocity": good.velocity[:-1],
        "think_seconds": good.think_seconds[:-1],
        "times": good.times[::-1].copy(),
        "outcome": "landed",
    }
    for name, value in wrong.items():
        with pytest.raises(FlightError, match=f"^{name}: expected"):
            dataclasses.replace(good, **{name: value})
    for kind in ("records", "think_records"):
        with pytest.raises(FlightError, match=rf"{kind}\['mine'\].*expected shape \(\d+,"):
            dataclasses.replace(good, **{kind: {"mine": np.zeros((2, 3))}})
    with pytest.raises(FlightError, match="expected numbers"):
        dataclasses.replace(good, records={"mine": np.full(40, "text")})


@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
def test_a_file_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "flight.npz"
    slalom(40).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FlightError, match=r"flight\.npz: expected"):
        load_flight(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, times=np.zeros(3))
    with pytest.raises(FlightError, match="'flight'"):
        load_flight(path)
    np.savez(path, flight=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FlightError, match="pickle"):
        load_flight(path)
    flight = slalom(40)
    flight.save(path)
    with np.load(path) as file:
        content = dict(file)
    del content["forces"]
    np.savez(path, **content)
    with pytest.raises(FlightError, match="'forces'"):
        load_flight(path)
    facts = json.loads(str(content["flight"])) | {"version": 99}
    content |= {"forces": flight.forces, "flight": np.array(json.dumps(facts))}
    np.savez(path, **content)
    with pytest.raises(FlightError, match="version 99"):
        load_flight(path)
    with pytest.raises(FileNotFoundError):
        load_flight(tmp_path / "nothing.npz")


def test_a_broken_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "flight.npz"
    write_atomically(path, lambda file: file.write(b"old"))

    def breaks(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_atomically(path, breaks)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["flight.npz"]
    write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["flight.npz"]
