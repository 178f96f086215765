"""What the report plots: panels of lines and of heat over the time of a flight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from lnn_nav.insight.colours import LINES, WISH
from lnn_nav.insight.decimate import kept_rows

MOST_POINTS = 1200
"""Points of a line, at most."""

MOST_CELLS = 60_000
"""Numbers of a heat map, at most."""


@dataclass(frozen=True)
class Line:
    """One column of a panel.

    Attributes:
        name: as in the legend and in the page's data.
        colour: `#rrggbb`.
        wish: drawn thin: what was asked for, not what was.
    """

    name: str
    colour: str
    wish: bool = False


@dataclass(frozen=True)
class Strip:
    """Lines that share a vertical axis.

    Attributes:
        title: what is measured, and in what unit.
        lines: from the back to the front.
        levels: named values that get a horizontal line each, and are always in view.
        between: names of two lines with the area between them filled.
        forbidden: values below the first or above the last level are out of range.
    """

    title: str
    lines: tuple[Line, ...]
    levels: Mapping[str, float]
    between: tuple[str, str] | None = None
    forbidden: bool = False


@dataclass(frozen=True, eq=False)
class Panel:
    """Lines over time.

    Attributes:
        name: the panel's key in the page and in its data.
        title: headline.
        note: one sentence on how to read it.
        unit: of its columns.
        rows: rows of the flight's columns that were kept.
        times: of those rows [s].
        columns: name -> values of those rows.
        strips: from top to bottom.
    """

    name: str
    title: str
    note: str
    unit: str
    rows: Int[np.ndarray, " N"]
    times: Float[np.ndarray, " N"]
    columns: Mapping[str, Shaped[np.ndarray, " N"]]
    strips: tuple[Strip, ...]


@dataclass(frozen=True, eq=False)
class Heat:
    """A matrix over time.

    Attributes:
        name: the panel's key in the page and in its data.
        title: headline.
        note: one sentence on how to read it.
        unit: of its cells.
        row_name: what one row of the picture is.
        rows: rows of the flight's columns that were kept.
        times: of those rows [s].
        cells: the values.
        ramp: anchors of the colours.
        low: value of the first colour.
        high: value of the last colour.
    """

    name: str
    title: str
    note: str
    unit: str
    row_name: str
    rows: Int[np.ndarray, " N"]
    times: Float[np.ndarray, " N"]
    cells: Shaped[np.ndarray, "N H"]
    ramp: tuple[str, ...]
    low: float
    high: float


def line_panel(
    name: str,
    title: str,
    note: str,
    unit: str,
    times: Float[np.ndarray, " T"],
    columns: Mapping[str, Shaped[np.ndarray, " T"]],
    strips: tuple[Strip, ...],
) -> Panel:
    """A panel of the rows that carry the extremes of its columns; see `Panel` for the arguments."""
    stacked = np.stack([column.astype(np.float64) for column in columns.values()], axis=1)
    rows = kept_rows(stacked, MOST_POINTS)
    kept = {key: column[rows] for key, column in columns.items()}
    return Panel(name, title, note, unit, rows, times[rows], kept, strips)


def heat_panel(
    name: str,
    title: str,
    note: str,
    unit: str,
    row_name: str,
    times: Float[np.ndarray, " T"],
    cells: Shaped[np.ndarray, "T H"],
    ramp: tuple[str, ...],
    limits: tuple[float, float],
) -> Heat:
    """A heat map of evenly chosen rows; see `Heat` for the arguments."""
    most = max(2, min(MOST_POINTS, MOST_CELLS // max(1, cells.shape[1])))
    count = min(len(times), most)
    rows = np.unique(np.linspace(0, len(times) - 1, count).round().astype(int))
    return Heat(name, title, note, unit, row_name, rows, times[rows], cells[rows], ramp, *limits)


def axes_strips(
    what: str, names: tuple[str, str], levels: Mapping[str, float]
) -> tuple[Strip, ...]:
    """A strip for each of x, y and z, with what was wished for behind what was flown."""
    wish, flown = names
    return tuple(
        Strip(
            f"{what} {axis}",
            (Line(f"{wish} {axis}", WISH, wish=True), Line(f"{flown} {axis}", colour)),
            levels,
            between=(f"{wish} {axis}", f"{flown} {axis}"),
        )
        for axis, colour in zip("xyz", LINES, strict=False)
    )
