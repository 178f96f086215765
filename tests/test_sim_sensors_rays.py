"""Fans of rays: where they point, who may use them, and PyBullet along 100,000 rays."""

from __future__ import annotations

import math
from dataclasses import replace

import flying
import jax
import numpy as np
import pybullet
import pytest
from scene_samples import sphere_directions, world_of

from lnn_nav.scan import ScanShape, blank_scan, remember
from sim.airframe import CF2X
from sim.bullet import build, connect
from sim.flight import Pilot, fly
from sim.scene import ray_distance, scene_of
from sim.sensors import (
    CALM,
    DepthPattern,
    RayFan,
    RayPattern,
    Rays,
    depth_pattern,
    lidar_ring,
    look,
    multiranger,
)
from sim.shapes import distances_of
from sim.state import at_rest
from sim.world import Box, Cylinder, Sphere

FANS = {
    "rings": RayPattern(((0.0, 24), (15.0, 12), (-15.0, 12))),
    "lidar": lidar_ring(90, (-10.0, 0.0, 10.0)),
    "depth": depth_pattern(16, 12, 60.0),
    "multiranger": multiranger(),
    "listed": Rays.along(sphere_directions(40), 5.0),
}


@pytest.mark.parametrize("name", FANS)
def test_every_fan_keeps_the_common_promise(name):
    fan = FANS[name]
    assert isinstance(fan, RayFan)
    assert fan.directions.shape == (fan.count, 3)
    np.testing.assert_allclose(np.linalg.norm(fan.directions, axis=1), 1, rtol=1e-12)
    assert fan.max_range > 0
    assert hash(fan) == hash(type(fan)(**vars_of(fan))) and fan == type(fan)(**vars_of(fan))
    # No direction is farther from its nearest ray than that ray's cell says.
    probes = sphere_directions(500, seed=8)
    cosine = probes @ fan.directions.T
    angle = np.arccos(np.clip(cosine.max(axis=1), -1, 1))
    # Where cells are thin wedges, the 40,000 directions that they were found on can miss an end.
    assert (angle < fan.cell_radius[cosine.argmax(axis=1)] + 0.02).mean() > 0.97
    part = fan.first(2)
    np.testing.assert_allclose(part.directions, fan.directions[: part.count], atol=1e-15)
    assert 2 <= part.count < fan.count


cast = jax.jit(look, static_argnums=(0, 3))


def vars_of(fan):
    """Its fields, without what it has worked out."""
    return {name: getattr(fan, name) for name in fan.__dataclass_fields__}


def test_cells_are_the_same_however_many_rays_are_looked_at_together(monkeypatch):
    whole = FANS["rings"].cell_radius
    monkeypatch.setattr("sim.sensors.fan._MOST_PAIRS", 48 * 1000)
    np.testing.assert_allclose(RayPattern(FANS["rings"].rings).cell_radius, whole, rtol=1e-5)


def test_the_multiranger_points_as_on_the_crazyflie():
    beams = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)]
    np.testing.assert_array_equal(multiranger().directions, beams)
    assert multiranger().max_range == 4.0
    # Boxes at the five places: front 1 m, back 2 m, left 1.5 m, right 2.5 m, up 3 m.
    walls = [((1.5, 0, 2), 1), ((-2.5, 0, 2), 2), ((0, 2, 2), 1.5), ((0, -3, 2), 2.5)]
    boxes = [Box(center, (0.5, 0.5, 0.5)) for center, _ in walls]
    scene = scene_of(world_of([*boxes, Box((0, 0, 5.5), (0.5, 0.5, 0.5))]), dtype=np.float64)
    state = at_rest(np.array([0.0, 0.0, 2.0])).as_jax()
    seen = cast(multiranger(), scene, state, CALM, None).ranges
    np.testing.assert_allclose(seen, [1.0, 2.0, 1.5, 2.5, 3.0], atol=1e-12)


