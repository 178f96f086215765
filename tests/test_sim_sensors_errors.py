"""Each error model against its own parameter, over many readings; chains, seeds and batches."""

from __future__ import annotations

from functools import partial

import flying
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sights_rig
from scene_samples import crowd

from sim.engine import start_of
from sim.eyes import Eyes
from sim.flight import fly
from sim.scene import scene_of
from sim.sensors import Disturbance, RayPattern, StateErrors, range_errors
from sim.sensors.errors import (
    Bias,
    BiasWalk,
    Delay,
    Dropout,
    ErrorModel,
    Jitter,
    Quantisation,
    Reading,
    RelativeNoise,
    Sector,
    WhiteNoise,
    apply,
    begin,
    reading_of,
)

READINGS, WIDTH, DT = 4000, 8, 0.01
RING = RayPattern(((0.0, 36), (90.0, 1)))
CHAIN = (Bias(0.2), BiasWalk(0.4), Quantisation(0.25), Dropout(0.3), Delay(3))


def life(models: tuple[ErrorModel, ...], values, seed: int = 0, dt: float = DT) -> Reading:
    """A sensor's readings, one after the other, in one compiled loop."""
    read = lived(models, jax.random.PRNGKey(seed), jnp.asarray(values), dt)
    return jax.tree.map(np.asarray, read)


@partial(jax.jit, static_argnums=0)
def lived(models, key, values, dt):
    def tick(memory, row):
        index, value = row
        own = jax.random.fold_in(key, index + 1)
        return apply(models, memory, own, reading_of(value), dt)

    memory = begin(models, jax.random.fold_in(key, 0), reading_of(values[0]))
    return jax.lax.scan(tick, memory, (jnp.arange(len(values)), values))[1]


FLAT = np.full((READINGS, WIDTH), 2.0)
RAMP = np.arange(READINGS)[:, None] * np.linspace(0.5, 2.0, WIDTH) * DT


def test_white_noise_is_white_and_as_strong_as_it_says():
    error = life((WhiteNoise(0.3),), FLAT).value - FLAT
    assert error.std() == pytest.approx(0.3, rel=0.02)
    assert abs(error.mean()) < 4 * 0.3 / np.sqrt(error.size)
    assert abs((error[1:] * error[:-1]).mean()) < 0.3**2 * 0.03
    assert abs(np.corrcoef(error.T) - np.eye(WIDTH)).max() < 0.07


def test_relative_noise_grows_with_the_number():
    values = np.tile(np.arange(WIDTH, dtype=float), (READINGS, 1))
    error = life((RelativeNoise(0.05),), values).value - values
    np.testing.assert_allclose(error.std(axis=0), 0.05 * values[0], rtol=0.05)
    assert (error[:, 0] == 0).all()


def test_a_bias_stays_and_its_draw_is_as_wide_as_it_says():
    error = life((Bias(0.2),), FLAT).value - FLAT
    assert np.ptp(error, axis=0).max() < 1e-12 and np.ptp(error[0]) > 0.05
    first = jax.vmap(lambda key: Bias(0.2).begin(key, reading_of(jnp.zeros(WIDTH))))
    drawn = np.asarray(first(jax.random.split(jax.random.PRNGKey(2), 2000)))
    assert drawn.std() == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize("dt", [0.01, 0.04])
def test_a_walk_grows_with_the_root_of_the_time_whatever_the_rate_of_readings(dt):
    values = np.zeros((100, 400))
    error = life((BiasWalk(0.4),), values, dt=dt).value
    for count in (25, 100):
        assert error[count - 1].std() == pytest.approx(0.4 * np.sqrt(count * dt), rel=0.12)
    steps = np.diff(error, axis=0)
    assert steps.std() == pytest.approx(0.4 * np.sqrt(dt), rel=0.03)


def test_quantised_numbers_are_the_nearest_multiples_exactly():
    values = np.random.default_rng(3).uniform(-3, 3, (500, WIDTH))
    read = life((Quantisation(0.25),), values).value
    assert (read / 0.25 == np.round(read / 0.25)).all()
    assert np.abs(read - values).max() <= 0.125
    assert np.abs(read - values).max() > 0.12
    np.testing.assert_array_equal(life((Quantisation(0.0),), values).value, values)


def test_what_drops_out_is_marked_and_no_other_number_is():
    read = life((Dropout(0.3),), FLAT)
    assert (~read.valid).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(read.value, FLAT)
    assert life((Dropout(0.0),), FLAT).valid.all() and not life((Dropout(1.0),), FLAT).valid.any()


