"""The verdict: every figure against one worked out by hand, or by other means."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from synthetic_flight import slalom, slalom_world

from sim.airframe import CF2X
from sim.clearances import clearance
from sim.judge import finite_ticks, interventions, verdict
from sim.record import Flight, FlightError
from sim.world import Cylinder

FIELDS = (
    "reached contacts outcome time_s path_m mean_speed_mps min_clearance_m limit_violations "
    "max_rotor_fraction max_torque_fraction max_tilt_rad nonfinite ticks interventions "
    "fallback_ticks act_ms_p50 act_ms_p99 think_ms_p50 think_ms_p99 seed world engine pilot"
).split()


def straight(**changes: object) -> Flight:
    """Four ticks of 0.25 s, a metre each, past a pillar whose face is 0.5 m to the left."""
    world = slalom_world(obstacles=(Cylinder((2.0, 1.0, 1.5), 0.5, 3.0),))
    fields = {
        "world": world,
        "times": np.array([0.25, 0.5, 0.75, 1.0]),
        "position": np.array([[1, 0, 1.5], [2, 0, 1.5], [3, 0, 1.5], [4, 0, 1.5]], float),
        "velocity": np.tile([4.0, 0, 0], (4, 1)),
        "quaternion": np.tile([0.0, 0, 0, 1], (4, 1)),
        "angular_velocity": np.zeros((4, 3)),
        "forces": np.full((4, 4), CF2X.hover_force),
        "contact": np.zeros(4, bool),
        "act_seconds": np.array([1e-3, 2e-3, 3e-3, 4e-3]),
        "think_times": np.array([0.0, 0.5]),
        "think_seconds": np.array([5e-3, 7e-3]),
        "records": {},
        "think_records": {},
    }
    return slalom(ticks=2, **(fields | changes))


def test_the_fields_are_those_of_the_contract_and_of_plain_types() -> None:
    result = verdict(straight())
    assert [field.name for field in dataclasses.fields(result)] == FIELDS
    read = json.loads(result.to_json())
    assert list(read) == FIELDS
    assert read == dataclasses.asdict(result) | {
        "max_torque_fraction": list(result.max_torque_fraction)
    }
    for name, value in dataclasses.asdict(result).items():
        assert type(value) in (bool, int, float, str, tuple), name


def test_a_straight_flight_by_hand() -> None:
    result = verdict(straight())
    assert (result.reached, result.outcome, result.contacts, result.passed) == (
        True,
        "reached",
        0,
        True,
    )
    assert (result.time_s, result.path_m, result.mean_speed_mps, result.ticks) == (1.0, 4.0, 4.0, 4)
    assert result.min_clearance_m == pytest.approx(0.5 - 0.06, abs=1e-12)
    assert result.max_rotor_fraction == pytest.approx(1 / 2.25, rel=1e-6)
    assert (result.max_tilt_rad, result.nonfinite, result.interventions) == (0.0, 0, 0.0)
    assert (result.act_ms_p50, result.think_ms_p50) == (2.5, 6.0)
    assert result.act_ms_p99 == pytest.approx(3.97)
    assert result.think_ms_p99 == pytest.approx(6.98)
    assert (result.seed, result.world, result.engine) == (1_000_007, "forest", "pybullet")
    assert result.pilot == "formula"


def test_clearance_counts_the_ground_and_the_start() -> None:
    low = straight(position=np.array([[1, 0, 0.2], [2, -3, 1.5], [3, 0, 1.5], [4, 0, 1.5]], float))
    assert verdict(low).min_clearance_m == pytest.approx(0.14)
    away = np.tile([10.0, -5.0, 3.9], (4, 1))
    near = slalom_world(obstacles=(Cylinder((0.0, 0.5, 1.5), 0.2, 3.0),))
    assert verdict(straight(position=away, world=near)).min_clearance_m == pytest.approx(0.24)


def test_clearance_is_negative_inside_and_nan_where_there_is_no_point() -> None:
    world = straight().world
    points = np.array([[2, 1, 1.5], [2, 0, 1.5], [np.nan, 0, 1], [9, -6, 0.01]])
    expected = [-0.56, 0.44, np.nan, -0.05]
    np.testing.assert_allclose(clearance(world, 0.06, points), expected, atol=1e-12)


def test_clearance_is_that_of_dense_points_on_the_surfaces() -> None:
    """Against a cloud of points on a box, a ball and two pillars, sampled independently."""
    rng = np.random.default_rng(3)
    world = slalom_world()
    cloud = []
    for item in world.obstacles:
        if hasattr(item, "half_extents"):
            local = rng.uniform(-1, 1, (8_000, 3))
            face = rng.integers(0, 3, 8_000)
            local[np.arange(8_000), face] = np.sign(local[np.arange(8_000), face])
            turned = Rotation.from_euler("z", item.yaw).apply(local * item.half_extents)
            cloud.append(turned + item.center)
        elif not hasattr(item, "height"):
            ball = rng.normal(size=(8_000, 3))
            cloud.append(item.center + item.radius * ball / np.linalg.norm(ball, axis=1)[:, None])
    boxes_and_balls = tuple(item for item in world.obstacles if not hasattr(item, "axis"))
    world = slalom_world(obstacles=boxes_and_balls)
    points = rng.uniform([0, -3, 2.2], [14, 3, 4], (30, 3))
    gaps = np.linalg.norm(points[:, None] - np.concatenate(cloud)[None], axis=2).min(axis=1)
    outside = clearance(world, 0.0, points) > 0.05
    expected = np.minimum(gaps, points[:, 2])[outside]
    np.testing.assert_allclose(clearance(world, 0.0, points)[outside], expected, atol=0.02)
    assert outside.sum() > 15


def test_limits_are_fractions_of_what_the_airframe_can_give() -> None:
    forces = np.zeros((4, 4))
    forces[1] = [0, 0, CF2X.max_force, CF2X.max_force]  # all of the roll torque
    forces[2] = [CF2X.max_force, 0, CF2X.max_force, 0]  # all of the yaw torque, the other way
    forces[3, 0] = -1.5 * CF2X.max_force
    result = verdict(straight(forces=forces, limit_violations=1))
    assert result.max_rotor_fraction == 1.5
    x, y, z = result.max_torque_fraction
    assert (x, y, z) == (pytest.approx(1.0), pytest.approx(0.75), pytest.approx(1.0))
    assert not result.passed


def test_a_force_at_the_limit_is_a_fraction_of_one_exactly() -> None:
    forces = np.full((4, 4), CF2X.max_force, np.float32)
    assert verdict(straight(forces=forces)).max_rotor_fraction == 1.0


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.4, math.pi / 2, 3.0])
def test_tilt_is_the_angle_of_the_body_from_upright(angle: float) -> None:
    lean = Rotation.from_euler("ZYX", [1.1, 0, 0]) * Rotation.from_rotvec(
        angle * np.array([0.6, 0.8, 0])
    )
    quaternion = np.tile([0.0, 0, 0, 1], (4, 1))
    quaternion[2] = lean.as_quat()
    assert verdict(straight(quaternion=quaternion)).max_tilt_rad == pytest.approx(angle, abs=1e-15)


def test_interventions_are_ticks_on_which_the_acceleration_changed() -> None:
    wish = np.zeros((4, 3))
    flown = np.array([[0, 0, 0], [0.9e-3, 0, 0], [0.9e-3, 0.9e-3, 0], [0, np.nan, 0]])
    flight = straight(records={"acceleration": flown, "acceleration_wish": wish})
    assert interventions(flight).tolist() == [False, False, True, True]
    assert verdict(flight).interventions == 0.5
    assert verdict(straight(records={"acceleration": flown})).interventions == 0.0
    flat = straight(records={"acceleration": flown[:, 0], "acceleration_wish": wish})
    with pytest.raises(FlightError, match="'acceleration'"):
        verdict(flat)


@pytest.mark.parametrize("dtype", [bool, np.float32, np.int64])
def test_fallback_ticks_are_those_that_are_marked(dtype: type) -> None:
    marks = np.array([0, 1, 0, 1]).astype(dtype)
    assert verdict(straight(records={"fallback": marks})).fallback_ticks == 2
    both = np.stack([marks, marks[::-1]], axis=1)
    assert verdict(straight(records={"fallback": both})).fallback_ticks == 4
    assert verdict(straight()).fallback_ticks == 0


def test_what_is_not_finite_is_counted_and_spoils_no_figure() -> None:
    good = straight()
    for name in ("position", "velocity", "quaternion", "angular_velocity", "forces"):
        column = getattr(good, name).copy()
        column[3, 1] = np.inf
        column[2, 0] = np.nan
        result = verdict(dataclasses.replace(good, **{name: column}))
        assert result.nonfinite == 2
        assert not result.passed
        assert all(
            math.isfinite(value)
            for value in json.loads(result.to_json()).values()
            if isinstance(value, float)
        ), name
        assert result.path_m == 2.0
    assert finite_ticks(good).all()


def test_a_flight_of_nothing_finite_still_has_a_verdict() -> None:
    nothing = straight(position=np.full((4, 3), np.nan), forces=np.full((4, 4), np.nan))
    result = verdict(nothing)
    assert (result.nonfinite, result.path_m, result.max_rotor_fraction) == (4, 0.0, 0.0)
    json.loads(result.to_json())


def test_contact_and_outcome_are_told_as_recorded() -> None:
    contact = np.array([False, False, True, True])
    result = verdict(straight(contact=contact, outcome="contact"))
    assert (result.contacts, result.reached, result.outcome) == (2, False, "contact")
    assert not result.passed
    for outcome in ("timeout", "out_of_bounds"):
        assert not verdict(straight(outcome=outcome)).reached


def test_a_flight_without_sights_has_no_thinking_time() -> None:
    none = straight(think_times=np.zeros(0), think_seconds=np.zeros(0))
    assert (verdict(none).think_ms_p50, verdict(none).think_ms_p99) == (0.0, 0.0)
