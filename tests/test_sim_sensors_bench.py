"""The bench of the sensors: its rows, and that both sides look at the same thing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pybullet

# As it is for a program that is run from there.
sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

import bench_sensors

from sim.bullet import connect
from sim.clearances import clearance
from sim.sensors import Rays
from sim.sensors.fan import sphere_points


def test_every_way_of_looking_has_a_row_and_both_sides_see_the_same():
    config = bench_sensors.Bench(rays=64, obstacles=9, drones=2, rounds=1)
    rows = bench_sensors.measure(config)
    assert [row["drones"] for row in rows] == [2, 2, 1, 1, 1, 1]
    assert all(row["us_per_drone"] > 0 for row in rows)
    assert {"rayTestBatch, one drone a call"} < {row["name"] for row in rows}
    assert sum(row["name"].startswith(bench_sensors.BATCHED) for row in rows) == 2

    fan, world = Rays.along(sphere_points(64), 10.0), bench_sensors.crowd(9, 0)
    client = connect()
    try:
        _, cast = bench_sensors._bullet(client, world, fan.directions, fan.max_range)
        theirs = 10 * np.array([hit[2] for hit in cast()])
    finally:
        pybullet.disconnect(client)
    ours = np.asarray(bench_sensors._ours(fan, [world])())[0]
    assert 15 < (ours < 10).sum() < 64
    # PyBullet's millimetre; 100,000 rays are compared elsewhere.
    assert np.median(np.abs(ours - theirs)[ours < 10]) < 1e-3


def test_the_crowds_leave_the_drones_room():
    for kinds in (("cylinder",), ("cylinder", "sphere", "box")):
        for seed in range(20):
            world = bench_sensors.crowd(50, seed, kinds)
            assert len(world.obstacles) == 50
            assert clearance(world, 0.06, np.array([world.start_position]))[0] > 0
