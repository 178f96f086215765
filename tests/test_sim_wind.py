"""Wind against its model: spectra and variances of ten minutes, the same air in both engines."""

from __future__ import annotations

import math
from itertools import pairwise

import flying
import numpy as np
import pytest
from scipy.linalg import expm

from sim.conditions import Conditions
from sim.engine import TwinEngine
from sim.flight import fly
from sim.sensors import Disturbance
from sim.twin import PHYSICS_HZ
from sim.wind import Dryden, air_of, dryden, dryden_low_altitude, moving_average
from sim.wind.dryden import _root_of_covariance

TICK = 1 / PHYSICS_HZ
TEN_MINUTES = 600 * PHYSICS_HZ
BREEZE = dryden_low_altitude(30.0, 8.0, 12.0)


def test_scale_lengths_and_intensities_are_those_of_the_specification():
    """Worked out by hand from MIL-F-8785C, figures 10 and 11, in feet."""
    feet, speed = 100.0, 10.0
    found = dryden_low_altitude(feet * 0.3048, speed, 20.0)
    rough = 0.177 + 0.000823 * feet
    level = feet / rough**1.2 * 0.3048
    np.testing.assert_allclose(found.lengths, [level, level, feet * 0.3048], rtol=1e-12)
    np.testing.assert_allclose(found.intensities, [1 / rough**0.4, 1 / rough**0.4, 1.0], rtol=1e-12)
    assert level / 0.3048 == pytest.approx(505.1, abs=0.1)
    # At 1,000 ft both lengths meet, and so do the intensities: turbulence is isotropic there.
    high = dryden_low_altitude(1000 * 0.3048, speed, 20.0)
    np.testing.assert_allclose(high.lengths, 1000 * 0.3048, rtol=1e-12)
    np.testing.assert_allclose(high.intensities, 1.0, rtol=1e-12)
    # Outside of what it is for, the nearest height counts.
    assert dryden_low_altitude(0.5, 5.0, 3.0) == dryden_low_altitude(10 * 0.3048, 5.0, 3.0)
    assert dryden_low_altitude(1e5, 5.0, 3.0) == high.__class__(high.lengths, (0.5,) * 3, 3.0)


@pytest.fixture(scope="module")
def gusts() -> np.ndarray:
    """Ten times ten minutes, `[seeds, ticks, 3]`."""
    runs = [dryden(BREEZE, TEN_MINUTES, TICK, np.random.default_rng(seed)) for seed in range(10)]
    return np.stack(runs)


def spectrum(turbulence: Dryden, frequency: np.ndarray) -> np.ndarray:
    """The specification's one-sided spectra over the angular frequency [rad/s]."""
    rows = []
    for axis in range(3):
        length, strength = turbulence.lengths[axis], turbulence.intensities[axis]
        x = length * frequency / turbulence.airspeed
        shape = 2 / (1 + x**2) if axis == 0 else (1 + 3 * x**2) / (1 + x**2) ** 2
        rows.append(strength**2 * length / (math.pi * turbulence.airspeed) * shape)
    return np.stack(rows, axis=-1)


def test_ten_minutes_have_the_variance_of_the_model(gusts):
    """The record holds a hundred correlation times of each seed, so ten know it within 6 %."""
    found = (gusts**2).mean(axis=(0, 1))
    np.testing.assert_allclose(found, np.square(BREEZE.intensities), rtol=0.12)
    assert np.abs(gusts.mean(axis=(0, 1))).max() < 0.25
    together = np.corrcoef(gusts.reshape(-1, 3).T)
    assert np.abs(together - np.eye(3)).max() < 0.06
    # The specification's spectra integrate to the variances.
    grid = np.geomspace(1e-4, 1e4, 200_000)
    power = np.trapezoid(spectrum(BREEZE, grid), grid, axis=0)
    np.testing.assert_allclose(power, np.square(BREEZE.intensities), rtol=1e-2)


