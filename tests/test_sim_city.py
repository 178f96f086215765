"""The city: a course through its streets, and engines that fly there as in all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pybullet
import pytest
from scipy import ndimage
from world_search import straight_fails

from sim import CF2X, Box, Sphere, State, World, at_rest, generate
from sim.bullet import BulletEngine
from sim.bullet.near import HELD, MOST_HELD
from sim.bullet.room import Room
from sim.clearances import clearance
from sim.families import FAMILIES, has_corridor
from sim.families.city import CELL, COUNT, PITCH, ROOM, SIZE, STREET
from sim.shapes import distances_of

SEEDS = range(1_000_000, 1_000_003)


@pytest.fixture(scope="module")
def cities() -> list[World]:
    return [generate("city", seed) for seed in SEEDS]


def level_way(world: World, half_width: float = 0.25, cell: float = 0.4) -> bool:
    """A corridor at the start's height over every crossing to the target.

    A search that shares no step with the package's own: other nodes, in one plane, all neighbours,
    connected parts, distances from what is near enough to count.
    """
    height = world.start_position[2]
    x = np.arange(half_width, SIZE - half_width, cell)
    free = np.ones((len(x), len(x)), bool)
    needed = half_width + cell / np.sqrt(2)
    for one in world.obstacles:
        reach = np.array(one.half_size) + needed + cell
        rows, columns = (
            slice(*np.searchsorted(x, [one.center[i] - reach[i], one.center[i] + reach[i]]))
            for i in range(2)
        )
        nodes = np.stack(np.meshgrid(x[rows], x[columns], [height], indexing="ij"), axis=-1)
        free[rows, columns] &= distances_of([one], nodes)[..., 0, 0] >= needed
    labels, _ = ndimage.label(free, structure=np.ones((3, 3)))
    points = np.array([world.start_position, *world.via, world.target])
    nodes = np.round((points[:, :2] - half_width) / cell).astype(int)
    parts = {int(labels[tuple(node)]) for node in nodes}
    return len(parts) == 1 and 0 not in parts


def test_there_is_a_way_and_it_is_not_straight(cities):
    assert FAMILIES["city"].corridor == 0.25 and not FAMILIES["city"].training
    assert all(has_corridor(world, 0.25, CELL) for world in cities[:1])
    assert level_way(cities[0]) and level_way(cities[2])
    # From wall to wall, and as high as one may fly, between the start and the rest of the way.
    (x, y, _), (ahead, aside, _) = cities[0].start_position, (*cities[0].via, cities[0].target)[0]
    middle = ((x + ahead) / 2, (y + aside) / 2, 3.0)
    half = (SIZE, 0.3, 3.0) if x == ahead else (0.3, SIZE, 3.0)
    shut = replace(cities[0], obstacles=(*cities[0].obstacles, Box(middle, half)))
    assert not level_way(shut) and not has_corridor(shut, 0.25, CELL)
    assert np.mean([straight_fails(world) for world in cities]) >= 0.75
    assert not straight_fails(replace(cities[0], obstacles=(Sphere((0.0, -9.0, 0.0), 1.0),)))


def test_courses_run_along_the_streets(cities):
    for world in cities:
        assert world.bounds == ((0, 0, 0), (SIZE, SIZE, 6.0)) and len(world.obstacles) == COUNT
        points = np.array([world.start_position, *world.via, world.target])
        assert not np.any(points[:, :2] % PITCH) and (points[:, 2] >= 1).all()
        legs = np.diff(points[:, :2], axis=0)
        assert ((legs == 0).sum(axis=1) == 1).all()  # Along one of the two, and on.
        assert 60 <= np.abs(legs).sum() <= 100 and 1.5 <= world.speed <= 3.0
        clear = distances_of(world.obstacles, points).min(axis=1)
        assert clear[0] >= 0.9 and clear[-1] >= 0.7 and (clear[1:-1] >= ROOM).all()
        houses = [one for one in world.obstacles if isinstance(one, Box) and one.half_size[2] >= 4]
        assert 100 <= len(houses) <= 300
        for house in houses:  # Inside their blocks: streets are as wide as they say.
            low = np.array(house.center[:2]) - house.half_size[:2]
            high = np.array(house.center[:2]) + house.half_size[:2]
            assert (low % PITCH >= STREET / 2 - 1e-3).all()
            assert (high % PITCH <= PITCH - STREET / 2 + 1e-3).all()
    assert len({world.target for world in cities}) == len(cities)


def flown(engine: BulletEngine, world: World, seed: int, ticks: int = 480) -> np.ndarray:
    """Thrown along a street at up to 9 m/s, from about the start, into what is there."""
    rng = np.random.default_rng(seed)
    begin = at_rest(np.array(world.start_position))
    velocity = rng.normal(size=3) * [6.0, 6.0, 0.5]
    engine.reset(State(begin.position, velocity, begin.quaternion, rng.normal(size=3)))
    rows = []
    for force in rng.uniform(0.7, 1.35, (ticks, 4)) * CF2X.hover_force:
        state, contact = engine.step(force)
        rows.append((*state.position, *state.quaternion, *state.velocity, contact))
    return np.array(rows)


def test_pybullet_holding_a_part_flies_as_with_all(cities, monkeypatch):
    """The same bits until the first contact, and the same tick of contact; resets leave nothing."""
    world, touched = cities[0], 0
    with BulletEngine(CF2X, world) as part:
        mine = [flown(part, world, seed) for seed in range(6)]
        again = [flown(part, world, seed) for seed in (3, 0)]
        np.testing.assert_array_equal(again, [mine[3], mine[0]])
        assert pybullet.getNumBodies(physicsClientId=part.client) < 40
    monkeypatch.setattr("sim.bullet.near.MOST_HELD", COUNT)
    with BulletEngine(CF2X, world) as whole:
        assert pybullet.getNumBodies(physicsClientId=whole.client) == COUNT + 2
        for seed, rows in enumerate(mine[:3]):
            theirs = flown(whole, world, seed)
            np.testing.assert_array_equal(rows[:, -1].argmax(), theirs[:, -1].argmax())
            first = int(theirs[:, -1].argmax()) or len(rows)
            np.testing.assert_array_equal(rows[:first], theirs[:first])
            # Solids push back, and by as much: the order of bodies changes roundings alone.
            np.testing.assert_allclose(rows[: first + 3], theirs[: first + 3], atol=1e-6)
            touched += theirs[:, -1].any()
    assert touched > 0


def test_without_what_comes_near_drones_fly_through(cities, monkeypatch):
    """A server that never looks anew misses contacts: the test above would see it."""
    world = cities[0]
    with BulletEngine(CF2X, world) as engine:
        careful = [flown(engine, world, seed) for seed in range(6)]
    monkeypatch.setattr("sim.bullet.near.HELD", 0.2)  # Nothing at the start, and then not anew:
    monkeypatch.setattr("sim.bullet.near.LEAST", -1e9)
    with BulletEngine(CF2X, world) as engine:
        careless = [flown(engine, world, seed) for seed in range(6)]
    # The ground alone is left to hit; and where it is hit, it is later.
    assert any(not np.array_equal(*pair) for pair in zip(careful, careless, strict=True))
    firsts = [[rows[:, -1].argmax() or len(rows) for rows in of] for of in (careful, careless)]
    assert (np.array(firsts[0]) <= firsts[1]).all() and (np.array(firsts[0]) < firsts[1]).any()


def test_what_is_near_is_held_and_room_is_never_more_than_there_is(cities):
    world = cities[1]
    with BulletEngine(CF2X, world) as engine:
        near, rng = engine._server.near, np.random.default_rng(0)
        room = Room(near, CF2X.collision_radius, lambda clear: None)
        walk = np.array(world.start_position) + np.cumsum(
            rng.normal(scale=0.15, size=(3000, 3)), axis=0
        )
        walk[:, 2] = np.abs(walk[:, 2] - 0.1) + 0.1
        exact = clearance(world, 0.0, walk)
        for place, distance in zip(walk.tolist(), exact, strict=True):
            assert near.nearest(np.array([place]))[0] <= distance + 1e-9
            if room.holds(tuple(place)):
                assert distance > CF2X.collision_radius
        assert (exact < HELD).any()
        near.follow((float("nan"),) * 3)
        assert not room.holds((float("nan"),) * 3)
        near.clear()
        assert pybullet.getNumBodies(physicsClientId=engine.client) == 2


def test_worlds_of_few_obstacles_are_held_whole():
    world = generate("dense_forest", 0)
    assert len(world.obstacles) <= MOST_HELD
    with BulletEngine(CF2X, world) as engine:
        assert engine._server.near is None
        assert pybullet.getNumBodies(physicsClientId=engine.client) == len(world.obstacles) + 2
