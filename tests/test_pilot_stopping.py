"""The stopping path in closed loop: a minute of push, faces, corners, crowds, and the lag it uses.

Every flight here runs the pilot's own `think` and `act` against the twin, sensed by rays alone.
"""

from __future__ import annotations

import numpy as np
import pytest
from pilot_rig import SUBSTEPS, THOUGHTS, fly_plans, room, straight_pilot

from sim import Box, Cylinder, Sphere
from sim.judge import tilt

PUSHES = {
    "wall in a tail wind": ([Box((3.5, 0, 2), (0.5, 6, 2))], (6, 0, 0), (1, 0, 0)),
    "wall in still air": ([Box((3.5, 0, 2), (0.5, 6, 2))], (6, 0, 0), (0, 0, 0)),
    "ground": ([], (0, 0, -4), (0, 0, -1)),
    "ceiling": ([], (0, 0, 4), (0, 0, 1)),
    "concave corner": (
        [Box((3.5, 0, 2), (0.5, 6, 2)), Box((0, 3.5, 2), (6, 0.5, 2))],
        (6, 6, 0),
        (0.7071, 0.7071, 0),
    ),
    "pole": ([Cylinder((3, 0.02, 2), 0.05, 4)], (6, 0, 0), (1, 0, 0)),
    "wall, aslant": ([Box((3.5, 0, 2), (0.5, 6, 2))], (6, 3, 0), (0.8, -0.6, 0)),
    "turned wall": ([Box((3, 0, 2), (0.5, 6, 2), 0.5)], (6, 0, 2), (1, 0, 0)),
}
"""Obstacles, wish [m/s^2] and constant wind [m/s^2] of the declared strength."""
NAMES = list(PUSHES)
MINUTE = 60 * 24
LEAVE = MINUTE * SUBSTEPS
FACED = {
    "wall in a tail wind": [0],
    "wall in still air": [0],
    "ground": [2],
    "ceiling": [2],
    "concave corner": [0, 1],
}
"""Axes along which a push ends against something flat."""


@pytest.fixture(scope="module")
def pushed() -> dict:
    """A minute of full push in each world, then 2 s of a wish to leave."""
    wishes = np.array([PUSHES[name][1] for name in NAMES], float)
    plans = np.repeat(wishes[:, None], MINUTE + 48, axis=1)
    plans[:, MINUTE:] = -0.6 * wishes[:, None]
    winds = np.array([PUSHES[name][2] for name in NAMES], float)
    flown = fly_plans([room(*PUSHES[name][0]) for name in NAMES], plans, winds)
    return {"leave": plans[:, -1], **flown}


@pytest.mark.parametrize("name", NAMES)
def test_a_minute_of_full_push_with_wind_touches_nothing(pushed, name):
    lane = NAMES.index(name)
    assert pushed["clearance"][lane].min() > 0.05
    assert np.abs(pushed["position"][lane, :, :2]).max() < 10
    assert 0 < pushed["position"][lane, :, 2].min() <= pushed["position"][lane, :, 2].max() < 4
    # Without a fault the answer is always the QP's, never the backup's.
    assert not pushed["fallback"][lane].any()


