"""Distances are exact: laws that pin them down, and what scenes do beyond measuring."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest
from scene_samples import (
    DTYPES,
    ONE_OF_EACH,
    awkward_points,
    clearance,
    crowd,
    distance,
    everywhere,
    gradient,
    near,
    rays,
    sphere_directions,
    surface,
    world_of,
)
from scipy.spatial import cKDTree

from sim.scene import (
    Scene,
    nearest_culled,
    ray_distance,
    scene_of,
    signed_distance,
    stack_scenes,
)
from sim.shapes import distances_of
from sim.world import Sphere, WorldError


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


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_gradients_are_finite_everywhere(dtype):
    for shape in (*ONE_OF_EACH.values(), None):
        scene = scene_of(world_of([shape] if shape else []), dtype=dtype)
        points = awkward_points()
        assert np.isfinite(distance(scene, points)).all()
        slopes = np.linalg.norm(gradient(scene, points), axis=1)
        assert np.isfinite(slopes).all()
        assert (slopes <= 1 + 1e-5).all()


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
