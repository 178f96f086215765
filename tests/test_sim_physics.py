"""Options of the physics: the same flight in both engines, each needed, no trace when off."""

from __future__ import annotations

import dataclasses
import math

import flying
import jax
import jax.numpy as jnp
import numpy as np
import pybullet_reference
import pytest

from sim import (
    CF2P,
    CF2X,
    PHYSICS_HZ,
    PLAIN,
    RACER,
    Airframe,
    AirframeError,
    Battery,
    Disturbance,
    EngineInputError,
    Physics,
    PhysicsError,
    Rotors,
    TwinEngine,
    at_rest,
    fly,
    fly_batch,
    load_flight,
    mission_of,
    stack_missions,
    start,
    step,
)
from sim.bullet import BulletEngine
from sim.flight import pad_of

DT = 1 / PHYSICS_HZ
WORN = Rotors(
    delay=3, time_constant=0.03, efficiency=(1.0, 0.99, 1.0, 0.995), battery=Battery(used=0.4)
)
FULL = Physics(drag=True, ground_effect=True, downwash=True, rotors=WORN)
BARE = Airframe(
    "bare",
    *(getattr(CF2X, name) for name in ("mass", "inertia", "rotor_positions", "yaw_signs")),
    *(getattr(CF2X, f"{name}_coefficient") for name in ("thrust", "torque")),
    thrust_to_weight=2.25,
)
WORLD = flying.open_world()
ABOVE = ((0.3, 0.1, 2.8), (0.1, 0.0, 2.2))


@pytest.fixture(params=[BulletEngine, TwinEngine], ids=["bullet", "twin"])
def kind(request):
    return request.param


def flights(kind, physics, seconds=0.5, seed=4, **options):
    """States, a row for each tick, of a drone below others and near the ground."""
    forces = pybullet_reference.commands("smooth", 1, int(240 * seconds), seed)[0] * 1.06
    with kind(CF2X, flying.open_world(), physics=physics, **options) as engine:
        engine.reset(at_rest(np.array([0.0, 0.0, 0.4])))
        states = [engine.step(force, others=ABOVE) for force in forces]
        assert engine.door.limit_violations == 0
    names = ("position", "velocity", "quaternion", "angular_velocity")
    assert not any(contact for _, contact in states)
    return np.concatenate([[getattr(s, name) for s, _ in states] for name in names], axis=1)


@pytest.fixture(scope="module")
def full():
    """The flight with everything on, in either engine: in wind, its mass off by a tenth."""
    options = {"wind": (1.0, -0.5, 0.0), "mass_scale": 0.9}
    return [flights(kind, FULL, **options) for kind in (BulletEngine, TwinEngine)]


def test_both_engines_fly_the_same_with_everything_on(full):
    assert np.abs(full[0] - full[1]).max() <= 1e-9


OFF = {
    "drag": {"drag": False},
    "ground effect": {"ground_effect": False},
    "downwash": {"downwash": False},
    "delay": {"rotors": dataclasses.replace(WORN, delay=0)},
    "lag": {"rotors": dataclasses.replace(WORN, time_constant=0.0)},
    "efficiency": {"rotors": dataclasses.replace(WORN, efficiency=(1.0,) * 4)},
}


@pytest.mark.parametrize("option", OFF)
def test_every_option_changes_the_flight(full, option):
    """Negative control of the agreement above."""
    physics = dataclasses.replace(FULL, **OFF[option])
    less = flights(BulletEngine, physics, wind=(1.0, -0.5, 0.0), mass_scale=0.9)
    assert np.abs(less[:, :3] - full[0][:, :3]).max() > 1e-5


def test_options_that_are_off_leave_every_bit(kind):
    plain, off = flights(kind, PLAIN, 0.1), flights(kind, Physics(rotors=Rotors()), 0.1)
    np.testing.assert_array_equal(plain, off)
    with kind(CF2X, flying.open_world()) as engine:
        engine.reset(at_rest(np.array([0.0, 0.0, 0.4])))
        forces = pybullet_reference.commands("smooth", 1, 24, 4)[0] * 1.06
        rows = [engine.step(force)[0].position for force in forces]
    np.testing.assert_array_equal(rows, plain[:, :3])


def test_reset_restores_the_rotors(kind):
    forces = pybullet_reference.commands("uniform", 1, 30, 0)[0]
    with kind(CF2X, flying.open_world(), physics=Physics(rotors=WORN)) as engine:
        first = [engine.step(force)[0].position for force in forces]
        engine.reset()
        np.testing.assert_array_equal([engine.step(force)[0].position for force in forces], first)


def test_a_mission_is_the_same_flight_in_both_engines():
    """Worn rotors, drag and ground effect on, in wind: the records agree to a micrometre."""
    physics, wind = (
        dataclasses.replace(FULL, downwash=False),
        Disturbance(wind=1.0, mass_error=0.05),
    )
    ours, theirs, plain = (
        fly(WORLD, flying.Steady(), engine, physics=options, disturbance=wind, seed=3)
        for engine, options in (("pybullet", physics), ("twin", physics), ("pybullet", PLAIN))
    )
    assert ours.outcome == theirs.outcome == "reached"
    assert len(ours.times) == len(theirs.times)
    for column in ("position", "velocity", "quaternion", "angular_velocity", "forces"):
        np.testing.assert_allclose(getattr(ours, column), getattr(theirs, column), atol=1e-6)
    np.testing.assert_array_equal(ours.contact, theirs.contact)
    assert np.abs(plain.position[:100] - ours.position[:100]).max() > 1e-3


