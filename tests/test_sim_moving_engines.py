"""Engines among obstacles that move: contacts come at the tick that numpy says, in each of them.

Obstacles that never set out (`frozen`), that go the other way (`backwards`) or come too late are
met at other ticks.
"""

from __future__ import annotations

import numpy as np
import pytest
from moving_rig import (
    FALL,
    HOVER,
    LAWS,
    PADDED,
    RADIUS,
    SHAPES,
    balls,
    first_contact,
    flown,
    hall,
)

from sim import CF2X, Cylinder, Sphere, TwinEngine, at_rest
from sim.bullet import BulletEngine, build, connect, pybullet
from sim.bullet.movers import Movers, MovingSolids
from sim.bullet.room import MovingRoom
from sim.clearances import clearance
from sim.swarm import BulletSwarm
from sim.twin import PHYSICS_HZ


@pytest.fixture(scope="module")
def free() -> dict[str, np.ndarray]:
    """Where a drone is that hovers, and one that falls, with nothing in its way."""
    with BulletEngine(CF2X, hall(())) as engine:
        return {"hovers": flown(engine, HOVER)[0], "falls": flown(engine, FALL)[0]}


@pytest.mark.parametrize("kind", [BulletEngine, TwinEngine])
def test_engines_touch_what_moves_at_the_tick_that_numpy_says(kind, free):
    right, wrong = [], []
    for seed in range(8 if kind is BulletEngine else 4):
        world = balls(seed)
        with kind(CF2X, world, **(PADDED if kind is TwinEngine else {})) as engine:
            for way, forces in (("hovers", HOVER), ("falls", FALL)):
                expected = first_contact(world, free[way])
                positions, contacts = flown(engine, forces)
                tick = int(contacts.argmax()) if contacts.any() else len(contacts)
                assert tick == expected
                np.testing.assert_array_equal(positions, flown(engine, forces)[0])
                np.testing.assert_allclose(positions[:-1], free[way][:tick], atol=1e-9)
                if expected < len(free[way]) - 1:  # A ball's, not the ground's.
                    right.append(tick)
                    # What would be expected of another law is not what happens.
                    wrong += [first_contact(change(world), free[way]) == tick for change in LAWS]
    assert len(right) > 4 and len(set(right)) > 3 and np.mean(wrong) < 0.1


@pytest.mark.parametrize("kind", [BulletEngine, TwinEngine])
def test_many_ticks_at_once_move_obstacles_as_often(kind, free):
    world = balls(3)
    expected = first_contact(world, free["hovers"])
    assert 10 < expected < 235
    with kind(CF2X, world, **(PADDED if kind is TwinEngine else {})) as engine:
        _, contacts = flown(engine, HOVER, at_once=5)
        assert contacts.argmax() == expected // 5


def test_a_drone_at_rest_is_hit_and_pushed_the_right_way():
    ball = Sphere((1.0, 0.0, 1.5), 0.3, (-2.0, 0.0, 0.0))
    with BulletEngine(CF2X, hall([ball])) as engine:
        positions, contacts = flown(engine, HOVER)
        first = int(contacts.argmax())
        assert first + 1 == int(np.ceil((1.0 - 0.3 - RADIUS) / 2.0 * PHYSICS_HZ))
        assert np.abs(positions[:first, 0]).max() < 1e-9
        point = pybullet.getContactPoints(engine.body, physicsClientId=engine.client)[0]
        assert point[8] <= 0 and point[7][0] == pytest.approx(-1.0)
        for _ in range(20):
            state, contact = engine.step(HOVER)
        assert contact and state.position[0] < -0.02
        assert engine.reset().position[0] == 0.0 and not engine.step(HOVER)[1]


