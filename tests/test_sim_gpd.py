"""Twin and engine against gym-pybullet-drones itself: recorded flights always, live where it is.

Every effect that it has (`PYB_DRAG`, `PYB_GND`, `PYB_DW`) is needed: without it a flight is off by
a thousand tolerances and more.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cache, partial
from pathlib import Path

import flying
import gpd_rig
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gpd_rig import CASES, HOLD, Case

from sim import (
    CF2P,
    CF2X,
    RACER,
    Engine,
    State,
    TwinEngine,
    at_rest,
    physics,
    rotate,
    start,
    step,
    twin,
)
from sim.bullet import BulletEngine

GOLDEN = Path(__file__).parent / "golden" / "gpd_flights.npz"
RUNS = 4
EXACT, ROUGH, ENGINE = 1e-9, 5e-4, 1e-12
"""Tolerances [m] of the twin in float64 and float32, and of the PyBullet engine."""


@cache
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def follow(case: Case, dtype, forces: jax.Array) -> State:
    """The twin's states after each command, `[TICKS, RUNS, drones]`, under forces held so long."""
    effects, places = case.physics, jnp.asarray(case.places, dtype)
    batch = (forces.shape[1], len(case.places))
    begin = at_rest(jnp.broadcast_to(places, (*batch, 3)))

    def hold(state, force):
        def tick(state, _):
            others = state.body.position[:, None]
            return step(case.airframe, state, force, physics=effects, others=others), None

        state, _ = jax.lax.scan(tick, state, length=HOLD)
        return state, state.body

    rotors = jax.tree.map(jnp.asarray, effects.start(case.airframe, batch, dtype))
    return jax.lax.scan(hold, start(begin, rotors), forces)[1]


compiled = partial(jax.jit, static_argnums=(0, 1))(follow)


