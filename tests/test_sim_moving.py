"""Obstacles that move: scenes, engines and eyes have each where center + v t says, at every tick.

What is expected is transcribed in numpy, or asked of a physics server in which copies of the
obstacles stand still where they should be. Each law fails for obstacles that never set out
(`frozen`) and for those that go the other way (`backwards`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import flying
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim import CF2X, Box, Cylinder, Sphere, TwinEngine, World, at_rest, generate, scene_at
from sim.bullet import BulletEngine, build, connect, pybullet
from sim.bullet.movers import Movers, MovingSolids
from sim.bullet.room import MovingRoom
from sim.clearances import clearance
from sim.eyes import Eyes
from sim.motion import Velocities, obstacle_at
from sim.scene import nearest_culled, ray_distance, scene_after, scene_of, signed_distance
from sim.scene import stack_scenes as stacked
from sim.sensors import CALM, RayPattern
from sim.shapes import distances_of
from sim.state import rotate
from sim.swarm import BulletSwarm
from sim.twin import PHYSICS_HZ

RADIUS = CF2X.collision_radius
HOVER, FALL = [CF2X.hover_force] * 4, [0.03] * 4
PADDED = {"pad": (8, 8, 8)}
SHAPES = (
    Cylinder((2.5, 0.4, 1.5), 0.3, 3.0, "z", (-1.0, 0.3, 0.0)),
    Cylinder((0.0, 2.4, 1.0), 0.2, 1.5, "x", (0.2, -0.8, 0.1)),
    Sphere((-3.0, 0.2, 1.6), 0.4, (1.5, 0.0, 0.0)),
    Sphere((1.0, -2.0, 2.0), 0.3),
    Box((0.2, -3.0, 1.2), (0.4, 0.3, 0.8), 0.6, (0.0, 0.9, 0.2)),
)


def hall(obstacles=SHAPES) -> World:
    return flying.open_world(obstacles=tuple(obstacles))


def frozen(world: World) -> World:
    """The same, but nothing ever sets out."""
    still = (replace(item, velocity=(0.0, 0.0, 0.0)) for item in world.obstacles)
    return replace(world, obstacles=tuple(still))


def backwards(world: World) -> World:
    """The same, but everything goes the other way."""
    turned = (
        replace(item, velocity=tuple(-part for part in item.velocity)) for item in world.obstacles
    )
    return replace(world, obstacles=tuple(turned))


LAWS = (frozen, backwards)


def spheres_gap(world: World, points: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Distance of the drone's sphere to the nearest ball or the ground, in plain numpy [m]."""
    gaps = [points[:, 2]]
    for ball in world.obstacles:
        there = np.array(ball.center) + times[:, None] * np.array(ball.velocity)
        gaps.append(np.sqrt(((points - there) ** 2).sum(axis=1)) - ball.radius)
    return np.min(gaps, axis=0) - RADIUS


def test_a_scene_at_a_time_is_that_of_the_moved_obstacles():
    points = np.random.default_rng(0).uniform((-3, -3, 0), (3, 3, 3), (300, 3))
    rays = np.random.default_rng(1).normal(size=(200, 3))
    near, far = jax.jit(signed_distance), jax.jit(partial(ray_distance, max_range=8.0))
    origin = np.array([0.0, 0.0, 1.5])
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        scene = scene_of(hall(), dtype=dtype)
        for time in (0.0, 1.7, 9.0):
            copy = [obstacle_at(item, time) for item in SHAPES]
            nearest = np.minimum(distances_of(copy, points).min(axis=1), points[:, 2])
            there = scene_at(scene, time)
            assert there.velocities is None and scene_at(there, 99.0) is there
            np.testing.assert_allclose(near(there, points), nearest, atol=tolerance)
            still = scene_of(frozen(hall(copy)), dtype=dtype)
            ours, theirs = far(there, origin, rays), far(still, origin, rays)
            np.testing.assert_allclose(ours, theirs, atol=tolerance)
    for wrong in (frozen, backwards):
        there = scene_at(scene_of(wrong(hall()), dtype=np.float64), 9.0)
        assert np.abs(near(there, points) - nearest).max() > 0.5