def test_a_depth_pattern_is_a_pinhole_with_square_pixels():
    fan = depth_pattern(8, 6, 50.0)
    grid = fan.directions.reshape(6, 8, 3)
    plane = grid / grid[..., :1]  # On the plane at unit depth.
    step = 2 * math.tan(math.radians(25)) / 6
    np.testing.assert_allclose(np.diff(plane[..., 1], axis=1), -step, rtol=1e-12)
    np.testing.assert_allclose(np.diff(plane[..., 2], axis=0), -step, rtol=1e-12)
    # Row by row from the top left: left is +y, up is +z.
    assert plane[0, 0, 1] > 0 > plane[0, -1, 1] and plane[0, 0, 2] > 0 > plane[-1, 0, 2]
    edge = plane[0, 0, 2] + step / 2
    assert math.degrees(2 * math.atan(edge)) == pytest.approx(50.0, rel=1e-12)
    # A wall square to the axis is as deep everywhere; along the rays it is not.
    wall = scene_of(world_of([Box((3.5, 0, 2), (0.5, 9, 9))]), dtype=np.float64)
    ranges = cast(fan, wall, at_rest(np.array([0.0, 0, 2])).as_jax(), CALM, None).ranges
    np.testing.assert_allclose(fan.axial(ranges), 3.0, rtol=1e-12)
    assert np.ptp(ranges) > 0.3
    np.testing.assert_allclose(fan.along(fan.axial(ranges)), ranges, rtol=1e-12)
    assert fan.picture(ranges).shape == (6, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rays(((0.0, 0.0, 0.0),)), "vectors: expected finite ones, none of length zero"),
        (lambda: Rays(((1.0, float("nan"), 0.0),)), "vectors: expected finite"),
        (lambda: Rays(()), r"vectors: expected \[rays, 3\]"),
        (lambda: Rays(np.ones((3, 2))), r"vectors: expected \[rays, 3\]"),
        (lambda: Rays([[1, 2, 3], [1, 2]]), "vectors: expected numbers"),
        (lambda: multiranger(0.0), "max_range: expected a positive number"),
        (lambda: depth_pattern(0, 4), "width: expected at least 1 pixel"),
        (lambda: depth_pattern(4, -1), "height: expected at least 1 pixel"),
        (lambda: depth_pattern(4, 4, 180.0), "fov: expected an angle between 0 and 180"),
        (lambda: depth_pattern(4, 4, float("nan")), "fov: expected an angle"),
        (lambda: DepthPattern(4, 4, rows=5), "rows: expected 1 to 4"),
        (lambda: lidar_ring(0), "rings: expected"),
        (lambda: lidar_ring(8, (91.0,)), "rings: expected"),
    ],
)
def test_impossible_fans_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["depth", "multiranger", "listed"])
def test_a_pilot_flies_with_any_fan(name):
    pilot = flying.Plain(rays=FANS[name])
    assert isinstance(pilot, Pilot)
    flight = fly(flying.open_world(), pilot, "twin")
    assert flight.outcome == "reached"
    assert flight.think_records["ranges"].shape[1] == FANS[name].count


def test_the_memory_of_the_barrier_takes_any_fan():
    fan, post = FANS["depth"], Cylinder((2.0, 0.0, 1.5), 0.3, 3.0)
    shape, state = ScanShape(fan), at_rest(np.array([0.0, 0.0, 1.5])).as_jax()
    scene = scene_of(world_of([post]), dtype=np.float64)
    sight = cast(fan, scene, state, CALM, None)
    blank = blank_scan(shape, state.position)
    scan = jax.jit(remember, static_argnums=0)(shape, blank, sight, 0.04)
    hit = np.asarray(sight.ranges) < fan.max_range
    assert 10 < hit.sum() < fan.count
    expected = np.asarray(sight.ranges)[:, None] * fan.directions + state.position
    np.testing.assert_allclose(np.asarray(scan.points[0])[hit], expected[hit], atol=1e-5)


