"""Campaigns: every mission gets its result, the same whoever flies it, and the figures add up."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import partial

import flying
import pytest
from scipy.stats import binomtest

from sim import FamilyError, generate, verdict
from sim.campaign import DIED, Result, Terms, run_campaign
from sim.flight import fly
from sim.sensors import Disturbance
from sim.tally import figures, tally, wilson

MISSIONS = [("forest", 1_000_000), ("blocks", 1_000_000), ("forest", 1_000_001)]
TERMS = Terms(engine="twin", disturbance=Disturbance(wind=0.5, range_noise=0.02, jitter=0.004))


def bits(result: Result) -> dict:
    """All of a result but wall times."""
    plain = dataclasses.asdict(result)
    return {
        name: value
        for name, value in (plain | (plain.pop("verdict") or {})).items()
        if "_ms_" not in name and name != "wall_s"
    }


@pytest.fixture(scope="module")
def campaign() -> list[Result]:
    return run_campaign(MISSIONS, flying.plain, TERMS, processes=1)


def test_results_come_in_order_and_are_those_of_fly(campaign):
    assert [(result.family, result.seed) for result in campaign] == MISSIONS
    world = generate("blocks", 1_000_000)
    flight = fly(
        world,
        flying.Plain(),
        "twin",
        disturbance=TERMS.disturbance,
        family="blocks",
        seed=1_000_000,
    )
    alone = Result("blocks", 1_000_000, verdict(flight), "", world.speed, world.length)
    ours, theirs = bits(campaign[1]), bits(alone)
    assert ours["outcome"] == theirs["outcome"]
    # This process may use other threads, hence other sums, than the workers.
    assert ours["path_m"] == pytest.approx(theirs["path_m"], rel=1e-9)
    assert (ours["speed"], ours["straight_m"]) == (world.speed, world.length)


def test_two_processes_fly_the_same_bits(campaign):
    told: list[tuple[int, int]] = []
    both = run_campaign(
        MISSIONS,
        flying.plain,
        TERMS,
        processes=2,
        progress=lambda result, done, total: told.append((done, total)),
    )
    assert [bits(result) for result in both] == [bits(result) for result in campaign]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_mission_that_raises_or_crashes_costs_no_other_mission(campaign):
    missions = [*MISSIONS, ("walls", 1_000_003), ("walls", 1_000_004)]
    raising, dying = (generate(*mission).speed for mission in missions[3:])
    pilot = partial(flying.frail, raising, dying)
    results = run_campaign([missions[4], *missions[:4]], pilot, TERMS, processes=2)
    assert results[0] == Result("walls", 1_000_004, None, DIED)
    assert results[4].verdict is None and results[4].reason == "Unfit: a fault of the pilot"
    alike = [bits(result) | {"pilot": ""} for result in results[1:4]]
    assert alike == [bits(result) | {"pilot": ""} for result in campaign]

    sums = tally(results, wall_s=1.0)
    assert sums["missions"] == 5
    assert sums["reached"] + sums["contacts"] + sums["timeouts"] + sums["out_of_bounds"] == 3
    assert sums["per_mission"][0]["outcome"] == "failed"
    assert sums["per_mission"][0]["reason"] == DIED
    json.dumps(sums, allow_nan=False)


def test_a_world_of_ones_own_is_flown_with_every_seed():
    terms = Terms(engine="twin", disturbance=Disturbance(wind=1.0), world=flying.open_world())
    one, two, again = run_campaign([("mine", 1), ("mine", 2), ("mine", 1)], flying.plain, terms)
    assert bits(one) == bits(again)
    assert one.verdict and two.verdict and one.verdict.path_m != two.verdict.path_m
    assert one.straight_m == flying.open_world().length


def test_bad_campaigns_are_refused():
    with pytest.raises(ValueError, match="processes: expected 1 or more, got 0"):
        run_campaign(MISSIONS, flying.plain, processes=0)
    with pytest.raises(ValueError, match="missions: expected at least one"):
        run_campaign([], flying.plain)
    with pytest.raises(FamilyError, match="family"):
        generate("nowhere", 1)


@pytest.mark.parametrize("trials", [1, 2, 7, 40, 400])
def test_the_interval_is_wilsons(trials):
    for successes in {0, 1, trials // 3, trials - 1, trials}:
        expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, trials)[0] == 0.0 and wilson(trials, trials)[1] == 1.0


def test_figures_are_sums_and_means_of_the_missions(campaign):
    reached = campaign[0]
    assert reached.verdict is not None
    fast = dataclasses.replace(
        reached.verdict,
        outcome="reached",
        reached=True,
        contacts=0,
        time_s=4.0,
        path_m=9.0,
        ticks=100,
        interventions=0.5,
        min_clearance_m=0.25,
        limit_violations=2,
        nonfinite=1,
        fallback_ticks=3,
    )
    late = dataclasses.replace(
        fast,
        outcome="timeout",
        reached=False,
        time_s=12.0,
        path_m=3.0,
        ticks=300,
        interventions=0.0,
    )
    hit = dataclasses.replace(late, outcome="contact", contacts=1, min_clearance_m=-0.01)
    given = [
        Result("a", 1, fast, speed=2.0, straight_m=6.0),
        Result("a", 2, late, speed=2.0, straight_m=6.0),
        Result("b", 1, hit, speed=1.0, straight_m=6.0),
    ]
    sums = tally(given, 7.0)
    assert {name: sums[name] for name in ("missions", "reached", "contacts", "timeouts")} == {
        "missions": 3,
        "reached": 1,
        "contacts": 1,
        "timeouts": 1,
    }
    assert sums["success"] == pytest.approx(1 / 3)
    assert sums["mean_speed_mps"] == pytest.approx(15 / 28)
    assert sums["time_ratio"] == pytest.approx(4 / 3) and sums["path_ratio"] == pytest.approx(1.5)
    assert sums["interventions"] == pytest.approx(50 / 700)
    assert (sums["limit_violations"], sums["nonfinite"], sums["fallback_ticks"]) == (6, 3, 9)
    assert sums["min_clearance_m"] == -0.01 and sums["wall_s"] == 7.0
    assert list(sums["per_world"]) == ["a", "b"]
    assert sums["per_world"]["a"] == figures(given[:2], 0.0)
    nobody = figures([Result("a", 1, None, "no")], 0.0)
    assert nobody["time_ratio"] is None and nobody["min_clearance_m"] is None
    assert not any(isinstance(v, float) and math.isnan(v) for v in nobody.values())
