"""What a flight draws from its seed and its disturbance: wind, mass, inertia, and the start."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from sim.airframe import Airframe
from sim.clearances import clearance
from sim.engine import start_of
from sim.sensors.disturbance import Disturbance
from sim.state import State, quaternion_multiply
from sim.twin import PHYSICS_HZ
from sim.wind import air_of
from sim.world import World

START_ROOM = 0.2
"""A start that is off stays this far from anything solid [m], or as far as the world's own."""

START_GLIDE = 0.5
"""For this long a start that moves may glide on without coming nearer than that [s]."""


@dataclass(frozen=True)
class Conditions:
    """What a flight draws from its seed and its disturbance.

    Attributes:
        wind: velocity of the air [m/s], world frame.
        mass_scale: true mass and inertia over the airframe's.
        inertia_scale: true inertia over that of the true mass.
        heading: direction of the wind [rad], from x towards y, also where there is none.
    """

    wind: tuple[float, float, float]
    mass_scale: float
    inertia_scale: float = 1.0
    heading: float = 0.0

    @classmethod
    def draw(cls, disturbance: Disturbance, seed: int) -> Conditions:
        """Direction of the wind, signs of the errors of mass and inertia."""
        draws = np.random.default_rng([0x51D, seed])
        angle, sign = draws.uniform(0, 2 * np.pi), draws.choice([-1.0, 1.0])
        wind = disturbance.wind * np.array([np.cos(angle), np.sin(angle), 0.0])
        other = draws.choice([-1.0, 1.0])
        return cls(
            wind=tuple(wind.tolist()),
            mass_scale=1.0 + float(sign) * disturbance.mass_error,
            inertia_scale=1.0 + float(other) * disturbance.inertia_error,
            heading=float(angle),
        )

    def airframe(self, airframe: Airframe) -> Airframe:
        """The airframe as it truly is, but for the error of its mass."""
        if self.inertia_scale == 1:
            return airframe
        x, y, z = (self.inertia_scale * moment for moment in airframe.inertia)
        return replace(airframe, inertia=(x, y, z))

    def air(
        self, disturbance: Disturbance, seed: int, world: World
    ) -> Float[np.ndarray, "ticks 3"] | None:
        """Velocity of the air at each tick of a flight [m/s]; None if the wind is steady."""
        ticks = math.ceil(world.time_limit * PHYSICS_HZ) + 1
        height, speed = world.start_position[2], world.speed
        return air_of(disturbance, seed, ticks, self.wind, self.heading, height, speed)


def start_in(disturbance: Disturbance, seed: int, world: World, airframe: Airframe) -> State | None:
    """A start that is off, or None where the disturbance leaves it alone.

    Offset and velocity are halved until the drone, on a straight way from the world's own start and
    then gliding on for `START_GLIDE`, stays inside the bounds and `START_ROOM` clear of everything
    solid (or as clear as that start is, where that is less). So it begins on the same side of every
    wall; the world's own start is what remains if nothing else will do.

    Args:
        disturbance: of which `start_offset`, `start_speed` and `start_tilt` count here.
        seed: of the mission.
        world: where.
        airframe: what flies.
    """
    if not (disturbance.start_offset or disturbance.start_speed or disturbance.start_tilt):
        return None
    draws = np.random.default_rng([0x57A27, seed])
    offset, velocity, turn = (
        size * draws.uniform() ** (1 / 3) * _direction(draws)
        for size in (disturbance.start_offset, disturbance.start_speed, disturbance.start_tilt)
    )
    own, radius = start_of(world), airframe.collision_radius
    room = min(START_ROOM, float(clearance(world, radius, np.asarray(own.position)[None])[0]))
    way, glide = np.linspace(0, 1, 64)[:, None], np.linspace(0, START_GLIDE, 16)[:, None]
    moved = np.concatenate([way * offset, offset + glide * velocity])
    times = np.concatenate([0 * way, glide])[:, 0]
    for share in (*0.5 ** np.arange(12), 0.0):
        places = own.position + share * moved
        if share == 0 or _clear(world, radius, places, times, room):
            break
    half = np.linalg.norm(turn) / 2
    twist = np.array([*(np.sinc(half / np.pi) * turn / 2), np.cos(half)])
    return replace(
        own,
        position=own.position + share * offset,
        velocity=share * velocity,
        quaternion=quaternion_multiply(own.quaternion, twist),
    )


def _direction(draws: np.random.Generator) -> Float[np.ndarray, " 3"]:
    """A unit vector, every one as likely."""
    vector = draws.standard_normal(3)
    return vector / np.linalg.norm(vector)


def _clear(
    world: World,
    radius: float,
    places: Float[np.ndarray, "n 3"],
    times: Float[np.ndarray, " n"],
    room: float,
) -> bool:
    """Whether the drone's sphere has room at all places at the times, inside the bounds there."""
    low, high = np.array(world.bounds)
    inside = ((places >= low) & (places <= high)).all()
    return bool(inside and (clearance(world, radius, places, times) >= room).all())
