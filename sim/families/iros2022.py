"""The four levels of the IROS 2022 Safe Robot Learning Competition, as worlds.

Source: safe-control-gym, branch beta-iros-competition, commit ec361ae: `competition/level0.yaml` to
`level3.yaml`, and the sizes in its URDF models of the gates and the obstacle. An arena of 6 m by
6 m by 2 m; through four gates, two tall and two low, past four obstacles to a goal, within 33 s.

| level | start | gates and obstacles |
|---|---|---|
| 0 | as published | as published |
| 1 | up to 0.1 m off in x and y, 0.02 m in z, 0.1 rad in yaw | as published |
| 2, 3 | the same | each up to 0.15 m off in x and in y, 0.15 rad in yaw |

Levels 2 and 3 differ in when the competition draws anew: between episodes only in level 3. Here a
seed is a draw: level 2 is one seed flown again and again, level 3 many seeds once.

What a `World` cannot hold, and so is not there:

* Mass up to 0.01 kg off, each moment of inertia up to 1e-6 kg m^2 (levels 1 to 3): fly with
  `PERTURBED`, whose error of mass and inertia is as large as the largest that is drawn.
* White noise on the command (0.001) and a random force of up to 0.1 N an axis (levels 1 to 3).
* Roll and pitch of up to 0.1 rad at the start (levels 1 to 3).
* Staying within 0.15 m of the goal for 2 s: here a flight ends where the goal is first reached. A
  gate counts as passed within 0.15 m of its middle; there, in a window of 0.3 m by 0.375 m.
* A start on the floor, at 0.03 m, where our sphere of 0.06 m would be in it: it is lifted by
  `LIFT`. A start nearer than `INSIDE` to the edge of the arena, which a draw may give, is moved in.
* An opening of 0.4 m has no room for the corridor of the other families: here the half-width is
  `CORRIDOR`.
"""

from __future__ import annotations

import math
from functools import partial

from sim.families.course import Course
from sim.families.draws import Draws, tidy
from sim.families.family import Family
from sim.sensors import Disturbance
from sim.shapes import Box, Cylinder, Obstacle
from sim.world import Vector

BOUNDS: tuple[Vector, Vector] = ((-3.0, -3.0, 0.0), (3.0, 3.0, 2.0))
START: Vector = (-0.9, -2.9, 0.03)
GOAL: Vector = (-0.5, 2.9, 0.75)
TOLERANCE = 0.15
"""The goal is reached within this distance [m]."""
TIME_LIMIT = 33.0
TALL, LOW = 1.0, 0.525
"""Heights of the middle of a gate [m]."""
GATES = (
    (0.5, -2.5, -1.57, TALL),
    (2.0, -1.5, 0.0, LOW),
    (0.0, 0.2, 1.57, LOW),
    (-0.5, 1.5, 0.0, TALL),
)
"""Of each x and y [m], angle from the world's x to the frame's plane [rad], height [m]."""
OBSTACLES = ((1.5, -2.5), (0.5, -1.0), (1.5, 0.0), (-1.0, 0.0))
"""Of each x and y [m]."""
EDGE, BAR, POST = 0.45, 0.05, 0.05
"""Of a gate from bar to bar, thickness of a bar, radius of a tall gate's post [m]."""
START_OFF, START_UP, MOVED = 0.1, 0.02, 0.15
"""Largest changes: of the start in x, y and yaw, of its height, of gates and obstacles [m, rad]."""

PERTURBED = Disturbance(mass_error=0.01 / 0.027)
"""What levels 1 to 3 are flown with: the largest error of the mass of a `cf2x`."""
LIFT, INSIDE, CORRIDOR = 0.17, 0.09, 0.07
"""See above [m]."""


def course(draws: Draws, *, level: int) -> Course:
    """From the floor through the gates to the goal."""
    speed = draws.uniform(1.0, 3.0)
    x, y, z = START
    yaw = 0.0
    if level >= 1:
        x, y = (tidy(value + draws.uniform(-START_OFF, START_OFF)) for value in (x, y))
        z, yaw = tidy(z + draws.uniform(0.0, START_UP)), draws.uniform(-START_OFF, START_OFF)
    via = []
    for gate_x, gate_y, _, height in GATES:
        dx, dy = _moved(draws, level), _moved(draws, level)
        via.append((tidy(gate_x + dx), tidy(gate_y + dy), height))
    return Course(
        start=(x, max(y, BOUNDS[0][1] + INSIDE), tidy(z + LIFT)),
        start_yaw=yaw,
        target=GOAL,
        speed=speed,
        via=tuple(via),
        target_radius=TOLERANCE,
        bounds=BOUNDS,
        time_limit=TIME_LIMIT,
    )


def place(draws: Draws, course: Course, density: float, *, level: int) -> list[Obstacle]:
    """The gates about the vias of the course, and the obstacles."""
    placed: list[Obstacle] = []
    for middle, (_, _, angle, height) in zip(course.via, GATES, strict=True):
        placed += _gate(middle, tidy(angle + _moved(draws, level)), tall=height == TALL)
    for x, y in OBSTACLES:
        placed += _obstacle(*(tidy(value + _moved(draws, level)) for value in (x, y, 0.0)))
    return placed


def _moved(draws: Draws, level: int) -> float:
    return draws.uniform(-MOVED, MOVED) if level >= 2 else 0.0


def _gate(middle: Vector, angle: float, tall: bool) -> list[Obstacle]:
    """Four bars, and what they stand on: a post, or a block."""
    x, y, z = middle
    cos, sin = math.cos(angle), math.sin(angle)
    half, thin = (EDGE + BAR) / 2, BAR / 2
    bars: list[Obstacle] = [
        Box((x, y, tidy(z + up)), (half, thin, thin), angle) for up in (-EDGE / 2, EDGE / 2)
    ]
    for out in (-EDGE / 2, EDGE / 2):
        bars.append(Box((tidy(x + out * cos), tidy(y + out * sin), z), (thin, thin, half), angle))
    stand = Cylinder((x, y, tidy(z - 0.6)), POST, 0.8) if tall else _block(x, y, z, angle)
    return [*bars, stand]


def _obstacle(x: float, y: float, angle: float) -> list[Obstacle]:
    """A rod of 5 cm radius on a block."""
    return [Cylinder((x, y, LOW), 0.05, 0.8), _block(x, y, LOW, angle)]


def _block(x: float, y: float, z: float, angle: float) -> Box:
    """What low gates and obstacles stand on, given the height of their middles [m]."""
    return Box((x, y, tidy(z - 0.4)), (0.075, 0.075, 0.125), angle)


_NOTES = (
    "all as published",
    "start, mass and inertia perturbed",
    "gates and obstacles moved as well; for many flights of one seed",
    "gates and obstacles moved as well; for one flight each of many seeds",
)
IROS2022 = tuple(
    Family(
        name=f"iros2022_{level}",
        summary=f"four gates and four obstacles of the IROS 2022 competition: {note}",
        training=False,
        place=partial(place, level=level),
        course=partial(course, level=level),
        corridor=CORRIDOR,
        cell=0.05,
        scales=False,
    )
    for level, note in enumerate(_NOTES)
)
"""Levels 0 to 3."""