def thicket(seed: int = 0):
    """Fifty solids of all kinds and axes, poles 3 cm thin among them, none at the middle."""
    random, obstacles = np.random.default_rng(seed), []
    for index in range(50):
        center = random.uniform([-6, -6, 0.3], [6, 6, 3.7])
        center[:2] += np.sign(center[:2]) * 1.5
        size = random.uniform(0.2, 0.8, 3)
        axis = "xyz"[index // 4 % 3]
        shapes = [
            Cylinder(tuple(center), size[0], 2 * size[1], axis),
            Sphere(tuple(center), size[0]),
            Box(tuple(center), tuple(size), random.uniform(-4, 4)),
            Cylinder((*center[:2], 2.0), 0.015, 4.0),
        ]
        obstacles.append(shapes[index % 4])
    return world_of(obstacles, bounds=((-9, -9, 0), (9, 9, 4)), target=(0.0, 0.3, 1.5))


REACH = 10.0
GRAZING = 0.05
"""A ray grazes where its cosine with the normal of the surface that it meets is below this."""

BESIDE = 3e-4
"""Angle between a ray and those beside it [rad]."""

LARGER = (150.0, 240.0)
"""PyBullet ends a ray within 1 mm of a surface, whatever its size: it is exact in a larger world.

Its iteration goes right through a thin pole for one ray in some hundred that meet one (5 or so of
100,000, at any size), but not for the same rays at two sizes: the nearer answer counts.
"""


def met(scene, count: int):
    """Random rays from the middle: origins, directions, ranges, and which of them do not graze.

    A ray grazes if eight rays around it, `BESIDE` apart, differ from it by more than a plane does
    that is met at `GRAZING`: then it is along a surface, or an edge is so near that what PyBullet
    leaves of its 1 mm decides which side of it is seen. What is so excluded is under 1 %.
    """
    random = np.random.default_rng(1)
    origins = random.uniform([-1, -1, 1.2], [1, 1, 1.8], (count, 3))
    directions = sphere_directions(count, seed=2)
    side = np.cross(directions, sphere_directions(count, seed=3))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(directions, side)
    turns = np.arange(8) * np.pi / 4
    around = [directions + BESIDE * (math.cos(turn) * side + math.sin(turn) * up) for turn in turns]
    cast_all = jax.jit(jax.vmap(lambda origin, fan: ray_distance(scene, origin, fan, REACH)))
    seen = np.asarray(cast_all(origins, np.stack([directions, *around], axis=1)))
    # The slope of the range over the angle is the range times the tangent of the incidence.
    slope = np.abs(seen[:, 1:] - seen[:, :1]).max(axis=1) / BESIDE / np.maximum(seen[:, 0], 1e-3)
    return origins, directions, seen[:, 0], slope < math.sqrt(1 - GRAZING**2) / GRAZING


def enlarged(world, scale: float):
    """The same world, every length `scale` times as long."""

    def by(values):
        return tuple(scale * value for value in values)

    def grown(solid):
        if isinstance(solid, Sphere):
            return Sphere(by(solid.center), scale * solid.radius)
        if isinstance(solid, Box):
            return Box(by(solid.center), by(solid.half_extents), solid.yaw)
        size = by((solid.radius, solid.height))
        return Cylinder(by(solid.center), *size, solid.axis)

    return replace(
        world,
        obstacles=tuple(grown(solid) for solid in world.obstacles),
        bounds=tuple(by(corner) for corner in world.bounds),
        start_position=by(world.start_position),
        target=by(world.target),
    )


def bullet_rays(world, origins, directions, scale: float):
    """What `rayTestBatch` answers in the enlarged world, in metres of the world itself."""
    starts = scale * origins
    ends, found, client = starts + scale * REACH * directions, [], connect()
    try:
        body = build(client, CF2X, enlarged(world, scale))
        pybullet.removeBody(body, physicsClientId=client)
        for first in range(0, len(ends), 10_000):
            some = slice(first, first + 10_000)
            hits = pybullet.rayTestBatch(
                starts[some].tolist(), ends[some].tolist(), physicsClientId=client
            )
            found += [hit[2] for hit in hits]
    finally:
        pybullet.disconnect(client)
    return REACH * np.array(found)


def test_100_000_rays_are_those_of_pybullet():
    world = thicket()
    origins, directions, ours, clean = met(scene_of(world, dtype=np.float64), 100_000)
    theirs = np.minimum(*(bullet_rays(world, origins, directions, scale) for scale in LARGER))
    # As the eyes cast them, in float32.
    small, inputs = scene_of(world), (origins.astype(np.float32), directions.astype(np.float32))
    single = jax.jit(jax.vmap(lambda o, d: ray_distance(small, o, d[None], REACH)[0]))(*inputs)
    assert clean.mean() > 0.99
    for seen in (ours, np.asarray(single)):
        assert np.abs(seen - theirs)[clean].max() < 1e-4
    # Thin poles are among what is met.
    ends = (origins + ours[:, None] * directions)[ours < REACH]
    poles = [solid for solid in world.obstacles if getattr(solid, "radius", 1.0) < 0.02]
    assert len(poles) == 12 and (np.abs(distances_of(poles, ends)).min(axis=1) < 1e-9).sum() > 200
    # The bound is one that sees a millimetre: a world whose solids are 1 mm off exceeds it.
    off = replace(
        world,
        obstacles=tuple(
            replace(solid, center=(solid.center[0] + 1e-3, *solid.center[1:]))
            for solid in world.obstacles
        ),
    )
    _, _, other, _ = met(scene_of(off, dtype=np.float64), 100_000)
    assert (np.abs(other - ours)[clean] > 1e-4).sum() > 1000
