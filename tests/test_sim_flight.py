"""The fly loop: any plain Python pilot flies, time is told as it is, and every end has its name."""

from __future__ import annotations

from typing import Any

import flying
import jax
import numpy as np
import pytest

from sim import CF2X, PHYSICS_HZ, PLAIN, generate, verdict
from sim.bullet import BulletEngine
from sim.eyes import Eyes
from sim.flight import Conditions, Pilot, fly, open_engine, pad_of
from sim.mission import mission_of
from sim.scene import scene_of
from sim.sensors import CALM, Disturbance, RayPattern
from sim.world import Cylinder

TICK = 1 / PHYSICS_HZ
POST = Cylinder((1.0, 0.0, 1.5), 0.2, 3.0)
COLUMNS = ("position", "velocity", "quaternion", "angular_velocity", "forces", "think_times")


class Diary(flying.Plain):
    """Writes down what each thought was told."""

    def think(self, memory: dict, sight: Any, dt: Any) -> tuple[dict, Any]:
        memory, wish = super().think(memory, sight, dt)
        return memory | {"dt": dt, "seen": np.asarray(sight.state.position)}, wish

    def act(self, memory: dict, wish: Any, state: Any) -> tuple[dict, Any, dict]:
        memory, forces, record = super().act(memory, wish, state)
        return memory, forces, record | {name: np.array(memory[name]) for name in ("dt", "seen")}


class Stuttering(flying.Plain):
    """Hands the engine now and then what no rotor can do."""

    def act(self, memory: dict, wish: Any, state: Any) -> tuple[dict, Any, dict]:
        memory, forces, record = super().act(memory, wish, state)
        count = memory.get("count", 0) + 1
        if count % 40 == 0:
            forces = forces * np.array([1, np.nan, 1, 1])
        elif count % 40 == 20:
            forces = forces + np.array([0, 0, 1.0, 0])
        return memory | {"count": count}, forces, record


class Lost(flying.Plain):
    """Flies to the left for ever."""

    def think(self, memory: dict, sight: Any, dt: Any) -> tuple[dict, Any]:
        memory, _ = super().think(memory, sight, dt)
        return memory, np.array([0.0, 3.0, 0.0])


def thoughts(flight: Any) -> np.ndarray:
    """Row of the first tick after each thought."""
    return np.round(flight.think_times * PHYSICS_HZ).astype(int)


@pytest.mark.parametrize("engine", ["twin", "pybullet"])
def test_a_plain_python_pilot_flies(engine):
    assert isinstance(flying.Plain(), Pilot)
    world = flying.open_world()
    flight = fly(world, flying.Plain(), engine, family="mine", seed=4)
    assert flight.outcome == "reached" and flight.reached
    assert np.linalg.norm(flight.position[-1] - world.target) < world.target_radius
    assert np.linalg.norm(flight.position[-2] - world.target) >= world.target_radius
    ticks = len(flight.times)
    np.testing.assert_allclose(flight.times, np.arange(1, ticks + 1) * TICK, rtol=1e-12)
    assert flight.records["pull"].shape == (ticks, 3)
    assert flight.think_records["ranges"].shape == (len(flight.think_times), 8)
    assert flight.think_records["valid"].all()
    assert (flight.family, flight.seed, flight.pilot, flight.engine) == ("mine", 4, "plain", engine)
    judged = verdict(flight)
    assert judged.passed and judged.limit_violations == 0 and judged.nonfinite == 0


def test_both_engines_fly_the_same_flight():
    twin, bullet = (fly(flying.open_world(), flying.Plain(), name) for name in ("twin", "pybullet"))
    np.testing.assert_allclose(twin.position, bullet.position, atol=1e-6)


def test_any_engine_flies_that_opens_like_ours():
    """Named or handed over, it is the same flight bit by bit, in the air of the mission."""
    rough, opened = Disturbance(wind=1.0, mass_error=0.1, gust=2.0), []

    def lent(airframe, world, **conditions):
        opened.append(conditions)
        return BulletEngine(airframe, world, **conditions)

    flights = [
        fly(flying.open_world(), flying.Plain(), engine, disturbance=rough, seed=3)
        for engine in ("pybullet", BulletEngine, lent)
    ]
    assert [flight.engine for flight in flights] == ["pybullet", "BulletEngine", "lent"]
    for flight in flights[1:]:
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(flight, name), getattr(flights[0], name))
    drawn = Conditions.draw(rough, 3)
    expected = {"mass_scale": drawn.mass_scale, "wind": drawn.wind, "physics": PLAIN}
    assert opened == [expected]
    with pytest.raises(ValueError, match="^gui: expected engine 'pybullet' with it, got lent"):
        fly(flying.open_world(), flying.Plain(), lent, gui=True)