def test_a_batch_flies_what_one_flight_does():
    """The options of `fly_batch` are those of the engines."""
    physics = dataclasses.replace(FULL, downwash=False)
    alone = fly(WORLD, flying.Steady(), "twin", physics=physics)
    missions = stack_missions([mission_of(WORLD, np.float64, pad_of(WORLD))] * 2)
    together = fly_batch(missions, flying.Steady(), 600, physics=physics)
    np.testing.assert_allclose(together.time_s, alone.times[-1])
    np.testing.assert_allclose(together.final.position, [alone.position[-1]] * 2, atol=1e-9)


def test_both_engines_meet_the_ground_at_the_same_tick():
    """Dropped from many heights on solid ground, in the cushion of air over it."""
    physics, ticks = Physics(drag=True, ground_effect=True), []
    for kind in (BulletEngine, TwinEngine):
        with kind(CF2X, flying.open_world(), physics=physics) as engine:
            for height in np.linspace(0.07, 0.3, 12):
                engine.reset(at_rest(np.array([0.0, 0.0, height])))
                touched = (engine.step([0.05] * 4)[1] for _ in range(240))
                ticks.append(next(tick for tick, contact in enumerate(touched) if contact))
    assert ticks[:12] == ticks[12:] and ticks[0] < ticks[5] < ticks[11]


def test_gradients_through_every_option_are_finite():
    """Also at rest, with a command of zero and a drone straight above."""

    def height(force, velocity):
        begin = at_rest(jnp.array([0.0, 0.0, 0.1])).replace(velocity=velocity)
        state = start(begin, jax.tree.map(jnp.asarray, FULL.start(CF2X)))
        above = jnp.array([[0.0, 0.0, 1.1]])

        def tick(state, _):
            return step(CF2X, state, force, physics=FULL, others=above), None

        state, _ = jax.lax.scan(tick, state, length=5)
        return state.body.position @ jnp.array([1.0, 2.0, 3.0])

    slopes = jax.jit(jax.grad(height, argnums=(0, 1)))
    for force in (np.zeros(4), np.full(4, CF2X.max_force), np.array([0.0, 0.1, 0.1, 0.0])):
        by_force, by_velocity = slopes(force, np.zeros(3))
        assert np.isfinite(by_force).all() and np.isfinite(by_velocity).all()
        assert np.abs(by_velocity).max() > 0


def test_airframes_survive_a_recording(tmp_path):
    flight = fly(flying.open_world(), flying.Steady(), "pybullet")
    for airframe in (CF2X, CF2P, RACER):
        path = tmp_path / f"{airframe.name}.npz"
        dataclasses.replace(flight, airframe=airframe).save(path)
        assert load_flight(path).airframe == airframe


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("delay", lambda: Rotors(delay=-1)),
        ("delay", lambda: Rotors(delay=1000)),
        ("time_constant", lambda: Rotors(time_constant=math.nan)),
        ("start", lambda: Rotors(start=-0.1)),
        ("efficiency", lambda: Rotors(efficiency=(1.0, 1.0, 0.0, 1.0))),
        ("capacity", lambda: Battery(capacity=0.0)),
        ("resistance", lambda: Battery(resistance=math.inf)),
        ("drive_efficiency", lambda: Battery(drive_efficiency=1.5)),
        ("used", lambda: Battery(used=math.nan)),
        ("open_circuit", lambda: Battery(open_circuit=((0.0, 4.0), (1.0, 4.2)))),
        ("open_circuit", lambda: Battery(open_circuit=())),
        ("drag", lambda: Physics(drag=True).check(BARE)),
        ("ground_effect", lambda: TwinEngine(BARE, WORLD, physics=Physics(ground_effect=True))),
        ("downwash", lambda: BulletEngine(BARE, WORLD, physics=Physics(downwash=True))),
        ("rotors", lambda: step(CF2X, start(at_rest(np.zeros(3))), np.zeros(4), physics=FULL)),
    ],
)
def test_impossible_options_are_refused_by_name(field, make):
    with pytest.raises(PhysicsError, match=f"^{field}: expected .* got "):
        make()


def test_impossible_air_is_refused_by_name():
    for field, value in (
        ("drag_coefficients", (1.0, -1.0, 0.0)),
        ("ground_effect_coefficient", math.nan),
        ("propeller_radius", -0.1),
        ("downwash_coefficients", (1.0, math.inf, 0.0)),
    ):
        with pytest.raises(AirframeError, match=f"^{field}: expected .* got "):
            dataclasses.replace(CF2X, **{field: value})


@pytest.mark.parametrize("others", [[[0.0, math.nan, 1.0]], [[1.0, 2.0]], [[0.0] * 3, [0.0]]])
def test_others_are_refused_by_name(kind, others):
    with kind(CF2X, WORLD) as engine, pytest.raises(EngineInputError, match="^others: expected "):
        engine.step([0.0] * 4, others=others)
    with kind(CF2X, WORLD, physics=Physics(downwash=True)) as engine:
        lonely = engine.step([0.05] * 4, others=[])[0].position
        np.testing.assert_array_equal(engine.reset().position, [0, 0, 1.5])
        np.testing.assert_array_equal(engine.step([0.05] * 4)[0].position, lonely)
