"""The report: one file on its own, whose panels hold exactly what the flight recorded."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from synthetic_flight import slalom, slalom_world

from lnn_nav.insight import report, write_report
from sim.clearances import clearance
from sim.judge import fallbacks, interventions, tilt, verdict
from sim.record import Flight

GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """What a browser would see: elements in order, text by id, and that every one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("id")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        for _, key in self.open:
            if key is not None:
                self.texts[key] = self.texts.get(key, "") + data

    @property
    def data(self) -> dict:
        return json.loads(self.texts["flight-data"])


def page_of(flight: Flight, gif: bytes | None = None) -> Page:
    page = Page(report(flight, verdict(flight), gif))
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def long_flight() -> Flight:
    """Longer than any panel may have points, with a spike of one tick in every column."""
    flight = slalom(ticks=5000)
    forces, barrier = flight.forces.copy(), flight.records["barrier"].copy()
    forces[3333, 2], forces[1234, 0], barrier[2718] = flight.airframe.max_force, 0.0, -0.125
    wish = flight.records["acceleration_wish"].copy()
    wish[4001, 1] = -40.0
    records = {**flight.records, "barrier": barrier, "acceleration_wish": wish}
    return dataclasses.replace(flight, forces=forces, records=records)


@pytest.fixture(scope="module")
def long_page(long_flight: Flight) -> Page:
    return page_of(long_flight, GIF)


def expected_columns(flight: Flight) -> dict[str, dict[str, np.ndarray]]:
    """What each panel must hold, taken from the flight directly."""
    wish, flown = flight.records["acceleration_wish"], flight.records["acceleration"]
    return {
        "path": dict(zip("xyz", flight.position.T, strict=True))
        | {"speed": np.linalg.norm(flight.velocity, axis=1)},
        "rotors": {f"rotor {i}": flight.forces[:, i] for i in range(4)},
        "barrier": {
            "barrier h": flight.records["barrier"],
            "clearance": clearance(flight.world, 0.06, flight.position),
        },
        "acceleration": {f"wish {axis}": wish[:, i] for i, axis in enumerate("xyz")}
        | {f"flown {axis}": flown[:, i] for i, axis in enumerate("xyz")},
        "motion": {"altitude": flight.position[:, 2], "tilt": np.degrees(tilt(flight.quaternion))},
    }


def test_every_panel_holds_what_was_recorded_exactly(long_flight: Flight, long_page: Page) -> None:
    panels = long_page.data["panels"]
    for name, columns in expected_columns(long_flight).items():
        panel = panels[name]
        rows = np.array(panel["rows"])
        assert len(rows) <= 1200
        assert (np.diff(rows) > 0).all()
        assert (rows[0], rows[-1]) == (0, 4999)
        assert panel["times"] == long_flight.times[rows].tolist()
        for column, values in columns.items():
            assert panel["columns"][column] == values[rows].tolist(), (name, column)


def test_no_extreme_of_a_line_is_lost(long_flight: Flight, long_page: Page) -> None:
    panels = long_page.data["panels"]
    for name, columns in expected_columns(long_flight).items():
        for column, values in columns.items():
            shown = panels[name]["columns"][column]
            assert (min(shown), max(shown)) == (values.min(), values.max()), (name, column)
    assert -0.125 in panels["barrier"]["columns"]["barrier h"]
    assert long_flight.airframe.max_force in panels["rotors"]["columns"]["rotor 2"]


def test_heat_maps_hold_the_records_exactly(long_flight: Flight, long_page: Page) -> None:
    for name, record in long_flight.think_records.items():
        panel = long_page.data["panels"][name]
        rows = np.array(panel["rows"])
        assert record.dtype == np.float32
        np.testing.assert_array_equal(np.array(panel["cells"], np.float32), record[rows])
        assert panel["times"] == long_flight.think_times[rows].tolist()


def test_the_lines_drawn_are_those_of_the_data(long_flight: Flight, long_page: Page) -> None:
    """Read back from the picture: each line's points, through its own scale."""
    end = long_flight.times[-1]
    panels = long_page.data["panels"]
    lines = [a for tag, a in long_page.elements if tag == "path" and "data-scale" in a]
    drawn = {a["data-column"]: a for a in lines}
    assert len(drawn) == len(lines) == 4 + 2 + 6 + 3
    for name in ("rotors", "barrier", "acceleration", "motion"):
        for column, values in panels[name]["columns"].items():
            points = re.findall(r"(-?[\d.]+) (-?[\d.]+)", drawn[column]["d"])
            x, y = np.array(points, float).T
            low, high, bottom, top = map(float, drawn[column]["data-scale"].split(","))
            times = (x - 46.0) / (548.0 - 46.0) * end
            heights = low + (y - bottom) / (top - bottom) * (high - low)
            np.testing.assert_allclose(times, panels[name]["times"], atol=end * 2e-4)
            room = 0.06 * (high - low) / (bottom - top) + 1e-5 * (high - low)
            np.testing.assert_allclose(heights, values, atol=room)


