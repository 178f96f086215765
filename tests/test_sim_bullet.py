"""Engines: exact against PyBullet driven link by link, contacts where geometry has them, limits."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pybullet
import pybullet_reference
import pytest

from sim import CF2X, State, at_rest, rotate
from sim.bullet import BulletEngine
from sim.bullet.floats import up_of
from sim.camera import Stage, chase_view, render
from sim.engine import Door, EngineError, EngineInputError, TwinEngine
from sim.scene import scene_of, signed_distance
from sim.world import Box, Cylinder, Sphere, World

HOVER = [CF2X.hover_force] * 4
OBSTACLES = (
    Cylinder((5.0, 0.0, 2.0), 0.3, 4.0),
    Cylinder((2.0, 4.0, 3.0), 0.15, 5.0, axis="x"),
    Cylinder((8.0, -3.0, 2.5), 1.2, 3.0, axis="y"),
    Sphere((-4.0, 1.0, 2.0), 0.7),
    Box((0.0, -5.0, 1.5), (0.3, 1.0, 1.5), 0.6),
    Box((-6.0, -4.0, 3.0), (1.0, 0.5, 0.25), -1.1),
)


def world(obstacles=(), start=(0.0, 0.0, 2.0), height=10.0) -> World:
    return World(
        bounds=((-20.0, -20.0, 0.0), (20.0, 20.0, height)),
        obstacles=obstacles,
        start_position=start,
        start_yaw=0.4,
        target=(10.0, 0.0, 2.0),
        target_radius=0.5,
        via=(),
        speed=2.0,
        time_limit=30.0,
    )


HIGH = world(start=(0.0, 0.0, 200.0), height=300.0)


def thrown(seed: int) -> State:
    """Any attitude, velocity and spin, high up."""
    random = np.random.default_rng(seed)
    quaternion = random.normal(size=4)
    return State(
        np.array([0.0, 0.0, 200.0]),
        random.normal(scale=3, size=3),
        quaternion / np.linalg.norm(quaternion),
        random.normal(scale=5, size=3),
    )


@pytest.fixture(params=[BulletEngine, TwinEngine], ids=["bullet", "twin"])
def engine_of(request):
    """Make engines of either kind, and close them afterwards."""
    made = []

    def make(*arguments, **options):
        made.append(request.param(*arguments, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def fly(engine, forces, begin=None, wind=None):
    """Positions, velocities, quaternions and body rates, a row for each tick."""
    engine.reset(begin)
    states = [engine.step(force, wind)[0] for force in forces]
    names = ("position", "velocity", "quaternion", "angular_velocity")
    return np.concatenate([[getattr(s, name) for s in states] for name in names], axis=1)


@pytest.mark.parametrize("kind", ["hover", "uniform"])
def test_bullet_engine_is_forces_on_links_to_twelve_digits(tmp_path, kind):
    begin = [thrown(seed) for seed in range(4)]
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *begin)
    forces = pybullet_reference.commands(kind, 4, 480, 1)
    positions, spins = pybullet_reference.fly(tmp_path, batch, forces)
    with BulletEngine(CF2X, HIGH) as engine:
        for run, state in enumerate(begin):
            rows = fly(engine, forces[run], state)
            assert np.abs(rows[:, :3] - positions[run]).max() <= 1e-12
            ours = rotate(rows[-1, 6:10], rows[-1, 10:])
            np.testing.assert_allclose(ours, spins[run], atol=1e-11)


def test_without_the_lag_the_engine_is_not_exact(tmp_path):
    """Negative control of the test above."""
    forces = pybullet_reference.commands("uniform", 1, 480, 1)
    batch = jax.tree.map(lambda leaf: leaf[None], thrown(0))
    positions, _ = pybullet_reference.fly(tmp_path, batch, forces)
    with BulletEngine(CF2X, HIGH) as engine:
        engine.reset(thrown(0))
        for force in forces[0]:
            engine._body.up = up_of(engine._body.quaternion)
            state, _ = engine.step(force)
    assert np.abs(state.position - positions[0, -1]).max() > 1e-2


@pytest.mark.parametrize(
    ("wind", "mass_scale"),
    [((0.0, 0.0, 0.0), 1.0), ((3.0, -2.0, 1.0), 1.0), ((-4.0, 1.0, 0.0), 1.15)],
)
def test_both_engines_fly_the_same_flight(wind, mass_scale):
    forces = pybullet_reference.commands("smooth", 1, 240, 3)[0]
    rows = []
    for kind in (BulletEngine, TwinEngine):
        with kind(CF2X, HIGH, wind=wind, mass_scale=mass_scale) as engine:
            rows.append(fly(engine, forces, thrown(2)))
            assert {leaf.dtype for leaf in jax.tree.leaves(engine.reset())} == {np.dtype("f8")}
    assert np.abs(rows[0] - rows[1]).max() < 1e-6


def test_wind_and_mass_change_the_flight(engine_of):
    forces = [HOVER] * 120
    start = at_rest(np.array([0.0, 0.0, 5.0]))
    calm = fly(engine_of(CF2X, world()), forces, start)
    blown = fly(engine_of(CF2X, world(), wind=(3.0, 0.0, 0.0)), forces, start)
    gust = fly(engine_of(CF2X, world()), forces, start, wind=np.array([3.0, 0.0, 0.0]))
    heavy = fly(engine_of(CF2X, world(), mass_scale=1.1), forces, start)
    np.testing.assert_allclose(calm[-1, :3], [0, 0, 5], atol=1e-6)
    # Air at 3 m/s pulls a body at rest with .04 (1 + 3) 3 m/s^2; heavier by a tenth, it sinks.
    np.testing.assert_allclose(blown[0, 3] * 240, 0.48, rtol=1e-6)
    np.testing.assert_array_equal(blown, gust)
    np.testing.assert_allclose(heavy[0, 5] * 240, -9.8 * (1 - 1 / 1.1), rtol=1e-6)


def test_reset_forgets_the_last_flight(engine_of):
    """Also one that ended in a crash, its contacts still in the solver."""
    engine = engine_of(CF2X, world(OBSTACLES))
    forces = pybullet_reference.commands("hover", 1, 60, 0)[0]
    first = fly(engine, forces)
    crash = at_rest(np.array([4.6, 0.0, 2.0])).replace(velocity=np.array([5.0, 0.0, 0.0]))
    engine.reset(crash)
    touched = [engine.step([1.0, 0.0, 0.0, 0.0])[1] for _ in range(60)]
    assert any(touched) and engine.door.limit_violations == 60
    np.testing.assert_array_equal(fly(engine, forces), first)
    assert engine.door == Door(CF2X)


def places_around(obstacles, count):
    """Points whose distance from a solid is near the collision radius."""
    scene = scene_of(world(obstacles), dtype=np.float64)
    random = np.random.default_rng(0)
    spread = random.normal(size=(4000, 3))
    lower, upper = np.array([-7.5, -6.5, 0.02]), np.array([10, 6.5, 5.6])
    points = lower + (upper - lower) * random.uniform(size=(4000, 3))
    gradient = jax.vmap(jax.grad(lambda p: signed_distance(scene, p)))
    for _ in range(4):  # towards the nearest surface
        distance = np.asarray(signed_distance(scene, points))[:, None]
        points = points - (distance - 0.06) * np.asarray(gradient(points))
    points = points + 0.004 * spread
    distance = np.asarray(signed_distance(scene, points))
    near = np.abs(distance - 0.06) < 0.02
    points, distance = points[near], distance[near]
    walls = np.flatnonzero(points[:, 2] > 0.1)
    floor = np.flatnonzero(points[:, 2] <= 0.1)[: count // 4]
    chosen = np.concatenate([floor, walls[: count - len(floor)]])
    return points[chosen], distance[chosen]


def test_contact_is_where_the_signed_distance_says():
    """Outside a shell of 2 mm, at rest around every kind of solid, in both engines."""
    points, distance = places_around(OBSTACLES, 400)
    assert len(points) == 400
    clear = np.abs(distance - 0.06) > 2e-3
    assert clear.sum() > 150 and 50 < (distance[clear] < 0.06).sum() < clear.sum() - 50
    with BulletEngine(CF2X, world(OBSTACLES)) as bullet, TwinEngine(CF2X, world(OBSTACLES)) as twin:
        for point, far in zip(points[clear], distance[clear], strict=True):
            state = at_rest(point)
            bullet.reset(state)
            twin.reset(state)
            # A hovering twin stays where it is; a deep contact moves PyBullet's body by < 1 mm.
            assert bullet.step(HOVER)[1] == (far < 0.06), (point, far)
            assert twin.step(HOVER)[1] == (far < 0.06), (point, far)


def test_solids_stop_the_drone_in_pybullet():
    begin = at_rest(np.array([4.0, 0.0, 2.0])).replace(velocity=np.array([4.0, 0.0, 0.0]))
    with BulletEngine(CF2X, world(OBSTACLES)) as engine:
        engine.reset(begin)
        steps = [engine.step(HOVER) for _ in range(240)]
    assert any(contact for _, contact in steps)
    assert max(state.position[0] for state, _ in steps) < 5 - 0.3 - 0.06 + 0.02


def test_a_dropped_drone_lies_on_solid_ground():
    with BulletEngine(CF2X, world(start=(0.0, 0.0, 0.3))) as engine:
        steps = [engine.step([0.0] * 4) for _ in range(240)]
    assert not steps[0][1] and steps[-1][1]
    np.testing.assert_allclose(steps[-1][0].position[2], 0.06, atol=1e-3)


def test_two_engines_do_not_share_a_server():
    with BulletEngine(CF2X, world()) as one, BulletEngine(CF2X, world(OBSTACLES)) as other:
        for _ in range(10):
            one.step([CF2X.max_force] * 4)
        untouched = other.step(HOVER)[0]
    np.testing.assert_allclose(untouched.position, [0, 0, 2], atol=1e-6)


MOST = CF2X.max_force
ABOVE = float(np.nextafter(np.float32(MOST), np.float32(1)))


@pytest.mark.parametrize(
    ("forces", "admitted", "counts"),
    [
        ([0.0, MOST, MOST, 0.0], [0.0, MOST, MOST, 0.0], (0, 0, 0, 0)),
        (np.full(4, MOST, np.float32), [MOST] * 4, (0, 0, 0, 0)),
        ([0.0, 0.0, 0.0, ABOVE], [0.0, 0.0, 0.0, MOST], (1, 1, 0, 0)),
        ([-1e-12, 0.0, 0.0, 0.0], [0.0] * 4, (1, 1, 0, 0)),
        ([1.0, 0.1, 0.1, 0.1], [MOST, 0.1, 0.1, 0.1], (1, 1, 1, 0)),
        ([float("nan"), 0.1, 0.1, 0.1], [0.0, 0.1, 0.1, 0.1], (1, 1, 0, 1)),
        ([float("inf"), 0.1, 0.1, 0.1], [0.0, 0.1, 0.1, 0.1], (1, 1, 0, 1)),
    ],
)
def test_limits_are_counted_at_the_door(engine_of, forces, admitted, counts):
    door = Door(CF2X)
    assert door.admit(forces) == admitted
    assert counts == (
        door.limit_violations,
        door.force_violations,
        door.torque_violations,
        door.nonfinite,
    )
    # The engine flies what the door lets in.
    engine = engine_of(CF2X, HIGH)
    np.testing.assert_array_equal(fly(engine, [forces]), fly(engine, [admitted]))
    engine.reset()
    engine.step(forces)
    assert engine.door == door


def test_bad_input_is_refused_by_name(engine_of):
    engine = engine_of(CF2X, world())
    with pytest.raises(EngineInputError, match="^forces: expected 4 numbers .* got 3"):
        engine.step([0.1, 0.1, 0.1])
    with pytest.raises(EngineInputError, match="^wind: expected 3 finite .* got "):
        engine.step(HOVER, wind=[0.0, float("nan"), 0.0])
    lost = at_rest(np.array([0.0, 0.0, float("nan")]))
    with pytest.raises(EngineInputError, match="^position: expected 3 finite numbers, got "):
        engine.reset(lost)
    with pytest.raises(EngineInputError, match="^quaternion: expected one that is not zero"):
        engine.reset(at_rest(np.ones(3)).replace(quaternion=np.zeros(4)))
    with pytest.raises(EngineInputError, match="^mass_scale: expected a positive number, got "):
        engine_of(CF2X, world(), mass_scale=-1.0)


def test_a_lost_engine_says_so(engine_of):
    engine = engine_of(CF2X, world())
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="expected"):
        engine.step(HOVER)


def test_a_killed_physics_server_is_a_typed_error():
    with BulletEngine(CF2X, world()) as engine:
        pybullet.disconnect(engine.client)
        with pytest.raises(EngineError, match="^physics server: expected it to answer, got: "):
            engine.step(HOVER)
        with pytest.raises(EngineError, match="^physics server: expected it to answer, got: "):
            engine.reset()


def test_pictures_show_what_is_there():
    scene = dataclasses.replace(world(OBSTACLES), target=(4.0, 3.0, 2.0))
    with Stage(CF2X, scene) as stage:
        state = at_rest(np.array([3.0, 0.0, 2.0]))
        stage.show(state)
        picture = render(stage, *chase_view(state, 0.0), 96, 64)
        stage.show(at_rest(np.array([-15.0, 0.0, 2.0])))
        without = render(stage, *chase_view(state, 0.0), 96, 64)
        sky = render(stage, [0.0, 0.0, 8.0], [10.0, 0.0, 20.0], 32, 24)
        down = render(stage, [0.0, 0.0, 8.0], np.zeros(3), 32, 24)
        with pytest.raises(ValueError, match="^look_at: "):
            render(stage, [0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    assert picture.shape == (64, 96, 3) and picture.dtype == np.uint8
    # The drone is in the middle and changes nothing far from it; a pillar stands ahead of it.
    changed = np.argwhere((picture != without).any(axis=2))
    assert len(changed) > 10 and np.abs(changed - [32, 48]).max() < 34
    assert picture[10, 48, 1] > picture[10, 48, 0] and (sky == sky[0, 0]).all()
    assert down.std() < sky.max() and not (down == sky[0, 0]).all(axis=2).any()
    with pytest.raises(EngineError):
        render(stage, [0.0, 0.0, 8.0], [1.0, 0.0, 8.0])


def test_the_base_install_needs_neither_pybullet_nor_gymnasium():
    """In a fresh interpreter that has neither; a control shows that the block works."""
    blocked = "import sys; sys.modules.update(dict.fromkeys(['pybullet', 'gymnasium']));"
    for program, code in (("import sim, sim.twin, sim.engine", 0), ("import sim.bullet", 1)):
        done = subprocess.run([sys.executable, "-c", blocked + program], capture_output=True)
        assert done.returncode == code, done.stderr.decode()
