"""What users call in their own tests: it passes what is safe, and catches what is not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from pilot_rig import straight_pilot

from lnn_nav.verify import (
    FAULTS,
    BitsReport,
    Fault,
    Suite,
    assert_no_contact,
    assert_reaches,
    assert_survives_faults,
    assert_within_limits,
    checks,
    fly_bits,
    fly_suite,
)
from lnn_nav.verify.checks import Check, run_checks
from lnn_nav.verify.suite import forget
from sim.airframe import CF2X
from sim.families import FamilyError
from sim.sensors import RayPattern

SUITE = Suite("forest", first_seed=1_000_000, missions=2, engine="twin", speed=8.0)
"""At this set speed the time is up after 5 s."""


@dataclass(eq=False)
class Hand:
    """A controller of one's own: no lnn_nav in it, constant forces, four rays.

    It counts the missions that it flew.
    """

    forces: Any
    name: str = "by hand"
    rays: RayPattern = RayPattern(((0.0, 4),))
    sight_rate: float = 24.0
    flown: int = 0

    def reset(self, mission):
        self.flown += 1
        return None

    def think(self, memory, sight, dt):
        return memory, None

    def act(self, memory, wish, state):
        return memory, np.asarray(self.forces, np.float32), {"mine": np.float32(1)}


@pytest.fixture(autouse=True)
def fresh():
    forget()


def hover(**changes) -> Hand:
    return Hand(np.full(4, CF2X.hover_force), **changes)


def test_a_safe_controller_of_ones_own_passes():
    # It hovers from the start to the end of the time.
    report = assert_within_limits(hover(), SUITE)
    assert report.limit_violations == 0
    assert_no_contact(hover(), SUITE)


def test_the_flights_of_a_suite_are_shared():
    pilot = hover()
    for check in (assert_within_limits, assert_no_contact):
        check(pilot, SUITE)
    with pytest.raises(AssertionError):
        assert_reaches(pilot, SUITE)
    assert pilot.flown == SUITE.missions
    assert_within_limits(pilot, SUITE, missions=1)
    assert pilot.flown == SUITE.missions + 1


@pytest.mark.parametrize(
    "forces",
    [
        np.nextafter(np.float32(CF2X.max_force), np.float32(1)) * np.ones(4, np.float32),
        [0.07, 0.07, -1e-9, 0.07],
        [0.07, np.nan, 0.07, 0.07],
        [0.07, 0.07, 0.07, np.inf],
    ],
    ids=["one bit too much", "a little below zero", "NaN", "infinite"],
)
def test_a_pilot_that_crosses_its_limits_is_caught(forces):
    with pytest.raises(AssertionError, match=r"forest, seed 1000000: tick 0 .*rotor \d"):
        assert_within_limits(Hand(forces), SUITE)


def test_all_of_the_range_is_inside_it():
    assert_within_limits(Hand([0.0, CF2X.max_force, 0.0, CF2X.max_force]), SUITE, missions=1)


def test_a_pilot_that_falls_is_caught_and_told_of():
    with pytest.raises(AssertionError) as caught:
        assert_no_contact(Hand(np.zeros(4)), SUITE)
    text = str(caught.value)
    # 1 m or more of free fall at 9.8 m/s^2.
    assert "contact at" in text
    assert "sim.flight.fly(sim.generate('forest', 1000000, speed=8.0), pilot, 'twin'" in text
    assert (
        "lnn-nav fly --pilot by hand --world forest --seed 1000001 --engine twin --speed 8.0"
        in text
    )


def test_the_python_line_of_a_message_flies_the_same_again():
    import sim.flight

    pilot = Hand(np.zeros(4))
    report = fly_suite(pilot, replace(SUITE, missions=1))
    line = report.flights[0].again[0]
    again = eval(line, {"sim": sim, "pilot": pilot})  # noqa: S307 - our own line
    assert len(again.times) == report.flights[0].verdict.ticks
    assert int(again.contact.argmax()) == report.flights[0].contact.tick


def test_a_pilot_that_does_not_arrive_is_caught():
    with pytest.raises(AssertionError, match=r"reached 0 %, at least 95 % wanted"):
        assert_reaches(hover(), SUITE)
    assert assert_reaches(hover(), SUITE, at_least=0.0).success == 0


def test_the_straight_line_without_its_barrier_is_caught_in_pybullet():
    suite = Suite("mixed", first_seed=1_000_000, missions=2, speed=3.0)
    with pytest.raises(AssertionError, match="contact at"):
        assert_no_contact(straight_pilot(barrier=False), suite)
    # Rotor limits hold without the barrier.
    assert_within_limits(straight_pilot(barrier=False), suite)


def test_the_straight_line_behind_its_barrier_passes_in_pybullet():
    suite = Suite("mixed", first_seed=1_000_000, missions=2, speed=3.0)
    assert_no_contact(straight_pilot(), suite)
    report = assert_within_limits(straight_pilot(), suite)
    assert report.min_clearance_m > 0.03


def test_faults_are_survived():
    # The others are flown one by one in test_pilot_faults.py.
    faults = [fault for fault in FAULTS if fault.name in ("no returns for good", "wish NaN")]
    reports = assert_survives_faults(straight_pilot(), SUITE, missions=1, faults=faults)
    assert [report.pilot for report in reports] == [f"straight-line, {f.name}" for f in faults]


def test_a_pilot_that_does_not_survive_a_fault_is_caught():
    # The wish of a pilot without guard goes to the rotors as it is.
    class Trusting(Hand):
        def think(self, memory, sight, dt):
            return memory, jnp.full(4, CF2X.hover_force)

        def act(self, memory, wish, state):
            return memory, wish, {}

    assert_within_limits(Trusting(None), SUITE, missions=1)
    with pytest.raises(AssertionError, match="by hand, wish NaN crossed its limits"):
        faults = [fault for fault in FAULTS if fault.name.startswith("wish")]
        assert_survives_faults(Trusting(None), SUITE, missions=1, faults=faults)


def test_a_fault_is_on_when_it_should_be():
    fault = Fault("none", first=3, ticks=2)
    assert [fault.at(tick) for tick in range(7)] == [False] * 3 + [True] * 2 + [False] * 2


@pytest.mark.long
def test_no_random_bits_get_a_rotor_out_of_its_limits():
    report = fly_bits(straight_pilot().design, vectors=100_000)
    assert report.passed
    assert report.vectors >= 100_000
    # The bits do reach the limit.
    assert report.max_force == straight_pilot().design.airframe.max_force


def test_bits_catch_a_last_stage_without_its_clip(monkeypatch):
    from lnn_nav.verify import bits

    monkeypatch.setattr(bits, "rotor_forces", lambda safety, airframe, body, wrench: (wrench, None))
    monkeypatch.setattr(bits, "clip_forces", lambda airframe, forces: forces)
    monkeypatch.setattr(bits, "CHUNK", 1_000)
    bits._last_stage.clear_cache()
    report = fly_bits(straight_pilot().design, vectors=1_000)
    bits._last_stage.clear_cache()
    assert not report.passed
    assert report.nonfinite > 0


@pytest.mark.parametrize(
    ("given", "error", "field"),
    [
        ({"families": "jungle"}, FamilyError, "family"),
        ({"missions": 0}, FamilyError, "count"),
        ({"first_seed": -1}, FamilyError, "first_seed"),
    ],
)
def test_a_suite_that_cannot_be_flown_is_refused(given, error, field):
    with pytest.raises(error, match=field):
        Suite(**given)


def test_what_is_no_pilot_or_no_share_is_refused():
    with pytest.raises(TypeError):
        fly_suite(object(), SUITE)
    with pytest.raises(ValueError, match="at_least"):
        assert_reaches(hover(), SUITE, at_least=1.5)
    with pytest.raises(ValueError, match="vectors"):
        fly_bits(straight_pilot().design, vectors=0)


CHECKED = Suite("mixed", first_seed=1_000_000, missions=1, engine="twin", speed=8.0)


@pytest.fixture
def few(monkeypatch):
    """One fault, no bits; and pilots that are compiled already, not the same ones made anew."""
    kept = [fault for fault in FAULTS if fault.name == "state NaN"]
    monkeypatch.setattr(checks, "FAULTS", kept)
    # Bits have tests of their own.
    monkeypatch.setattr(
        checks, "fly_bits", lambda design, vectors: BitsReport(vectors, vectors // 2, 0, 0.1)
    )
    monkeypatch.setattr(
        checks,
        "LiquidPilot",
        lambda design, policy, name, barrier=True, sees="rays": straight_pilot(barrier),
    )


def checked(pilot, **changes) -> dict[str, Check]:
    terms = {"at_least": 0.0, "vectors": 1, "tell": lambda text: None, **changes}
    return {check.name: check for check in run_checks(pilot, CHECKED, **terms)}


def test_a_safe_pilot_passes_and_one_without_a_barrier_does_not(few):
    found = checked(straight_pilot())
    assert all(check.passed for check in found.values()), found
    assert len(found) == 7 + 1 + 1 + 1
    bare = checked(straight_pilot(barrier=False), at_least=1.0, vectors=2)
    name = f"{straight_pilot(False).name}: no contact"
    assert not bare[name].passed
    assert "contact at" in bare[name].trouble
    assert "sim.flight.fly" in bare[name].trouble
    assert not bare["random bits: rotor limits"].passed
    assert not bare[f"{straight_pilot(False).name}: arrives"].passed
    assert bare["straight line without the barrier: is caught"].passed


def test_worlds_that_cannot_show_a_fault_are_a_fault():
    # Without a single obstacle in them.
    empty = replace(CHECKED, families="forest", density=0.0)
    report = fly_suite(straight_pilot(barrier=False), empty)
    assert report.contacts == 0
    check = checks._power(report)
    assert not check.passed
    assert "too easy" in check.trouble
