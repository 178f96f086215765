"""From a flight to the panels of its report."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lnn_nav.insight.colours import ACTIVITY, LINES, RANGES
from lnn_nav.insight.panels import Heat, Line, Panel, Strip, axes_strips, heat_panel, line_panel
from sim.clearances import clearance
from sim.judge import tilt
from sim.record import Flight
from sim.state import yaw_of


@dataclass(frozen=True)
class Contents:
    """All that a report plots.

    Attributes:
        path: where the airframe was; drawn in the world, not over time.
        panels: over time, in the order of the page.
    """

    path: Panel
    panels: tuple[Panel | Heat, ...]


def contents(flight: Flight) -> Contents:
    """The panels for which the flight holds columns."""
    candidates = (
        _barrier(flight),
        _rotors(flight),
        _acceleration(flight),
        _motion(flight),
        _gains(flight),
        _neurons(flight),
        _ranges(flight),
    )
    return Contents(_path(flight), tuple(panel for panel in candidates if panel is not None))


def without_infinities(flight: Flight) -> Flight:
    """The same flight with nan for every infinity: both plot as a gap, nan without warnings."""

    def calm(column: np.ndarray) -> np.ndarray:
        floats = column.dtype.kind == "f"
        return (
            np.where(np.isfinite(column), column, np.nan).astype(column.dtype) if floats else column
        )

    names = ("position", "velocity", "quaternion", "angular_velocity", "forces")
    return replace(
        flight,
        records={name: calm(column) for name, column in flight.records.items()},
        think_records={name: calm(column) for name, column in flight.think_records.items()},
        **{name: calm(getattr(flight, name)) for name in names},
    )


def along_track(flight: Flight) -> np.ndarray:
    """Horizontal unit vector from the start to the target; x where they lie above each other."""
    way = np.subtract(flight.world.target, flight.world.start_position)[:2]
    length = float(np.linalg.norm(way))
    return way / length if length > 1e-9 else np.array([1.0, 0.0])


def _path(flight: Flight) -> Panel:
    start = np.asarray(flight.world.start_position)
    columns = dict(zip("xyz", flight.position.T, strict=True))
    columns["along"] = (flight.position[:, :2] - start[:2]) @ along_track(flight)
    columns["speed"] = np.linalg.norm(flight.velocity, axis=1)
    columns["yaw"] = yaw_of(flight.quaternion)
    note = "Colour is speed; an orange halo marks where the barrier changed the command."
    return line_panel("path", "The path", note, "m, m/s, rad", flight.times, columns, ())


def _barrier(flight: Flight) -> Panel:
    world, radius = flight.world, flight.airframe.collision_radius
    columns = {"clearance": clearance(world, radius, flight.position, flight.times)}
    lines = [Line("clearance", LINES[5])]
    if "barrier" in flight.records:
        barrier = flight.records["barrier"].reshape(len(flight.times), -1).min(axis=1)
        columns["barrier h"] = barrier
        lines.append(Line("barrier h", LINES[0]))
    strip = Strip("distance [m]", tuple(lines), {"contact": 0.0}, forbidden=True)
    note = "Clearance to anything solid, and the barrier's own value: safe is above zero."
    return line_panel("barrier", "Barrier", note, "m", flight.times, columns, (strip,))


def _rotors(flight: Flight) -> Panel:
    columns = {f"rotor {i}": flight.forces[:, i] for i in range(4)}
    lines = tuple(Line(name, colour) for name, colour in zip(columns, LINES, strict=False))
    levels = {"0": 0.0, "limit": flight.airframe.max_force}
    strip = Strip("force [N]", lines, levels, forbidden=True)
    note = "Each rotor's force as the engine got it, between nothing and its limit."
    return line_panel("rotors", "Rotor forces", note, "N", flight.times, columns, (strip,))


def _acceleration(flight: Flight) -> Panel | None:
    recorded = ("acceleration_wish", "acceleration")
    if any(name not in flight.records for name in recorded):
        return None
    names = ("wish", "flown")
    columns = {
        f"{name} {axis}": flight.records[column][:, i]
        for i, axis in enumerate("xyz")
        for name, column in zip(names, recorded, strict=True)
    }
    strips = axes_strips("[m/s²]", names, {"0": 0.0})
    note = "Grey is what the policy asked for, colour what the barrier let through."
    return line_panel(
        "acceleration", "Wish and flown", note, "m/s^2", flight.times, columns, strips
    )


def _motion(flight: Flight) -> Panel:
    columns = {
        "speed": np.linalg.norm(flight.velocity, axis=1),
        "altitude": flight.position[:, 2],
        "tilt": np.degrees(tilt(flight.quaternion)),
    }
    strips = (
        Strip("speed [m/s]", (Line("speed", LINES[0]),), {"set": flight.world.speed}),
        Strip("altitude [m]", (Line("altitude", LINES[2]),), {"ground": 0.0}),
        Strip("tilt [°]", (Line("tilt", LINES[3]),), {"0": 0.0}),
    )
    note = "Speed against the mission's set speed, height above the ground, lean."
    return line_panel("motion", "Motion", note, "m/s, m, deg", flight.times, columns, strips)


def _gains(flight: Flight) -> Panel | None:
    gains = flight.records.get("gains")
    if gains is None or gains.ndim != 2 or not 1 <= gains.shape[1] <= len(LINES):
        return None
    columns = {f"gain {i}": gains[:, i] for i in range(gains.shape[1])}
    lines = tuple(Line(name, colour) for name, colour in zip(columns, LINES, strict=False))
    strip = Strip("gain", lines, {"0": 0.0})
    note = "How firmly each barrier acts, as the network chose: low brakes early and gently."
    return line_panel("gains", "Barrier gains", note, "1/s", flight.times, columns, (strip,))


def _neurons(flight: Flight) -> Heat | None:
    found = _matrix(flight, "neurons")
    if found is None:
        return None
    times, cells = found
    finite = np.abs(cells[np.isfinite(cells)])
    most = float(finite.max(initial=0.0)) or 1.0
    note = "Every row is a neuron of the policy: blue is negative, white at rest, red positive."
    return heat_panel(
        "neurons", "Neurons", note, "1", "neuron", times, cells, ACTIVITY, (-most, most)
    )


def _ranges(flight: Flight) -> Heat | None:
    found = _matrix(flight, "ranges")
    if found is None:
        return None
    times, cells = found
    most = float(cells[np.isfinite(cells)].max(initial=0.0)) or 1.0
    note = "Every row is a ray: dark is near."
    return heat_panel(
        "ranges", "What the rays saw", note, "m", "ray", times, cells, RANGES, (0.0, most)
    )


def _matrix(flight: Flight, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Times and a recorded `[rows, H]` matrix; None where there is none, or nothing in it."""
    for times, records in (
        (flight.think_times, flight.think_records),
        (flight.times, flight.records),
    ):
        cells = records.get(name)
        if cells is not None and cells.ndim == 2 and cells.any():
            return times, cells
    return None
