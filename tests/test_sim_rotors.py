"""Imperfect rotors: delay, lag, wear and a battery that sags, each against its law."""

from __future__ import annotations

import numpy as np
import pytest

from sim import CF2P, CF2X, PHYSICS_HZ, PLAIN, RACER, Battery, Rotors
from sim.battery import drawn, force_fraction, shaft_power
from sim.rotors import start_rotors, turn_rotors

DT = 1 / PHYSICS_HZ
ALL = Rotors(
    delay=3, time_constant=0.03, efficiency=(1.0, 0.97, 1.0, 0.99), battery=Battery(used=0.4)
)


def drawn_forces(count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, CF2X.max_force, (count, 4))


def test_perfect_rotors_give_every_command_bit_for_bit():
    commands = drawn_forces(20)
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
    commands = drawn_forces(30)
    forces = spin(Rotors(delay=4), commands)
    np.testing.assert_array_equal(forces[4:], commands[:-4])
    np.testing.assert_allclose(forces[:4], CF2X.hover_force, rtol=1e-15)
    np.testing.assert_array_equal(spin(Rotors(delay=1, start=0.0), commands)[0], np.zeros(4))


def test_a_worn_rotor_gives_less():
    commands = drawn_forces(10)
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
    state = start_rotors(airframe, ALL, (50,), dtype)
    for _ in range(100):
        corners = airframe.max_force * random.integers(0, 2, (50, 4)).astype(dtype)
        state, forces = turn_rotors(airframe, ALL, state, corners, DT)
        assert forces.dtype == dtype and forces.min() >= 0
        assert float(forces.max()) <= airframe.max_force
    tight = Rotors(time_constant=1e-6)
    state = start_rotors(airframe, tight, (1,), dtype)
    _, forces = turn_rotors(airframe, tight, state, np.full((1, 4), airframe.max_force, dtype), DT)
    assert 0.999999 * airframe.max_force < float(forces.max()) <= airframe.max_force
