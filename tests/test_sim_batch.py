"""`fly_batch` flies what `fly` flies, and compiles once for all worlds of a shape."""

from __future__ import annotations

from typing import Any

import flying
import jax.numpy as jnp
import numpy as np
import pytest

from sim import PHYSICS_HZ, mission_of, stack_missions, verdict
from sim.batch import ENDINGS, fly_batch, sight_schedule
from sim.conditions import Conditions
from sim.eyes import Eyes
from sim.flight import fly
from sim.scene import scene_of
from sim.sensors import CALM, Disturbance
from sim.state import at_rest
from sim.world import Cylinder, World

PAD = (8, 8, 8)
STEPS = 800
WORLDS = {
    "reached": flying.open_world(),
    "contact": flying.open_world(obstacles=(Cylinder((1.0, 0.0, 1.5), 0.2, 3.0),)),
    "timeout": flying.open_world(time_limit=0.8),
    # Tilting to gain speed, the pilot sinks a little.
    "out_of_bounds": flying.open_world(
        bounds=((-2.0, -4.0, 1.4995), (6.0, 4.0, 3.0)), target=(2.0, 0.2, 1.5)
    ),
}
OVER_A_VIA = flying.open_world(via=((1.0, -0.8, 1.5),), obstacles=())


class Counting(flying.Steady):
    """Counts how often jax looks at its Python."""

    traces = 0

    def act(self, memory: dict, wish: Any, state: Any) -> tuple[dict, Any, dict]:
        self.traces += 1
        return super().act(memory, wish, state)


class Wild(flying.Steady):
    """Asks one rotor for nan and one for twice the most."""

    def act(self, memory: dict, wish: Any, state: Any) -> tuple[dict, Any, dict]:
        memory, _, record = super().act(memory, wish, state)
        return memory, jnp.array([jnp.nan, 1.0, 0.0, 0.0]), record


def missions_of(worlds: list[World]) -> Any:
    return stack_missions([mission_of(world, jnp.float64, PAD) for world in worlds])


@pytest.fixture(scope="module")
def pilot() -> Counting:
    return Counting()


@pytest.fixture(scope="module")
def batch(pilot) -> Any:
    return fly_batch(missions_of([*WORLDS.values(), OVER_A_VIA]), pilot, STEPS)


def test_a_batch_is_the_same_as_flight_after_flight(batch):
    for row, (name, world) in enumerate([*WORLDS.items(), ("reached", OVER_A_VIA)]):
        flight = fly(world, flying.Plain(), "twin")
        judged = verdict(flight)
        assert ENDINGS[batch.outcome[row]] == flight.outcome == name
        assert batch.time_s[row] == pytest.approx(judged.time_s, abs=1e-12)
        assert batch.path_m[row] == pytest.approx(judged.path_m, abs=1e-6)
        assert batch.min_clearance_m[row] == pytest.approx(judged.min_clearance_m, abs=1e-6)
        assert batch.contacts[row] == judged.contacts
        assert batch.limit_violations[row] == judged.limit_violations == 0
        np.testing.assert_allclose(batch.final.position[row], flight.position[-1], atol=1e-6)
        np.testing.assert_allclose(batch.final.velocity[row], flight.velocity[-1], atol=1e-5)


def test_new_worlds_of_the_same_shape_do_not_compile(batch, pilot):
    before = pilot.traces
    assert before > 0
    others = [flying.open_world(target=(1.0 + 0.1 * k, -0.3, 1.3)) for k in range(4)]
    again = fly_batch(missions_of([*others, OVER_A_VIA]), pilot, STEPS)
    assert pilot.traces == before
    assert set(np.asarray(again.outcome)) == {ENDINGS.index("reached")}
    # The control: another shape is another program.
    fly_batch(missions_of([*others, *others]), pilot, 2)
    assert pilot.traces > before


def test_steps_that_run_out_leave_flights_in_the_air(batch):
    few = 200
    short = fly_batch(missions_of(list(WORLDS.values())), flying.Steady(), few)
    flying_still = np.asarray(batch.time_s[:4]) > few / PHYSICS_HZ
    assert flying_still.any() and not flying_still.all()
    expected = np.where(flying_still, 0, batch.outcome[:4])
    np.testing.assert_array_equal(short.outcome, expected)
    expected = np.where(flying_still, few / PHYSICS_HZ, batch.time_s[:4])
    np.testing.assert_allclose(short.time_s, expected)


def test_forces_out_of_range_are_counted_and_limited():
    wild = fly_batch(missions_of([flying.open_world()]), Wild(), 24)
    assert wild.limit_violations.tolist() == [24]
    for leaf in vars(wild.final).values():
        assert np.isfinite(leaf).all()


def test_the_air_of_a_batch_is_that_of_each_flight():
    world, rough = flying.open_world(time_limit=0.5), Disturbance(wind=1.0, gust=8.0)
    air = [Conditions.draw(rough, seed).air(rough, seed, world)[:120] for seed in (1, 2)]
    blown = fly_batch(missions_of([world] * 2), flying.Steady(), 120, air=np.stack(air))
    for row, seed in enumerate((1, 2)):
        flight = fly(world, flying.Plain(), "twin", disturbance=rough, seed=seed)
        np.testing.assert_allclose(blown.final.position[row], flight.position[119], atol=1e-6)
    assert np.ptp(np.asarray(blown.final.position), axis=0).max() > 1e-3
    with pytest.raises(ValueError, match=r"air: expected \(2, 120, 3\), got \(2, 119, 3\)"):
        fly_batch(missions_of([world] * 2), flying.Steady(), 120, air=np.stack(air)[:, 1:])


@pytest.mark.parametrize("rate", [24.0, 48.0, 50.0, 7.0, 240.0, 1000.0])
def test_the_schedule_is_that_of_the_eyes(rate):
    eyes = Eyes(flying.FEW_RAYS, rate, scene_of(flying.open_world()), CALM, 0)
    state = at_rest(np.array([0.0, 0.0, 1.5]))
    seen = [eyes.look(state, tick / PHYSICS_HZ) for tick in range(300)]
    looks, waits = sight_schedule(rate, 300)
    assert [sight is not None for sight in seen] == looks.tolist()
    told = [sight[1] for sight in seen if sight is not None]
    np.testing.assert_allclose(told, waits[looks], rtol=1e-12)


def test_what_is_no_batch_is_refused():
    mission = mission_of(flying.open_world())
    with pytest.raises(ValueError, match="missions: expected one leading axis, got 0"):
        fly_batch(mission, flying.Steady(), 10)
    with pytest.raises(ValueError, match="steps: expected 1 or more, got 0"):
        fly_batch(missions_of([flying.open_world()]), flying.Steady(), 0)
