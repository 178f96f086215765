"""Panels over time as SVG: strips of lines, and heat maps, all on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lnn_nav.insight.colours import ramp
from lnn_nav.insight.panels import Heat, Panel, Strip
from lnn_nav.insight.svg import Scale, element, label, number, path, png_uri

WIDTH, LEFT, RIGHT = 560.0, 46.0, 548.0
TOP, BOTTOM, GAP = 10.0, 22.0, 14.0
STRIP_HEIGHTS = {1: 180.0, 2: 100.0, 3: 74.0}
HEAT_COLUMNS = 700

Stretches = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class TimeAxis:
    """What all panels over time share.

    Attributes:
        end: of the flight [s].
        interventions: stretches on which the barrier changed the command [s].
        fallbacks: stretches on which the backup command flew [s].
    """

    end: float
    interventions: Stretches
    fallbacks: Stretches

    @property
    def scale(self) -> Scale:
        """Time to the picture's units."""
        return Scale(0.0, self.end, LEFT, RIGHT)


def draw_lines(panel: Panel, axis: TimeAxis) -> str:
    """A panel of lines as one `<svg>`."""
    height = STRIP_HEIGHTS[min(len(panel.strips), 3)]
    parts, top = [], TOP
    for strip in panel.strips:
        parts.append(_strip(panel, strip, axis, top, top + height))
        top += height + GAP
    bottom = top - GAP
    parts += [_time_axis(axis, bottom), _cursor(bottom)]
    parts += [
        element("circle", class_="dot", r=3.2, fill=line.colour, data_column=line.name)
        for strip in panel.strips
        for line in strip.lines
    ]
    return _svg(parts, bottom + BOTTOM, panel.title)


def draw_heat(heat: Heat, axis: TimeAxis) -> str:
    """A heat map as one `<svg>`: time to the right, the first row on top."""
    bottom = TOP + float(np.clip(heat.cells.shape[1] * 6.0, 90.0, 250.0))
    count = min(HEAT_COLUMNS, max(2, len(heat.rows)))
    moments = (np.arange(count) + 0.5) / count * axis.end
    newest = np.clip(np.searchsorted(heat.times, moments, side="right") - 1, 0, None)
    shares = (heat.cells[newest].T.astype(np.float64) - heat.low) / (heat.high - heat.low)
    image = element(
        "image",
        x=LEFT,
        y=TOP,
        width=RIGHT - LEFT,
        height=bottom - TOP,
        preserveAspectRatio="none",
        class_="heat",
        href=png_uri(ramp(heat.ramp, shares)),
    )
    last = heat.cells.shape[1] - 1
    names = [
        label("0", LEFT - 6, TOP + 8, class_="tick end"),
        label(str(last), LEFT - 6, bottom, class_="tick end"),
        label(f"{heat.row_name} →", 0.0, 0.0, class_="axis", transform=_upright(TOP, bottom)),
    ]
    frame = element("rect", x=LEFT, y=TOP, width=RIGHT - LEFT, height=bottom - TOP, class_="frame")
    row = element("rect", class_="row", x=LEFT, width=RIGHT - LEFT, height=2.0)
    parts = [image, frame, *names, _time_axis(axis, bottom), row, _cursor(bottom)]
    return _svg(parts, bottom + BOTTOM, heat.title, rows=heat.cells.shape[1], bottom=bottom)


def _svg(parts: list[str], height: float, title: str, **extra: object) -> str:
    data = {f"data_{name}": value for name, value in extra.items()}
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_label=title,
        data_left=LEFT,
        data_right=RIGHT,
        data_top=TOP,
        **data,
    )


