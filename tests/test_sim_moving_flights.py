"""Flights among obstacles that move: records, environments and pictures are of each moment."""

from __future__ import annotations

from dataclasses import replace

import env_rig
import flying
import gymnasium
import jax
import numpy as np
import pytest
from synthetic_flight import slalom, slalom_world

from lnn_nav.insight.film import plan
from lnn_nav.insight.maps import draw_maps
from lnn_nav.insight.overlay import small_map
from lnn_nav.insight.panels import line_panel
from sim import CF2X, Cylinder, Flight, Sphere, World, at_rest, load_flight, verdict
from sim.batch import ENDINGS, fly_batch
from sim.camera import Stage, chase_view, render
from sim.conditions import start_in
from sim.env import parallel_env
from sim.flight import fly
from sim.mission import mission_of, stack_missions
from sim.motion import obstacle_at
from sim.scene import scene_of
from sim.sensors import CALM, Disturbance, look
from sim.sensors.camera import Camera, CameraRig
from sim.twin import PHYSICS_HZ

PASSING = Cylinder((1.2, -1.5, 1.5), 0.2, 3.0, "z", (0.0, 0.6, 0.0))
"""It crosses the way when a flyer from the start has passed already."""
MEETING = Sphere((1.3, -1.2, 1.4), 0.3, (0.0, 1.0, 0.0))
"""It is where such a flyer gets to, when it does."""


def crossing(*obstacles) -> World:
    return flying.open_world(obstacles=tuple(obstacles))


def stopped(world: World, time: float) -> World:
    """The world as it stands at a time, and stands from then on."""
    copies = (obstacle_at(item, time) for item in world.obstacles)
    still = tuple(replace(item, velocity=(0.0, 0.0, 0.0)) for item in copies)
    return replace(world, obstacles=still)


@pytest.fixture(scope="module")
def flights() -> dict[str, Flight]:
    """A flight that is hit, by either engine, and one that slips through."""
    pilot = flying.Plain()
    return {
        "pybullet": fly(crossing(MEETING), pilot, "pybullet"),
        "twin": fly(crossing(MEETING), pilot, "twin"),
        "passed": fly(crossing(PASSING), pilot, "twin"),
    }


def test_both_engines_end_a_flight_at_the_same_tick(flights):
    ours, theirs = flights["twin"], flights["pybullet"]
    assert ours.outcome == theirs.outcome == "contact" and len(ours.times) == len(theirs.times)
    np.testing.assert_allclose(ours.position[:-1], theirs.position[:-1], atol=1e-9)
    # Frozen, it is nowhere near the way; nor is it the other way.
    for speed in (0.0, -1.0):
        other = crossing(replace(MEETING, velocity=(0.0, speed, 0.0)))
        assert fly(other, flying.Plain(), "twin").outcome == "reached"
    assert flights["passed"].outcome == "reached"


def ball_gap(flight: Flight, speed: float) -> float:
    """Least distance to `MEETING` on the way, in numpy, did it move at that speed [m]."""
    there = np.array(MEETING.center) + flight.times[:, None] * np.array([0.0, speed, 0.0])
    return float((np.linalg.norm(flight.position - there, axis=1) - MEETING.radius - 0.06).min())


def test_the_verdict_is_of_each_tick_s_time_also_after_a_file(flights, tmp_path):
    flight = flights["twin"]
    judged = verdict(flight)
    assert judged.min_clearance_m == pytest.approx(ball_gap(flight, 1.0), abs=1e-12)
    assert judged.contacts == 1 and -0.02 < judged.min_clearance_m < 0
    assert min(ball_gap(flight, 0.0), ball_gap(flight, -1.0)) > 0.5
    flight.save(tmp_path / "flight.npz")
    again = load_flight(tmp_path / "flight.npz")
    assert verdict(again) == judged and again.world == flight.world


def test_recorded_sights_are_of_the_time_at_which_they_were_taken(flights):
    flight = flights["passed"]
    worst = 0.0
    for k in range(0, len(flight.think_times), 5):
        time = float(flight.think_times[k])
        row = round(time * PHYSICS_HZ) - 1
        columns = (flight.position, flight.quaternion)
        place, turn = (column[row] for column in columns) if row >= 0 else (None, None)
        state = at_rest(np.array(flight.world.start_position) if row < 0 else place)
        state = state if row < 0 else state.replace(quaternion=turn)
        seen, first = (
            _cast(scene_of(stopped(flight.world, when)), state.as_jax()) for when in (time, 0.0)
        )
        np.testing.assert_allclose(flight.think_records["ranges"][k], seen, atol=1e-5)
        worst = max(worst, float(np.abs(seen - first).max()))
    assert worst > 0.3


