"""Distances and rays are exact: laws that pin them down, and PyBullet on the same solids."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pybullet
import pytest
from scipy.spatial import cKDTree

from sim.scene import (
    Scene,
    nearest_culled,
    obstacle_distance,
    ray_distance,
    scene_of,
    signed_distance,
    stack_scenes,
)
from sim.shapes import distances_of
from sim.world import Box, Cylinder, Sphere, World, WorldError

BOUNDS = ((-2.0, -7.0, 0.0), (18.0, 7.0, 4.0))
ONE_OF_EACH = {
    "cylinder z": Cylinder((5.0, 0.5, 2.0), 0.3, 1.6),
    "cylinder x": Cylinder((5.0, 0.5, 2.0), 0.4, 1.4, "x"),
    "cylinder y": Cylinder((5.0, 0.5, 2.0), 0.6, 0.5, "y"),
    "sphere": Sphere((5.0, 0.5, 2.0), 0.7),
    "box": Box((5.0, 0.5, 2.0), (0.3, 1.0, 0.6), 0.7),
}
DTYPES = [np.float32, np.float64]


def world_of(obstacles=(), **changes) -> World:
    values = {
        "bounds": BOUNDS,
        "obstacles": tuple(obstacles),
        "start_position": (0.0, 0.0, 1.5),
        "start_yaw": 0.0,
        "target": (14.0, 0.5, 1.5),
        "target_radius": 0.5,
        "via": (),
        "speed": 2.0,
        "time_limit": 30.0,
    }
    return World(**{**values, **changes})


def crowd(count: int = 30, seed: int = 0) -> World:
    """Obstacles of all kinds, sizes and axes, none at the start."""
    random = np.random.default_rng(seed)
    obstacles = []
    for i in range(count):
        center = tuple(random.uniform([2, -6, 0.3], [16, 6, 3.7]))
        size = random.uniform(0.2, 0.9, 3)
        obstacles.append(
            [
                Cylinder(center, size[0], 2 * size[1], "xyz"[i // 3 % 3]),
                Sphere(center, size[0]),
                Box(center, tuple(size), random.uniform(-4, 4)),
            ][i % 3]
        )
    return world_of(obstacles)


def everywhere(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-2, -7, -0.5], [18, 7, 4.5], (count, 3))


def near(count: int, seed: int = 2) -> np.ndarray:
    """Points in and around the shapes of ONE_OF_EACH."""
    return np.random.default_rng(seed).uniform([3, -1.5, 0.3], [7, 2.5, 3.7], (count, 3))


def sphere_directions(count: int, seed: int = 3) -> np.ndarray:
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def surface(shape, count: int = 150_000) -> np.ndarray:
    """Points all over the surface of a shape, by rules that know nothing of distances."""
    random = np.random.default_rng(4)
    if isinstance(shape, Sphere):
        return shape.center + shape.radius * sphere_directions(count)
    if isinstance(shape, Box):
        unit = random.uniform(-1, 1, (count, 3))
        unit[np.arange(count), random.integers(3, size=count)] = random.choice([-1.0, 1.0], count)
        cos, sin = math.cos(shape.yaw), math.sin(shape.yaw)
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        return shape.center + (unit * shape.half_extents) @ turn.T
    angle = random.uniform(0, 2 * np.pi, count)
    level = random.uniform(-1, 1, count) * shape.height / 2
    radius = np.full(count, shape.radius)
    caps = random.random(count) < 0.6
    level[caps] = np.sign(level[caps]) * shape.height / 2
    radius[caps] *= np.sqrt(random.random(caps.sum()))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), level], axis=1)
    # The cylinder's own z becomes the axis that it is named after.
    return shape.center + np.roll(points, "zxy".index(shape.axis), axis=1)


# Compiled once for each dtype and shape: most of this file's time is compilation.
distance = jax.jit(signed_distance)
clearance = jax.jit(obstacle_distance)
gradient = jax.jit(jax.vmap(jax.grad(signed_distance, argnums=1), in_axes=(None, 0)))
rays = jax.jit(ray_distance)
ray_slopes = jax.jit(jax.grad(lambda *a: jnp.sum(ray_distance(*a)), argnums=(1, 2)))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_distance_vanishes_on_the_surface_and_matches_the_nearest_sample(name):
    shape = ONE_OF_EACH[name]
    scene = scene_of(world_of([shape]), dtype=np.float64)
    samples = surface(shape)
    assert np.abs(clearance(scene, samples)).max() < 1e-12
    points = near(3000)
    sampled, _ = cKDTree(samples).query(points)
    exact = np.asarray(clearance(scene, points))
    # A sample is never nearer than the surface, and some sample is within 3 cm of its best point.
    assert (sampled - np.abs(exact) > -1e-12).all()
    assert (sampled**2 - exact**2 < 0.03**2 + 2 * 0.03 * np.abs(exact)).all()
    assert (exact < -0.05).any() and (exact > 0.05).any()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_inside_is_negative_and_outside_positive(name):
    """A ball shrunk to the centre grows out of the surface: signs by scaling the samples."""
    shape = ONE_OF_EACH[name]
    scene = scene_of(world_of([shape]), dtype=np.float64)
    arms = surface(shape, 2000) - shape.center
    assert (clearance(scene, shape.center + 0.99 * arms) < 0).all()
    assert (clearance(scene, shape.center + 1.01 * arms) > 0).all()


def test_distance_is_one_lipschitz_with_unit_gradient():
    scene = scene_of(crowd(), dtype=np.float64)
    points, others = everywhere(4000), everywhere(4000, seed=9)
    change = np.abs(distance(scene, points) - distance(scene, others))
    assert (change <= np.linalg.norm(points - others, axis=1) + 1e-12).all()
    slope = np.linalg.norm(gradient(scene, points), axis=1)
    np.testing.assert_allclose(slope, 1.0, atol=1e-9)
    step = 1e-6
    ahead = distance(scene, points + step * np.asarray(gradient(scene, points)))
    # Away from the ridges, a step along the gradient gains exactly its length.
    gained = (np.asarray(ahead) - np.asarray(distance(scene, points))) / step
    assert np.mean(np.abs(gained - 1) < 1e-6) > 0.999


def test_the_ground_is_solid_and_no_obstacle():
    scene = scene_of(world_of([Sphere((5.0, 0.0, 3.0), 0.5)]), dtype=np.float64)
    points = np.array([[0.0, 0.0, 0.25], [0.0, 0.0, -2.0], [5.0, 0.0, 2.25]])
    np.testing.assert_allclose(distance(scene, points), [0.25, -2.0, 0.25])
    far = math.dist((0, 0, 0.25), (5, 0, 3)) - 0.5
    np.testing.assert_allclose(clearance(scene, points)[0], far)


def test_numpy_and_jax_agree():
    world = crowd()
    points = everywhere(600)
    np.testing.assert_allclose(
        distances_of(world.obstacles, points).min(axis=1),
        clearance(scene_of(world, dtype=np.float64), points),
        atol=1e-13,
    )


def test_padding_never_matters():
    world, points, directions = crowd(), everywhere(600), sphere_directions(600)
    tight, wide = (scene_of(world, pad) for pad in ((10, 10, 10), (33, 17, 64)))
    np.testing.assert_allclose(distance(tight, points), distance(wide, points), atol=2e-6)
    np.testing.assert_allclose(gradient(tight, points), gradient(wide, points), atol=2e-5)
    origin = np.array([0.0, 0.0, 1.5])
    seen = [rays(scene, origin, directions, 8.0) for scene in (tight, wide)]
    np.testing.assert_allclose(*seen, atol=2e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_dtype_is_the_scene_s(dtype):
    world, points, directions = crowd(), everywhere(600), sphere_directions(600)
    scene = scene_of(world, dtype=dtype)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(scene))
    for values in (points, points.astype(np.float32)):
        assert distance(scene, values).dtype == dtype
        assert rays(scene, values[0], directions.astype(values.dtype), 8.0).dtype == dtype
    exact = distance(scene_of(world, dtype=np.float64), points)
    np.testing.assert_allclose(distance(scene, points), exact, atol=2e-5, rtol=0)


def test_default_padding_is_a_power_of_two_and_a_small_one_is_refused():
    scene = scene_of(crowd(30))
    assert [part.shape[0] for part in (scene.cylinders.radius, scene.boxes.cos_yaw)] == [16, 16]
    assert scene_of(world_of()).spheres.radius.shape == (8,)
    with pytest.raises(WorldError, match="pad.spheres: expected at least 10, got 9"):
        scene_of(crowd(30), (10, 9, 10))


@pytest.mark.parametrize("pad", [None, (0, 0, 0)])
def test_an_empty_scene_has_only_the_ground(pad):
    scene = scene_of(world_of(), pad)
    points = everywhere(600)
    assert np.isposinf(clearance(scene, points)).all()
    np.testing.assert_allclose(distance(scene, points), points[:, 2], atol=1e-6)
    assert np.isfinite(gradient(scene, points)).all()
    np.testing.assert_allclose(
        rays(scene, points[0] * [1, 1, 0] + [0, 0, 2], np.diag([1.0, 1, -0.5]), 8.0),
        [8, 8, 2],
    )


def awkward_points() -> np.ndarray:
    """Centres, axes, faces, edges, corners, the ground, and points absurdly far out."""
    shapes = ONE_OF_EACH.values()
    steps = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=3)))
    around = [shape.center + steps * shape.half_size for shape in shapes]
    turned = Box((5.0, 0.5, 2.0), (0.3, 1.0, 0.6), 0.7)
    cos, sin = math.cos(turned.yaw), math.sin(turned.yaw)
    local = steps * turned.half_extents
    x, y = cos * local[:, 0] - sin * local[:, 1], sin * local[:, 0] + cos * local[:, 1]
    corners = turned.center + np.stack([x, y, local[:, 2]], axis=1)
    extremes = steps * 3e38
    tiny = np.array([5.0, 0.5, 2.0]) + steps * 1e-30
    return np.concatenate([*around, corners, extremes, tiny, steps * 1e-40])


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_gradients_are_finite_everywhere(dtype):
    for shape in (*ONE_OF_EACH.values(), None):
        scene = scene_of(world_of([shape] if shape else []), dtype=dtype)
        points = awkward_points()
        assert np.isfinite(distance(scene, points)).all()
        slopes = np.linalg.norm(gradient(scene, points), axis=1)
        assert np.isfinite(slopes).all()
        assert (slopes <= 1 + 1e-5).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rays_are_in_range_and_their_gradients_finite_for_any_finite_input(dtype):
    scene = scene_of(world_of(ONE_OF_EACH.values()), dtype=dtype)
    steps = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=3)))
    directions = np.concatenate([steps, steps * 1e-30, steps * 3e38, steps * [1, 1e-9, 0]])

    directions = directions.astype(dtype)
    for origin in awkward_points()[::3].astype(dtype):
        seen = np.asarray(rays(scene, origin, directions, 8.0))
        assert ((seen >= 0) & (seen <= 8)).all()
        by_origin, by_direction = ray_slopes(scene, origin, directions, 8.0)
        assert np.isfinite(by_origin).all()
        assert np.isfinite(by_direction[:27]).all()  # Of directions of sane length.


@pytest.mark.parametrize("seed", range(4))
def test_a_ray_ends_on_the_first_surface(seed):
    """The law of sphere tracing: no solid before the end of the ray, a surface at its end."""
    scene = scene_of(crowd(seed=seed), dtype=np.float64)
    directions, reach = sphere_directions(600, seed), 8.0
    origin = np.array([0.0, -1.0, 1.5])
    seen = np.asarray(rays(scene, origin, directions, reach))
    ends = origin + seen[:, None] * directions
    hit = seen < reach
    assert 0.3 < hit.mean() < 1
    assert np.abs(distance(scene, ends)[hit]).max() < 1e-9
    way = np.linspace(0, 1, 400)[None, :, None] * (ends - origin)[:, None] + origin
    assert distance(scene, way).min() > -1e-9


def test_float32_rays_match_float64_but_where_they_graze():
    world, directions = crowd(), sphere_directions(600)
    origin = np.array([0.0, -1.0, 1.5])
    single, double = (rays(scene_of(world, dtype=t), origin, directions, 8.0) for t in DTYPES)
    error = np.abs(np.asarray(single) - np.asarray(double))
    assert np.quantile(error, 0.99) < 1e-5
    assert np.median(error) < 1e-6


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_rays_from_inside_see_nothing_but_contact(name):
    shape = ONE_OF_EACH[name]
    scene = scene_of(world_of([shape]), dtype=np.float64)
    directions = np.concatenate([sphere_directions(50), np.eye(3), -np.eye(3)])
    for arm in surface(shape, 20) - shape.center:
        assert (rays(scene, shape.center + 0.9 * arm, directions, 8.0) == 0).all()
    underground = np.array([0.0, 0.0, -0.1])
    assert (rays(scene, underground, directions, 8.0) == 0).all()


def test_rays_along_and_across_the_axes():
    """Where a naive quotient is 0/0: along an axis, in a face, past an edge, away from all."""
    obstacles = [
        Cylinder((5, 0, 2), 0.5, 2),
        Box((0, 5, 2), (0.5, 0.5, 0.5)),
        Sphere((-5, 0, 2), 1),
    ]
    scene = scene_of(world_of(obstacles), dtype=np.float64)
    cases = [
        ((5.0, 0.0, 8.0), (0, 0, -1), 5.0),  # down the cylinder's axis
        ((5.4, 0.0, 8.0), (0, 0, -1), 5.0),  # down onto its cap, off the axis
        ((5.6, 0.0, 8.0), (0, 0, -1), 8.0),  # down past it, to the ground
        ((2.0, 0.0, 2.0), (1, 0, 0), 2.5),  # at its side
        ((2.0, 0.0, 3.1), (1, 0, 0), 20.0),  # above its cap
        ((0.0, 2.0, 2.0), (0, 1, 0), 2.5),  # onto the box
        ((0.0, 2.0, 2.0), (0, 7, 0), 2.5),  # the same, with a longer vector
        ((0.6, 2.0, 2.0), (0, 1, 0), 20.0),  # past the box, along its face
        ((0.0, 2.0, 2.0), (0, -1, 0), 20.0),  # away from it
        ((-2.0, 0.0, 2.0), (-1, 0, 0), 2.0),  # onto the sphere
        ((0.0, 0.0, 2.0), (0, 0, 0), 20.0),  # nowhere
        ((0.0, 0.0, 2.0), (3, 0, -4), 2.5),  # onto the ground
    ]
    for origin, direction, expected in cases:
        seen = rays(scene, np.array(origin), np.array([direction], float), 20.0)
        assert seen[0] == pytest.approx(expected, abs=1e-12), (origin, direction)


@pytest.fixture
def bullet():
    client = pybullet.connect(pybullet.DIRECT)
    yield client
    pybullet.disconnect(client)


def add_to_bullet(shape, client: int) -> None:
    turn = [0.0, 0.0, 0.0, 1.0]
    if isinstance(shape, Sphere):
        kind = pybullet.createCollisionShape(
            pybullet.GEOM_SPHERE, radius=shape.radius, physicsClientId=client
        )
    elif isinstance(shape, Box):
        kind = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=shape.half_extents, physicsClientId=client
        )
        turn = pybullet.getQuaternionFromEuler([0, 0, shape.yaw])
    else:
        kind = pybullet.createCollisionShape(
            pybullet.GEOM_CYLINDER, radius=shape.radius, height=shape.height, physicsClientId=client
        )
        euler = {"x": [0, np.pi / 2, 0], "y": [np.pi / 2, 0, 0], "z": [0, 0, 0]}[shape.axis]
        turn = pybullet.getQuaternionFromEuler(euler)
    pybullet.createMultiBody(0, kind, -1, shape.center, turn, physicsClientId=client)


def test_rays_match_pybullet(bullet):
    world, reach = crowd(), 10.0
    for shape in world.obstacles:
        add_to_bullet(shape, bullet)
    plane = pybullet.createCollisionShape(
        pybullet.GEOM_PLANE, planeNormal=[0, 0, 1], physicsClientId=bullet
    )
    pybullet.createMultiBody(0, plane, physicsClientId=bullet)
    scene = scene_of(world, dtype=np.float64)
    directions = sphere_directions(600)
    for origin in ([0.0, 0.0, 1.5], [1.0, 6.5, 3.9], [17.5, -5.0, 0.2]):
        assert distance(scene, np.array(origin)) > 0.1
        seen = np.asarray(rays(scene, np.array(origin), directions, reach))
        ends = np.array(origin) + reach * directions
        result = pybullet.rayTestBatch(
            np.broadcast_to(origin, ends.shape).tolist(), ends.tolist(), physicsClientId=bullet
        )
        theirs = reach * np.array([fraction for _, _, fraction, _, _ in result])
        # PyBullet's iteration ends within 1 mm of a round surface: along a grazing ray, that is
        # some way short of it.
        short = np.abs(seen - theirs) > 1e-4
        assert short.mean() < 0.03
        assert (theirs[short] < seen[short]).all()
        gaps = distance(scene, np.array(origin) + theirs[:, None] * directions)
        assert np.abs(gaps[theirs < reach]).max() < 1e-3
        assert 0.2 < (theirs < reach).mean() < 1


def test_culling_keeps_the_nearest_of_each_kind():
    scene, centre = scene_of(crowd(), dtype=np.float64), np.array([6.0, 0.0, 2.0])
    culled = jax.jit(nearest_culled, static_argnums=2)(scene, centre, (3, 99, 2))
    sizes = [culled.cylinders.radius.shape, culled.spheres.radius.shape, culled.boxes.cos_yaw.shape]
    assert sizes == [(3,), (16,), (2,)]
    for kind, kept in ((scene.cylinders, culled.cylinders), (scene.boxes, culled.boxes)):
        count = kept.center.shape[0]
        expected = np.sort(kind.distances(centre))[:count]
        np.testing.assert_array_equal(np.sort(kept.distances(centre)), expected)
    # Near the centre, what is left out cannot be felt.
    points = centre + 0.2 * sphere_directions(600)
    np.testing.assert_allclose(distance(culled, points), distance(scene, points), atol=1e-12)


def test_stacked_scenes_are_vmapped_scenes():
    scenes = [scene_of(crowd(count, seed=count), dtype=np.float64) for count in (5, 30, 60)]
    points, directions = everywhere(600), sphere_directions(600)
    stacked = stack_scenes(scenes)
    assert stacked.cylinders.radius.shape == (3, 32)
    assert stacked.bounds.shape == (3, 2, 3)
    apart = [jax.tree.map(lambda leaf, i=i: leaf[i], stacked) for i in range(3)]
    for original, scene in zip(scenes, apart, strict=True):
        np.testing.assert_allclose(
            distance(original, points), distance(scene, points), atol=1e-13, rtol=0
        )
    together = jax.jit(jax.vmap(signed_distance, (0, None)))(stacked, points)
    each = [distance(scene, points) for scene in apart]
    np.testing.assert_allclose(together, each, atol=1e-13)
    slopes = jax.jit(jax.vmap(jax.vmap(jax.grad(signed_distance, 1), (None, 0)), (0, None)))
    each = [gradient(scene, points) for scene in apart]
    np.testing.assert_allclose(slopes(stacked, points), each, atol=1e-12)
    origin = np.array([0.0, 0.0, 1.5])
    together = jax.jit(jax.vmap(ray_distance, (0, None, None, None)))(
        stacked, origin, directions, 8.0
    )
    each = [rays(scene, origin, directions, 8.0) for scene in apart]
    np.testing.assert_allclose(together, each, atol=1e-13)
    cull = jax.jit(lambda scene: nearest_culled(scene, points[0], (2, 2, 2)))
    culled = jax.vmap(cull)(stacked)
    assert isinstance(culled, Scene) and culled.boxes.center.shape == (3, 2, 3)
    with pytest.raises(ValueError, match="scenes: expected at least one"):
        stack_scenes([])


def test_a_moving_obstacle_is_refused_by_name():
    world = world_of([Sphere((5, 0, 1), 0.5), Sphere((9, 0, 1), 0.5, (0, 0.1, 0))])
    with pytest.raises(WorldError, match=r"obstacles\[1\].velocity: expected 0, 0, 0"):
        scene_of(world)