def test_undisturbed_thoughts_come_at_the_rate():
    for rate, every in ((24.0, 10), (48.0, 5), (240.0, 1)):
        flight = fly(flying.open_world(), Diary(rate), "twin")
        assert set(np.diff(thoughts(flight))) == {every}
        np.testing.assert_allclose(flight.records["dt"], 1 / rate, rtol=1e-9)


def test_an_odd_rate_is_kept_on_average():
    flight = fly(flying.open_world(), Diary(50.0), "twin")
    steps = np.diff(thoughts(flight))
    assert set(steps) == {4, 5} and abs(steps.mean() - 4.8) < 0.1
    told = flight.records["dt"][thoughts(flight)[1:]]
    np.testing.assert_allclose(told, steps * TICK, rtol=1e-9)


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.1])
def test_the_pilot_is_told_the_time_between_looks_under_jitter_and_delay(delay):
    disturbance = Disturbance(jitter=0.01, delay=delay)
    world = flying.open_world()
    flight = fly(world, Diary(), "twin", disturbance=disturbance, seed=5)
    rows = thoughts(flight)
    told = flight.records["dt"][rows]
    # Looks follow each other by what was told; the first counts from one period before the start.
    taken = np.cumsum(told) - 1 / 24
    assert taken[0] == pytest.approx(0, abs=1e-12) and flight.think_times[0] == 0
    late = flight.think_times - taken
    np.testing.assert_allclose(late[1:], np.ceil(delay / TICK - 1e-9) * TICK, atol=1e-9)
    assert np.diff(taken).std() > 0.005
    # What was seen is where the drone was then, not where it is when the sight arrives.
    places = np.vstack([world.start_position, flight.position])
    seen = flight.records["seen"][rows]
    np.testing.assert_array_equal(seen, places[np.round(taken * PHYSICS_HZ).astype(int)])


@pytest.mark.parametrize("engine", ["twin", "pybullet"])
def test_contact_ends_a_flight(engine):
    world = flying.open_world(obstacles=(POST,))
    flight = fly(world, flying.Plain(), engine)
    assert flight.outcome == "contact"
    assert flight.contact[-1] and not flight.contact[:-1].any()
    reach = POST.radius + flight.airframe.collision_radius
    assert abs(np.hypot(*(flight.position[-1, :2] - POST.center[:2])) - reach) < 0.02


def test_a_target_beyond_the_ground_ends_on_the_ground():
    world = flying.open_world(target=(1.0, 0.0, 0.0), target_radius=0.01)
    assert fly(world, flying.Plain(), "twin").outcome == "contact"


def test_time_and_bounds_end_a_flight():
    world = flying.open_world(time_limit=0.5)
    flight = fly(world, flying.Plain(), "twin")
    assert flight.outcome == "timeout" and flight.times[-1] == 0.5
    flight = fly(flying.open_world(), Lost(), "twin")
    assert flight.outcome == "out_of_bounds"
    assert flight.position[-1, 1] > 4 >= flight.position[-2, 1]


def test_vias_are_passed_in_order():
    world = flying.open_world(
        via=((0.5, -1.5, 1.5), (1.5, 1.0, 1.5)), obstacles=(), time_limit=20.0
    )
    flight = fly(world, flying.Plain(), "twin")
    assert flight.outcome == "reached"
    first = [
        np.argmax(np.linalg.norm(flight.position - point, axis=1) < world.target_radius)
        for point in (*world.via, world.target)
    ]
    assert 0 < first[0] < first[1] < first[2]
    # Flying past the target on the way to a via is not the end.
    direct = flying.open_world(via=((4.0, 0.4, 1.2),), obstacles=(), time_limit=20.0)
    flight = fly(direct, flying.Plain(), "twin")
    assert flight.outcome == "reached" and flight.position[:, 0].max() > 3.5