@pytest.mark.parametrize("readings", [0, 1, 5])
def test_a_delay_is_exact(readings):
    read = life((Delay(readings),), RAMP)
    np.testing.assert_array_equal(read.value[readings:], RAMP[: READINGS - readings])
    np.testing.assert_array_equal(read.value[:readings], np.tile(RAMP[0], (readings, 1)))
    # What is lost is lost as late.
    lost = life((Dropout(0.3), Delay(readings)), RAMP).valid
    np.testing.assert_array_equal(
        lost[readings:], life((Dropout(0.3),), RAMP).valid[: READINGS - readings]
    )


def test_jitter_makes_a_ramp_late_by_the_age_that_it_says():
    read = life((Jitter(0.002),), RAMP)
    age = (RAMP - read.value)[1:] / np.linspace(0.5, 2.0, WIDTH)
    assert np.ptp(age, axis=1).max() < 1e-12  # One age for the whole reading.
    assert age.min() >= 0 and age.max() <= DT
    assert age.mean() == pytest.approx(0.002 * np.sqrt(2 / np.pi), rel=0.05)


def test_a_sector_hides_the_rays_that_lie_in_it():
    middle, width = 0.5, 1.0
    ring = np.full((3, RING.count), 2.0)
    hidden = ~life((Sector(RING, width, middle),), ring).valid[0]
    x, y, _ = RING.directions.T
    apart = np.abs((np.arctan2(y, x) - middle + np.pi) % (2 * np.pi) - np.pi)
    np.testing.assert_array_equal(hidden[:-1], (apart < width / 2)[:-1])
    assert hidden.sum() == 5 and not hidden[-1]
    # Drawn: the same in every reading of a life, another in another.
    lives = [~life((Sector(RING, width),), ring, seed).valid for seed in range(6)]
    assert all((rows == rows[0]).all() and 5 <= rows[0].sum() <= 6 for rows in lives)
    assert len({rows[0].tobytes() for rows in lives}) > 3
    assert not life((Sector(RING, 7.0, 0.0),), ring).valid[0, :-1].any()


def test_an_empty_chain_and_models_of_size_zero_change_no_bit():
    values = np.random.default_rng(4).normal(size=(50, WIDTH)).astype(np.float32)
    nothing = (WhiteNoise(), RelativeNoise(), Bias(), BiasWalk(), Quantisation(), Dropout())
    for models in ((), (*nothing, Delay(), Jitter())):
        read = life(models, values)
        assert read.value.dtype == np.float32
        np.testing.assert_array_equal(read.value, values)
        assert read.valid.all()


def test_a_seed_is_a_life_and_a_batch_is_many():
    keys = jax.vmap(jax.random.PRNGKey)(jnp.array([1, 1, 2]))
    values = jnp.asarray(RAMP[:60])
    many = jax.jit(jax.vmap(lambda key: lived(CHAIN, key, values, DT)))(keys)
    alone = lived(CHAIN, keys[0], values, DT)
    for name in ("value", "valid"):
        one, again, other = np.asarray(getattr(many, name))
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)
        np.testing.assert_allclose(one, np.asarray(getattr(alone, name)), rtol=1e-12)


def test_models_do_not_share_their_draws():
    """A model that is put in front must not shift what the next one draws from the same bits."""
    both = life((WhiteNoise(0.3), WhiteNoise(0.3)), FLAT).value - FLAT
    assert both.std() == pytest.approx(0.3 * np.sqrt(2), rel=0.02)  # 0.6 if they did.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WhiteNoise(-0.1), "std: expected a finite number >= 0, got -0.1"),
        (lambda: RelativeNoise(float("nan")), "fraction: expected a finite"),
        (lambda: Bias(float("inf")), "std: expected a finite"),
        (lambda: BiasWalk(-1.0), "rate: expected a finite"),
        (lambda: Quantisation(-1.0), "step: expected a finite"),
        (lambda: Dropout(1.5), r"probability: expected one in \[0, 1\], got 1.5"),
        (lambda: Dropout(float("nan")), "probability: expected one"),
        (lambda: Delay(-1), "readings: expected a count >= 0, got -1"),
        (lambda: Delay(0.5), "readings: expected a count"),
        (lambda: Jitter(-1.0), "std: expected a finite"),
        (lambda: Sector(RING, -1.0), "width: expected a finite angle >= 0"),
        (lambda: Sector(RING, 1.0, float("nan")), "azimuth: expected a finite angle"),
    ],
)
def test_impossible_errors_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