def test_a_batch_flies_as_one_does():
    """Worlds in which something moves beside one where nothing does, in one stack."""
    worlds = [crossing(MEETING), crossing(PASSING), stopped(crossing(MEETING), 0.0)]
    missions = stack_missions([mission_of(world, np.float64, (2, 2, 2)) for world in worlds])
    result = fly_batch(missions, STEADY, 720)
    alone = [verdict(fly(world, flying.Plain(), "twin")) for world in worlds]
    assert [ENDINGS[code] for code in result.outcome] == [one.outcome for one in alone]
    assert alone[0].outcome == "contact" and alone[1].outcome == alone[2].outcome == "reached"
    np.testing.assert_allclose(result.time_s, [one.time_s for one in alone], atol=1e-9)
    np.testing.assert_allclose(
        result.min_clearance_m, [one.min_clearance_m for one in alone], atol=1e-6
    )


STEADY = flying.Steady()


def test_a_start_that_is_off_minds_where_obstacles_go():
    """Thrown towards where a ball will be: slower than where it stays away."""
    thrown = Disturbance(start_speed=3.0)
    seeds = range(12)
    comes = crossing(Sphere((0.0, 2.2, 1.5), 0.6, (0.0, -3.0, 0.0)))
    away = stopped(comes, 0.0)
    speeds = [
        [np.linalg.norm(start_in(thrown, seed, world, CF2X).velocity) for seed in seeds]
        for world in (comes, away)
    ]
    assert np.all(np.array(speeds[0]) <= speeds[1]) and np.mean(speeds[0]) < 0.9 * np.mean(
        speeds[1]
    )


def hover(env, steps: int) -> list:
    """What a drone that stays where it is sees, step by step."""
    env.reset(seed=0)
    return [env.step(np.zeros(env.action_space.shape, np.float32)) for _ in range(steps)]


def ranges_of(world: World, time: float, position: np.ndarray) -> np.ndarray:
    """Of a level drone, among copies that stand where they should be at a time."""
    state = at_rest(np.asarray(position, np.float64))
    return np.asarray(_cast(scene_of(stopped(world, time)), state.as_jax()))


@jax.jit
def _cast(scene, state):
    return look(flying.FEW_RAYS, scene, state, CALM, None).ranges


def test_environments_see_and_meet_what_moves():
    """Single ones of both engines, a batch and a swarm of one: a ball comes at a hovering drone."""
    world = crossing(Sphere((1.0, 0.0, 1.5), 0.3, (-1.0, 0.0, 0.0)))
    meets = (1.0 - 0.3 - 0.06) / 1.0
    options = {"world": world, "rays": env_rig.FEW_RAYS, "action": "velocity"}
    ends = []
    for engine in ("pybullet", "twin"):
        env = env_rig.make(**options, engine=engine)
        rows = hover(env, 24)
        for seen, *_, info in rows:
            expected = ranges_of(world, info["time"], info["position"])
            np.testing.assert_allclose(seen["ranges"], expected, atol=1e-3)
        over = False
        while not over:
            *_, over, _, info = env.step(np.zeros(4, np.float32))
        ends.append((info["outcome"], info["time"]))
        again = hover(env, 24)
        np.testing.assert_array_equal(again[-1][0]["ranges"], rows[-1][0]["ranges"])
        env.close()
    assert ends[0] == ends[1] == ("contact", pytest.approx(meets, abs=1 / PHYSICS_HZ))
    batch = gymnasium.make_vec(env_rig.FOREST, num_envs=2, **options)
    batch.reset(seed=0)
    for seen, *_ in rows:
        told, *_ = batch.step(np.zeros((2, 4), np.float32))
        np.testing.assert_allclose(told["ranges"][1], seen["ranges"], atol=1e-4)
    moved = ranges_of(world, 0.5, (0, 0, 1.5)) - ranges_of(world, 0.0, (0, 0, 1.5))
    assert np.abs(moved).max() == pytest.approx(0.5, abs=1e-5)


def test_a_swarm_sees_and_meets_what_moves():
    """Two drones that hover abreast; a ball comes at one of them, past the eyes of the other."""
    pytest.importorskip("pettingzoo")
    world = crossing(Sphere((0.6, 1.0, 1.5), 0.3, (0.0, -1.0, 0.0)))
    swarm = parallel_env(drones=2, world=world, rays=env_rig.FEW_RAYS)
    for _ in range(2):
        swarm.reset(seed=0)
        hit = None
        while hit is None:
            still = {name: np.zeros(4, np.float32) for name in swarm.agents}
            seen, _, over, _, told = swarm.step(still)
            hit = next((name for name in over if over[name]), None)
            ball = Sphere(tuple(told["drone_0"]["position"]), CF2X.collision_radius)
            there = world if hit else replace(world, obstacles=(*world.obstacles, ball))
            expected = ranges_of(there, told["drone_1"]["time"], told["drone_1"]["position"])
            np.testing.assert_allclose(seen["drone_1"]["ranges"], expected, atol=2e-3)
        assert (hit, told[hit]["outcome"]) == ("drone_0", "contact")
        # The others fly on to the end of the control step.
        late = told[hit]["time"] - (1.0 - 0.3 - CF2X.collision_radius)
        assert 0 <= late <= 5 / PHYSICS_HZ
    swarm.close()