def test_forces_that_are_no_numbers_are_counted_and_the_flight_goes_on():
    flight = fly(flying.open_world(), Stuttering(), "pybullet")
    ticks = len(flight.times)
    assert flight.outcome == "reached"
    broken, strong = ticks // 40, (ticks + 20) // 40
    judged = verdict(flight)
    assert judged.nonfinite == broken > 0
    assert flight.limit_violations == judged.limit_violations == broken + strong
    assert not judged.passed


def test_a_seed_is_a_flight_bit_by_bit():
    rough = Disturbance(0.8, 0.1, 0.02, 0.1, 0.005, 0.02)
    world = flying.open_world()
    one, again, other = (
        fly(world, flying.Plain(), "pybullet", disturbance=rough, seed=seed) for seed in (7, 7, 8)
    )
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name), err_msg=name)
    for name in ("ranges", "valid"):
        np.testing.assert_array_equal(one.think_records[name], again.think_records[name])
    shorter = min(len(one.times), len(other.times))
    assert not np.array_equal(one.position[:shorter], other.position[:shorter])


def test_disturbances_do_what_they_say():
    world = flying.open_world(target=(2.5, 0.0, 1.5), time_limit=10.0)
    calm = fly(world, flying.Plain(), "twin", seed=1)
    noisy = Disturbance(range_noise=0.05, drop=0.25)
    seen = fly(world, flying.Plain(), "twin", seed=1, disturbance=noisy)
    # Nothing but the sight differs, and this pilot does not look at its rays.
    np.testing.assert_array_equal(seen.position, calm.position)
    assert abs((~seen.think_records["valid"]).mean() - 0.25) < 0.06
    clean = calm.think_records["ranges"]
    hit = clean < flying.FEW_RAYS.max_range
    ratio = seen.think_records["ranges"][hit] / clean[hit] - 1
    assert 0.03 < ratio.std() < 0.07
    for change in (Disturbance(wind=2.0), Disturbance(mass_error=0.2)):
        moved = fly(world, flying.Plain(), "twin", seed=1, disturbance=change)
        shorter = min(len(moved.times), len(calm.times))
        assert np.abs(moved.position[:shorter] - calm.position[:shorter]).max() > 0.02


def test_progress_is_told_from_the_start():
    told: list[tuple[float, np.ndarray]] = []
    world = flying.open_world()
    fly(world, flying.Plain(), "twin", progress=lambda now, state: told.append((now, state)))
    assert told[0][0] == 0.0
    np.testing.assert_array_equal(told[0][1].position, world.start_position)
    assert [now for now, _ in told] == sorted({now for now, _ in told})


def test_what_cannot_be_flown_is_refused():
    world = flying.open_world()
    with pytest.raises(ValueError, match="engine: expected 'pybullet' or 'twin', got 'cart'"):
        open_engine("cart", CF2X, world, Conditions.draw(CALM, 0), False)
    for rate in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="sight_rate: expected a positive finite"):
            Eyes(RayPattern(((0.0, 4),)), rate, scene_of(world), CALM, 0)


def test_the_second_world_of_a_family_compiles_nothing(caplog):
    # Another test may have flown here before.
    jax.clear_caches()
    with jax.log_compiles():
        fly(generate("blocks", 1_000_020), flying.Plain(), "twin")
        assert "Compiling jit(_advance)" in caplog.text
        caplog.clear()
        fly(generate("blocks", 1_000_021), flying.Plain(), "twin")
        assert "Compiling" not in caplog.text


def test_worlds_of_a_family_share_their_shapes():
    for family in ("forest", "boulders", "blocks", "walls", "mixed"):
        shapes = {pad_of(generate(family, seed)) for seed in range(1_000_000, 1_000_012)}
        assert len(shapes) == 1, shapes
    for count in (0, 1, 96, 97, 192, 193, 10_000):
        some = (Cylinder((0.0, 0.0, 9.0), 0.1, 1.0),) * count
        padded = pad_of(flying.open_world(obstacles=some))[0]
        assert padded >= count
        assert mission_of(flying.open_world(obstacles=some), pad=(padded, 8, 8))
