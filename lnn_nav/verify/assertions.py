"""Assertions on the flights of a suite: limits, contacts, arrivals, faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lnn_nav.verify.faults import FAULTS, Fault, Faulty
from lnn_nav.verify.suite import Flown, Incident, Report, Suite, fly_suite
from sim.flight import EngineName, Pilot

SHOWN = 3
"""Missions that a message tells of."""


def assert_within_limits(
    pilot: Pilot,
    suite: Suite | str | Sequence[str] = "forest",
    *,
    missions: int | None = None,
    first_seed: int | None = None,
    engine: EngineName | None = None,
) -> Report:
    """Every force that the pilot hands to the engine lies in [0, f_max], and all stays finite.

    Args:
        pilot: anything with the `sim.flight.Pilot` protocol.
        suite: a suite, or the name of a family, or several.
        missions: how many; the suite's own if None.
        first_seed: each family's seeds run from here; the suite's own if None.
        engine: which physics; the suite's own if None.

    Returns:
        What was flown.

    Raises:
        AssertionError: which mission, tick, rotor and value, and how to fly it again.
    """
    report = fly_suite(pilot, suite_of(suite, missions, first_seed, engine))
    crossed = [
        f for f in report.flights if f.limit or f.verdict.limit_violations or f.verdict.nonfinite
    ]
    _fail(report, "crossed its limits", [(f, f.limit, _count(f)) for f in crossed])
    return report


def assert_no_contact(
    pilot: Pilot,
    suite: Suite | str | Sequence[str] = "forest",
    *,
    missions: int | None = None,
    first_seed: int | None = None,
    engine: EngineName | None = None,
) -> Report:
    """The pilot touches neither an obstacle nor the ground; see `assert_within_limits`.

    Raises:
        AssertionError: which mission, when, where, how fast, and how to fly it again.
    """
    report = fly_suite(pilot, suite_of(suite, missions, first_seed, engine))
    touched = [flown for flown in report.flights if flown.contact]
    _fail(report, "touched something", [(flown, flown.contact, "") for flown in touched])
    return report


def assert_reaches(
    pilot: Pilot,
    suite: Suite | str | Sequence[str] = "forest",
    *,
    at_least: float = 0.95,
    missions: int | None = None,
    first_seed: int | None = None,
    engine: EngineName | None = None,
) -> Report:
    """The pilot reaches the target in a share of the missions; see `assert_within_limits`.

    Args:
        pilot: anything with the `sim.flight.Pilot` protocol.
        suite: a suite, or the name of a family, or several.
        at_least: share of the missions, 0 to 1.
        missions: how many; the suite's own if None.
        first_seed: each family's seeds run from here; the suite's own if None.
        engine: which physics; the suite's own if None.

    Raises:
        AssertionError: which missions did not, how they ended, and how to fly them again.
        ValueError: if `at_least` is no share.
    """
    if not 0 <= at_least <= 1:
        raise ValueError(f"at_least: expected a share from 0 to 1, got {at_least}")
    report = fly_suite(pilot, suite_of(suite, missions, first_seed, engine))
    if report.success < at_least:
        lost = [flown for flown in report.flights if not flown.verdict.reached]
        what = f"reached {100 * report.success:.0f} %, at least {100 * at_least:.0f} % wanted,"
        _fail(report, f"{what} and did not", [(flown, None, _ending(flown)) for flown in lost])
    return report


def assert_survives_faults(
    pilot: Pilot,
    suite: Suite | str | Sequence[str] = "forest",
    *,
    faults: Sequence[Fault] = FAULTS,
    missions: int | None = 1,
    first_seed: int | None = None,
    engine: EngineName | None = None,
) -> tuple[Report, ...]:
    """With each fault in mid flight: no limit crossed, nothing touched, all finite, inside bounds.

    Args:
        pilot: anything with the `sim.flight.Pilot` protocol.
        suite: a suite, or the name of a family, or several.
        faults: what goes wrong.
        missions: how many for each fault; the suite's own if None.
        first_seed: each family's seeds run from here; the suite's own if None.
        engine: which physics; the suite's own if None.

    Returns:
        What was flown, by fault.

    Raises:
        AssertionError: which fault, mission and tick, and how to fly it again.
    """
    flown = suite_of(suite, missions, first_seed, engine)
    reports = []
    for fault in faults:
        faulty = Faulty(pilot, fault)
        assert_within_limits(faulty, flown)
        report = assert_no_contact(faulty, flown)
        left = [f for f in report.flights if f.verdict.outcome == "out_of_bounds"]
        _fail(report, "left its bounds", [(flown, None, _ending(flown)) for flown in left])
        reports.append(report)
    return tuple(reports)


def suite_of(
    suite: Suite | str | Sequence[str],
    missions: int | None = None,
    first_seed: int | None = None,
    engine: EngineName | None = None,
) -> Suite:
    """A suite from the name of a family, or several; and what is given besides changed in it."""
    if not isinstance(suite, Suite):
        suite = Suite(suite if isinstance(suite, str) else tuple(suite))
    given: dict[str, Any] = {"missions": missions, "first_seed": first_seed, "engine": engine}
    return replace(suite, **{name: v for name, v in given.items() if v is not None})


def _fail(
    report: Report, verb: str, culprits: Sequence[tuple[Flown, Incident | None, str]]
) -> None:
    """Raise, if there is a culprit."""
    if not culprits:
        return
    total = len(report.flights)
    lines = [f"{report.pilot} {verb} in {len(culprits)} of {total} missions ({report.suite})"]
    for flown, incident, more in culprits[:SHOWN]:
        what = more
        if incident is not None:
            what = f"tick {incident.tick} ({incident.time_s:.3f} s): {incident.what}"
        lines.append(f"  {flown.family}, seed {flown.seed}: {what}")
        lines += [f"    again: {line}" for line in flown.again]
    if len(culprits) > SHOWN:
        lines.append(f"  and {len(culprits) - SHOWN} more")
    raise AssertionError("\n".join(lines))


def _count(flown: Flown) -> str:
    judged = flown.verdict
    return f"{judged.limit_violations} ticks out of limits, {judged.nonfinite} not finite"


def _ending(flown: Flown) -> str:
    judged = flown.verdict
    outcome = judged.outcome.replace("_", " ")
    return f"{outcome} after {judged.time_s:.1f} s and {judged.path_m:.1f} m"
