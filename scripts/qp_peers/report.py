"""The rows as text: a table by cell, the ratios that are promised, and who is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
FORWARD, BOTH, INSIDE = "forward_us", "forward_backward_us", "inside_jit_us"
COLUMNS = (
    ("forward_us", "forward us", "{:.2f}"),
    ("forward_backward_us", "f+b us", "{:.2f}"),
    ("max_error", "max error", "{:.0e}"),
    ("hard_violation", "outside", "{:.0e}"),
    ("nonfinite_gradients", "bad grad", "{}"),
    ("unconverged", "unconv", "{}"),
    ("inside_jit_us", "in jit us", "{:.2f}"),
)


@dataclass(frozen=True)
class Figure:
    """How much faster than a peer, in float64.

    Attributes:
        peer: its name.
        time: which time.
        n: variables.
        rows: K.
        batch: B.
        asked: the ratio that is asked for.
    """

    peer: str
    time: str
    n: int
    rows: int
    batch: int
    asked: float


FIGURES = (
    Figure("qpax", BOTH, 4, 16, 1024, 60),
    Figure("moreau.jax", BOTH, 4, 16, 1024, 5),
    Figure("qpth", BOTH, 4, 16, 1024, 60),
    Figure("daqp", FORWARD, 4, 16, 1024, 2),
    Figure("daqp-soft", FORWARD, 4, 16, 1024, 2),
    Figure("qpax", BOTH, 4, 128, 1024, 200),
    Figure("moreau.jax", BOTH, 4, 128, 1024, 10),
    Figure("qpax", INSIDE, 4, 16, 1, 5),
)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of the whole table."""
    cell = None
    for row in rows:
        if cell != (cell := (row["n"], row["K"], row["batch"], row["dtype"])):
            heads = "".join(f"{head:>12}" for _, head, _ in COLUMNS)
            yield ""
            yield f"n={cell[0]} K={cell[1]} B={cell[2]} {cell[3]}"
            yield f"{'per problem':22}{heads}"
        if row["forward_us"] is None:  # The remarks say why.
            continue
        values = "".join(f"{_shown(row[key], form):>12}" for key, _, form in COLUMNS)
        yield f"{row['solver']:22}{values}"


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def ratios(rows: Sequence[Row]) -> Iterator[str]:
    """One line for each figure that these rows can tell."""
    told = {(row["solver"], row["n"], row["K"], row["batch"], row["dtype"]): row for row in rows}
    for figure in FIGURES:
        where = (figure.n, figure.rows, figure.batch, "float64")
        ours, theirs = told.get(("barriernet", *where)), told.get((figure.peer, *where))
        if not (ours and theirs and ours[figure.time] and theirs[figure.time]):
            continue
        ratio = theirs[figure.time] / ours[figure.time]
        cell = f"n={figure.n} K={figure.rows} B={figure.batch}"
        kind = {FORWARD: "forward", BOTH: "forward+backward", INSIDE: "inside jit"}[figure.time]
        yield f"{cell}, {kind}: {ratio:.1f} x faster than {figure.peer} (asked: {figure.asked:g})"
    alone = told.get(("barriernet", 4, 16, 1, "float64"))
    if alone and alone[INSIDE]:
        yield f"n=4 K=16 B=1, inside jit: {alone[INSIDE]:.1f} us forward (asked: 30)"


def remarks(rows: Sequence[Row]) -> Iterator[str]:
    """Each note once, with those whom it is about; those that are missing first."""
    about: dict[str, list[str]] = {}
    for row in rows:
        names = about.setdefault(row["note"], [])
        if row["note"] and row["solver"] not in names:
            names.append(row["solver"])
    for note in sorted(about, key=lambda note: not note.startswith("missing")):
        if note:
            yield f"{', '.join(about[note])}: {note}"
