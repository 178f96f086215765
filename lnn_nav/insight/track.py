"""What lies on the maps: the path coloured by speed, and the marks along it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from lnn_nav.insight.colours import SPEED, hexadecimal, ramp
from lnn_nav.insight.silhouettes import View
from lnn_nav.insight.svg import element, label, path
from sim.clearances import clearance
from sim.record import Flight
from sim.world import World

SPEED_LEVELS = 24


def places(world: World, view: View) -> str:
    """Start, points on the way, and the target with its radius."""
    radius = world.target_radius * view.scale
    start = view(np.array(world.start_position)).tolist()
    target = view(np.array(world.target)).tolist()
    parts = []
    for i, point in enumerate(world.via):
        x, y = view(np.array(point)).tolist()
        parts.append(element("circle", cx=x, cy=y, r=radius, class_="via"))
        parts.append(label(str(i + 1), x, y + 4, class_="place middle"))
    parts += [
        element("circle", cx=target[0], cy=target[1], r=radius, class_="target"),
        element("circle", cx=target[0], cy=target[1], r=3.0, class_="bull"),
        label("target", target[0], target[1] - radius - 6, class_="place middle"),
        element("circle", cx=start[0], cy=start[1], r=5.0, class_="start"),
        label("start", start[0], start[1] - 11, class_="place middle"),
    ]
    return "".join(parts)


def halo(
    x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"], marks: Bool[np.ndarray, " N"]
) -> str:
    """A glow under the stretches of the path on which the barrier intervened."""
    if not marks.any():
        return ""
    # A point alone still shows: the piece that leads to it glows too.
    lit = marks | np.append(marks[1:], False)
    return element("path", class_="halo", d=path(np.where(lit, x, np.nan), y))


def coloured(
    x: Float[np.ndarray, " N"],
    y: Float[np.ndarray, " N"],
    speed: Float[np.ndarray, " N"],
    set_speed: float,
) -> str:
    """The path, each stretch of like speed in one piece of its colour."""
    top = speed_top(speed, set_speed)
    shares = np.nan_to_num(speed / top)
    levels = np.clip((shares * SPEED_LEVELS).astype(int), 0, SPEED_LEVELS - 1)
    cuts: Int[np.ndarray, " C"] = np.flatnonzero(np.diff(levels)) + 1
    parts = []
    for first, last in zip([0, *cuts], [*cuts, len(x)], strict=True):
        piece = slice(first, min(last + 1, len(x)))
        colour = ramp(SPEED, np.array((levels[first] + 0.5) / SPEED_LEVELS))
        parts.append(
            element("path", class_="track", stroke=hexadecimal(colour), d=path(x[piece], y[piece]))
        )
    return "".join(parts)


def speed_top(speed: Float[np.ndarray, " N"], set_speed: float) -> float:
    """Speed of the last colour [m/s]: the fastest flown, or the set speed."""
    finite = speed[np.isfinite(speed)]
    return float(max(finite.max(initial=0.0), set_speed))


def crosses(places: Float[np.ndarray, "N 2"]) -> str:
    """Where the backup command flew: a cross for each stretch of ticks."""
    marks, last = [], None
    for x, y in places.tolist():
        if last is None or abs(x - last[0]) + abs(y - last[1]) > 6:
            marks.append(f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8")
            last = (x, y)
    return element("path", class_="cross", d="".join(marks)) if marks else ""


def closest(flight: Flight, view: View) -> str:
    """A ring where the flight came nearest to anything solid."""
    radius = flight.airframe.collision_radius
    distances = clearance(flight.world, radius, flight.position, flight.times)
    if not np.isfinite(distances).any():
        return ""
    row = int(np.nanargmin(distances))
    x, y = view(flight.position[row]).tolist()
    text = f"closest {distances[row]:.2f} m"
    ring = element("circle", class_="closest", cx=x, cy=y, r=9.0)
    return ring + label(text, x, y + 24, class_="place middle")


def touch(flight: Flight, view: View) -> str:
    """Where it first touched something."""
    rows = np.flatnonzero(flight.contact)
    if not rows.size or not np.isfinite(flight.position[rows[0]]).all():
        return ""
    x, y = view(flight.position[rows[0]]).tolist()
    return element("circle", class_="touch", cx=x, cy=y, r=7.0) + label(
        "contact", x, y - 14, class_="place middle"
    )


def drone(view: View) -> str:
    """The marker that the page's script moves along the path."""
    nose = element("path", d="M18 0L6 -6L6 6Z", class_="nose") if view.from_above else ""
    return element("g", nose, element("circle", r=6.0), class_="drone")
