"""The published worlds, IROS 2022 and Back to Newton's laws, against their sources' numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sim.airframe import CF2X
from sim.families import generate, has_corridor
from sim.families.iros2022 import CORRIDOR, PERTURBED
from sim.mission import DEVELOPMENT_SEEDS
from sim.shapes import distances_of
from sim.world import Box, Cylinder, Sphere, World

SEEDS = range(DEVELOPMENT_SEEDS.start, DEVELOPMENT_SEEDS.start + 24)

# competition/level0.yaml: x, y, angle, type (0 tall, 1 low) of the gates; x, y of the obstacles.
GATES = [(0.5, -2.5, -1.57, 0), (2, -1.5, 0, 1), (0, 0.2, 1.57, 1), (-0.5, 1.5, 0, 0)]
OBSTACLES = [(1.5, -2.5), (0.5, -1), (1.5, 0), (-1, 0)]
MIDDLE = {0: 1.0, 1: 0.525}
# portal.urdf, low_portal.urdf, obstacle.urdf: edges of a box, its origin, its pitch.
BARS = [
    ((0.5, 0.05, 0.05), (0, 0, -0.225), 0),
    ((0.5, 0.05, 0.05), (0, 0, 0.225), 0),
    ((0.5, 0.05, 0.05), (0.225, 0, 0), 1.57),
    ((0.5, 0.05, 0.05), (-0.225, 0, 0), 1.57),
]
BLOCK = ((0.15, 0.15, 0.25), (0, 0, -0.4), 0)
POST, ROD = ((0.05, 0.8), (0, 0, -0.6), 0), ((0.05, 0.8), (0, 0, 0), 0)
PARTS = {0: [*BARS, POST], 1: [*BARS, BLOCK], "obstacle": [ROD, BLOCK]}


def distance_of_part(part: tuple, middle: tuple, yaw: float, points: np.ndarray) -> np.ndarray:
    """Signed distance to a part of a URDF model, by rotation matrices."""
    size, origin, pitch = part
    cos, sin = math.cos(yaw), math.sin(yaw)
    about_z = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    cos, sin = math.cos(pitch), math.sin(pitch)
    about_y = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    own = (points - np.array(middle) - about_z @ np.array(origin)) @ about_z @ about_y
    if len(size) == 2:
        out = np.stack([np.hypot(own[:, 0], own[:, 1]) - size[0], np.abs(own[:, 2]) - size[1] / 2])
    else:
        out = (np.abs(own) - np.array(size) / 2).T
    return np.linalg.norm(np.maximum(out, 0), axis=0) + np.minimum(out.max(axis=0), 0)


def published_distance(points: np.ndarray) -> np.ndarray:
    """Signed distance to the nearest part of level 0 as it is published."""
    placed = [((x, y, MIDDLE[kind]), yaw, PARTS[kind]) for x, y, yaw, kind in GATES]
    placed += [((x, y, 0.525), 0.0, PARTS["obstacle"]) for x, y in OBSTACLES]
    every = [distance_of_part(p, middle, yaw, points) for middle, yaw, ps in placed for p in ps]
    return np.min(every, axis=0)


def test_level_0_is_the_published_arena():
    world = generate("iros2022_0", 5)
    assert world.bounds == ((-3, -3, 0), (3, 3, 2)) and world.time_limit == 33
    assert world.target == (-0.5, 2.9, 0.75) and world.target_radius == 0.15
    assert world.start_position == (-0.9, -2.9, 0.2) and world.start_yaw == 0
    assert world.via == tuple((float(x), y, MIDDLE[kind]) for x, y, _, kind in GATES)
    points = np.random.default_rng(0).uniform([-3, -3, 0], [3, 3, 2], (4000, 3))
    ours = distances_of(world.obstacles, points).min(axis=1)
    # Their upright bars are pitched by 1.57, not a quarter turn: 0.2 mm at the end of a bar.
    np.testing.assert_allclose(ours, published_distance(points), atol=5e-4)
    near = points[ours < 0.1]
    assert len(near) > 50
    # And one moved obstacle is seen.
    shifted = replace(world.obstacles[-2], center=(-0.95, 0.0, 0.525))
    moved = distances_of((*world.obstacles[:-2], shifted, world.obstacles[-1]), near).min(axis=1)
    assert np.abs(moved - published_distance(near)).max() > 0.01


def test_levels_0_and_1_have_one_geometry_and_1_starts_elsewhere():
    nominal = generate("iros2022_0", 0)
    starts = []
    for seed in SEEDS:
        still, perturbed = generate("iros2022_0", seed), generate("iros2022_1", seed)
        assert still.obstacles == perturbed.obstacles == nominal.obstacles
        assert still.via == perturbed.via == nominal.via
        assert still.start_position == nominal.start_position
        starts.append((*perturbed.start_position, perturbed.start_yaw))
    offsets = np.array(starts) - (*nominal.start_position, 0.0)
    limits = np.array([0.1, 0.1, 0.02, 0.1])
    assert (np.abs(offsets) <= limits + 1e-9).all() and offsets[:, 2].min() >= 0
    assert (offsets[:, 1] >= -0.01 - 1e-9).all()  # Not nearer than 0.09 m to the arena's edge.
    assert (np.abs(offsets).max(axis=0) >= 0.7 * limits).all()


@pytest.mark.parametrize("level", [2, 3])
def test_levels_2_and_3_move_gates_and_obstacles(level):
    nominal = generate("iros2022_0", 0)
    moves, turns = [], []
    for seed in SEEDS:
        world = generate(f"iros2022_{level}", seed)
        moves.append(np.array(world.via) - nominal.via)
        for ours, theirs in zip(world.obstacles, nominal.obstacles, strict=True):
            offset = np.array(ours.center) - theirs.center
            assert offset[2] == 0 and np.abs(offset[:2]).max() <= 0.15 + 0.15 * 0.25
            if isinstance(ours, Box):
                turns.append(ours.yaw - theirs.yaw)
                assert ours.half_extents == theirs.half_extents
        rods = [item.center[:2] for item in world.obstacles if item.center[2] == 0.525]
        rods = [rod for rod in rods if rod not in {via[:2] for via in world.via}]
        assert len(rods) >= 4
    assert 0.12 < np.abs(moves).max() <= 0.15 + 1e-9 and not np.array(moves)[..., 2].any()
    assert 0.12 < np.abs(turns).max() <= 0.15 + 1e-9


def test_levels_are_drawn_apart():
    assert generate("iros2022_2", 1).via != generate("iros2022_3", 1).via
    assert generate("iros2022_3", 1).via != generate("iros2022_3", 2).via


def test_each_gate_is_open_and_closing_it_leaves_no_way():
    world = generate("iros2022_2", 3)
    opening = distances_of(world.obstacles, np.array(world.via)).min(axis=1)
    np.testing.assert_allclose(opening, 0.2, atol=1e-3)
    for via in world.via:
        shut = replace(world, obstacles=(*world.obstacles, Sphere(via, 0.15)))
        assert not has_corridor(shut, CORRIDOR, 0.05)
    assert not has_corridor(world, 0.25)  # Which is why the family has its own.


def test_the_named_perturbation_is_the_published_largest():
    assert PERTURBED.mass_error * CF2X.mass == pytest.approx(0.01)
    assert {value for name, value in vars(PERTURBED).items() if name != "mass_error"} == {0.0}


@pytest.fixture(scope="module")
def newton() -> list[World]:
    return [generate("diffphys", seed) for seed in SEEDS]


def growth(world: World) -> float:
    return max(world.speed - 0.5, 1.0)


def sorted_out(world: World) -> dict[str, list]:
    """The obstacles by what they are; each is one of the published kinds."""
    kinds = {name: [] for name in ("trunk", "beam", "ball", "crown", "hill", "box", "ground")}
    kinds |= {"gate": [], "ceiling": [], "box crown": []}
    for item in world.obstacles:
        if isinstance(item, Cylinder):
            kinds["trunk" if item.axis == "z" else "beam"].append(item)
        elif isinstance(item, Sphere):
            name = "ball" if item.radius < 1 else "crown" if item.radius < 3 else "hill"
            kinds[name].append(item)
        elif item.half_extents == (0.05, 5.0, 5.0):
            kinds["gate"].append(item)
        elif item.half_extents[1:] == (9.0, 3.0):
            kinds["ceiling"].append(item)
        elif abs(item.center[2] - item.half_extents[2]) < 1e-9:
            kinds["ground"].append(item)
        else:
            kinds["box" if item.half_extents[2] < 1 else "box crown"].append(item)
    return kinds


SIZES = {
    "trunk": lambda o: 0.05 <= o.radius <= 0.4 and o.height == 7,
    "beam": lambda o: 0.05 <= o.radius <= 0.15 and o.axis == "y" and 1 <= o.center[2] <= 7,
    "ball": lambda o: 0.4 <= o.radius <= 0.6 and 0 <= o.center[2] <= 6,
    "crown": lambda o: 1.9 <= o.radius <= 2.1 and 2.5 <= o.center[2] <= 8.5,
    "box": lambda o: all(0.2 <= h <= 0.3 for h in o.half_extents) and 0 <= o.center[2] <= 6,
    "box crown": lambda o: all(1.7 <= h <= 1.8 for h in o.half_extents),
    "hill": lambda o: (
        8 <= o.radius <= 14 and 2 - 1e-2 <= math.sqrt(o.radius**2 - o.center[2] ** 2) <= 6 + 1e-2
    ),
    "ground": lambda o: o.half_extents[2] <= 2 and max(o.half_extents) <= 3,
    "ceiling": lambda o: 1.5 - 1e-3 <= o.center[2] - 3 <= 4.5 + 1e-3,
    "gate": lambda o: True,
}
MOST = {"trunk": 30, "beam": 2, "ball": 30, "box": 30, "crown": 15, "box crown": 15, "hill": 2}
MOST |= {"ground": 10, "ceiling": 1, "gate": 4}


def test_every_obstacle_of_diffphys_is_of_a_published_kind_and_size(newton):
    seen = dict.fromkeys(SIZES, 0)
    for world in newton:
        for name, items in sorted_out(world).items():
            assert len(items) <= MOST[name], name
            assert all(SIZES[name](item) for item in items), name
            seen[name] += len(items)
    assert all(seen.values()), seen


def test_half_of_diffphys_has_a_ceiling_and_the_other_half_crowns(newton):
    ceilings = [bool(sorted_out(world)["ceiling"]) for world in newton]
    crowns = [bool(sorted_out(world)["crown"]) for world in newton]
    assert not any(a and b for a, b in zip(ceilings, crowns, strict=True))
    assert 5 <= sum(crowns) <= 19
    assert sum(ceilings) >= 4  # Fewer than half: one over the start itself is left out.


def test_diffphys_grows_with_the_speed(newton):
    longest = 0.0
    for world in newton:
        s = growth(world)
        assert 0.75 <= world.speed <= 3.25
        assert world.bounds[1] == pytest.approx((9.5 * s + 2, 9.0, 7.0), abs=1e-3)
        for item in sorted_out(world)["trunk"]:
            assert 0.3 + (s - 1e-3) * item.radius <= item.center[0] + 1e-3
            assert item.center[0] <= 8 * s - 0.3 - s * item.radius + 1e-3
        ends = sorted([world.start_position[0] / s, world.target[0] / s])
        assert min(abs(ends[0] - x) for x in (-1.5, -1.0, -0.5, 0.0)) < 0.5
        assert min(abs(ends[1] - x) for x in (8.0, 8.5, 9.0, 9.5)) < 0.5
        longest = max(longest, abs(world.target[0] - world.start_position[0]) / s)
    assert longest > 8.3


def test_the_gate_of_diffphys_is_the_only_way(newton):
    shut = 0
    for world in newton:
        gate = sorted_out(world)["gate"]
        if not gate or shut == 3:
            continue
        assert len(gate) == 4 and 3 <= gate[0].center[0] / growth(world) <= 5
        middle = np.mean([box.center for box in gate], axis=0)
        half = distances_of(gate, middle)
        assert half.min() >= 0.5 - 1e-3 and half.max() <= 1 + 1e-3
        assert abs(middle[1]) <= 1 + 1e-3 and 1 - 1e-3 <= middle[2] <= 2 + 1e-3
        rest = [item for item in world.obstacles if item not in gate]
        assert distances_of(rest, middle).min() >= 0.5 - 1e-3
        plug = Box(tuple(middle), (0.05, 1.01, 1.01))
        assert not has_corridor(replace(world, obstacles=(*world.obstacles, plug)))
        shut += 1
    assert shut == 3