def _strip(panel: Panel, strip: Strip, axis: TimeAxis, top: float, bottom: float) -> str:
    columns = [panel.columns[line.name].astype(np.float64) for line in strip.lines]
    low, high = _range(np.concatenate([*columns, np.array(list(strip.levels.values()))]))
    scale = Scale(low, high, bottom, top)
    parts = [_shade(axis, top, bottom)]
    for value in scale.ticks(round((bottom - top) / 26)):
        y = scale.at(value)
        parts.append(element("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(label(number(value), LEFT - 6, y + 3.5, class_="tick end"))
    parts.append(_levels(strip, scale, top, bottom))
    if strip.between is not None:
        one, other = (panel.columns[name].astype(np.float64) for name in strip.between)
        parts.append(_area(axis.scale(panel.times), scale(one), scale(other)))
    for line, column in zip(strip.lines, columns, strict=True):
        parts.append(
            element(
                "path",
                class_="line wish" if line.wish else "line",
                stroke=line.colour,
                d=path(axis.scale(panel.times), scale(column)),
                data_column=line.name,
                data_scale=scale.attribute,
            )
        )
    parts.append(label(strip.title, 0.0, 0.0, class_="axis", transform=_upright(top, bottom)))
    return element("g", *parts)


def _levels(strip: Strip, scale: Scale, top: float, bottom: float) -> str:
    """Named levels; and what lies beyond them, where that is out of range."""
    parts = []
    places = {name: scale.at(value) for name, value in strip.levels.items()}
    if strip.forbidden:
        edges = [(max(places.values()), bottom)]
        if len(places) > 1:
            edges.append((top, min(places.values())))
        parts += [
            element("rect", x=LEFT, width=RIGHT - LEFT, y=a, height=max(b - a, 0.0), class_="out")
            for a, b in edges
        ]
    for name, y in places.items():
        kind = "level limit" if strip.forbidden else "level"
        parts.append(element("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_=kind))
        if name not in ("0",):
            parts.append(label(name, RIGHT - 4, y - 3, class_="tick end"))
    return "".join(parts)


def _shade(axis: TimeAxis, top: float, bottom: float) -> str:
    """Stretches of intervention behind, marks of the fallback on the upper edge."""
    parts = []
    for begin, end in axis.interventions:
        x = axis.scale.at(begin)
        width = max(axis.scale.at(end) - x, 0.8)
        parts.append(
            element("rect", x=x, y=top, width=width, height=bottom - top, class_="intervention")
        )
    for begin, end in axis.fallbacks:
        x = axis.scale.at(begin)
        width = max(axis.scale.at(end) - x, 2.0)
        parts.append(element("rect", x=x, y=top - 3, width=width, height=5.0, class_="fallback"))
    return "".join(parts)


def _area(
    x: Float[np.ndarray, " N"], one: Float[np.ndarray, " N"], other: Float[np.ndarray, " N"]
) -> str:
    """The area between two lines, where both are finite."""
    good = np.isfinite(one) & np.isfinite(other)
    if not good.any():
        return ""
    there, back = path(x[good], one[good]), path(x[good][::-1], other[good][::-1])
    return element("path", class_="between", d=f"{there}L{back[1:]}Z")


def _time_axis(axis: TimeAxis, bottom: float) -> str:
    parts = [element("line", x1=LEFT, x2=RIGHT, y1=bottom, y2=bottom, class_="base")]
    for value in axis.scale.ticks(8):
        x = axis.scale.at(value)
        parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="base"))
        unit = "" if value else " s"
        parts.append(label(number(value) + unit, x, bottom + 15, class_="tick middle"))
    return "".join(parts)


def _cursor(bottom: float) -> str:
    return element("line", class_="cursor", x1=LEFT, x2=LEFT, y1=TOP, y2=bottom)


def _upright(top: float, bottom: float) -> str:
    """Puts text that reads upwards beside an axis, in its middle."""
    return f"translate(10 {(top + bottom) / 2:g}) rotate(-90)"


def _range(values: Float[np.ndarray, " N"]) -> tuple[float, float]:
    """What a vertical axis shows: all finite values and a little air."""
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    air = 0.06 * (high - low) or 0.5
    return low - air, high + air
