"""A film of a flight, seen from behind the drone: replayed, drawn in software, kept as a GIF."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from lnn_nav.insight.overlay import Caption, draw_over, project, small_map
from sim.airframe import Airframe
from sim.camera import Stage, chase_view, render
from sim.clearances import clearance
from sim.files import write_atomically
from sim.judge import finite_ticks, interventions
from sim.motion import any_moves
from sim.record import Flight
from sim.state import State, yaw_of

FRAME_MS = 70
LONGEST_S = 6.5
"""A longer flight is shown faster."""
HOLD_MS = 1600
"""How long the last picture stays."""

ENLARGED = 2.2
"""The drone is drawn so many times as large as it is: it is 9 cm wide."""

COLOURS = 96
LENS = 0.12
"""Room that the camera keeps from solids [m]."""
BEHIND, ABOVE = 1.0, 0.42
TRAIL_TICKS, TRAIL_STEP = 360, 9


@dataclass(frozen=True, eq=False)
class Shots:
    """Where the drone and the camera are in each picture.

    Attributes:
        rows: rows of the flight.
        headings: direction that the camera looks in [rad].
        distances: of the camera behind the drone [m].
        heights: of the camera above the drone [m].
    """

    rows: Int[np.ndarray, " F"]
    headings: Float[np.ndarray, " F"]
    distances: Float[np.ndarray, " F"]
    heights: Float[np.ndarray, " F"]


def write_film(flight: Flight, path: Path | str) -> bytes:
    """Film a flight into a GIF file, whole or not at all; see `film`."""
    content = film(flight)
    write_atomically(path, lambda file: file.write(content))
    return content


def film(flight: Flight, width: int = 360, height: int = 270) -> bytes:
    """Film a flight.

    The engine that flew it is not needed: the record is replayed on a stage of its own.

    Args:
        flight: what happened.
        width: of the pictures [pixels].
        height: of the pictures [pixels].

    Returns:
        The contents of a GIF file: at most `LONGEST_S`, at 1000 / `FRAME_MS` pictures a second.

    Raises:
        ValueError: no tick of the flight is finite, so there is nothing to show.
    """
    shots = plan(flight)
    path = flight.position[shots.rows]
    moving = any_moves(flight.world.obstacles)
    chart, to_chart = small_map(flight, path)
    speeds = np.linalg.norm(flight.velocity, axis=1)
    radius = flight.airframe.collision_radius
    gaps = clearance(flight.world, radius, flight.position, flight.times)
    changed = interventions(flight)
    pictures = []
    with Stage(enlarged(flight.airframe), flight.world) as stage:
        for k, row in enumerate(shots.rows.tolist()):
            state, time = _state(flight, row), float(flight.times[row])
            stage.show(state, time)
            if moving:
                chart, _ = small_map(flight, path, time)
            eye, look_at = chase_view(
                state, float(shots.headings[k]), float(shots.distances[k]), float(shots.heights[k])
            )
            since = shots.rows[k - 1] + 1 if k else 0
            caption = Caption(
                time=time,
                speed=float(speeds[row]),
                clearance=float(gaps[row]),
                lit=bool(changed[since : row + 1].any()),
                verdict="" if k < len(shots.rows) - 1 else _last_word(flight),
            )
            pixels = render(stage, eye, look_at, width, height)
            behind = flight.position[max(0, row - TRAIL_TICKS) : row : TRAIL_STEP]
            trail = project(behind, eye, look_at, (width, height))
            here = to_chart(*flight.position[row, :2])
            pictures.append(draw_over(pixels, caption, trail, chart, here))
    return encode(pictures)


def plan(flight: Flight) -> Shots:
    """Choose the ticks to show and move the camera smoothly, never through a solid."""
    sound = np.flatnonzero(finite_ticks(flight))
    if not sound.size:
        raise ValueError("flight: expected a tick with a finite state, got none")
    end = float(flight.times[sound[-1]])
    count = max(2, min(round(end * 1000 / FRAME_MS), int(LONGEST_S * 1000 / FRAME_MS)))
    moments = np.linspace(flight.times[sound[0]], end, count)
    rows = sound[np.searchsorted(flight.times[sound], moments).clip(0, len(sound) - 1)]
    headings = _headings(flight, rows)
    shares = _free_shares(flight, rows, headings)
    return Shots(rows, headings, BEHIND * shares, ABOVE * (0.4 + 0.6 * shares))


def encode(pictures: list[Image.Image]) -> bytes:
    """A GIF of pictures that share one palette, so that nothing flickers."""
    some = pictures[:: max(1, len(pictures) // 11)] + [pictures[-1]]
    wide, high = pictures[0].size
    sheet = Image.new("RGB", (wide, high * len(some)))
    for k, picture in enumerate(some):
        sheet.paste(picture, (0, k * high))
    palette = sheet.quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    file = io.BytesIO()
    frames[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=[FRAME_MS] * (len(frames) - 1) + [HOLD_MS],
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def enlarged(airframe: Airframe) -> Airframe:
    """The airframe as it is drawn: all of it `ENLARGED` times as large."""
    places = tuple((ENLARGED * x, ENLARGED * y) for x, y in airframe.rotor_positions)
    return replace(airframe, rotor_positions=places)


def _state(flight: Flight, row: int) -> State:
    return State(
        flight.position[row],
        flight.velocity[row],
        flight.quaternion[row],
        flight.angular_velocity[row],
    )


def _headings(flight: Flight, rows: Int[np.ndarray, " F"]) -> Float[np.ndarray, " F"]:
    """Where the drone is going, or (slow) where its nose points; smoothed over about a second."""
    velocity = flight.velocity[rows, :2]
    noses = yaw_of(flight.quaternion[rows])
    nose = 0.4 * np.stack([np.cos(noses), np.sin(noses)], axis=1)
    ways = velocity + nose
    weights = np.exp(-0.5 * (np.arange(-12, 13) / 5.0) ** 2)
    padded = np.pad(ways, ((12, 12), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(padded[:, i], weights, "valid") for i in range(2)], axis=1)
    return np.arctan2(smooth[:, 1], smooth[:, 0])


def _free_shares(
    flight: Flight, rows: Int[np.ndarray, " F"], headings: Float[np.ndarray, " F"]
) -> Float[np.ndarray, " F"]:
    """How much of its distance the camera may keep with nothing between it and the drone."""
    shares = np.linspace(0.25, 1.0, 16)
    back = np.stack([-np.cos(headings), -np.sin(headings), np.zeros_like(headings)], axis=1)
    places = flight.position[rows][:, None] + shares[:, None] * (
        BEHIND * back[:, None] + np.array([0.0, 0.0, ABOVE])
    )
    times = np.repeat(flight.times[rows], len(shares))
    room = clearance(flight.world, LENS, places.reshape(-1, 3), times).reshape(len(rows), -1)
    blocked = (room <= 0).cumsum(axis=1) > 0
    free = np.where(blocked, 0.0, shares).max(axis=1).clip(min=shares[0])
    # In before it is blocked, out again slowly.
    eased = free.copy()
    for k in range(1, len(eased)):
        eased[k] = min(free[k], eased[k - 1] + 0.04)
    for k in range(len(eased) - 2, -1, -1):
        eased[k] = min(eased[k], eased[k + 1] + 0.06)
    return eased


def _last_word(flight: Flight) -> str:
    return flight.outcome.replace("_", " ").upper()
