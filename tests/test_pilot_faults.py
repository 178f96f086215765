"""What is not finite in mid flight: the backup at once, on record, and the flight goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from pilot_rig import room, straight_pilot, wish_for

from lnn_nav.design import Design
from lnn_nav.pilot import LiquidPilot, MapError, TimeStepError
from lnn_nav.policy import Policy
from lnn_nav.straight import StraightLine
from lnn_nav.verify import FAULTS, Fault, Faulty
from sim import Box, mission_of, verdict
from sim.flight import fly
from sim.record import Flight
from sim.sensors import Sight
from sim.state import at_rest

WALL = Box((3.5, 0, 2), (0.5, 6, 2))
FIRST, TICKS = 200, 60
"""The fault comes in full flight at the wall, at 1.5 m/s, and lasts a quarter of a second."""
BACKUP = ("memory", "wish NaN", "wish infinite", "state", "attitude")
"""Beginnings of the names of faults that leave nothing sound to act on."""


def flown(fault: Fault) -> Flight:
    """The straight-line pilot flies at a wall, and something goes wrong on the way."""
    world = replace(room(WALL, time_limit=4.0), target=(9.0, 0.0, 1.5))
    return fly(world, Faulty(straight_pilot(), fault), "twin")


@pytest.fixture(scope="module")
def sound() -> Flight:
    return flown(Fault("nothing"))


def near_the_wall(flight: Flight) -> bool:
    """Whether it went on after the fault, which came at x = 1 m; the wall stands at 3 m."""
    return flight.position[:, 0].max() > 2.6


def backup_ticks(flight: Flight) -> np.ndarray:
    return np.flatnonzero(flight.records["fallback"])


def test_without_a_fault_the_backup_does_not_fly(sound):
    assert sound.outcome == "timeout"
    assert near_the_wall(sound)
    assert sound.position[FIRST, 0] < 1.3
    assert backup_ticks(sound).size == 0
    assert sound.records["sensed"].all()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_survived(fault):
    last = FIRST + min(fault.ticks, TICKS)
    flight = flown(replace(fault, first=FIRST, ticks=min(fault.ticks, 1 << 30)))
    judged = verdict(flight)
    assert flight.outcome == "timeout"
    assert judged.limit_violations == judged.nonfinite == judged.contacts == 0
    assert judged.min_clearance_m > 0.05
    ticks = backup_ticks(flight)
    if fault.name.startswith(BACKUP):
        # Thoughts come every 10 ticks: a bad one is answered until the next good one.
        assert ticks[0] == FIRST
        assert last <= ticks[-1] + 1 <= last + 10
        assert (np.diff(ticks) == 1).all()
        # And the flight goes on, to where it was going: up to the wall.
        assert near_the_wall(flight)
    elif fault.ticks <= TICKS:
        assert near_the_wall(flight)


@pytest.mark.parametrize("first", [0, FIRST])
def test_rays_ahead_that_are_dead_do_not_open_a_way_through_the_wall(first):
    """From the start, and for good in full flight: seen beside the hole, never through it."""
    ahead = jnp.asarray(Design().rays.directions[:, 0] > np.cos(0.7))

    def lose(sight: Sight) -> Sight:
        return replace(sight, valid=sight.valid & ~ahead)

    flight = flown(Fault("rays ahead dead", sight=lose, first=first, ticks=1 << 30))
    judged = verdict(flight)
    assert judged.contacts == judged.limit_violations == judged.nonfinite == 0
    assert judged.min_clearance_m > 0.05


@pytest.mark.parametrize("name", ["state NaN", "state infinite", "attitude zero"])
def test_the_backup_brakes_in_the_very_tick(name):
    fault = next(fault for fault in FAULTS if fault.name == name)
    flight = flown(replace(fault, first=FIRST, ticks=TICKS))
    assert not flight.records["sensed"][FIRST]
    assert flight.records["sensed"][FIRST - 1]
    braking = flight.records["acceleration"][FIRST]
    net = straight_pilot().design.safety.braking.deceleration
    along = flight.velocity[FIRST - 1] / np.linalg.norm(flight.velocity[FIRST - 1])
    assert braking @ along == pytest.approx(-net, rel=1e-3)


def test_a_fault_for_good_ends_in_a_hold():
    fault = next(fault for fault in FAULTS if fault.name == "state NaN")
    flight = flown(replace(fault, first=FIRST, ticks=1 << 30))
    assert np.linalg.norm(flight.velocity[-1]) < 0.02
    assert verdict(flight).contacts == 0


def spoil_guard(memory: Any) -> Any:
    """All of the safety half's memory turned to NaN."""

    def nan(leaf: jax.Array) -> jax.Array:
        return leaf * jnp.nan if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return replace(memory, guard=jax.tree.map(nan, memory.guard))