def test_a_family_that_moves_has_its_environment_and_its_batches():
    """Also a world without obstacles among the others of a batch."""
    env = gymnasium.make("lnn_nav/Moving-v0", rays=env_rig.FEW_RAYS)
    _, info = env.reset(seed=3)
    assert info["world_seed"] == 1_000_003
    env.close()
    empty = gymnasium.make_vec("lnn_nav/Moving-v0", num_envs=2, rays=env_rig.FEW_RAYS, density=0.0)
    empty.reset(seed=0)
    assert empty.unwrapped._worlds.stack.mission.scene.velocities is not None


def test_cameras_show_the_moment():
    """Pixel by pixel what they show where copies stand; at the start they show something else."""
    world = crossing(PASSING, Sphere((2.5, 0.8, 1.4), 0.4, (0.0, -0.5, 0.1)))
    state, camera = at_rest(np.array([-0.5, 0.0, 1.5])), Camera(48, 36, 70.0, renderer="tiny")
    with CameraRig(camera, world) as rig, CameraRig(camera, stopped(world, 1.5)) as copy:
        first, then, again = rig.look(state), rig.look(state, 1.5), rig.look(state, 0.0)
        np.testing.assert_array_equal(then.depth, copy.look(state).depth)
        np.testing.assert_array_equal(again.rgb, first.rgb)
        assert (then.depth != first.depth).mean() > 0.05
    with Stage(CF2X, world) as stage, Stage(CF2X, stopped(world, 1.5)) as copy:
        stage.show(state, 1.5)
        copy.show(state)
        view = (*chase_view(state, 0.0), 80, 60)
        then = render(stage, *view)
        np.testing.assert_array_equal(then, render(copy, *view))
        stage.show(state)
        assert (render(stage, *view) != then).any(axis=2).mean() > 0.05


def moving_slalom() -> Flight:
    """A slalom in which one sphere drifts from beside the way to far ahead of the others."""
    drifting = Sphere((2.0, -4.0, 1.2), 0.6, (0.5, 0.4, 0.0))
    return slalom(
        neurons=0, world=slalom_world(obstacles=(drifting, Sphere((7.5, -2.9, 1.2), 0.6)))
    )


def test_maps_draw_starts_and_traces_and_films_each_moment():
    flight = moving_slalom()
    columns = dict(zip("xyz", flight.position.T, strict=True)) | {"speed": flight.times}
    panel = line_panel("path", "", "", "m", flight.times, columns, ())
    for drawn in draw_maps(flight, panel):
        assert drawn.count('class="gone"') == 2 and drawn.count('class="obstacle') == 2
    still = replace(flight, world=stopped(flight.world, 0.0))
    assert all("gone" not in drawn for drawn in draw_maps(still, panel))
    charts = {
        name: np.asarray(small_map(one, flight.position, time)[0])
        for name, one, time in (
            ("start", flight, 0.0),
            ("then", flight, 5.0),
            ("copy", replace(flight, world=stopped(flight.world, 5.0)), 0.0),
            ("still", still, 5.0),
        )
    }
    np.testing.assert_array_equal(charts["then"], charts["copy"])
    np.testing.assert_array_equal(charts["start"], charts["still"])
    assert (charts["then"] != charts["start"]).any()


def test_the_film_s_camera_keeps_out_of_what_comes():
    """A ball that is close behind the drone for a moment: the camera comes nearer then."""
    flight = slalom(neurons=0, world=slalom_world(obstacles=()))
    free = plan(flight)
    k = len(free.rows) // 2
    row, heading = free.rows[k], free.headings[k]
    back = -np.array([np.cos(heading), np.sin(heading), 0.0])
    velocity = np.array([0.0, 0.0, 0.5])
    center = flight.position[row] + 1.1 * back - flight.times[row] * velocity
    chased = slalom_world(obstacles=(Sphere(tuple(center), 0.4, tuple(velocity)),))
    near, frozen = (plan(replace(flight, world=world)) for world in (chased, stopped(chased, 0.0)))
    assert near.distances[k] < 0.8 * free.distances[k]
    assert frozen.distances[k] == free.distances[k]
