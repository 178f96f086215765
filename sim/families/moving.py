"""Trunks and balls that move on at a steady speed, at most a metre a second."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sim.families.boulders import boulder
from sim.families.course import Course
from sim.families.draws import Draws, tidy
from sim.families.family import Family
from sim.families.forest import trunk
from sim.families.scatter import scatter
from sim.shapes import Obstacle, distances_of
from sim.world import Vector

SPEED = (0.2, 1.0)
"""Least and most speed of an obstacle [m/s]."""
START_TIME = 2.0
"""For so long nothing comes as near to the start as an obstacle may stand there [s]."""


def mover(draws: Draws, point: Vector) -> Obstacle:
    """A trunk or a ball, moving in any horizontal direction."""
    still = (trunk, boulder)[draws.pick(2)](draws, point)
    speed, way = draws.uniform(*SPEED), draws.angle()
    velocity = (tidy(speed * math.cos(way)), tidy(speed * math.sin(way)), 0.0)
    return replace(still, velocity=velocity)


def movers(draws: Draws, course: Course, density: float) -> list[Obstacle]:
    """Movers strewn over the ground, but for those that soon run over the start.

    They are strewn where a drone meets them that flies straight on at the set speed: those in the
    way are in the way then.
    """
    strewn = scatter(draws, course, density, make=mover, per_m2=(1 / 10, 1 / 6), in_the_way=0.5)
    strewn = [before_meeting(course, one) for one in strewn]
    # From where an obstacle moves on, the start moves back; the room is left along all of that.
    times = np.linspace(0.0, START_TIME, 41)[:, None]
    slack = max(SPEED) * START_TIME / 80
    kept = []
    for one in strewn:
        seen = np.array(course.start) - times * np.array(one.velocity)
        if distances_of([one], seen).min() >= course.room[0] + slack:
            kept.append(one)
    return kept


def before_meeting(course: Course, one: Obstacle) -> Obstacle:
    """Where an obstacle starts that stands where it stands when a drone comes there."""
    (x0, y0, _), (x1, y1, _), (x, y, _) = course.start, course.target, one.center
    ahead = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / math.hypot(x1 - x0, y1 - y0)
    time = max(ahead, 0.0) / course.speed
    x, y, z = (tidy(c - time * v) for c, v in zip(one.center, one.velocity, strict=True))
    return replace(one, center=(x, y, z))


MOVING = Family(
    name="moving",
    summary="trunks and balls, one on 6 to 10 square metres, at 0.2 to 1 m/s in any direction",
    training=False,
    place=movers,
    moves=True,
)