def spoil_scan(memory: Any) -> Any:
    """What one ray has seen turned to NaN."""
    return replace(memory, points=memory.points.at[:, 7, 1].set(jnp.nan))


@pytest.mark.parametrize("spoil", [spoil_guard, spoil_scan])
def test_the_rest_of_the_memory_heals_too(spoil):
    flight = flown(Fault("memory", memory=spoil, first=FIRST, ticks=1))
    judged = verdict(flight)
    assert judged.fallback_ticks > 0
    # One thought, not as many as the scan is deep.
    assert backup_ticks(flight)[-1] < FIRST + 20
    assert judged.limit_violations == judged.nonfinite == judged.contacts == 0
    assert near_the_wall(flight)


def test_neurons_are_reset_and_only_when_they_are_not_finite():
    pilot = liquid_pilot()
    mission = mission_of(room(WALL), jnp.float64)
    sight, size = plain_sight(pilot), pilot.policy.blank_memory().size

    def neurons(memory: Any) -> np.ndarray:
        """They come first in a packed mind."""
        return np.asarray(memory.mind[:size])

    memory, wish = pilot.think(pilot.reset(mission), sight, 1 / 24)
    first = neurons(memory)
    assert bool(wish.sound)
    assert np.abs(first).max() > 0
    spoilt = replace(memory, mind=memory.mind.at[0].set(jnp.nan))
    healed, wish = pilot.think(spoilt, sight, 1 / 24)
    assert not bool(wish.sound)
    assert not neurons(healed).any()
    again, wish = pilot.think(healed, sight, 1 / 24)
    assert bool(wish.sound)
    np.testing.assert_array_equal(neurons(again), first)


def liquid_pilot() -> LiquidPilot:
    """An untrained liquid pilot."""
    design = Design()
    return LiquidPilot(design, Policy(design.policy, rngs=nnx.Rngs(0)))


def plain_sight(pilot: LiquidPilot) -> Sight:
    count = pilot.rays.count
    state = at_rest(np.array([0.0, 0.0, 1.5]), 0.0).as_jax(jnp.float64)
    return Sight(state, jnp.full(count, pilot.rays.max_range, jnp.float32), jnp.ones(count, bool))


@pytest.mark.parametrize("dt", [0.0, -0.04, float("nan"), float("inf")])
def test_a_time_step_that_is_none_is_refused_by_name(dt):
    pilot = straight_pilot()
    memory = pilot.reset(mission_of(room(WALL), jnp.float64))
    with pytest.raises(TimeStepError, match="dt: expected a positive finite"):
        pilot.think(memory, plain_sight(pilot), dt)


def test_a_map_that_stands_still_is_no_map_of_what_moves():
    drifting = mission_of(room(replace(WALL, velocity=(0.1, 0.0, 0.0))), jnp.float64)
    design = Design()
    seer = LiquidPilot(design, StraightLine(design.policy), sees="map")
    with pytest.raises(MapError, match="sees: expected 'rays' where obstacles move, got 'map'"):
        seer.reset(drifting)
    assert seer.reset(mission_of(room(WALL), jnp.float64)).task.scene is not None
    assert straight_pilot().reset(drifting).task.scene is None


def test_before_anything_was_scanned_no_wish_moves_the_drone():
    pilot = straight_pilot()
    memory = pilot.reset(mission_of(room(WALL), jnp.float64))
    state = at_rest(np.array([0.0, 0.0, 1.5]), 0.0)
    for wish in ((6.0, 0.0, 0.0), (0.0, -6.0, 4.0)):
        _, _, record = pilot.act(memory, wish_for(wish), state)
        assert bool(record["fallback"])
        assert np.abs(record["acceleration"]).max() < 1e-6


@pytest.mark.parametrize("gains", [(-5.0, -5.0), (1e30, 1e30), (0.0, 0.0)])
def test_gains_out_of_their_range_are_cut_to_it(gains):
    pilot = straight_pilot()
    memory = pilot.reset(mission_of(room(WALL), jnp.float64))
    memory, _ = pilot.think(memory, plain_sight(pilot), 1 / 24)
    state = at_rest(np.array([0.0, 0.0, 1.5]), 0.0)
    _, _, record = pilot.act(memory, wish_for((1.0, 0.0, 0.0), gains=gains), state)
    kept = np.asarray(record["gains"])
    assert ((kept >= 0) & (kept <= 1 / pilot.design.safety.tick)).all()