def test_what_flees_is_met_where_it_is_not_where_it_was(monkeypatch):
    """A drone that is faster comes up to a trunk: no farther than 0.1 mm from it is it stopped.

    Put there after the server's step, the trunk would be a millimetre ahead of where it stops.
    """
    after = at_rest(np.array([0.0, 0.0, 1.5])).replace(velocity=np.array([1.0, 0.0, 0.0]))

    def least() -> float:
        gaps = []
        for place in np.linspace(0.5, 0.504, 9).tolist():
            world = hall([Cylinder((place, 0.1, 1.5), 0.2, 3.0, "z", (0.25, 0.0, 0.0))])
            with BulletEngine(CF2X, world) as engine:
                late.append(engine._server.movers)
                engine.reset(after)
                path = np.array([engine.step(HOVER)[0].position for _ in range(120)])
            gaps.append(clearance(world, RADIUS, path, np.arange(1, 121) / PHYSICS_HZ).min())
        return max(gaps)

    late = []
    assert least() < 1e-4
    tick = Movers.tick
    monkeypatch.setattr(Movers, "tick", lambda self: None)
    monkeypatch.setattr(
        "sim.bullet.engine._step",
        lambda client: (pybullet.stepSimulation(client), tick(late[-1])),
    )
    assert least() > 5e-4


def test_a_planted_bug_in_the_bodies_is_found(free, monkeypatch):
    """Bodies that stay, or go the other way, or are a tick late: contacts come at other ticks."""
    expected = [first_contact(balls(seed), free["hovers"]) for seed in range(6)]

    def ticks() -> list[int]:
        found = []
        for seed in range(6):
            with BulletEngine(CF2X, balls(seed)) as engine:
                _, contacts = flown(engine, HOVER)
                found.append(int(contacts.argmax()) if contacts.any() else len(contacts))
        return found

    assert ticks() == expected
    place = Movers.place
    for bug in (lambda time: 0.0, lambda time: -time, lambda time: time - 3 / PHYSICS_HZ):
        with monkeypatch.context() as patch:
            patch.setattr(Movers, "place", lambda self, time, bug=bug: place(self, bug(time)))
            assert ticks() != expected


def test_no_contact_with_what_moves_is_missed_where_nobody_asks(monkeypatch):
    """Against asking at every tick; a room that does not shrink with time misses contacts."""

    def runs() -> list[tuple]:
        rows = []
        for seed in range(12):
            with BulletEngine(CF2X, balls(seed)) as engine:
                rows.append(flown(engine, HOVER)[1].tolist())
        return rows

    careless = runs()
    with monkeypatch.context() as patch:
        patch.setattr(MovingRoom, "holds", lambda self, position: False)
        careful = runs()
    assert careless == careful and sum(any(row) for row in careful) > 4
    monkeypatch.setattr("sim.bullet.movers.fastest", lambda obstacles: 0.0)
    assert runs() != careful


def test_room_among_movers_is_never_more_than_there_is():
    world, rng = hall(), np.random.default_rng(0)
    client = connect()
    build(client, CF2X, world)
    movers = Movers(client, world, range(1, 1 + len(SHAPES)))
    room = MovingRoom(MovingSolids(world, movers), RADIUS, lambda clear: None)
    walk = np.array([0.0, 0.0, 1.5]) + np.cumsum(rng.normal(scale=0.01, size=(3000, 3)), axis=0)
    walk[:, 2] = np.abs(walk[:, 2])
    held, times = [], np.arange(3000) / 300
    for point, time in zip(walk.tolist(), times, strict=True):
        movers.place(time)
        held.append(room.holds(tuple(point)))
    clear, held = clearance(world, RADIUS, walk, times), np.array(held)
    assert (clear[held] > 0).all() and 0.5 < held.mean() < 1
    assert held[clear > 0.04].all()
    assert not room.holds((float("nan"), 0.0, 1.0))
    pybullet.disconnect(client)


def test_a_swarm_is_met_by_what_moves_and_reset_puts_it_back():
    """Two drones that hover: each is touched at its own tick, as numpy says; then once more."""
    world = hall([Sphere((1.0, 0.0, 1.5), 0.3, (-2.0, 0.0, 0.0))])
    places = np.array([[0.0, 0.0, 1.5], [-1.0, 0.0, 1.5]])
    with BulletSwarm(CF2X, world, 2) as swarm:
        for _ in range(2):
            swarm.reset(at_rest(places))
            first = [0, 0]
            for tick in range(1, 300):
                _, contacts = swarm.step(np.tile(HOVER, (2, 1)))
                for i in np.flatnonzero(contacts & swarm.flying):
                    first[i] = tick
                    swarm.leave(int(i))
            gaps = (1.0 - places[:, 0] - 0.3 - RADIUS) / 2.0 * PHYSICS_HZ
            assert first == np.ceil(gaps).astype(int).tolist()
