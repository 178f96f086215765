"""Worlds, points and directions that the tests of scenes share."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from sim.scene import obstacle_distance, ray_distance, signed_distance
from sim.world import Box, Cylinder, Sphere, World

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


# Compiled once for each dtype and shape: most of this file's time is compilation.
distance = jax.jit(signed_distance)
clearance = jax.jit(obstacle_distance)
gradient = jax.jit(jax.vmap(jax.grad(signed_distance, argnums=1), in_axes=(None, 0)))
rays = jax.jit(ray_distance)
ray_slopes = jax.jit(jax.grad(lambda *a: jnp.sum(ray_distance(*a)), argnums=(1, 2)))
