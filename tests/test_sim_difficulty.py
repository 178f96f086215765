"""Guiding paths are short and keep their distance; difficulty is what hand computation says."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from world_search import task_world

from sim import guide
from sim.difficulty import Difficulty, difficulty
from sim.families import generate
from sim.families.corridor import grid_of
from sim.guide import guiding_path
from sim.shapes import distances_of
from sim.world import Box, Cylinder, Sphere, World, WorldError

HALF, LIMIT = math.pi / 4, 8.0


def arena(obstacles=(), **changes) -> World:
    return task_world(
        {"bounds": ((-9.0, -9.0, 0.0), (15.0, 9.0, 4.0)), "obstacles": tuple(obstacles)} | changes
    )


def length_of(path: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def test_an_empty_world_is_the_easiest():
    assert asdict(difficulty(arena())) == pytest.approx(asdict(Difficulty(0.0, 0.0, 0.0, 10.0)))


def test_between_two_walls_there_is_the_inverse_of_the_room():
    walls = [Box((5.0, y, 2.0), (20.0, 0.1, 2.0)) for y in (-0.9, 0.9)]
    measured = difficulty(arena(walls))
    assert measured.traversability == pytest.approx(1 / 0.8)
    assert measured.angle_over_length == 0 and measured.path_length == pytest.approx(10)


def test_a_wall_ahead_hides_what_its_integral_says():
    """D m ahead, a ray at an angle a meets it after D / cos a: integrated over the cone."""
    wall = Box((5.5, 0.0, 0.0), (0.5, 50.0, 50.0))
    # Seen from 5 m to 1 m away: on the mean from 3 m, and on the narrower half from 3 m to 1 m.
    measured = difficulty(arena([wall], target=(4.0, 0.0, 1.5)))
    mean_ray = 3 * -math.log(math.cos(HALF)) / (1 - math.cos(HALF))
    assert measured.occlusion == pytest.approx(1 - mean_ray / LIMIT, abs=2e-3)
    assert measured.traversability == pytest.approx(math.log(3) / 2, rel=2e-3)
    behind = difficulty(arena([Box((-2.5, 0.0, 0.0), (0.5, 50.0, 50.0))]))
    assert behind.occlusion == 0 and behind.traversability > 0


def test_a_corner_turns_by_its_angle():
    measured = difficulty(arena(via=((10.0, 0.0, 1.5),), target=(10.0, 6.0, 1.5)))
    assert measured.path_length == pytest.approx(16)
    assert measured.angle_over_length == pytest.approx(math.pi / 2 / 16)
    back = difficulty(arena(via=((10.0, 0.0, 1.5),), target=(4.0, 0.0, 1.5)))
    assert back.angle_over_length == pytest.approx(math.pi / 16)
    up = difficulty(arena(via=((4.0, 0.0, 1.5),), target=(4.0, 0.0, 3.5)))
    assert up.angle_over_length == pytest.approx(math.pi / 2 / 6)


def test_more_pillars_are_harder():
    def rows(count: int) -> Difficulty:
        along = np.linspace(2, 8, 7)[:count]
        return difficulty(arena(Cylinder((x, y, 2.0), 0.1, 4.0) for x in along for y in (-1, 1)))

    measured = [rows(count) for count in (0, 1, 4, 7)]
    for fewer, more in zip(measured[:-1], measured[1:], strict=True):
        assert more.traversability > fewer.traversability and more.occlusion > fewer.occlusion
    sparse, dense = (
        [difficulty(generate("forest", seed, density=density)) for seed in range(3)]
        for density in (0.5, 2.5)
    )
    for name in ("traversability", "occlusion", "angle_over_length"):
        means = [np.mean([getattr(one, name) for one in world]) for world in (sparse, dense)]
        assert means[1] > 1.1 * means[0]


def turned(world: World, angle: float) -> World:
    cos, sin = math.cos(angle), math.sin(angle)

    def about_z(point):
        x, y, z = point
        return (cos * x - sin * y, sin * x + cos * y, z)

    obstacles = [replace(item, center=about_z(item.center)) for item in world.obstacles]
    obstacles = [replace(o, yaw=o.yaw + angle) if isinstance(o, Box) else o for o in obstacles]
    values = {"obstacles": tuple(obstacles), "target": about_z(world.target)}
    return replace(world, **values, via=tuple(map(about_z, world.via)))


def test_turning_the_world_about_the_vertical_changes_nothing():
    world = arena(
        [
            Cylinder((2.5, 0.3, 2.0), 0.4, 4.0),
            Box((5.0, -0.5, 2.0), (0.3, 1.6, 2.0), 0.4),
            Sphere((7.5, 0.4, 1.7), 0.7),
        ],
        bounds=((-12.0, -12.0, 0.0), (12.0, 12.0, 4.0)),
        via=((3.4, 1.6, 1.5),),
    )
    plain = asdict(difficulty(world))
    assert min(plain.values()) > 0
    for angle in (math.pi / 2, math.pi):  # The grid turns with the world.
        assert asdict(difficulty(turned(world, angle))) == pytest.approx(plain, rel=0.02)
    for angle in (0.4, 2.2):
        assert asdict(difficulty(turned(world, angle))) == pytest.approx(plain, rel=0.08)


def test_without_a_way_there_is_no_difficulty():
    closed = arena([Box((5.0, 0.0, 2.0), (0.2, 20.0, 3.0))])
    assert guiding_path(closed) is None
    with pytest.raises(WorldError, match=r"world: expected a way from start to target with 0.25 m"):
        difficulty(closed)
    assert guiding_path(arena([Sphere((10.0, 0.0, 1.5), 0.5)])) is None


def test_a_path_around_a_wall_is_about_the_shortest():
    path = guiding_path(arena([Box((5.0, 0.0, 2.0), (0.2, 2.0, 3.0))]))
    # Longer than around the wall's very corners; about as long as around theirs with 0.25 m.
    at_least, about = 2 * math.hypot(4.8, 2.0) + 0.4, 2 * math.hypot(4.55, 2.25) + 0.9
    assert at_least <= length_of(path) <= about + 0.1
    assert 3 <= len(path) <= 8


@pytest.mark.parametrize(("name", "seed"), [("rooms", 3), ("mixed", 4), ("gates", 5)])
def test_paths_keep_their_distance_and_pass_the_vias(name, seed):
    world = generate(name, seed)
    path = guiding_path(world)
    np.testing.assert_allclose(path[[0, -1]], [world.start_position, world.target])
    for via in world.via:
        assert np.abs(path - via).max(axis=1).min() < 1e-9
    dense = np.concatenate([np.linspace(a, b, 200) for a, b in itertools.pairwise(path)])
    # Between two points that are looked at, half a step; along a diagonal, 0.37 of a cell.
    assert distances_of(world.obstacles, dense).min() >= 0.25 - 0.37 * 0.125 - 0.025
    lower, upper = np.array(world.bounds)
    assert (dense >= lower + 0.25 - 1e-9).all() and (dense <= upper - 0.25 + 1e-9).all()
    assert length_of(path) >= world.length - 1e-9


def test_lengths_on_the_grid_are_those_of_dijkstra():
    free = np.random.default_rng(1).random((9, 8, 7)) < 0.6
    end = np.argwhere(free)[40]
    ours = guide._lengths(free, end)
    index = np.arange(free.size).reshape(free.shape)
    rows, columns, steps = [], [], []
    for node in np.argwhere(free):
        for beside in np.argwhere(free):
            apart = np.abs(node - beside)
            if 0 < apart.max() <= 1:
                rows.append(index[tuple(node)])
                columns.append(index[tuple(beside)])
                steps.append(np.linalg.norm(apart))
    graph = coo_matrix((steps, (rows, columns)), shape=(free.size, free.size)).tocsr()
    theirs = dijkstra(graph, indices=index[tuple(end)]).reshape(free.shape)
    assert np.isinf(ours[free]).any() or np.isfinite(ours[free]).all()
    np.testing.assert_allclose(ours[free], theirs[free])
    assert np.isinf(ours[~free]).all()


def test_looking_near_the_ends_first_finds_no_longer_way(monkeypatch):
    for world in (generate("rooms", 1), arena([Box((5.0, 0.0, 2.0), (0.2, 5.0, 3.0))])):
        grid = grid_of(world, 0.25, 0.125)
        near = guide._way(grid.free, grid.nodes[0], grid.nodes[1], 0.125)
        monkeypatch.setattr(guide, "MARGINS", (math.inf,))
        whole = guide._way(grid.free, grid.nodes[0], grid.nodes[1], 0.125)
        monkeypatch.undo()
        assert length_of(near) == pytest.approx(length_of(whole))