@pytest.mark.parametrize("name", FACED)
def test_a_push_does_not_creep(pushed, name):
    last = pushed["position"][NAMES.index(name), LEAVE // 2 : LEAVE][:, FACED[name]]
    assert np.ptp(last, axis=0).max() < 5e-3


@pytest.mark.parametrize("name", FACED)
def test_a_wish_to_leave_is_obeyed_at_once(pushed, name):
    lane = NAMES.index(name)
    after = pushed["acceleration"][lane, LEAVE : LEAVE + 2 * SUBSTEPS]
    assert np.abs(after - pushed["leave"][lane]).max() < 1e-3
    way = (pushed["position"][lane, LEAVE + 120] - pushed["position"][lane, LEAVE - 1]) @ pushed[
        "leave"
    ][lane]
    # Half a second at the wished acceleration, less the lag: more than a quarter of a t^2 / 2.
    assert way > 0.25 * 0.125 * pushed["leave"][lane] @ pushed["leave"][lane]


def test_pushing_at_ground_or_ceiling_does_not_chatter(pushed):
    # A thrust that answered at once would break the lag that the rows count on, and flip by
    # 8 m/s^2 at every tick against a floor.
    mass = straight_pilot().design.airframe.mass
    for name in ("ground", "ceiling"):
        forces = pushed["forces"][NAMES.index(name), LEAVE // 2 : LEAVE]
        thrust = forces.astype(float).sum(axis=-1) / mass
        assert np.abs(np.diff(thrust)).max() < 1


def test_forces_stay_inside_their_limits(pushed):
    most = straight_pilot().design.airframe.max_force
    assert np.isfinite(pushed["forces"]).all()
    assert 0 <= pushed["forces"].min() <= pushed["forces"].max() <= most


def test_a_pilot_that_cannot_see_the_wall_hits_it():
    plans = np.tile(np.array([6.0, 0, 0]), (1, THOUGHTS, 1))
    flown = fly_plans([room(*PUSHES[NAMES[1]][0])], plans, blind=True)
    assert flown["clearance"].min() < 0


def crowd(seed: int) -> list:
    """Cylinders, spheres and boxes, eight of each, around a free middle."""
    draws = np.random.default_rng(seed)
    items: list = []
    while len(items) < 24:
        x, y, z = (float(c) for c in draws.uniform((-4, -4, 0.3), (4, 4, 3.5)))
        if np.hypot(x, y) < 0.8:
            continue
        if len(items) < 8:
            items.append(Cylinder((x, y, 2.0), float(draws.uniform(0.05, 0.3)), 4.0))
        elif len(items) < 16:
            items.append(Sphere((x, y, z), float(draws.uniform(0.1, 0.5))))
        else:
            half = tuple(float(c) for c in draws.uniform(0.1, 0.4, 3))
            items.append(Box((x, y, z), half, float(draws.uniform(-3, 3))))
    return items


def cage() -> list[Sphere]:
    """Spheres at the corners of a cube around (0, 0, 2)."""
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    places = 0.433 * corners + np.array([0, 0, 2.0])
    return [Sphere((float(x), float(y), float(z)), 0.3) for x, y, z in places]


@pytest.fixture(scope="module")
def among() -> dict:
    """Six seconds each: along a face, still in a cage, shaken, and driven through crowds."""
    face = Box((0, 1.5, 2), (9.5, 0.5, 2))
    beside, middle = (-8.0, 0.7, 1.5), (0.0, 0.0, 2.0)
    worlds = [room(face, start=beside), room(face, start=beside)]
    worlds += [room(*cage(), start=middle), room(*cage(), start=middle)]
    worlds += [room(*crowd(seed)) for seed in range(4)]
    draws = np.random.default_rng(3)
    plans = np.zeros((8, 3 * THOUGHTS, 3))
    box = np.array(straight_pilot().design.safety.box)
    plans[0] = [0, 1, 0]
    plans[3] = np.repeat(draws.uniform(-1, 1, (3 * THOUGHTS // 4, 3)), 4, axis=0) * box
    for lane in range(4, 8):
        plans[lane] = np.repeat(draws.choice([-1, 1], (3 * THOUGHTS // 12, 3)), 12, axis=0) * box
    wind = np.zeros((8, 3))
    wind[[0, 3, 5, 6]] = [(0, 1, 0), (1, 0, 0), (0, -0.7, 0.7), (0, 0, -1)]
    velocity = np.zeros((8, 3))
    velocity[:2] = (3, 0, 0)
    return fly_plans(worlds, plans, wind, velocity)


def test_flight_along_a_face_neither_touches_nor_sticks(among):
    assert among["clearance"][:2].min() > 0.05
    assert (among["position"][:2, -1, 0] - among["position"][:2, 0, 0] > 10).all()


def test_at_zero_speed_among_many_nothing_happens(among):
    assert np.abs(among["acceleration"][2]).max() == 0
    assert np.ptp(among["position"][2], axis=0).max() < 1e-6
    assert among["barrier"][2].min() > 0


def test_no_shaking_hits_anything_among_many(among):
    assert among["clearance"][3:].min() > 0.05
    speed = np.linalg.norm(among["velocity"][3:], axis=-1).max(axis=1)
    assert (speed > 1).all()


def test_a_pilot_that_sees_nothing_hits_the_crowds():
    draws = np.random.default_rng(3)
    plans = np.repeat(draws.choice([-1, 1], (8, 12, 3)), 12, axis=1) * np.array([6, 6, 1.0])
    flown = fly_plans([room(*crowd(seed)) for seed in range(8)], plans, blind=True)
    assert (flown["clearance"].min(axis=1) < 0).sum() >= 2


@pytest.fixture(scope="module")
def gusts() -> dict:
    """Thrown at a wall and at the ground in a declared wind that no observer has met yet."""
    wall = Box((3.5, 0, 2), (0.5, 6, 2))
    worlds = [room(wall, start=(0.2, 0, 1.5)), room(wall), room(start=(0, 0, 3.0)), room(height=9)]
    velocity = np.array([(3.9, 0, 0), (3, 2, 0), (0, 0, -3.6), (0, 0, 5)], float)
    push = np.array([(6, 0, 0), (6, 0, 0), (0, 0, -4), (0, 0, 4)], float)
    wind = np.array([(1, 0, 0), (0.9, 0.43, 0), (0, 0, -1), (0, 0, 1)], float)
    plans = np.repeat(push[:, None], THOUGHTS, axis=1)
    return fly_plans(worlds, plans, wind, velocity)


def test_a_gust_of_the_declared_strength_does_not_break_the_stop(gusts):
    assert gusts["clearance"].min() > 0.05
    assert gusts["position"][3, :, 2].max() < 9 - 0.06


@pytest.fixture(scope="module")
def stepped() -> dict:
    """Steps of acceleration, and the roughest commands the box allows, far from everything."""
    high = room(start=(0, 0, 100.0), size=200.0, height=200.0)
    plans = np.zeros((8, 2 * THOUGHTS, 3))
    steps = [(4, 0, 0), (0, -6, 0), (0, 0, 4), (0, 0, -4), (6, 6, 4)]
    for lane, step in enumerate(steps):
        plans[lane, 24:] = step
    draws = np.random.default_rng(0)
    box = np.array(straight_pilot().design.safety.box)
    plans[5] = draws.choice([-1, 1], (2 * THOUGHTS, 3)) * box
    plans[6] = np.repeat(draws.choice([-1, 1], (2 * THOUGHTS // 6, 3)), 6, axis=0) * box
    signs = np.where(np.arange(2 * THOUGHTS) // 5 % 2 == 0, 1, -1)
    plans[7] = signs[:, None] * box * [1, 1, 0] - box * [0, 0, 1]
    flown = fly_plans([high] * 8, plans)
    return {"steps": np.array(steps, float), **flown}


@pytest.mark.parametrize("lane", range(5))
def test_the_attitude_follows_within_the_lag_that_the_barriers_count_on(stepped, lane):
    step = stepped["steps"][lane]
    first = 24 * SUBSTEPS
    assert np.abs(stepped["acceleration"][lane, first : first + 120] - step).max() < 1e-6
    velocity = stepped["velocity"][lane, first - 1 : first + 120]
    reached = np.diff(velocity, axis=0) * 240 @ step / (step @ step)
    # A first-order lag tau misses tau in all, whatever its shape: the integral of the error.
    missed = (1 - reached).sum() / 240
    safety = straight_pilot().design.safety
    assert 0.5 * safety.lag < missed < safety.lag + safety.stretch


def test_no_command_in_the_box_tilts_beyond_the_limit(stepped):
    limit = straight_pilot().design.safety.max_tilt
    for lane in range(8):
        assert tilt(stepped["quaternion"][lane]).max() < limit