def measured(gusts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power in bands of a third of a decade: of all seeds, of the model, and how many samples."""
    ticks = gusts.shape[1]
    window = np.hanning(ticks)[:, None]
    power = np.abs(np.fft.rfft(gusts * window, axis=1)) ** 2
    power *= 2 * TICK / (2 * math.pi) / (window**2).sum()
    frequency = 2 * math.pi * np.fft.rfftfreq(ticks, TICK)
    edges = np.geomspace(0.05, 100, 11)
    bands = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    model = np.stack([spectrum(BREEZE, frequency[band]).mean(axis=0) for band in bands])
    count = np.array([band.sum() * len(gusts) for band in bands])
    return np.stack([power[:, band].mean(axis=(0, 1)) for band in bands]), model, count


def test_ten_minutes_have_the_spectrum_of_the_model(gusts):
    """Over three decades, each band within what chance leaves; a wrong filter is far off."""
    found, model, count = measured(gusts)
    assert model.max() / model.min() > 1e5
    # A power is exponentially distributed; the window joins neighbours, which costs half as much.
    chance = 4 * np.sqrt(1.5 / count)
    assert chance[-1] < 0.05 and chance[0] < 0.8
    assert (np.abs(found / model - 1) < chance[:, None] + 0.02).all()
    # Across the wind the filter of the wind's own direction would not do.
    wrong = found[:, 1] / model[:, 0]
    assert np.abs(np.log(wrong)).max() > 0.3


def test_the_tick_is_exact_whatever_its_length():
    """Autocovariance at a lag is the model's, for ticks from 1/240 s to half a length."""
    for dt in (TICK, 0.1, 1.0):
        draws = np.random.default_rng(5)
        run = dryden(BREEZE, 400_000, dt, draws) / BREEZE.intensities
        lags = np.array([1, 3, 10])
        for axis in range(3):
            share = lags * dt * BREEZE.airspeed / BREEZE.lengths[axis]
            expected = np.exp(-share) * (1 if axis == 0 else 1 - share / 2)
            found = [(run[lag:, axis] * run[:-lag, axis]).mean() for lag in lags]
            few = 400_000 * dt * BREEZE.airspeed / BREEZE.lengths[axis]
            np.testing.assert_allclose(found, expected, atol=5 / math.sqrt(few))
            # The step's noise is known far better: variance of the change over one tick.
            change = np.diff(run[:, axis]).var() / 2
            assert change == pytest.approx(1 - expected[0], rel=0.02)


@pytest.mark.parametrize("step", [1e-5, 1e-3, 0.1, 2.0])
def test_the_noise_of_a_step_is_the_integral_of_the_filter(step):
    """By Van Loan's block exponential, which knows nothing of quadrature."""
    a, b = np.array([[-1.0, 0.0], [1.0, -1.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])
    block = expm(np.block([[-a, b], [np.zeros((2, 2)), a.T]]) * step)
    root = _root_of_covariance(step)
    expected = block[2:, 2:].T @ block[:2, 2:]
    np.testing.assert_allclose(root @ root.T, expected, rtol=1e-8, atol=1e-19)


def test_a_seed_is_a_wind_and_a_longer_flight_begins_with_it():
    one, longer = (dryden(BREEZE, ticks, TICK, np.random.default_rng(7)) for ticks in (500, 900))
    np.testing.assert_array_equal(one, longer[:500])
    assert np.ptp(one, axis=0).min() > 0.05
    one, longer = (moving_average(1.0, 9, ticks, np.random.default_rng(7)) for ticks in (500, 900))
    np.testing.assert_array_equal(one, longer[:500])
    assert dryden(BREEZE, 0, TICK, np.random.default_rng(7)).shape == (0, 3)


def test_a_moving_average_has_its_variance_and_its_triangle():
    window = 480
    run = moving_average(0.7, window, 240_000, np.random.default_rng(1))
    np.testing.assert_allclose(run.std(axis=0), 0.7, rtol=0.08)
    for lag in (120, 360, 480, 960):
        found = (run[lag:] * run[:-lag]).mean(axis=0)
        np.testing.assert_allclose(found, 0.49 * max(0, 1 - lag / window), atol=0.06)
    # By hand: the mean of the last three draws, scaled.
    white = np.random.default_rng(2).standard_normal((12, 3))
    short = moving_average(1.0, 3, 10, np.random.default_rng(2))
    expected = [white[tick : tick + 3].sum(axis=0) / math.sqrt(3) for tick in range(10)]
    np.testing.assert_allclose(short, expected, rtol=1e-12, atol=1e-12)


def test_gusts_lie_along_the_wind_and_on_top_of_it():
    steady, heading = (1.2, 1.6, 0.0), math.atan2(1.6, 1.2)
    air = air_of(Disturbance(wind=2.0, gust=9.0), 3, 20_000, steady, heading, 5.0, 3.0)
    still = air_of(
        Disturbance(gust=9.0), 3, 20_000, (0.0, 0.0, 0.0), heading, 5.0, math.hypot(3, 2)
    )
    np.testing.assert_allclose(air - steady, still, atol=1e-12)
    turbulence = dryden_low_altitude(5.0, 9.0, math.hypot(3, 2))
    draws = np.random.default_rng([0x9057, 3])
    along = dryden(turbulence, 20_000, TICK, draws)[:, 0]
    ahead = np.array([math.cos(heading), math.sin(heading), 0.0])
    np.testing.assert_allclose(still @ ahead, along, atol=1e-12)


class Witness(flying.Plain):
    """Flies open loop, so that the air alone decides."""

    def act(self, memory, wish, state):
        return memory, np.full(4, 0.0662), {}


def test_the_same_seed_is_the_same_gust_in_both_engines():
    world = flying.open_world(time_limit=0.5)
    rough = Disturbance(wind=1.0, gust=8.0, sway=0.5)
    one, two, other = (
        fly(world, Witness(), engine, disturbance=rough, seed=seed)
        for engine, seed in (("twin", 3), ("pybullet", 3), ("twin", 4))
    )
    np.testing.assert_array_equal(one.records["wind"], two.records["wind"])
    np.testing.assert_allclose(one.position, two.position, atol=1e-7)
    assert not np.array_equal(one.records["wind"], other.records["wind"])
    # What is on record is what blew: the same flight, tick by tick, by hand.
    with TwinEngine(one.airframe, world) as engine:
        states = [
            engine.step(np.full(4, 0.0662), tuple(air))[0].position for air in one.records["wind"]
        ]
    np.testing.assert_array_equal(np.stack(states), one.position)


def test_no_gust_is_no_difference():
    """Bit by bit, and on record: nothing is there that was not."""
    world, calm = flying.open_world(time_limit=0.5), Disturbance(wind=1.0)
    one = fly(world, Witness(), "twin", disturbance=calm, seed=3)
    two = fly(world, Witness(), "twin", disturbance=Disturbance(wind=1.0, gust=0.0), seed=3)
    blown = fly(world, Witness(), "twin", disturbance=Disturbance(wind=1.0, gust=1e-3), seed=3)
    np.testing.assert_array_equal(one.position, two.position)
    assert "wind" not in one.records
    assert 0 < np.abs(blown.position - one.position).max() < 1e-3
    assert Conditions.draw(calm, 3).air(calm, 3, world) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dryden((1.0, 0.0, 1.0), (1.0,) * 3, 1.0), "lengths: expected positive"),
        (lambda: Dryden((1.0, -1.0, 1.0), (1.0,) * 3, 1.0), "lengths: expected 3 finite"),
        (lambda: Dryden((1.0,) * 3, (1.0, float("nan"), 1.0), 1.0), "intensities: expected 3"),
        (lambda: Dryden((1.0,) * 3, (1.0,) * 3, 0.0), "airspeed: expected a positive"),
        (lambda: dryden_low_altitude(float("nan"), 1.0, 1.0), "height: expected a finite"),
        (lambda: dryden_low_altitude(3.0, -1.0, 1.0), "intensities: expected 3 finite"),
        (lambda: moving_average(1.0, 0, 5, np.random.default_rng(0)), "window: expected 1 tick"),
    ],
)
def test_impossible_winds_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
