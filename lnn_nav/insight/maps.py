"""The path in its world, from above and from the side."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lnn_nav.insight.contents import along_track
from lnn_nav.insight.panels import Panel
from lnn_nav.insight.silhouettes import View, silhouette
from lnn_nav.insight.svg import Scale, element, label, number
from lnn_nav.insight.track import closest, coloured, crosses, drone, halo, places, touch
from sim.judge import fallbacks, interventions
from sim.motion import obstacle_at
from sim.record import Flight
from sim.world import Obstacle

WIDTH, LEFT, TOP, BOTTOM = 1120.0, 34.0, 8.0, 24.0
NEAR = 1.5
"""An obstacle that comes this near to the path is drawn strongly in the view from the side [m]."""


def draw_maps(flight: Flight, panel: Panel) -> tuple[str, str]:
    """Both views, with the same horizontal scale: from above, then from the side."""
    lower, upper = frame(flight)
    above = _view((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), lower, upper)
    forward = along_track(flight)
    right = (float(forward[0]), float(forward[1]), 0.0)
    corners = np.array(
        [(x, y) for x in (lower[0], upper[0]) for y in (lower[1], upper[1])]
    ) @ np.array(right[:2])
    low = np.array([corners.min(), 0.0, 0.0])
    high = np.array([corners.max(), 0.0, upper[2]])
    aside = _view(right, (0.0, 0.0, 1.0), low, high, plane=True)
    return _map(flight, panel, *above), _map(flight, panel, *aside)


def frame(flight: Flight) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """Lower and upper corner of what the maps show: the path and some room, inside the bounds."""
    world = flight.world
    places = np.array([world.start_position, world.target, *world.via])
    points = np.vstack([places, flight.position[np.isfinite(flight.position).all(axis=1)]])
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.maximum(2.2, 0.08 * (high - low))
    bound_low, bound_high = (np.array(corner) for corner in world.bounds)
    inside = np.maximum(low - room, bound_low), np.minimum(high + room, bound_high)
    # A flight that left the bounds is shown where it went.
    lower, upper = np.minimum(inside[0], low - 0.3), np.maximum(inside[1], high + 0.3)
    lower[2] = 0.0
    return lower, upper


Placed = tuple[View, tuple[float, float, float, float], float]


def _view(
    right: tuple[float, float, float],
    up: tuple[float, float, float],
    lower: Float[np.ndarray, " 3"],
    upper: Float[np.ndarray, " 3"],
    plane: bool = False,
) -> Placed:
    """A view that fills the picture's width.

    Returns:
        The view, the box shown (left, right, bottom, top in metres of the page's plane) and the
        height of the picture.
    """
    corners = (lower, upper)
    ends = [
        (float(c[0]), float(c[2]))
        if plane
        else (float(c @ np.array(right)), float(c @ np.array(up)))
        for c in corners
    ]
    (left, bottom), (far, top) = ends
    scale = (WIDTH - LEFT - 8) / (far - left)
    height = TOP + (top - bottom) * scale + BOTTOM
    view = View(right, up, scale, (LEFT - left * scale, TOP + top * scale))
    return view, (left, far, bottom, top), height


def _map(
    flight: Flight,
    panel: Panel,
    view: View,
    box: tuple[float, float, float, float],
    height: float,
) -> str:
    name = "above" if view.from_above else "side"
    points = np.stack([panel.columns[axis] for axis in "xyz"], axis=1)
    x, y = view(points).T
    clip = f"clip-{name}"
    inside = "".join(
        [
            *_ways(flight, view),
            *_obstacles(flight, view),
            places(flight.world, view),
            halo(x, y, interventions(flight)[panel.rows]),
            coloured(x, y, panel.columns["speed"], flight.world.speed),
            crosses(view(flight.position[fallbacks(flight)])),
            closest(flight, view),
            touch(flight, view),
            drone(view),
        ]
    )
    paper = (LEFT, TOP, WIDTH - LEFT - 8, height - TOP - BOTTOM)
    sizes = dict(zip(("x", "y", "width", "height"), paper, strict=True))
    return element(
        "svg",
        element("clipPath", element("rect", **sizes), id=clip),
        element("rect", class_="paper", **sizes),
        _grid(view, box, height),
        element("g", inside, clip_path=f"url(#{clip})"),
        element("rect", class_="frame", **sizes),
        viewBox=f"0 0 {WIDTH:g} {height:.0f}",
        role="img",
        aria_label=f"the path from {name}",
        data_view=name,
        data_origin=f"{view.origin[0]:.3f},{view.origin[1]:.3f}",
        data_metre=f"{view.scale:.4f}",
        data_right=f"{view.right[0]:.6f},{view.right[1]:.6f}",
    )


def _obstacles(flight: Flight, view: View) -> list[str]:
    """Obstacles, those that matter in this view stronger and in front."""
    drawn: list[tuple[bool, str]] = []
    for item in flight.world.obstacles:
        matters = _matters(item, flight, view)
        shape = silhouette(item, view, class_="obstacle" if matters else "obstacle faint")
        drawn.append((matters, shape))
    return [shape for _, shape in sorted(drawn, key=lambda pair: pair[0])]


def _ways(flight: Flight, view: View) -> list[str]:
    """What moves is drawn where it starts; a faint trace leads to where it is at the end."""
    end, drawn = float(flight.times[-1]), []
    for item in flight.world.obstacles:
        if any(item.velocity):
            last = obstacle_at(item, end)
            (x1, y1), (x2, y2) = view(np.array([item.center, last.center])).tolist()
            drawn.append(silhouette(last, view, class_="gone"))
            drawn.append(element("line", class_="gone", x1=x1, y1=y1, x2=x2, y2=y2))
    return drawn


def _matters(item: Obstacle, flight: Flight, view: View) -> bool:
    """From above: it reaches the heights flown. From the side: it comes near the path."""
    half = np.array(item.half_size)
    low, high = np.array(item.center) - half, np.array(item.center) + half
    sound = np.isfinite(flight.position).all(axis=1)
    # As the obstacle sees it: where the drone would have passed it, had it stood still.
    points = flight.position[sound] - flight.times[sound][:, None] * np.array(item.velocity)
    if view.from_above:
        heights = points[:, 2]
        return bool(not len(heights) or (low[2] < heights.max() and high[2] > heights.min()))
    gaps = np.maximum(np.maximum(low - points, points - high), 0)[:: max(1, len(points) // 400)]
    return bool((np.linalg.norm(gaps, axis=1) < NEAR).any())


def _grid(view: View, box: tuple[float, float, float, float], height: float) -> str:
    left, right, bottom, top = box
    x_scale = Scale(left, right, LEFT, WIDTH - 8)
    y_scale = Scale(bottom, top, height - BOTTOM, TOP)
    parts = []
    for value in x_scale.ticks(12):
        x = x_scale.at(value)
        parts.append(element("line", class_="grid", x1=x, x2=x, y1=TOP, y2=height - BOTTOM))
        parts.append(label(number(value), x, height - BOTTOM + 15, class_="tick middle"))
    for value in y_scale.ticks(max(3, round((top - bottom) / 1.5))):
        y = y_scale.at(value)
        parts.append(element("line", class_="grid", x1=LEFT, x2=WIDTH - 8, y1=y, y2=y))
        parts.append(label(number(value), LEFT - 6, y + 4, class_="tick end"))
    return "".join(parts)