def test_clearances_are_those_of_each_point_s_time():
    rng = np.random.default_rng(3)
    points, times = rng.uniform((-3, -3, 0), (3, 3, 3), (500, 3)), rng.uniform(0, 6, 500)
    copies = [[obstacle_at(item, time) for item in SHAPES] for time in times]
    each = [
        min(distances_of(copy, point).min(), point[2])
        for copy, point in zip(copies, points, strict=True)
    ]
    expected = np.array(each) - RADIUS
    np.testing.assert_allclose(clearance(hall(), RADIUS, points, times), expected, atol=1e-12)
    for wrong in (frozen, backwards):
        assert np.abs(clearance(wrong(hall()), RADIUS, points, times) - expected).max() > 0.5
    # Where nothing moves, no bit depends on the time.
    still = frozen(hall())
    np.testing.assert_array_equal(
        clearance(still, RADIUS, points, times), clearance(still, RADIUS, points)
    )


def test_a_world_that_stands_still_has_the_same_arrays_and_programs_as_ever():
    scene, other = scene_of(frozen(hall())), scene_of(hall())
    assert len(jax.tree.leaves(scene)) == 4 + 2 + 4 + 1
    assert scene_at(scene, 3.0) is scene and scene_after(scene, jnp.asarray(3)) is scene
    point = jnp.array([0.1, 0.2, 0.3])

    def plain(scene, point, tick):
        return signed_distance(scene, point)

    def timed(scene, point, tick):
        return signed_distance(scene_after(scene, tick), point)

    plain_code, timed_code = (str(jax.make_jaxpr(f)(scene, point, 3)) for f in (plain, timed))
    assert plain_code == timed_code
    assert str(jax.make_jaxpr(timed)(other, point, 3)) != str(
        jax.make_jaxpr(plain)(other, point, 3)
    )


def test_scenes_are_padded_stacked_and_culled_with_their_velocities():
    points = np.random.default_rng(2).uniform((-3, -3, 0), (3, 3, 3), (50, 3))
    small, large = (scene_of(hall(), pad, np.float64) for pad in ((2, 2, 1), (9, 5, 4)))
    empty = scene_of(hall(()), (3, 3, 3), np.float64)
    together = stacked([small, large, empty])
    assert isinstance(together.velocities, Velocities)
    assert together.velocities.boxes.shape == (3, 4, 3)

    @jax.jit
    def moved(scene, time):
        return jax.vmap(lambda *at: signed_distance(scene_at(*at), points))(scene, time)

    rows = np.asarray(moved(together, np.array([2.0, 2.0, 50.0])))
    np.testing.assert_array_equal(rows[0], rows[1])
    alone = clearance(hall(), 0.0, points, np.full(50, 2.0))
    np.testing.assert_allclose(rows[0], alone, atol=1e-12)
    np.testing.assert_allclose(rows[2], points[:, 2])
    # Times of a stack, without vmap.
    at_once = scene_at(together, np.array([2.0, 2.0, 50.0]))
    np.testing.assert_allclose(at_once.spheres.center[0, 0], [0.0, 0.2, 1.6])
    culled = nearest_culled(small, np.array([0.0, -3.0, 1.2]), (1, 1, 1))
    np.testing.assert_array_equal(culled.velocities.boxes, [SHAPES[4].velocity])
    np.testing.assert_array_equal(culled.velocities.spheres, [[0.0, 0.0, 0.0]])
    assert stacked([scene_of(frozen(hall()))] * 2).velocities is None


def test_gradients_go_through_time():
    scene = scene_of(hall(), dtype=np.float64)
    point, forward = np.array([0.3, 0.1, 2.4]), np.array([[-1.0, 0.05, -0.3], [1.0, 0.3, 0.0]])

    def near(point, time):
        return signed_distance(scene_at(scene, time), point)

    def far(point, time):
        return ray_distance(scene_at(scene, time), point, forward, 20.0).sum()

    for function in (near, far):
        function, both = jax.jit(function), jax.jit(jax.grad(function, (0, 1)))
        for time in (0.4, 0.8, 1.1):
            by_point, by_time = both(point, time)
            ahead, behind = function(point, time + 1e-6), function(point, time - 1e-6)
            assert float(by_time) == pytest.approx(float(ahead - behind) / 2e-6, abs=1e-6)
            aside = [
                (function(point + row, time) - function(point - row, time)) / 2e-6
                for row in 1e-6 * np.eye(3)
            ]
            np.testing.assert_allclose(by_point, aside, atol=1e-6)
            assert abs(by_time) > 0.01  # That of a frozen scene is 0.


