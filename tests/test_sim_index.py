"""The index of large scenes: its answers are those of all obstacles, wherever one asks."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim import Box, Cylinder, Sphere, World, generate
from sim.clearances import clearance
from sim.families.course import Course
from sim.flight import pad_of
from sim.index import EMPTY, REACH, UNLISTED, index_of
from sim.scene import Scene, nearest_culled, ray_distance, scene_of, signed_distance, stack_scenes
from sim.shapes import Boxes, Cylinders, Spheres, distances_of

DIRECTIONS = np.random.default_rng(5).normal(size=(32, 3))
AT_ONCE = 500

distances = jax.jit(jax.vmap(signed_distance, (None, 0)))


@jax.jit
def casts(scene: Scene, origins, max_range):
    """Rays from many places, some at a time."""
    return jax.lax.map(lambda origin: ray_distance(scene, origin, DIRECTIONS, max_range), origins)


@pytest.fixture(scope="module")
def city() -> World:
    return generate("city", 1_000_000)


@pytest.fixture(scope="module")
def scenes(city) -> tuple[Scene, Scene]:
    """With the index and without it."""
    scene = scene_of(city, pad_of(city), jnp.float32)
    assert scene.index is not None
    return scene, replace(scene, index=None)


def places(count: int, seed: int = 0) -> np.ndarray:
    """All over the city, and outside of it on every side."""
    rng = np.random.default_rng(seed)
    inside = rng.uniform([0, 0, 0], [200, 200, 6], (count * 7 // 10, 3))
    around = rng.uniform([-60, -60, -4], [260, 260, 40], (count - len(inside), 3))
    return np.concatenate([inside, around]).astype(np.float32)


def all_distances(scene: Scene, points: np.ndarray) -> np.ndarray:
    parts = [distances(scene, points[i : i + AT_ONCE]) for i in range(0, len(points), AT_ONCE)]
    return np.concatenate([np.asarray(part) for part in parts])


def test_distances_are_those_of_all_obstacles(scenes, city):
    points = places(10_000)
    mine, theirs = (all_distances(scene, points) for scene in scenes)
    np.testing.assert_array_equal(mine, theirs)
    exact = np.minimum(clearance(city, 0.0, points[:2000]), points[:2000, 2])
    np.testing.assert_allclose(mine[:2000], exact, atol=2e-4)
    assert (mine < 0).any() and (mine > 5).any()


def test_rays_are_those_of_all_obstacles(scenes):
    origins = places(320, 1)
    for max_range in (4.0, REACH, REACH + 4.0):
        mine, theirs = (np.asarray(casts(scene, origins, max_range)) for scene in scenes)
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
        assert 0.2 < (mine < max_range).mean() < 0.9


def packed(city: World) -> list:
    return [
        kind.pack(city.obstacles, count)
        for kind, count in zip((Cylinders, Spheres, Boxes), pad_of(city), strict=True)
    ]


def test_the_most_crowded_cells_go_without_a_list_and_answers_stay(scenes, city, monkeypatch):
    """However many obstacles share one place, an index takes so much memory and no more."""
    monkeypatch.setattr("sim.index.MOST_PAIRS", 60_000)
    made = jax.tree.map(jnp.asarray, index_of(packed(city), np.array(city.bounds)))
    thin = replace(scenes[0], index=replace(made, bounds=scenes[0].index.bounds))
    unlisted = np.asarray(made.near[0][:, 0] == UNLISTED)
    assert 0.02 < unlisted.mean() < 0.9
    assert unlisted.sum() > 2 * (scenes[0].index.near[0][:, 0] == UNLISTED).sum()
    points = places(1000)
    np.testing.assert_array_equal(all_distances(thin, points), all_distances(scenes[1], points))


def test_an_index_of_too_small_a_reach_gives_itself_away(scenes, city):
    """What the two tests above would find."""
    kinds = packed(city)
    short = index_of(kinds, np.array(city.bounds), reach=1.0)
    wrong = replace(scenes[0], index=jax.tree.map(jnp.asarray, short))
    origins = places(320, 1)
    assert not np.allclose(casts(wrong, origins, REACH), casts(scenes[1], origins, REACH), atol=0.1)
    near = tuple(np.where(np.arange(table.shape[1]) == 0, table, EMPTY) for table in short.near)
    careless = replace(scenes[0], index=replace(scenes[0].index, near=near))
    points = places(1000)
    assert (all_distances(careless, points) > all_distances(scenes[1], points) + 0.1).any()


def test_derivatives_are_those_of_all_obstacles(scenes):
    slope = jax.jit(jax.grad(lambda point, scene: signed_distance(scene, point)))
    sum_of = jax.jit(
        jax.grad(lambda point, scene: ray_distance(scene, point, DIRECTIONS, REACH).sum())
    )
    for point in np.concatenate([places(12), places(40, 2)[-4:]]):
        np.testing.assert_allclose(slope(point, scenes[0]), slope(point, scenes[1]), atol=1e-6)
        mine, theirs = sum_of(point, scenes[0]), sum_of(point, scenes[1])
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
        assert np.isfinite(mine).all()


def test_only_large_scenes_have_one():
    """Small ones keep their arrays, and so their programs and bits."""
    for name, density in (("dense_forest", 1.0), ("diffphys", 1.0), ("forest", 10.0)):
        world = generate(name, 0, density=density)
        scene = scene_of(world, pad_of(world))
        assert scene.index is None and len(jax.tree.leaves(scene)) == 11


def test_cells_that_too_many_matter_to_say_so_and_are_answered(monkeypatch):
    heap = tuple(Sphere((1 + 1e-3 * i, 1.0, 1.0), 0.1) for i in range(40))
    rest = tuple(Cylinder((x, y, 1.0), 0.1, 2.0) for x in range(3, 9) for y in range(9))
    world = Course(
        (0.5, 8.0, 1.0), 0.0, (9.0, 8.0, 1.0), 1.0, bounds=((0.0, 0.0, 0.0), (9.0, 9.0, 3.0))
    )
    made = world.world((*heap, *rest, Box((6.0, 8.5, 1.0), (0.2, 0.1, 0.4), 0.3)))
    monkeypatch.setattr("sim.scene.MOST_SCANNED", 100)
    scene = scene_of(made)
    tables = [np.asarray(table) for table in (*scene.index.near, *scene.index.far)]
    assert 0 < (tables[1][:, 0] == UNLISTED).mean() < 1  # Of spheres, for distances.
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 0], [10, 10, 4], (2000, 3)).astype(np.float32)
    bare = replace(scene, index=None)
    np.testing.assert_array_equal(distances(scene, points), distances(bare, points))
    mine, theirs = casts(scene, points[:200], 3.0), casts(bare, points[:200], 3.0)
    np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_stacked_scenes_keep_it_where_all_have_it(scenes, city):
    other = generate("city", 1_000_001)
    second = scene_of(other, pad_of(other), jnp.float32)
    stacked = stack_scenes([scenes[0], second])
    assert stacked.index is not None
    points = places(AT_ONCE, 3)[:, None]
    both = jax.jit(jax.vmap(signed_distance, (0, None)))(stacked, points)
    np.testing.assert_array_equal(both[0, :, 0], distances(scenes[0], points[:, 0]))
    np.testing.assert_array_equal(both[1, :, 0], distances(second, points[:, 0]))
    mixed = stack_scenes([scenes[0], scene_of(generate("forest", 0))])
    assert mixed.index is None
    assert nearest_culled(scenes[0], points[0, 0], (8, 8, 8)).index is None


def test_a_cast_to_float32_does_no_harm(scenes):
    """Rays of a float64 scene are cast so: every leaf of it becomes a float32."""
    cast = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), scenes[0])
    points = places(500)
    np.testing.assert_array_equal(distances(cast, points), distances(scenes[0], points))


def test_what_is_not_finite_stays_what_it_was(scenes):
    for point in ((np.nan, 1.0, 1.0), (np.inf, 1.0, 1.0), (100.0, -np.inf, 1.0)):
        points = np.tile(np.float32(point), (AT_ONCE, 1))
        mine, theirs = (np.asarray(distances(scene, points)) for scene in scenes)
        np.testing.assert_array_equal(mine, theirs)


def test_clearances_of_large_worlds_are_those_of_all_obstacles(city, monkeypatch):
    walk = np.array(city.start_position) + np.cumsum(
        np.random.default_rng(0).normal(scale=0.05, size=(1500, 3)), axis=0
    )
    points = np.concatenate([walk, places(300), [[np.nan] * 3]])
    mine = clearance(city, 0.06, points)
    exact = distances_of(city.obstacles, points[:200]).min(axis=1)
    np.testing.assert_array_equal(mine[:200], np.minimum(exact, points[:200, 2]) - 0.06)
    monkeypatch.setattr("sim.clearances._FEW", 10_000)
    np.testing.assert_array_equal(mine, clearance(city, 0.06, points))
    assert np.isnan(mine[-1])
