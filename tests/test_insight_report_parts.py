"""The report's tools: decimation that keeps extremes, honest scales, pictures others can read."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from lnn_nav.insight.colours import ACTIVITY, ramp
from lnn_nav.insight.decimate import intervals, kept_rows
from lnn_nav.insight.report import numbers
from lnn_nav.insight.silhouettes import View, silhouette
from lnn_nav.insight.svg import Scale, element, path, png_uri, words
from sim.world import Box, Cylinder, Sphere

values = st.floats(-1e3, 1e3, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(data=st.data(), rows=st.integers(1, 300), count=st.integers(1, 4), extra=st.integers(0, 40))
def test_decimation_keeps_every_extreme(
    data: st.DataObject, rows: int, count: int, extra: int
) -> None:
    columns = data.draw(arrays.arrays(np.float64, (rows, count), elements=values))
    most = 2 * count + 2 + extra
    kept = kept_rows(columns, most)
    assert len(kept) <= most
    assert (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (0, rows - 1)
    for column in columns.T:
        finite = column[np.isfinite(column)]
        if finite.size:
            shown = column[kept][np.isfinite(column[kept])]
            assert (shown.min(), shown.max()) == (finite.min(), finite.max())


def test_decimation_keeps_extremes_of_every_stretch_where_every_nth_row_would_not() -> None:
    column = np.zeros((10_000, 1))
    spikes = np.arange(7, 10_000, 501)
    column[spikes, 0] = np.where(np.arange(len(spikes)) % 2, 1.0, -1.0)
    assert set(spikes) <= set(kept_rows(column, 200))
    assert not set(spikes) <= set(range(0, 10_000, 50))


def test_decimation_refuses_to_keep_too_few() -> None:
    with pytest.raises(ValueError, match="most: expected at least 8, got 7"):
        kept_rows(np.zeros((5, 3)), 7)


def test_intervals_are_the_ticks_that_hold() -> None:
    times = np.arange(1, 9) / 4
    marks = np.array([1, 1, 0, 1, 0, 0, 0, 1], bool)
    assert intervals(marks, times) == [(0.0, 0.5), (0.75, 1.0), (1.75, 2.0)]
    assert intervals(marks, times, gap=0.25) == [(0.0, 1.0), (1.75, 2.0)]
    assert intervals(~marks & marks, times) == []


@given(low=st.floats(-1e3, 1e3), span=st.floats(1e-3, 1e4), about=st.integers(1, 12))
def test_ticks_are_round_inside_and_about_so_many(low: float, span: float, about: int) -> None:
    scale = Scale(low, low + span, 0.0, 100.0)
    ticks = scale.ticks(about)
    assert all(low - 1e-6 * span <= tick <= low + span + 1e-6 * span for tick in ticks)
    assert about / 2.6 - 1 <= len(ticks) <= about * 1.01 + 1
    if len(ticks) > 1:
        step = ticks[1] - ticks[0]
        mantissa = step / 10 ** math.floor(math.log10(step * 1.0001))
        assert min(abs(mantissa - wanted) for wanted in (1, 2, 5)) < 1e-3


def test_a_scale_maps_its_ends_to_its_ends() -> None:
    scale = Scale(2.0, 6.0, 100.0, 20.0)
    assert (scale.at(2.0), scale.at(6.0), scale.at(4.0)) == (100.0, 20.0, 60.0)
    np.testing.assert_array_equal(scale(np.array([2.0, 4.0, 6.0])), [100.0, 60.0, 20.0])


def test_elements_are_escaped() -> None:
    assert element("g", words("<a> & b"), class_="x", data_name='"<') == (
        '<g class="x" data-name="&quot;&lt;">&lt;a&gt; &amp; b</g>'
    )
    assert element("rect", x=1.5, y=2.0, rx=None) == '<rect x="1.5" y="2"/>'


def test_a_path_lifts_the_pen_over_gaps() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    assert path(x, np.array([1.0, 1.0, np.nan, 2.0, 2.0])) == "M0.0 1.0L1.0 1.0M3.0 2.0L4.0 2.0"


@given(pixels=arrays.arrays(np.uint8, (5, 7, 3)))
def test_pngs_are_read_by_others(pixels: np.ndarray) -> None:
    kind, _, data = png_uri(pixels).partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        np.testing.assert_array_equal(np.array(image.convert("RGB")), pixels)


def test_colours_lie_between_their_anchors() -> None:
    ends = ramp(ACTIVITY, np.array([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan]))
    assert ["#{:02x}{:02x}{:02x}".format(*colour) for colour in ends] == [
        ACTIVITY[0],
        ACTIVITY[0],
        ACTIVITY[2],
        ACTIVITY[4],
        ACTIVITY[4],
        ACTIVITY[2],
    ]


@given(column=arrays.arrays(st.sampled_from([np.float32, np.float64]), 6))
def test_numbers_come_back_as_they_were(column: np.ndarray) -> None:
    back = np.array([np.nan if v is None else v for v in numbers(column)], column.dtype)
    expected = np.where(np.isfinite(column), column, np.nan)
    np.testing.assert_array_equal(back, expected)


shapes = st.one_of(
    st.builds(
        Cylinder,
        st.just((1.0, 2.0, 3.0)),
        st.floats(0.1, 1),
        st.floats(0.1, 4),
        st.sampled_from("xyz"),
    ),
    st.builds(Sphere, st.just((1.0, 2.0, 3.0)), st.floats(0.1, 1)),
    st.builds(
        Box,
        st.just((1.0, 2.0, 3.0)),
        st.tuples(st.floats(0.1, 1), st.floats(0.1, 1), st.floats(0.1, 1)),
        st.floats(-3, 3),
    ),
)


@given(item=shapes, angle=st.floats(-3, 3))
def test_silhouettes_reach_as_far_as_the_solid(item: Cylinder | Sphere | Box, angle: float) -> None:
    """Against the farthest of many points of the solid, along both axes of the page."""
    right = (math.cos(angle), math.sin(angle), 0.0)
    left = (-math.sin(angle), math.cos(angle), 0.0)
    for up in ((0.0, 0.0, 1.0), left):
        view = View(right, up, 100.0, (7.0, 9.0))
        markup = silhouette(item, view, class_="obstacle")
        drawn = _extent(markup)
        points = view(_solid(item))
        np.testing.assert_allclose(drawn, [points.min(axis=0), points.max(axis=0)], atol=1.2)


def _extent(markup: str) -> np.ndarray:
    """Lower and upper corner of a shape, read from its markup."""
    attributes = dict(
        part.split("=", 1)
        for part in markup.strip("</>").replace('"', "").split(" ")
        if "=" in part
    )
    if "points" in attributes:
        text = markup.split('points="')[1].split('"')[0]
        corners = np.array([[float(v) for v in pair.split(",")] for pair in text.split()])
        return np.array([corners.min(axis=0), corners.max(axis=0)])
    number = {k: float(v) for k, v in attributes.items() if k != "class"}
    if "r" in number:
        centre = np.array([number["cx"], number["cy"]])
        return np.array([centre - number["r"], centre + number["r"]])
    corner = np.array([number["x"], number["y"]])
    return np.array([corner, corner + [number["width"], number["height"]]])


def _solid(item: Cylinder | Sphere | Box) -> np.ndarray:
    """Points on the surface of a solid."""
    turn = np.linspace(0, 2 * np.pi, 241)
    if isinstance(item, Cylinder):
        ring = item.radius * np.stack([np.cos(turn), np.sin(turn)])
        ends = [np.vstack([ring, np.full(241, h)]) for h in (-item.height / 2, item.height / 2)]
        order = {"x": [2, 0, 1], "y": [0, 2, 1], "z": [0, 1, 2]}[item.axis]
        return np.hstack(ends)[order].T + item.center
    if isinstance(item, Sphere):
        u, v = np.meshgrid(turn, turn[:121])
        ball = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], axis=-1)
        return item.radius * ball.reshape(-1, 3) + item.center
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T * item.half_extents
    cos, sin = math.cos(item.yaw), math.sin(item.yaw)
    return corners @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + item.center
