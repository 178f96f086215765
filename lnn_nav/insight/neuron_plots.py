"""Drawings of what neurons did: states, time constants and gradients over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jax import Array
from jaxtyping import Float

from lnn_nav.extras import liquid
from lnn_nav.insight.canvas import blank, figure_of, plain
from lnn_nav.insight.colours import ACTIVITY, LINES
from lnn_nav.insight.neurons import Recording
from lnn_nav.insight.probe import ProbeError
from lnn_nav.insight.time_constants import Bounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AnyArray = Array | np.ndarray


def draw_states(recording: Recording, neurons: Sequence[int] | None = None) -> Figure:
    """Draw memories over time: all of them as a heat map, and some as lines.

    Args:
        recording: of one sequence; of a batch take one, `jax.tree.map(lambda x: x[0], recording)`.
        neurons: which as lines; the first six by default.

    Raises:
        MissingExtra: matplotlib is not installed.
        ProbeError: the recording is of a batch, or there is no such neuron.
    """
    memory, time = np.asarray(recording.memory, float), np.asarray(recording.time, float)
    if memory.ndim != 2:
        raise ProbeError(f"recording: expected one sequence, [T, m], got {memory.shape}")
    chosen = _chosen(neurons, memory.shape[1])
    figure = blank(8.0, 4.5)
    above, below = figure.subplots(2, 1, sharex=True)
    ramp = liquid("matplotlib.colors").LinearSegmentedColormap.from_list("activity", ACTIVITY)
    most = np.abs(memory).max() or 1.0
    edges = np.concatenate([time[:1] - np.asarray(recording.dt, float)[:1], time])
    rows = np.arange(memory.shape[1] + 1) - 0.5
    image = above.pcolormesh(edges, rows, memory.T, cmap=ramp, vmin=-most, vmax=most)
    above.invert_yaxis()
    above.set(ylabel="neuron")
    figure.colorbar(image, ax=above, label="memory")
    for place, k in enumerate(chosen):
        below.plot(time, memory[:, k], color=LINES[place % len(LINES)], lw=1.2, label=f"{k}")
    plain(below).set(xlabel="time [s]", ylabel="memory")
    below.legend(title="neuron", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def draw_time_constants(
    time: Float[AnyArray, "*time"],
    constants: Float[AnyArray, "*constants"],
    bounds: Bounds | None = None,
    neurons: Sequence[int] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw time constants of some neurons over time, each inside its bounds.

    Args:
        time: of each step [s] `[T]`.
        constants: as `time_constant` gives them [s] `[T, m]`; what is infinite leaves a gap.
        bounds: as `time_constant_bounds` gives them, as dashes.
        neurons: which; the first six by default.
        axes: to draw on; a figure of its own by default.

    Raises:
        MissingExtra: matplotlib is not installed.
        ProbeError: the shapes do not fit each other, or there is no such neuron.
    """
    time, constants = np.asarray(time, float), np.asarray(constants, float)
    if time.ndim != 1 or constants.shape[:-1] != time.shape:
        shapes = f"{time.shape} and {constants.shape}"
        raise ProbeError(f"time, constants: expected [T] and [T, m], got {shapes}")
    chosen = _chosen(neurons, constants.shape[1])
    axes = plain(blank(8.0, 3.0).add_subplot() if axes is None else axes)
    shown = np.where(np.isfinite(constants), constants, np.nan)
    for place, k in enumerate(chosen):
        colour = LINES[place % len(LINES)]
        axes.plot(time, shown[:, k], color=colour, lw=1.2, label=f"{k}")
        for bound in bounds or ():
            axes.axhline(float(bound[k]), color=colour, lw=0.8, ls="--", alpha=0.7)
    axes.set(yscale="log", xlabel="time [s]", ylabel="time constant [s]")
    axes.legend(title="neuron", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure_of(axes)


def draw_gradient_norms(
    norms: Mapping[str, Float[AnyArray, "*batch_steps"]], axes: Axes | None = None
) -> Figure:
    """Draw how gradients fade into the past: the median of each cell's sequences, and quartiles.

    Args:
        norms: as `gradient_norms` gives them, by the name of the cell `[T]` or `[B, T]`; what is
            zero leaves a gap.
        axes: to draw on; a figure of its own by default.

    Raises:
        MissingExtra: matplotlib is not installed.
        ProbeError: norms have another number of axes.
    """
    axes = plain(blank(7.0, 3.5).add_subplot() if axes is None else axes)
    for place, (name, drawn) in enumerate(norms.items()):
        drawn = np.asarray(drawn, float)
        if drawn.ndim not in (1, 2):
            raise ProbeError(f"norms: expected [T] or [B, T], got {drawn.shape} for {name!r}")
        rows = np.atleast_2d(drawn)
        ago = np.arange(rows.shape[1])[::-1]
        colour = LINES[place % len(LINES)]
        low, middle, high = np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
        axes.plot(ago, middle, color=colour, lw=1.4, label=name)
        if len(rows) > 1:
            axes.fill_between(ago, low, high, color=colour, alpha=0.2, lw=0)
    axes.invert_xaxis()
    axes.set_yscale("log", nonpositive="mask")
    axes.set(xlabel="steps before the last", ylabel="|d loss / d memory|")
    axes.legend(frameon=False)
    return figure_of(axes)


def _chosen(neurons: Sequence[int] | None, count: int) -> list[int]:
    chosen = list(range(min(count, len(LINES)))) if neurons is None else list(neurons)
    if not all(0 <= k < count for k in chosen):
        raise ProbeError(f"neurons: expected 0 to {count - 1}, got {chosen}")
    return chosen
