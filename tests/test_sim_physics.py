"""Options of the physics: the laws of each, the same flight in both engines, no trace when off."""

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
    load_flight,
    start,
    step,
)
from sim.aero import downwash_force, drag_force, ground_effect_forces
from sim.battery import drawn, force_fraction, shaft_power
from sim.bullet import BulletEngine
from sim.rotors import start_rotors, turn_rotors

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


def tumbling(count: int) -> tuple[np.ndarray, ...]:
    """Positions, velocities, quaternions and rotor forces near the ground."""
    random = np.random.default_rng(1)
    quaternions = random.normal(size=(count, 4))
    return (
        random.uniform([-1, -1, 0.05], [1, 1, 0.6], (count, 3)),
        random.normal(scale=3, size=(count, 3)),
        quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True),
        random.uniform(0, CF2X.max_force, (count, 4)),
    )


def test_the_air_of_numpy_and_of_jax_is_the_same():
    position, velocity, quaternion, forces = tumbling(50)
    others = np.concatenate([position + [0, 0.05, 0.3], position])
    speeds = CF2X.rotor_speed(forces)
    for answer in (
        lambda xp: drag_force(CF2X, xp.asarray(velocity), xp.asarray(speeds)),
        lambda xp: ground_effect_forces(CF2X, *map(xp.asarray, (position, quaternion, forces))),
        lambda xp: downwash_force(CF2X, xp.asarray(position), xp.asarray(others)),
    ):
        ours, theirs = answer(np), answer(jnp)
        assert type(ours) is np.ndarray and isinstance(theirs, jax.Array)
        assert np.abs(ours).max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_drag_opposes_motion_in_proportion_to_speed_and_rotors():
    _, velocity, _, forces = tumbling(50)
    speeds = CF2X.rotor_speed(forces)
    drag = drag_force(CF2X, velocity, speeds)
    assert ((drag * velocity).sum(axis=1) < 0).all()
    np.testing.assert_allclose(drag_force(CF2X, 2 * velocity, 3 * speeds), 6 * drag, rtol=1e-12)
    one = drag_force(CF2X, np.array([0.0, 0.0, 2.0]), np.full(4, 60 / (2 * np.pi)))
    np.testing.assert_allclose(one, [0, 0, -2 * 4 * 10.311e-7], rtol=1e-12)


def test_the_ground_pushes_rotors_that_are_near_it_and_none_upside_down():
    forces, level = np.full(4, 0.066), np.array([0.0, 0.0, 0.0, 1.0])

    def lift(height, quaternion=level):
        return ground_effect_forces(CF2X, np.array([0.0, 0.0, height]), quaternion, forces)

    np.testing.assert_allclose(lift(0.1), 0.066 * 11.36859 * (2.31348e-2 / 0.4) ** 2, rtol=1e-12)
    np.testing.assert_allclose(lift(0.2) / lift(0.1), 0.25, rtol=1e-12)
    # Below their least height gym-pybullet-drones lets the cushion grow no more.
    least = 0.25 * 2.31348e-2 * math.sqrt(15 * 11.36859 / 4)
    np.testing.assert_allclose(lift(0.0), lift(least), rtol=1e-12)
    rolled = np.array([math.sin(0.1), 0.0, 0.0, math.cos(0.1)])
    right, _, left, _ = lift(0.1, rolled)
    assert left < right
    for turn in (np.array([1.0, 0, 0, 0]), np.array([0.0, math.sqrt(0.5), 0, math.sqrt(0.5)])):
        assert not lift(0.1, turn).any()


def test_a_plume_pushes_what_is_below_it_and_nothing_else():
    def push(*offsets):
        return float(downwash_force(CF2X, np.zeros(3), np.array(offsets, float).reshape(-1, 3)))

    below = push((0, 0, 1.5))
    np.testing.assert_allclose(below, -2267.18 * (2.31348e-2 / 6) ** 2, rtol=1e-12)
    aside = below * math.exp(-0.5 * (0.1 / (0.16 * 1.5 - 0.11)) ** 2)
    np.testing.assert_allclose(push((0.06, 0.08, 1.5)), aside, rtol=1e-12)
    np.testing.assert_allclose(push((0, 0, 1.5), (0, 0.1, 1.5)), below + aside, rtol=1e-12)
    assert push() == push((0, 0, 0)) == push((0, 0, -1)) == push((10, 0, 1.5)) == 0
    # Where the formula divides by zero or has no bound the answer is still a number.
    for depth in (0.11 / 0.16, 1e-300, 1e-9):
        assert math.isfinite(push((0, 0, depth))) and math.isfinite(push((1e-8, 0, depth)))


def test_perfect_rotors_give_every_command_bit_for_bit():
    commands = tumbling(20)[3]
    perfect = Rotors()
    state, forces = turn_rotors(CF2X, perfect, start_rotors(CF2X, perfect, (20,)), commands, DT)
    np.testing.assert_array_equal(forces, commands)
    np.testing.assert_allclose(state.speeds, CF2X.rotor_speed(commands))
    assert perfect.perfect and PLAIN.plain and PLAIN.start(CF2X) is None