def test_moments_of_intervention_and_fallback_are_marked(
    long_flight: Flight, long_page: Page
) -> None:
    for key, marks in (
        ("interventions", interventions(long_flight)),
        ("fallbacks", fallbacks(long_flight)),
    ):
        begins = np.append(0.0, long_flight.times[:-1])
        inside = np.zeros(len(marks), bool)
        for begin, end in long_page.data[key]:
            inside |= (begins >= begin) & (long_flight.times <= end)
        np.testing.assert_array_equal(inside, marks)
    kinds = [a.get("class") for _, a in long_page.elements]
    assert kinds.count("intervention") >= len(long_page.data["interventions"]) > 0
    assert kinds.count("fallback") >= len(long_page.data["fallbacks"]) > 0
    assert "halo" in kinds and "cross" in kinds


def test_each_panel_is_an_element_and_has_data(long_page: Page) -> None:
    marked = [a["data-panel"] for _, a in long_page.elements if "data-panel" in a]
    names = {"path", "barrier", "rotors", "acceleration", "motion", "neurons", "ranges"}
    assert set(marked) == names == set(long_page.data["panels"])
    assert len(marked) == len(names)


def test_the_page_needs_nothing_but_itself(long_flight: Flight, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.html"
    write_report(long_flight, verdict(long_flight), path, GIF)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 3_000_000
    page = Page(text)
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:image/", "#")) or not value, (name, value[:80])
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\((?!#)", text)
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}


def test_the_film_is_inside(long_page: Page) -> None:
    images = [a["src"] or "" for tag, a in long_page.elements if tag == "img"]
    assert [base64.b64decode(image.partition("base64,")[2]) for image in images] == [GIF]
    assert not [tag for tag, _ in page_of(slalom(40)).elements if tag == "img"]


def test_the_verdict_is_on_top_and_in_the_data(long_flight: Flight, long_page: Page) -> None:
    assert long_page.texts["outcome"] == "Reached"
    assert long_page.data["verdict"] == json.loads(verdict(long_flight).to_json())


@pytest.mark.parametrize(
    ("outcome", "words", "tone"),
    [
        ("reached", "Reached", "good"),
        ("contact", "Contact", "bad"),
        ("timeout", "Timeout", "late"),
        ("out_of_bounds", "Out of bounds", "late"),
    ],
)
def test_every_outcome_has_its_words_and_tone(outcome: str, words: str, tone: str) -> None:
    page = page_of(
        slalom(
            40,
            outcome=outcome,
            contact=np.arange(40) > 38 * (outcome == "contact")
            if outcome == "contact"
            else np.zeros(40, bool),
        )
    )
    assert page.texts["outcome"] == words
    assert dict(page.elements)["body"]["class"] == tone


def test_a_target_reached_across_a_limit_is_no_good_flight() -> None:
    page = page_of(slalom(40, limit_violations=3))
    assert dict(page.elements)["body"]["class"] == "bad"


@pytest.mark.parametrize("nothing", [{}, {"neurons": np.zeros((7, 0), np.float32)}])
def test_panels_without_records_are_left_out(nothing: dict) -> None:
    page = page_of(slalom(40, records={}, think_records=nothing))
    assert set(page.data["panels"]) == {"path", "barrier", "rotors", "motion"}
    assert set(page.data["panels"]["barrier"]["columns"]) == {"clearance"}


def test_what_is_not_finite_is_a_gap(long_flight: Flight) -> None:
    flight = slalom(200)
    forces, position = flight.forces.copy(), flight.position.copy()
    forces[50, 1], position[60:70] = np.nan, np.inf
    page = page_of(dataclasses.replace(flight, forces=forces, position=position))
    panels = page.data["panels"]
    assert panels["rotors"]["columns"]["rotor 1"][50] is None
    assert panels["path"]["columns"]["x"][60:70] == [None] * 10
    line = next(a for _, a in page.elements if a.get("data-column") == "rotor 1" and "d" in a)
    assert (line["d"] or "").count("M") == 2
    everything = np.full_like(forces, np.nan)
    page_of(dataclasses.replace(flight, forces=everything, position=everything[:, :3]))


def test_names_cannot_break_out_of_the_page() -> None:
    name = '</script><script>alert("x")</script>&<b>'
    page = page_of(slalom(40, pilot=name, family=name))
    assert page.data["verdict"]["pilot"] == name
    assert [tag for tag, _ in page.elements].count("script") == 2


@pytest.mark.parametrize("ticks", [1, 2])
def test_the_shortest_flights_have_a_report(ticks: int) -> None:
    flight = slalom(300)
    short = {
        field.name: getattr(flight, field.name)[:ticks]
        for field in dataclasses.fields(flight)
        if isinstance(getattr(flight, field.name), np.ndarray) and "think" not in field.name
    }
    page_of(
        dataclasses.replace(
            flight,
            **short,
            records={},
            think_times=np.zeros(0),
            think_seconds=np.zeros(0),
            think_records={"neurons": np.zeros((0, 5), np.float32)},
        )
    )


def test_obstacles_are_drawn_to_scale_in_both_views() -> None:
    page = page_of(slalom(400))
    views = [a for _, a in page.elements if "data-view" in a]
    assert [a["data-view"] for a in views] == ["above", "side"]
    metre = float(views[0]["data-metre"] or 0)
    x0, y0 = map(float, (views[0]["data-origin"] or "").split(","))
    shapes = [e for e in page.elements if (e[1].get("class") or "").startswith("obstacle")]
    assert len(shapes) == 2 * len(slalom_world().obstacles)
    circle = next(
        a for tag, a in shapes if tag == "circle" and abs(float(a["r"]) / metre - 0.35) < 1e-3
    )
    assert (float(circle["cx"]) - x0) / metre == pytest.approx(3.0, abs=1e-3)
    assert (y0 - float(circle["cy"])) / metre == pytest.approx(-0.4, abs=1e-3)
    polygons = [a["points"] for tag, a in shapes if tag == "polygon"]
    corners = np.array([[float(v) for v in p.split(",")] for p in polygons[0].split()])
    edges = np.linalg.norm(np.diff(corners, axis=0), axis=1) / metre
    assert sorted(edges.round(2)) in (
        [0.6, 2.4, 2.4],
        [0.6, 0.6, 2.4],
        [0.8, 0.8, 1.6],
        [0.8, 1.6, 1.6],
    )


def test_the_path_on_the_map_is_the_path_flown(long_flight: Flight, long_page: Page) -> None:
    views = [a for _, a in long_page.elements if "data-view" in a]
    position = long_flight.position[long_page.data["panels"]["path"]["rows"]]
    start = [i for i, (_, a) in enumerate(long_page.elements) if "data-view" in a]
    for view, first, last in zip(views, start, [start[1], None], strict=True):
        x0, y0 = map(float, (view["data-origin"] or "").split(","))
        right = np.array([float(v) for v in (view["data-right"] or "").split(",")])
        metre = float(view["data-metre"] or 0)
        tracks = [a["d"] for _, a in long_page.elements[first:last] if a.get("class") == "track"]
        drawn = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", "".join(tracks)), float)
        across = position[:, :2] @ right
        upward = position[:, 1] if view["data-view"] == "above" else position[:, 2]
        expected = np.stack([x0 + metre * across, y0 - metre * upward], axis=1)
        for point in expected[::37]:
            assert np.abs(drawn - point).max(axis=1).min() < 0.11


def test_gains_of_the_barriers_have_a_panel() -> None:
    flight = slalom(40)
    gains = np.linspace(1, 5, 80).reshape(40, 2)
    page = page_of(dataclasses.replace(flight, records={**flight.records, "gains": gains}))
    columns = page.data["panels"]["gains"]["columns"]
    assert [columns["gain 0"], columns["gain 1"]] == gains.T.tolist()


def test_the_way_along_the_track_is_that_towards_the_target(
    long_flight: Flight, long_page: Page
) -> None:
    way = np.subtract(long_flight.world.target, long_flight.world.start_position)[:2]
    along = long_page.data["panels"]["path"]["columns"]["along"][-1]
    expected = long_flight.position[-1, :2] @ way / np.linalg.norm(way)
    assert along == pytest.approx(expected)
