"""What tests of moving worlds share: worlds, other laws of motion, and contacts in plain numpy."""

from __future__ import annotations

from dataclasses import replace

import flying
import numpy as np

from sim import CF2X, Box, Cylinder, Sphere, World
from sim.shapes import distances_of
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