def spin(rotors: Rotors, commands: np.ndarray) -> np.ndarray:
    """Forces [ticks, 4] of one set of rotors."""
    state, rows = start_rotors(CF2X, rotors), []
    for command in commands:
        state, forces = turn_rotors(CF2X, rotors, state, command, DT)
        rows.append(forces)
    return np.array(rows)


def test_lag_closes_the_gap_in_speed_at_its_time_constant():
    forces = spin(Rotors(time_constant=0.05), np.full((24, 4), 0.12))
    gap = CF2X.rotor_speed(np.full(4, 0.12)) - CF2X.rotor_speed(forces)
    began = CF2X.rotor_speed(np.full(4, 0.12)) - CF2X.rotor_speed(np.full(4, CF2X.hover_force))
    expected = began * np.exp(-np.arange(1, 25)[:, None] * DT / 0.05)
    np.testing.assert_allclose(gap, expected, rtol=1e-9)


def test_delay_hands_each_command_on_so_many_ticks_later():
    commands = tumbling(30)[3]
    forces = spin(Rotors(delay=4), commands)
    np.testing.assert_array_equal(forces[4:], commands[:-4])
    np.testing.assert_allclose(forces[:4], CF2X.hover_force, rtol=1e-15)
    np.testing.assert_array_equal(spin(Rotors(delay=1, start=0.0), commands)[0], np.zeros(4))


def test_a_worn_rotor_gives_less():
    commands = tumbling(10)[3]
    worn = spin(Rotors(efficiency=(1.0, 0.9, 0.8, 0.7)), commands)
    np.testing.assert_allclose(worn, commands * [1.0, 0.9, 0.8, 0.7], rtol=1e-15)


def test_a_battery_loses_the_charge_that_its_power_draws():
    """At the power of hovering, until it is empty; the Crazyflie's lasts minutes, not hours."""
    battery, used, ticks = Battery(), np.asarray(0.0), 0
    power = shaft_power(CF2X, CF2X.rotor_speed(np.full(4, CF2X.hover_force)))
    volts, charges = [], []
    while used < 1:
        before = used
        voltage, used = drawn(battery, used, power, 1.0)
        volts.append(float(voltage))
        charges.append(float(used - before) * battery.capacity * 3600)
        ticks += 1
    source = np.interp(np.cumsum(charges) / 900, *zip(*battery.open_circuit, strict=True))
    assert 4 * 60 < ticks < 9 * 60
    current = np.array(charges[:-1])
    np.testing.assert_allclose(current * volts[:-1], float(power), rtol=1e-9)
    np.testing.assert_allclose(volts[1:-1], source[:-2] - 0.1 * current[1:], rtol=1e-9)
    assert (np.diff(volts) <= 0).all()
    assert float(force_fraction(battery, used, voltage)) == 0.0


def test_sag_bounds_the_force_by_the_square_of_the_voltage():
    most = np.full((2, 4), CF2X.max_force)
    fresh, spent = (
        spin(Rotors(battery=Battery(used=used, resistance=0.0)), most)[0] for used in (0.0, 0.5)
    )
    np.testing.assert_allclose(fresh, CF2X.max_force, rtol=1e-4)
    np.testing.assert_allclose(spent, CF2X.max_force * (3.84 / 4.2) ** 2, rtol=1e-4)
    loaded = spin(Rotors(battery=Battery()), most)
    assert (loaded[1] < loaded[0]).all() and (loaded[0] < CF2X.max_force).all()
    assert not spin(Rotors(battery=Battery(used=1.0)), most).any()
    # More power than it can give: the voltage of the most power, half the source's.
    voltage, _ = drawn(Battery(resistance=1.0), np.asarray(0.0), np.asarray(50.0), DT)
    np.testing.assert_allclose(voltage, 2.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("airframe", [CF2X, CF2P, RACER], ids=lambda airframe: airframe.name)
def test_forces_stay_inside_the_limits(airframe, dtype):
    random = np.random.default_rng(2)
    state = start_rotors(airframe, WORN, (50,), dtype)
    for _ in range(100):
        corners = airframe.max_force * random.integers(0, 2, (50, 4)).astype(dtype)
        state, forces = turn_rotors(airframe, WORN, state, corners, DT)
        assert forces.dtype == dtype and forces.min() >= 0
        assert float(forces.max()) <= airframe.max_force
    tight = Rotors(time_constant=1e-6)
    state = start_rotors(airframe, tight, (1,), dtype)
    _, forces = turn_rotors(airframe, tight, state, np.full((1, 4), airframe.max_force, dtype), DT)
    assert 0.999999 * airframe.max_force < float(forces.max()) <= airframe.max_force


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