def twin_flights(case: Case, commands: np.ndarray, dtype=np.float64, program=compiled) -> State:
    """The same, `[runs, TICKS, drones]`, a few runs at a time: one program for any number."""
    forces = case.airframe.rotor_force(commands.astype(np.float64)).astype(dtype)
    parts = [
        program(case, dtype, jnp.asarray(part.swapaxes(0, 1)))
        for part in np.split(forces, len(forces) // RUNS)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, 1).swapaxes(0, 1), *parts)


def off_by(case: Case, name: str, **options) -> float:
    """Largest distance of the twin from a recorded flight [m]."""
    ours = twin_flights(case, golden()[f"{name}/commands"], **options)
    return float(np.abs(ours.position - golden()[f"{name}/positions"]).max())


@pytest.mark.parametrize("name", CASES)
def test_the_twin_flies_as_recorded(name):
    case, last = CASES[name], golden()[f"{name}/last"]
    ours = twin_flights(case, golden()[f"{name}/commands"])
    assert ours.position.dtype == np.float64
    assert np.abs(ours.position - golden()[f"{name}/positions"]).max() <= EXACT
    end = jax.tree.map(lambda leaf: leaf[:, -1], ours)
    np.testing.assert_allclose(end.velocity, last[..., 10:13], atol=1e-8)
    np.testing.assert_allclose(
        rotate(end.quaternion, end.angular_velocity), last[..., 13:], atol=1e-8
    )
    same = np.abs((end.quaternion * last[..., 3:7]).sum(-1))
    np.testing.assert_allclose(same, 1, atol=1e-12)


@pytest.mark.parametrize("name", ["racer", "cf2x drag", "cf2x all"])
def test_the_float32_twin_stays_within_half_a_millimetre(name):
    assert off_by(CASES[name], name, dtype=np.float32) <= ROUGH


ARM = 0.0397 / math.sqrt(2)
LONGER = tuple((math.copysign(ARM, x), math.copysign(ARM, y)) for x, y in CF2X.rotor_positions)
OTHERS = {
    "drag": ("cf2x drag", {"effects": "PYB"}),
    "ground effect": ("cf2x ground", {"effects": "PYB"}),
    "downwash": ("cf2x downwash", {"effects": "PYB"}),
    "arm length": ("cf2x", {"airframe": dataclasses.replace(CF2X, rotor_positions=LONGER)}),
}


@pytest.mark.parametrize("effect", OTHERS)
def test_without_an_effect_the_twin_is_far_off(effect):
    """Negative control: each is off by more than a million tolerances."""
    name, changes = OTHERS[effect]
    assert off_by(dataclasses.replace(CASES[name], **changes), name) > 1e6 * EXACT


LEVEL = np.array([0.0, 0.0, 1.0])
PLANTED = {
    "lag": ("cf2x", twin, "_lagged_thrust_axis", lambda s: 0 * s.body.velocity + LEVEL),
    "gyro": ("cf2x", twin, "_gyroscopic", lambda inertia, spin: 0 * spin),
    "damping": ("cf2x", twin, "_damping", jnp.zeros_like),
    "rounding of the damping": ("cf2x", twin, "DAMPING", 0.04),
    "lag of the drag": ("cf2x drag", physics, "_link_frame", lambda options, fresh, old: fresh),
    "fresh frames": ("cf2x all", physics, "_link_frame", lambda options, fresh, old: old),
    "speeds of last step": (
        "cf2x drag",
        twin,
        "turn_rotors",
        lambda airframe, rotors, state, forces, dt: (
            state.replace(speeds=state.speeds * 0 + 14468.0),
            forces,
        ),
    ),
}


@pytest.mark.parametrize("part", PLANTED)
def test_each_part_is_needed(monkeypatch, part):
    """Negative control, down to the rounding of PyBullet's damping."""
    name, module, attribute, wrong = PLANTED[part]
    monkeypatch.setattr(module, attribute, wrong)
    anew = jax.jit(lambda case, dtype, forces: follow(case, dtype, forces), static_argnums=(0, 1))
    assert off_by(CASES[name], name, program=anew) > 10 * EXACT


def bullet_flight(case: Case, commands: np.ndarray) -> np.ndarray:
    """Positions after each command `[ticks, drones, 3]`, an engine of its own for each drone."""
    space = flying.open_world()
    engines = [BulletEngine(case.airframe, space, physics=case.physics) for _ in case.places]
    states = [
        engine.reset(at_rest(np.array(place)))
        for engine, place in zip(engines, case.places, strict=True)
    ]
    rows = []
    for forces in case.airframe.rotor_force(commands.astype(np.float64)):
        for _ in range(HOLD):
            places = np.array([state.position for state in states])
            states = [
                engine.step(force, others=places)[0]
                for engine, force in zip(engines, forces, strict=True)
            ]
        rows.append([state.position for state in states])
    for engine in engines:
        assert engine.door.limit_violations == 0
        engine.close()
    return np.array(rows)


@pytest.mark.parametrize("name", CASES)
def test_the_bullet_engine_flies_as_recorded_to_twelve_digits(name):
    ours = bullet_flight(CASES[name], golden()[f"{name}/commands"][0])
    assert np.abs(ours - golden()[f"{name}/positions"][0]).max() <= ENGINE


def test_the_bullet_engine_circles_for_ten_seconds_as_recorded():
    """In open loop, where nothing takes back what rounding adds up."""
    commands, positions = (golden()[f"circle/{name}"] for name in ("commands", "positions"))
    with BulletEngine(CF2X, flying.open_world()) as engine:
        engine.reset(at_rest(np.array(gpd_rig.CIRCLE_START)))
        rows = [
            engine.step(force)[0].position
            for force in CF2X.rotor_force(commands.astype(np.float64))
        ]
    assert len(rows) == 2400
    assert np.abs(np.array(rows)[HOLD - 1 :: HOLD] - positions).max() <= 100 * ENGINE


needs_gpd = pytest.mark.skipif(bool(gpd_rig.found()), reason=gpd_rig.found())


@needs_gpd
@pytest.mark.parametrize("name", CASES)
def test_thirty_two_flights_beside_the_real_one(name):
    """The figure: <= 1e-7 m in float64 and <= 5e-4 m in float32 after 2 s of random commands."""
    case = CASES[name]
    commands = case.commands(32, 100)
    theirs = gpd_rig.flown(case, commands)[..., :3]
    assert np.abs(twin_flights(case, commands).position - theirs).max() <= EXACT
    rough = twin_flights(case, commands, np.float32).position
    assert np.abs(rough - theirs).max() <= ROUGH
    assert np.abs(bullet_flight(case, commands[0]) - theirs[0]).max() <= ENGINE


@needs_gpd
def test_the_recorded_flights_are_those_of_the_real_one():
    name = "cf2x all"
    theirs = gpd_rig.flown(CASES[name], golden()[f"{name}/commands"])
    np.testing.assert_allclose(theirs[..., :3], golden()[f"{name}/positions"], atol=EXACT)


@needs_gpd
@pytest.mark.parametrize("airframe", [CF2X, CF2P, RACER], ids=lambda airframe: airframe.name)
def test_the_numbers_of_each_airframe_are_theirs(airframe):
    env = gpd_rig.aviary(airframe, "PYB", gpd_rig.HIGH)
    env.close()
    assert (env.M, env.G) == (airframe.mass, airframe.gravity)
    assert tuple(np.diag(env.J)) == airframe.inertia
    assert (env.KF, env.KM) == (airframe.thrust_coefficient, airframe.torque_coefficient)
    assert tuple(env.DRAG_COEFF) == airframe.drag_coefficients
    assert (env.DW_COEFF_1, env.DW_COEFF_2, env.DW_COEFF_3) == airframe.downwash_coefficients
    assert env.GND_EFF_COEFF == airframe.ground_effect_coefficient
    assert env.PROP_RADIUS == airframe.propeller_radius
    np.testing.assert_allclose(env.MAX_THRUST, 4 * airframe.max_force, rtol=1e-7)


def circle_of(engine: Engine) -> np.ndarray:
    """Positions of our engine under their controller, every tick of 10 s, closed loop."""
    pilot, rows = gpd_rig.controller(), []
    state = engine.reset(at_rest(np.array(gpd_rig.CIRCLE_START)))
    for tick in range(2400):
        rpm = gpd_rig.steered(pilot, gpd_rig.as_theirs(state), tick / 240)
        state, _ = engine.step(CF2X.rotor_force(rpm))
        rows.append(state.position)
    return np.array(rows)


@needs_gpd
@pytest.mark.parametrize(
    ("kind", "tolerance"), [(BulletEngine, ENGINE), (TwinEngine, EXACT)], ids=["bullet", "twin"]
)
def test_ten_seconds_in_closed_loop_beside_the_real_one(kind, tolerance):
    with kind(CF2X, flying.open_world()) as engine:
        ours = circle_of(engine)
    assert np.abs(ours - gpd_rig.circled(10)[1]).max() <= tolerance
