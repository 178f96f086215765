"""Drawings of wirings: neurons in columns with their synapses, and the table of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from lnn_nav.cells import Wiring
from lnn_nav.extras import liquid
from lnn_nav.insight.canvas import blank, figure_of
from lnn_nav.insight.colours import EXCITES, INHIBITS, LINES
from lnn_nav.insight.wiring import INPUTS, checked, connectivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch

Place = tuple[float, float]

EXCITING, INHIBITING = "-|>,head_width=0.15", "|-|,widthA=0,widthB=0.3"
"""Heads of synapses, after the habit of neuroscience: an arrow excites, a bar inhibits."""
THINNEST, THICKEST = 0.3, 2.5


def columns(wiring: Wiring) -> list[tuple[str, tuple[str, ...]]]:
    """Titles and nodes of a drawing's columns: inputs, layers in the order of signals, outputs.

    Outputs that are not a layer of their own leave theirs for the last column.
    """
    outputs = tuple(range(wiring.outputs))
    own = [name for name, ids in wiring.layers if sorted(ids) == list(outputs)]
    layers = [(name, [k for k in ids if k >= wiring.outputs]) for name, ids in wiring.layers]
    layers = [(name, ids) for name, ids in layers if ids] + [((own or ["outputs"])[0], outputs)]
    inputs = tuple(f"input {k}" for k in range(wiring.inputs))
    return [(INPUTS, inputs), *((name, tuple(f"neuron {k}" for k in ids)) for name, ids in layers)]


def layout(wiring: Wiring) -> dict[str, Place]:
    """Place of every node: x is the number of its column, y in [0, 1], the first on top."""
    return {
        name: (float(x), 1 - (row + 0.5) / len(names))
        for x, (_, names) in enumerate(columns(wiring))
        for row, name in enumerate(names)
    }


def draw_wiring(
    wiring: Wiring,
    axes: Axes | None = None,
    *,
    strengths: Float[np.ndarray, "*table"] | None = None,
) -> Figure:
    """Draw neurons in columns and one arrow a synapse.

    What excites is blue with the head of an arrow, what inhibits orange with a bar. Every arrow's
    `gid` is "source > target".

    Args:
        wiring: who hears whom.
        axes: to draw on; a figure of its own by default.
        strengths: of the synapses, for the width of the arrows `[inputs + neurons, neurons]`.

    Raises:
        MissingExtra: matplotlib is not installed.
        ProbeError: the strengths do not fit the wiring.
    """
    strengths, places, stacks = checked(wiring, strengths), layout(wiring), columns(wiring)
    tallest = max(len(names) for _, names in stacks)
    if axes is None:
        axes = blank(2.0 * len(stacks), min(max(3.0, 0.22 * tallest), 12.0)).add_subplot()
    table, sources, targets = connectivity(wiring)
    strongest = 1.0 if strengths is None else strengths.max() or 1.0
    shares = np.full(table.shape, 0.2) if strengths is None else strengths / strongest
    widths = THINNEST + (THICKEST - THINNEST) * shares
    for row, column in np.argwhere(table):
        source, target = sources[row], targets[column]
        arrow = _arrow(places[source], places[target], bool(table[row, column] > 0))
        arrow.set(linewidth=widths[row, column], gid=f"{source} > {target}")
        axes.add_patch(arrow)
    _nodes(axes, stacks, places, tallest)
    return figure_of(axes)


def draw_connectivity(
    wiring: Wiring,
    axes: Axes | None = None,
    *,
    strengths: Float[np.ndarray, "*table"] | None = None,
) -> Figure:
    """Draw the table of connections: sources down, neurons across, polarity as colour.

    Args:
        wiring: who hears whom.
        axes: to draw on; a figure of its own by default.
        strengths: of the synapses, for how deep the colours are `[inputs + neurons, neurons]`.

    Raises:
        MissingExtra: matplotlib is not installed.
        ProbeError: the strengths do not fit the wiring.
    """
    table, strengths = connectivity(wiring).table, checked(wiring, strengths)
    shown = table.astype(float) if strengths is None else np.sign(table) * strengths
    if axes is None:
        rows, across = table.shape
        axes = blank(*np.clip([2 + 0.12 * across, 1.5 + 0.12 * rows], 3.5, 12)).add_subplot()
    ramp = liquid("matplotlib.colors").LinearSegmentedColormap
    most = np.abs(shown).max() or 1.0
    colours = ramp.from_list("polarity", [INHIBITS, "white", EXCITES])
    axes.imshow(shown, cmap=colours, vmin=-most, vmax=most, interpolation="nearest", aspect="auto")
    blocks = _blocks(wiring)
    for _, (first, last) in blocks[:-1]:
        axes.axhline(last + 0.5, color=LINES[-1], linewidth=0.6)
        if first >= wiring.inputs:
            axes.axvline(last + 0.5 - wiring.inputs, color=LINES[-1], linewidth=0.6)
    axes.set_yticks([sum(ends) / 2 for _, ends in blocks], [name for name, _ in blocks])
    axes.set(xlabel="neuron", title="blue excites, orange inhibits")
    return figure_of(axes)


def _blocks(wiring: Wiring) -> list[tuple[str, tuple[int, int]]]:
    """Layers as they lie beside each other in the table: name, first and last row."""
    names = [INPUTS] * wiring.inputs + [wiring.layer_of(k) for k in range(wiring.neurons)]
    starts = [k for k, name in enumerate(names) if k in (0, wiring.inputs) or name != names[k - 1]]
    ends = [start - 1 for start in starts[1:]] + [len(names) - 1]
    return [(names[first], (first, last)) for first, last in zip(starts, ends, strict=True)]


def _arrow(begin: Place, end: Place, excites: bool) -> FancyArrowPatch:
    """A synapse: straight if it leads onward, bent past the nodes between if not."""
    bend = 0.0 if end[0] > begin[0] else 0.35
    if begin == end:
        (x, y), bend = begin, -2.5
        begin, end = (x - 0.03, y), (x + 0.03, y)
    return liquid("matplotlib.patches").FancyArrowPatch(
        begin,
        end,
        connectionstyle=f"arc3,rad={bend:g}",
        arrowstyle=EXCITING if excites else INHIBITING,
        color=EXCITES if excites else INHIBITS,
        alpha=0.6,
        mutation_scale=8,
        shrinkA=4,
        shrinkB=6,
    )


def _nodes(
    axes: Axes,
    stacks: list[tuple[str, tuple[str, ...]]],
    places: dict[str, Place],
    tallest: int,
) -> None:
    """Nodes with their numbers, titles of the columns, and what the colours mean."""
    for x, (title, names) in enumerate(stacks):
        spots = np.array([places[name] for name in names])
        edge = LINES[-1] if x == 0 else "black"
        axes.scatter(*spots.T, s=70, color="white", edgecolors=edge, zorder=3, linewidth=0.8)
        if tallest <= 60:
            for name, (across, up) in zip(names, spots, strict=True):
                number = name.partition(" ")[2]
                axes.annotate(number, (across, up), ha="center", va="center", fontsize=6, zorder=4)
        axes.annotate(title, (x, 1.03), ha="center", va="bottom", annotation_clip=False)
    line = liquid("matplotlib.lines").Line2D
    keys = [line([], [], color=EXCITES, label="excites"), line([], [], color=INHIBITS)]
    keys[1].set_label("inhibits")
    axes.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)
    axes.set(xlim=(-0.4, len(stacks) - 0.6), ylim=(0, 1))
    axes.set_axis_off()
