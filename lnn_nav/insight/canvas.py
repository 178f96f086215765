"""Where drawings of networks begin: a figure that belongs to nobody's window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnn_nav.extras import liquid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def blank(width: float, height: float) -> Figure:
    """An empty figure of a size [inch], drawn in software; pyplot does not know of it.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure = liquid("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    liquid("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    return figure


def figure_of(axes: Axes) -> Figure:
    """The figure that holds the axes, even where they are part of a part of it.

    Raises:
        ValueError: the axes were removed from it.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes: expected axes of a figure, got some that were removed")
    return figure


def plain(axes: Axes) -> Axes:
    """Axes without a box."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes
