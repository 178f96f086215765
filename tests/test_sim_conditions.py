"""What a flight draws: true inertia, and a start that is off but clear of everything."""

from __future__ import annotations

from dataclasses import replace

import flying
import numpy as np
import pytest

from sim import CF2X, Cylinder, generate
from sim.clearances import clearance
from sim.conditions import START_GLIDE, START_ROOM, Conditions, start_in
from sim.engine import start_of
from sim.flight import fly
from sim.sensors import Disturbance
from sim.state import conjugate, quaternion_multiply

OFF = Disturbance(start_offset=0.5, start_speed=1.0, start_tilt=0.4)
OPEN = flying.open_world(obstacles=())


def turn_between(one, other) -> float:
    """Angle between two attitudes [rad]."""
    w = quaternion_multiply(conjugate(np.asarray(one)), np.asarray(other))[3]
    return 2 * float(np.arccos(min(1.0, abs(w))))


def drawn(world, seeds=range(300), disturbance=OFF):
    """Starts of many seeds, and how each is off."""
    own = start_of(world)
    starts = [start_in(disturbance, seed, world, CF2X) for seed in seeds]
    offset = np.array([np.linalg.norm(start.position - own.position) for start in starts])
    speed = np.array([np.linalg.norm(start.velocity) for start in starts])
    tilt = np.array([turn_between(own.quaternion, start.quaternion) for start in starts])
    return starts, offset, speed, tilt


def test_a_start_in_the_open_is_off_by_up_to_what_was_asked():
    starts, *sizes = drawn(OPEN)
    for size, most in zip(sizes, (0.5, 1.0, 0.4), strict=True):
        assert size.max() <= most + 1e-9 and size.max() > 0.95 * most
        # Even in the ball: half of them are farther out than the cube root of a half.
        assert np.median(size) == pytest.approx(most * 0.5 ** (1 / 3), rel=0.06)
    assert all(abs(np.linalg.norm(start.quaternion) - 1) < 1e-12 for start in starts)
    middle = np.mean([start.position for start in starts], axis=0) - OPEN.start_position
    assert np.abs(middle).max() < 0.06
    assert not any(start.angular_velocity.any() for start in starts)


@pytest.mark.parametrize("family", ["dense_forest", "walls"])
def test_every_start_is_clear_for_as_long_as_it_glides(family):
    far = Disturbance(start_offset=3.0, start_speed=4.0)
    rough, shrunk = 0, 0
    for seed in range(1_000_000, 1_000_012):
        world = generate(family, seed)
        own = clearance(world, CF2X.collision_radius, np.array([world.start_position]))[0]
        start = start_in(far, seed, world, CF2X)
        way = start.position + np.linspace(0, START_GLIDE, 50)[:, None] * start.velocity
        room = clearance(world, CF2X.collision_radius, way)
        # The glide is looked at in steps of at most 13 cm.
        assert room.min() > min(START_ROOM, own) - 0.07
        assert room[0] >= min(START_ROOM, own) - 1e-12
        low, high = np.array(world.bounds)
        assert ((way >= low) & (way <= high)).all()
        # Unheeded, some of them would have begun inside something or out of bounds.
        free = start_in(
            far,
            seed,
            replace(OPEN, bounds=((-99, -99, 0), (99, 99, 99)), start_position=(0.0, 0.0, 50.0)),
            CF2X,
        )
        offset = free.position - (0, 0, 50.0)
        place = np.array(world.start_position) + offset
        rough += bool(
            clearance(world, CF2X.collision_radius, place[None])[0] < 0
            or ((place < low) | (place > high)).any()
        )
        shrunk += not np.allclose(start.position - world.start_position, offset)
    assert rough >= 2 and shrunk >= rough


def test_where_there_is_no_room_the_start_is_the_own_one():
    ring = [(0.3 * np.cos(a), 0.3 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 16)[:-1]]
    cage = tuple(Cylinder((x, y, 1.5), 0.05, 3.0) for x, y in ring)
    tight = flying.open_world(obstacles=cage)
    own = clearance(tight, CF2X.collision_radius, np.array([tight.start_position]))[0]
    assert 0 < own < START_ROOM
    starts, offset, speed, _ = drawn(
        tight, range(40), Disturbance(start_offset=9.0, start_speed=9.0)
    )
    for start in starts:
        assert clearance(tight, CF2X.collision_radius, start.position[None])[0] >= own - 1e-12
    assert offset.max() < 0.3 and speed.max() < 1 and (offset == 0).sum() > 20


def test_the_seed_decides_and_each_part_stands_alone():
    one, again, other = (start_in(OFF, seed, OPEN, CF2X) for seed in (1, 1, 2))
    for name in ("position", "velocity", "quaternion"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))
    own = start_of(OPEN)
    tilted = start_in(Disturbance(start_tilt=0.4), 1, OPEN, CF2X)
    np.testing.assert_array_equal(tilted.position, own.position)
    np.testing.assert_array_equal(tilted.velocity, own.velocity)
    np.testing.assert_array_equal(tilted.quaternion, one.quaternion)


class Told(flying.Plain):
    """Writes down which start its mission told it."""

    def reset(self, mission):
        return super().reset(mission) | {"start": np.asarray(mission.start.position)}

    def act(self, memory, wish, state):
        memory, forces, record = super().act(memory, wish, state)
        return memory, forces, record | {"start": memory["start"], "here": state.position}


@pytest.mark.parametrize("engine", ["twin", "pybullet"])
def test_a_flight_begins_where_it_was_put_and_its_pilot_knows(engine):
    world = flying.open_world(time_limit=0.05)
    flight = fly(world, Told(), engine, disturbance=OFF, seed=5)
    start = start_in(OFF, 5, world, CF2X)
    np.testing.assert_array_equal(flight.records["here"][0], start.position)
    np.testing.assert_allclose(flight.records["start"][0], start.position, rtol=1e-12)
    assert np.linalg.norm(start.position - world.start_position) > 0.05
    np.testing.assert_allclose(flight.velocity[0], start.velocity, atol=0.2)


def test_the_inertia_is_off_apart_from_the_mass():
    rough = Disturbance(mass_error=0.1, inertia_error=0.3)
    found = [Conditions.draw(rough, seed) for seed in range(60)]
    assert {one.mass_scale for one in found} == {0.9, 1.1}
    assert {one.inertia_scale for one in found} == {0.7, 1.3}
    pairs = {(one.mass_scale, one.inertia_scale) for one in found}
    assert len(pairs) == 4  # Each sign is its own.
    true = found[0].airframe(CF2X)
    np.testing.assert_allclose(true.inertia, np.array(CF2X.inertia) * found[0].inertia_scale)
    assert replace(true, inertia=CF2X.inertia) == CF2X


class Twist(flying.Plain):
    """Rolls, open loop."""

    def act(self, memory, wish, state):
        return memory, np.array([0.066, 0.066, 0.067, 0.067]), {}


@pytest.mark.parametrize("engine", ["twin", "pybullet"])
def test_a_heavier_body_turns_by_that_much_less(engine):
    world = flying.open_world(time_limit=0.02)
    calm = fly(world, Twist(), engine, seed=2).angular_velocity[-1, 0]
    rough = Disturbance(inertia_error=0.3)
    scale = Conditions.draw(rough, 2).inertia_scale
    found = fly(world, Twist(), engine, seed=2, disturbance=rough)
    assert found.angular_velocity[-1, 0] * scale == pytest.approx(calm, rel=0.01)
    assert found.airframe == CF2X  # The record names the airframe that was meant.