WORLD = crowd()
FAN = RayPattern(((0.0, 24), (-20.0, 12)))


def sights(disturbance: Disturbance, seed: int = 3, count: int = 24) -> tuple[np.ndarray, ...]:
    """Ranges and validity of a drone that hangs still."""
    eyes, state = Eyes(FAN, 240.0, scene_of(WORLD), disturbance, seed), start_of(WORLD)
    seen = [eyes.look(state, tick / 240)[0] for tick in range(count)]
    return tuple(np.stack([np.asarray(getattr(s, name)) for s in seen]) for name in SEEN)


SEEN = ("ranges", "valid")


def test_a_disturbance_puts_its_errors_on_the_rays():
    calm, all_there = sights(Disturbance())
    hit = calm[0] < FAN.max_range
    assert 10 < hit.sum() < FAN.count and all_there.all()

    biased, _ = sights(Disturbance(range_bias=0.05))
    error = (biased - calm)[:, hit]
    assert np.ptp(error, axis=0).max() < 1e-5 and 0.02 < error[0].std() < 0.09

    walked, _ = sights(Disturbance(range_walk=0.5))
    error = np.diff((walked - calm)[:, hit], axis=0)
    assert error.std() == pytest.approx(0.5 * np.sqrt(1 / 240), rel=0.15)
    assert (walked[0] == calm[0]).all()  # No time has passed.

    stepped, _ = sights(Disturbance(range_step=0.1))
    np.testing.assert_allclose(stepped[:, hit], 0.1 * np.round(calm[:, hit] / 0.1), atol=1e-6)

    ranges, valid = sights(Disturbance(blind=1.0))
    np.testing.assert_array_equal(ranges, calm)
    assert (valid == valid[0]).all() and 0 < (~valid[0]).sum() < FAN.count / 3

    for ranges in (biased, walked, stepped):
        # What met nothing still meets nothing, and nothing is beyond the range.
        assert (ranges[:, ~hit] == FAN.max_range).all()
        assert ((ranges >= 0) & (ranges <= FAN.max_range)).all()
        assert not np.array_equal(ranges, calm)


def test_the_seed_decides_and_only_what_is_asked_for_is_there():
    rough = Disturbance(range_bias=0.05, range_walk=0.1, blind=0.5)
    one, again, other = (sights(rough, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert not np.array_equal(one[0], other[0])
    assert range_errors(Disturbance(1.0, 0.1, 0.1, 0.1, 0.1, 0.1), FAN) == ()
    assert [type(model) for model in range_errors(rough, FAN)] == [Bias, BiasWalk, Sector]


def test_every_disturbance_reaches_a_flight():
    """Each new field changes how the drone flies or what it sees; all at once, twice alike."""
    world = flying.open_world(time_limit=0.1)
    moves = {"gust": 6.0, "sway": 1.0, "inertia_error": 0.5, "start_offset": 0.3}
    moves |= {"start_speed": 0.5, "start_tilt": 0.3}
    believes = {"position_noise": 0.05, "position_bias": 0.1, "velocity_noise": 0.1}
    believes |= {"attitude_noise": 0.05, "spin_noise": 0.3}
    shows = {"range_bias": 0.1, "range_walk": 0.3, "range_step": 0.13, "blind": 2.0}
    new = moves | believes | shows
    old = {name for name, value in vars(sights_rig.ROUGH).items() if value > 0}
    assert len(old) == 6 and not old & new.keys()
    assert old | new.keys() == vars(Disturbance()).keys()

    def flown(**fields):
        pilot = flying.Plain(rays=RayPattern(((-30.0, 8),)))
        flight = fly(world, pilot, "pybullet", disturbance=Disturbance(**fields), seed=11)
        return flight.position, flight.think_records["ranges"], flight.think_records["valid"]

    calm, seen = flown(), flown(**shows)
    np.testing.assert_array_equal(seen[0], calm[0])  # This pilot does not look.
    assert not np.array_equal(seen[1], calm[1]) and not seen[2].all()
    for name, size in moves.items():
        assert not np.array_equal(flown(**{name: size})[0], calm[0]), name
    exact = StateErrors()
    for name, size in believes.items():
        assert StateErrors.of(Disturbance(**{name: size})) != exact, name
    assert not np.array_equal(flown(**believes)[0], calm[0])
    for one, again in zip(flown(**new), flown(**new), strict=True):
        np.testing.assert_array_equal(one, again)
