"""The report of a flight: one HTML file that needs nothing else, for anybody to open."""

from __future__ import annotations

import base64
import json
import math
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from lnn_nav.insight.charts import TimeAxis, draw_heat, draw_lines
from lnn_nav.insight.colours import FALLBACK, INTERVENTION, SPEED
from lnn_nav.insight.contents import Contents, contents, without_infinities
from lnn_nav.insight.decimate import intervals
from lnn_nav.insight.maps import draw_maps
from lnn_nav.insight.panels import Heat, Panel
from lnn_nav.insight.summary import cards, eyebrow, headline, summary, tone
from lnn_nav.insight.track import speed_top
from sim.files import write_atomically
from sim.judge import Verdict, fallbacks, interventions
from sim.record import Flight

SMALLEST_GAP = 1 / 600
"""Stretches nearer to each other than this share of the flight are drawn as one."""


def write_report(
    flight: Flight, verdict: Verdict, path: Path | str, gif_bytes: bytes | None = None
) -> None:
    """Write the report of a flight, whole or not at all.

    Args:
        flight: what happened.
        verdict: what to make of it.
        path: of the HTML file.
        gif_bytes: a film of the flight to show on top.
    """
    page = report(flight, verdict, gif_bytes).encode()
    write_atomically(path, lambda file: file.write(page))


def report(flight: Flight, verdict: Verdict, gif_bytes: bytes | None = None) -> str:
    """The report as HTML; see `write_report`."""
    flight = without_infinities(flight)
    found = contents(flight)
    above, side = draw_maps(flight, found.path)
    axis = _time_axis(flight)
    top = speed_top(found.path.columns["speed"], flight.world.speed)
    return _page("page.html").substitute(
        title=escape(f"{verdict.outcome}: {verdict.pilot} in {verdict.world}"),
        style=_page("page.css").substitute(intervention=INTERVENTION, fallback=FALLBACK),
        tone=tone(verdict),
        eyebrow=eyebrow(verdict),
        outcome=headline(verdict),
        summary=summary(verdict),
        film=_film(gif_bytes),
        cards="\n".join(cards(flight, verdict)),
        path_note=escape(found.path.note),
        speed_ramp=f"linear-gradient(90deg,{','.join(SPEED)})",
        speed_top=f"{top:.1f}",
        above=above,
        side=side,
        panels="\n".join(_figure(panel, axis) for panel in found.panels),
        footer=_footer(flight),
        end=repr(float(flight.times[-1])),
        data=_script_safe(report_data(flight, verdict, found)),
        script=_text("page.js"),
    )


def report_data(flight: Flight, verdict: Verdict, found: Contents) -> dict[str, Any]:
    """All that the page shows, as plain data.

    Each panel has `rows` (of the flight's columns), `times` and `columns` (or, for a heat map,
    `cells`, a list for each time), with every number exactly as recorded.
    """
    return {
        "format": "lnn-nav/report",
        "version": 1,
        "verdict": json.loads(verdict.to_json()),
        "end": float(flight.times[-1]),
        "interventions": intervals(interventions(flight), flight.times),
        "fallbacks": intervals(fallbacks(flight), flight.times),
        "panels": {panel.name: _panel_data(panel) for panel in (found.path, *found.panels)},
    }


def _panel_data(panel: Panel | Heat) -> dict[str, Any]:
    data = {
        "title": panel.title,
        "unit": panel.unit,
        "rows": panel.rows.tolist(),
        "times": panel.times.tolist(),
    }
    if isinstance(panel, Heat):
        return data | {"cells": [numbers(row) for row in panel.cells]}
    return data | {"columns": {name: numbers(column) for name, column in panel.columns.items()}}


def numbers(column: np.ndarray) -> list[float | int | None]:
    """A column as JSON: the shortest decimals that give the same numbers back in its dtype.

    What is not finite becomes None, since JSON has no word for it.
    """
    if column.dtype.kind in "bui":
        return column.astype(int).tolist()
    # The text of a float32 is short; the float64 of it would have 17 digits.
    values = [float(text) for text in column.astype(str).tolist()]
    return [value if math.isfinite(value) else None for value in values]


def _time_axis(flight: Flight) -> TimeAxis:
    end = float(flight.times[-1])
    gap = end * SMALLEST_GAP
    return TimeAxis(
        end,
        intervals(interventions(flight), flight.times, gap),
        intervals(fallbacks(flight), flight.times, gap),
    )


def _figure(panel: Panel | Heat, axis: TimeAxis) -> str:
    if isinstance(panel, Heat):
        picture, entries = draw_heat(panel, axis), [_heat_legend(panel)]
    else:
        picture = draw_lines(panel, axis)
        entries = [
            f'<li data-column="{escape(line.name)}"><i style="background:{line.colour}"></i>'
            f"{escape(line.name)}<output></output></li>"
            for strip in panel.strips
            for line in strip.lines
        ]
    return (
        f'<figure class="panel" data-panel="{panel.name}">\n<figcaption><h2>{escape(panel.title)}'
        f"</h2><p>{escape(panel.note)}</p>"
        f'<ul class="legend">{"".join(entries)}</ul></figcaption>\n{picture}\n</figure>'
    )


def _heat_legend(heat: Heat) -> str:
    colours = ",".join(heat.ramp)
    return (
        f'<li class="bar"><span>{heat.low:.3g}</span><i style="background:linear-gradient(90deg,'
        f'{colours})"></i><span>{heat.high:.3g}</span></li>'
        f'<li data-column="cell">{heat.row_name} <b>0</b><output></output></li>'
    )


def _film(gif_bytes: bytes | None) -> str:
    if gif_bytes is None:
        return ""
    data = base64.b64encode(gif_bytes).decode("ascii")
    return f'<img class="film" alt="Film of the flight" src="data:image/gif;base64,{data}">'


def _footer(flight: Flight) -> str:
    rate = len(flight.times) / float(flight.times[-1])
    text = (
        f"{len(flight.times)} physics ticks at {rate:.0f} Hz, {len(flight.think_times)} sights. "
        "Hover over any panel to see one moment in all of them; space plays, arrows step. "
        "All numbers are in this file, under the id flight-data; flight.npz has every tick."
    )
    return escape(text)


def _script_safe(data: dict[str, Any]) -> str:
    """JSON that no HTML parser mistakes for the end of its element."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _page(name: str) -> Template:
    return Template(_text(name))


def _text(name: str) -> str:
    return files("lnn_nav.insight").joinpath("page", name).read_text(encoding="utf-8")
