"""Obstacles that move: scenes and eyes have each where center + v t says, at every tick.

What is expected is transcribed in numpy, or asked of a physics server in which copies of the
obstacles stand still where they should be. Each law fails for obstacles that never set out
(`frozen`) and for those that go the other way (`backwards`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from moving_rig import (
    HOVER,
    LAWS,
    RADIUS,
    SHAPES,
    backwards,
    frozen,
    hall,
)

from sim import CF2X, Sphere, at_rest, generate, scene_at
from sim.bullet import BulletEngine, build, connect, pybullet
from sim.clearances import clearance
from sim.eyes import Eyes
from sim.motion import Velocities, obstacle_at
from sim.scene import nearest_culled, ray_distance, scene_after, scene_of, signed_distance
from sim.scene import stack_scenes as stacked
from sim.sensors import CALM, RayPattern
from sim.shapes import distances_of
from sim.state import rotate
from sim.twin import PHYSICS_HZ


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


def test_clearances_among_many_that_move_are_those_of_each_one():
    """Where many stand still only some are looked at: no choice for those that move on."""
    rng = np.random.default_rng(4)
    places = rng.uniform((-3, -3, 0.5), (3, 3, 2.5), (300, 3)) + [0.0, 50.0, 0.0]
    crowd = [Sphere(tuple(place), 0.1, (0.0, -5.0, 0.0)) for place in places.tolist()]
    crowd.append(Sphere((0.0, 3.0, 1.5), 0.1, (0.0, 9.0, 0.0)))
    points = rng.uniform((-3, -3, 0.5), (3, 3, 2.5), (200, 3))
    copies = [obstacle_at(item, 10.0) for item in crowd]
    expected = np.minimum(distances_of(copies, points).min(axis=1), points[:, 2]) - RADIUS
    world, times = hall(crowd), np.full(200, 10.0)
    np.testing.assert_allclose(clearance(world, RADIUS, points, times), expected, atol=1e-12)
    assert np.abs(clearance(world, RADIUS, points) - expected).max() > 0.5


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

    @jax.jit
    def both(point, time):
        there = scene_at(scene, time)
        return jnp.stack(
            [signed_distance(there, point), ray_distance(there, point, forward, 20.0).sum()]
        )

    slopes, step = jax.jit(jax.jacfwd(both, (0, 1))), 1e-6
    for time in (0.4, 0.8, 1.1):
        by_point, by_time = map(np.asarray, slopes(point, time))
        in_time = (both(point, time + step) - both(point, time - step)) / (2 * step)
        np.testing.assert_allclose(by_time, in_time, atol=1e-6)
        aside = [both(point + row, time) - both(point - row, time) for row in step * np.eye(3)]
        np.testing.assert_allclose(by_point, np.array(aside).T / (2 * step), atol=1e-6)
        assert np.abs(by_time).min() > 0.01  # Those of a frozen scene are 0.
    # Backward it is the same.
    back = jax.grad(lambda time: both(point, time)[0])(0.4)
    np.testing.assert_allclose(back, slopes(point, 0.4)[1][0], atol=1e-12)


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
            seen = np.asarray(eyes.see(state, seconds).ranges)
            larger = cast(copies, state.position, directions, reach, LARGER)
            np.testing.assert_allclose(seen, larger, atol=1e-4)
            for wrong in off:
                other = scene_at(scene_of(wrong(world)), seconds)
                ranges = rays_met(other, state.position, directions, reach)
                off[wrong] = max(off[wrong], float(np.abs(ranges - seen).max()))
    assert min(off.values()) > 0.5


LARGER = 200.0
"""So many times as large is a world in which PyBullet's rays are exact to 0.1 mm."""


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