def balls(seed: int, count: int = 6) -> World:
    """Balls on their way to where a hovering drone is, or just past it."""
    rng, thrown = np.random.default_rng(seed), []
    for _ in range(count):
        way = rng.normal(size=3) * (1, 1, 0.4)
        velocity = rng.uniform(0.6, 3.0) * way / np.linalg.norm(way)
        meets, after = np.array([0.0, 0.0, 1.5]) + rng.normal(size=3) * 0.15, rng.uniform(0.3, 0.9)
        thrown.append(Sphere(tuple(meets - after * velocity), 0.15, tuple(velocity)))
    gaps = distances_of(thrown, np.array([0.0, 0.0, 1.5]))
    return hall(ball for ball, gap in zip(thrown, gaps, strict=True) if gap > 0.1)


def flown(engine, forces, ticks: int = 240, at_once: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Positions and contacts of a flight from the start, to its first contact."""
    engine.reset()
    positions, contacts = [], []
    for _ in range(ticks // at_once):
        state, contact = engine.step(forces, ticks=at_once)
        positions.append(state.position)
        contacts.append(contact)
        if contact:
            break
    return np.array(positions), np.array(contacts)


def first_contact(world: World, path: np.ndarray) -> int:
    """The tick of the first contact of a free path, in numpy; its length if there is none."""
    times = np.arange(1, len(path) + 1) / PHYSICS_HZ
    touching = np.flatnonzero(spheres_gap(world, path, times) < 0)
    return int(touching[0]) if touching.size else len(path)


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


def test_eyes_and_servers_see_obstacles_where_they_are():
    """Rays of the eyes, of the engine's own server, and of one where copies stand still."""
    world = generate("moving", 1_000_001)
    rays = RayPattern(((0.0, 32), (30.0, 16), (-20.0, 16)))
    eyes, reach = Eyes(rays, 24.0, scene_of(world), CALM, 0), rays.max_range
    state = at_rest(np.array([5.0, 0.0, 1.5]), 0.4)
    directions = rotate(state.quaternion, rays.directions)
    off, rays_met = dict.fromkeys(LAWS, 0.0), jax.jit(ray_distance)
    with BulletEngine(CF2X, world) as engine:
        for seconds in (0.5, 1.0, 2.5):
            engine.reset(at_rest(np.array([-0.5, 0.0, 3.9])))
            engine.step(HOVER, ticks=round(seconds * PHYSICS_HZ))
            copies = [obstacle_at(item, seconds) for item in world.obstacles]
            same = cast(copies, state.position, directions, reach, 1.0)
            theirs = rays_in(engine.client, state.position, reach * directions)
            np.testing.assert_allclose(reach * theirs, same, atol=1e-6)
            # As in the tests of rays: PyBullet is exact to 0.1 mm where everything is larger.
            seen = np.asarray(eyes.see(state, seconds).ranges)
            larger = cast(copies, state.position, directions, reach, LARGER)
            np.testing.assert_allclose(seen, larger, atol=1e-4)
            for wrong in off:
                other = scene_at(scene_of(wrong(world)), seconds)
                ranges = rays_met(other, state.position, directions, reach)
                off[wrong] = max(off[wrong], float(np.abs(ranges - seen).max()))
    assert min(off.values()) > 0.5


LARGER = 200.0


def cast(
    obstacles: list, origin: np.ndarray, directions: np.ndarray, reach: float, scale: float
) -> np.ndarray:
    """Ranges among obstacles that stand still, every length being `scale` times as long."""
    client = connect()
    try:
        grown = [
            replace(
                item,
                center=tuple(scale * np.array(item.center)),
                velocity=(0.0, 0.0, 0.0),
                **{
                    name: scale * getattr(item, name)
                    for name in ("radius", "height")
                    if hasattr(item, name)
                },
            )
            for item in obstacles
        ]
        far = (np.full(3, 500.0 * scale)).tolist()
        where = replace(hall(()), bounds=((-2.0, -4.0, 0.0), tuple(far)), start_position=tuple(far))
        build(client, CF2X, replace(where, obstacles=tuple(grown)))
        return reach * rays_in(client, scale * origin, scale * reach * directions)
    finally:
        pybullet.disconnect(client)


def rays_in(client: int, origin: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Which part of each way is free, in a physics server."""
    ends = (origin + ways).tolist()
    hits = pybullet.rayTestBatch([origin.tolist()] * len(ends), ends, physicsClientId=client)
    return np.array([hit[2] for hit in hits])
