"""PyBullet's engine, ticks at once and contacts where they can be: the same as tick by tick."""

from __future__ import annotations

import flying
import numpy as np
import pytest

from sim import CF2X, Box, Cylinder, Sphere, State, TwinEngine, World, at_rest, rotate
from sim.bullet import BulletEngine, pybullet
from sim.bullet.body import Body
from sim.bullet.room import Room, Solids
from sim.clearances import clearance
from sim.engine import EngineInputError

SHAPES = (
    Cylinder((1.0, 0.4, 1.5), 0.3, 3.0),
    Cylinder((0.0, 1.4, 1.0), 0.2, 1.5, "x"),
    Sphere((-1.0, 0.2, 1.6), 0.4),
    Box((0.2, -1.0, 1.2), (0.4, 0.3, 0.8), 0.6),
)


def hall() -> World:
    return flying.open_world(obstacles=SHAPES)


def thrown(seed: int) -> State:
    """From the middle, in any direction at up to 4 m/s, spinning."""
    rng = np.random.default_rng(seed)
    begin = at_rest(np.array([0.0, 0.1, 1.5]))
    return begin.replace(velocity=rng.normal(size=3) * 1.6, angular_velocity=rng.normal(size=3))


def flown(engine, seed, ticks, total=120):
    rng = np.random.default_rng([1, seed])
    forces, rows = rng.uniform(0.6, 1.4, (total // 5, 4)) * CF2X.hover_force, []
    engine.reset(thrown(seed))
    for force in forces:
        for _ in range(5 // ticks):
            state, contact = engine.step(force, ticks=ticks)
            rows.append((*state.position, *state.quaternion, *state.velocity, contact))
    return np.array(rows)


@pytest.mark.parametrize("kind", [BulletEngine, TwinEngine])
def test_five_ticks_at_once_are_five_ticks(kind):
    with kind(CF2X, hall()) as engine:
        touched = 0
        for seed in range(6):
            one, five = flown(engine, seed, 1), flown(engine, seed, 5)
            np.testing.assert_array_equal(five[:, :-1], one[4::5, :-1])
            np.testing.assert_array_equal(five[:, -1], one[:, -1].reshape(-1, 5).max(axis=1))
            touched += five[:, -1].any()
        assert 0 < touched < 6
        engine.reset()
        engine.step([99.0] * 4, ticks=3)
        assert engine.door.limit_violations == 3
        for ticks in (0, -1, True):
            with pytest.raises(EngineInputError, match="ticks: expected a whole number"):
                engine.step([0.06] * 4, ticks=ticks)


def test_no_contact_is_missed_where_nobody_asks(monkeypatch):
    """Against asking at every tick; with more room than there is, contacts would be missed."""
    with BulletEngine(CF2X, hall()) as engine:
        careless = [flown(engine, seed, 1, 360) for seed in range(16)]
        monkeypatch.setattr(Room, "holds", lambda self, position: False)
        careful = [flown(engine, seed, 1, 360) for seed in range(16)]
    np.testing.assert_array_equal(careless, careful)
    assert 4 < sum(rows[:, -1].any() for rows in careful)
    monkeypatch.undo()
    generous = BulletEngine(CF2X, hall())
    generous._room._radius = -0.2
    with generous as engine:
        missed = [flown(engine, seed, 1, 360) for seed in range(16)]
    assert not np.array_equal(missed, careful)


def test_both_engines_touch_at_the_same_tick(monkeypatch):
    """Wherever the twin enters a solid, PyBullet's solver holds the drone off it: a contact.

    Asked for overlaps alone, PyBullet misses what slides along a solid.
    """

    def first(kind):
        """The tick of the first contact of each throw, or 0."""
        with kind(CF2X, hall()) as engine:
            touches = [flown(engine, seed, 1, 200)[:, -1] for seed in range(60)]
        return np.array([1 + int(row.argmax()) if row.any() else 0 for row in touches])

    twin, bullet = first(TwinEngine), first(BulletEngine)
    np.testing.assert_array_equal(bullet, twin)
    assert 20 < (twin > 0).sum() < 55

    def overlapping(client, body):
        pybullet.performCollisionDetection(client)
        return [
            point for point in pybullet.getContactPoints(body, -1, -1, -1, client) if point[8] <= 0
        ]

    monkeypatch.setattr("sim.bullet.engine.in_contact", overlapping)
    assert not np.array_equal(first(BulletEngine), twin)


def test_ground_that_is_not_looked_for_from_aloft_changes_no_bit(monkeypatch):
    """Dives and landings; the skin of the room is what makes it so."""
    forces = CF2X.hover_force * np.repeat(np.array([0.5, 1.6, 0.4]), 24)
    low = at_rest(np.array([0.0, 0.0, 0.6])).replace(velocity=np.array([0.8, 0.3, -1.0]))

    def dives(engine):
        rows = []
        for spin in np.random.default_rng(2).normal(size=(6, 3)):
            engine.reset(low.replace(angular_velocity=spin))
            rows += [engine.step([force] * 4, ticks=5)[0].position for force in forces]
        return np.array(rows)

    with BulletEngine(CF2X, flying.open_world(obstacles=())) as engine:
        spared = dives(engine)
        engine._room._radius = CF2X.collision_radius - 0.02
        late = dives(engine)
    monkeypatch.setattr(Body, "fly_aloft", lambda body, aloft: None)
    with BulletEngine(CF2X, flying.open_world(obstacles=())) as engine:
        asked = dives(engine)
    assert asked[:, 2].min() < CF2X.collision_radius and asked[:, 2].max() > 0.5
    np.testing.assert_array_equal(spared, asked)
    assert not np.array_equal(late, asked)


def test_what_others_put_into_the_server_is_felt_aloft():
    with BulletEngine(CF2X, flying.open_world(obstacles=())) as engine:
        engine.reset(at_rest(np.array([0.0, 0.0, 1.5])))
        engine.step([CF2X.hover_force] * 4)
        shape = {"physicsClientId": engine.client}
        lid = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=[1, 1, 0.1], **shape)
        ball = pybullet.createCollisionShape(pybullet.GEOM_SPHERE, radius=0.1, **shape)
        pybullet.createMultiBody(0, lid, -1, [0, 0, 2.5], **shape)
        ball = pybullet.createMultiBody(0.1, ball, -1, [2, 0, 0.3], **shape)
        heights = [engine.step([1.2 * CF2X.hover_force] * 4)[0].position[2] for _ in range(480)]
        rests = pybullet.getBasePositionAndOrientation(ball, **shape)[0][2]
    assert 2.3 < max(heights) < 2.4 - CF2X.collision_radius + 0.01
    assert rests == pytest.approx(0.1, abs=0.01)


def test_room_is_never_more_than_there_is():
    rng, world = np.random.default_rng(0), hall()
    room = Room(Solids(world), CF2X.collision_radius, lambda clear: None)
    walk = np.array([0.0, 0.0, 1.5]) + np.cumsum(rng.normal(scale=0.01, size=(20_000, 3)), axis=0)
    walk = np.mod(walk + 2, 4) - 2  # with jumps
    walk[:, 2] = np.abs(walk[:, 2])
    held = np.array([room.holds(tuple(point)) for point in walk.tolist()])
    clear = clearance(world, CF2X.collision_radius, walk)
    assert (clear[held] > 0).all() and held.mean() > 0.5
    # It is not merely timid: with 4 cm and more to the nearest solid it holds.
    assert held[clear > 0.04].all()
    assert not room.holds((float("nan"), 0.0, 1.0))


def test_wind_and_turned_starts_are_felt_at_every_tick():
    start = at_rest(np.array([0.0, 0.1, 1.5]), 1.0)
    with BulletEngine(CF2X, hall(), wind=(0.5, 0.0, 0.0)) as engine:
        engine.reset(start)
        five = engine.step([CF2X.hover_force] * 4, ticks=5)[0]
        engine.reset(start)
        for _ in range(5):
            one = engine.step([CF2X.hover_force] * 4)[0]
        np.testing.assert_array_equal(five.velocity, one.velocity)
        assert rotate(five.quaternion, np.array([1.0, 0, 0]))[0] == pytest.approx(np.cos(1.0))
        assert five.velocity[0] > 1e-4
