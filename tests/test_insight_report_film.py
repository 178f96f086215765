"""The film: a GIF that others can play, of the flight that was flown."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from synthetic_flight import slalom, slalom_world

from lnn_nav.insight import film as filming
from lnn_nav.insight.overlay import LIT, project, small_map
from sim.airframe import CF2X
from sim.camera import Stage, chase_view, render
from sim.clearances import clearance
from sim.record import Flight
from sim.state import State, quaternion_from_yaw
from sim.world import Cylinder, Sphere

SIZE = (160, 120)


@pytest.fixture(scope="module")
def flight() -> Flight:
    return slalom(ticks=400)


@pytest.fixture(scope="module")
def content(flight: Flight) -> bytes:
    return filming.film(flight, *SIZE)


def frames_of(content: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(content)) as image:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]


def lamp_is_lit(frame: Image.Image) -> bool:
    """The colour of the lamp's plate, at its left end."""
    return bool(np.abs(np.subtract(frame.getpixel((SIZE[0] - 86, 18)), LIT)).max() < 40)


def test_it_is_a_gif_of_many_pictures_that_plays_for_ever(flight: Flight, content: bytes) -> None:
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("GIF", SIZE)
        assert image.n_frames == round(flight.times[-1] * 1000 / 70)
        assert image.info["loop"] == 0
        times = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert times[:-1] == [70] * (len(times) - 1)
    assert times[-1] == 1600
    assert len(content) < 3_000_000


def test_the_picture_moves_with_the_flight(content: bytes) -> None:
    frames = [np.asarray(frame, float) for frame in frames_of(content)]
    changes = [np.abs(a - b).mean() for a, b in zip(frames[:-1], frames[1:], strict=True)]
    assert min(changes) > 0.1


def test_the_lamp_is_lit_where_the_barrier_acted(flight: Flight, content: bytes) -> None:
    shots = filming.plan(flight)
    wish, flown = (flight.records[name] for name in ("acceleration_wish", "acceleration"))
    changed = np.linalg.norm(flown - wish, axis=1) > 1e-3
    seen = [lamp_is_lit(frame) for frame in frames_of(content)]
    ends = shots.rows + 1
    expected = [bool(changed[a:b].any()) for a, b in zip([0, *ends], ends, strict=False)]
    assert seen == expected
    assert 0 < sum(seen) < len(seen)


def test_a_long_flight_is_shown_faster() -> None:
    shots = filming.plan(slalom(ticks=7200))
    assert len(shots.rows) == int(6.5 * 1000 / 70)
    assert shots.rows[-1] == 7199


def test_the_camera_is_never_inside_a_solid_nor_behind_one() -> None:
    """Of a flight that turns left with a pillar to its right; without the care it would be."""
    way = np.linspace(0, 4, 960)
    corner = np.stack([np.minimum(way, 2), np.maximum(way - 2, 0), np.full(960, 1.5)], axis=1)
    world = slalom_world(obstacles=(Cylinder((2.0, -0.6, 2.0), 0.3, 4.0),))
    velocity = np.gradient(corner, 1 / 240, axis=0)
    nose = quaternion_from_yaw(np.arctan2(velocity[:, 1], velocity[:, 0]))
    flight = slalom(ticks=960, world=world, position=corner, velocity=velocity, quaternion=nose)
    shots = filming.plan(flight)
    share = np.linspace(0.25, 1, 30)[:, None]

    def room(distances: np.ndarray, heights: np.ndarray) -> float:
        least = np.inf
        for row, way, far, high in zip(shots.rows, shots.headings, distances, heights, strict=True):
            state = State(
                *(getattr(flight, field.name)[row] for field in dataclasses.fields(State))
            )
            eye, _ = chase_view(state, float(way), float(far), float(high))
            line = state.position + share * (np.array(eye) - state.position)
            least = min(least, float(clearance(world, 0.0, line).min()))
        return least

    assert room(shots.distances, shots.heights) > 0.02
    far, high = np.full(len(shots.rows), filming.BEHIND), np.full(len(shots.rows), filming.ABOVE)
    assert room(far, high) < -0.1
    assert np.abs(np.diff(shots.distances)).max() < 0.3


def test_the_camera_turns_smoothly(flight: Flight) -> None:
    headings = np.unwrap(filming.plan(flight).headings)
    assert np.abs(np.diff(headings)).max() < 0.2


def test_the_trail_lies_where_the_renderer_draws() -> None:
    """A red ball far off: the middle of its pixels is where `project` says."""
    world = slalom_world(obstacles=(Sphere((9.0, 1.5, 2.2), 0.4),))
    eye, look_at = [4.0, 0.0, 1.5], [8.0, 0.3, 1.4]
    with Stage(CF2X, slalom_world(obstacles=())) as empty, Stage(CF2X, world) as full:
        pictures = [render(stage, eye, look_at, 320, 240).astype(int) for stage in (empty, full)]
    rows, columns = np.nonzero(np.abs(pictures[0] - pictures[1]).sum(axis=2) > 20)
    ((x, y),) = project(np.array([[9.0, 1.5, 2.2]]), eye, look_at, (320, 240))
    assert (x, y) == (
        pytest.approx(columns.mean() + 0.5, abs=2),
        pytest.approx(rows.mean() + 0.5, abs=2),
    )
    assert project(np.array([[-9.0, 0, 1.5]]), eye, look_at, (320, 240)) == []


def test_the_small_map_shows_the_whole_path(flight: Flight) -> None:
    chart, to_chart = small_map(flight, flight.position)
    places = [to_chart(x, y) for x, y, _ in [*flight.position, flight.world.target]]
    assert all(0 <= x < chart.width and 0 <= y < chart.height for x, y in places)


def test_the_file_is_written_whole(
    flight: Flight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filming, "film", lambda flight: b"GIF89a...")
    assert filming.write_film(flight, tmp_path / "a" / "flight.gif") == b"GIF89a..."
    assert (tmp_path / "a" / "flight.gif").read_bytes() == b"GIF89a..."


def test_what_is_not_finite_is_skipped(flight: Flight) -> None:
    position = flight.position.copy()
    position[100:300] = np.nan
    shots = filming.plan(dataclasses.replace(flight, position=position))
    assert not set(shots.rows) & set(range(100, 300))
    with pytest.raises(ValueError, match="finite"):
        filming.plan(dataclasses.replace(flight, position=np.full_like(position, np.nan)))
