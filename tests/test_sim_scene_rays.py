"""Rays are exact: the laws of sphere tracing, and PyBullet on the same solids."""

from __future__ import annotations

import itertools

import numpy as np
import pybullet
import pytest
from scene_samples import (
    DTYPES,
    ONE_OF_EACH,
    awkward_points,
    crowd,
    distance,
    ray_slopes,
    rays,
    sphere_directions,
    surface,
    world_of,
)

from sim.scene import scene_of
from sim.world import Box, Cylinder, Sphere


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
