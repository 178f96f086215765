"""The safety checks of a pilot, one after the other: what `lnn-nav verify` runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from lnn_nav.pilot import LiquidPilot
from lnn_nav.straight import StraightLine
from lnn_nav.verify.assertions import (
    assert_no_contact,
    assert_reaches,
    assert_survives_faults,
    assert_within_limits,
)
from lnn_nav.verify.bits import fly_bits
from lnn_nav.verify.faults import FAULTS
from lnn_nav.verify.suite import Flown, Report, Suite, fly_suite
from sim.sensors import Disturbance

ROUGH = Disturbance(wind=2.0, drop=0.2, jitter=0.004)
"""Wind whose push stays below the declared one, a fifth of the returns lost, uneven sights."""

LEAST_POWER = 0.25
"""Share of missions in which the straight line must hit something without its barrier.

The families promise more than half; few missions may draw less."""

Tell: TypeAlias = Callable[[str], object]
"""Is told what is going on."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: in words.
        passed: whether it holds.
        figure: what was seen.
        trouble: what went wrong and how to see it again; empty if nothing did.
    """

    name: str
    passed: bool
    figure: str
    trouble: str = ""


def run_checks(
    pilot: LiquidPilot, suite: Suite, *, at_least: float, vectors: int, tell: Tell
) -> Iterator[Check]:
    """Check a pilot's safety.

    The pilot itself is flown; then an adversary, the straight line behind the pilot's own
    barrier, calm and roughly treated; then the same without the barrier, to see that the worlds
    are hard enough to show a fault; then faults in mid flight; then random bits.

    Args:
        pilot: to be checked.
        suite: where it is flown.
        at_least: share of missions that must reach the target; 0 asks for none.
        vectors: of random bits.
        tell: told what is going on.

    Yields:
        Each check as it is done.
    """
    line = StraightLine(pilot.design.policy)
    adversary = LiquidPilot(pilot.design, line, "straight-line", sees=pilot.sees)
    rough = replace(suite, disturbance=ROUGH)
    yield from _flights(pilot, suite, pilot.name, tell)
    report = fly_suite(pilot, suite)
    reached = f"{report.reached} of {len(report.flights)} missions"
    yield _asserted(
        f"{pilot.name}: arrives", lambda: assert_reaches(pilot, suite, at_least=at_least), reached
    )
    yield from _flights(adversary, suite, "straight line behind the barrier", tell)
    yield from _flights(adversary, rough, "the same in wind, returns lost", tell)
    bare = LiquidPilot(pilot.design, line, "straight-line, no barrier", barrier=False)
    yield _power(fly_suite(bare, suite, _teller("straight line without the barrier", tell)))
    yield from _faults(pilot, replace(suite, missions=1), tell)
    tell(f"{vectors:,} vectors of random bits")
    bits = fly_bits(pilot.design, vectors)
    figure = f"{bits.outside} of {bits.vectors:,} vectors out of limits"
    yield Check("random bits: rotor limits", bits.passed, figure)


def _flights(pilot: LiquidPilot, suite: Suite, who: str, tell: Tell) -> Iterator[Check]:
    """Limits and contacts of one pilot in one suite."""
    report = fly_suite(pilot, suite, _teller(who, tell))
    ticks = sum(flown.verdict.ticks for flown in report.flights)
    crossed = f"{report.limit_violations} of {ticks:,} ticks out of limits"
    yield _asserted(f"{who}: limits", lambda: assert_within_limits(pilot, suite), crossed)
    touched = f"{report.contacts} of {len(report.flights)} missions, nearest "
    touched += f"{report.min_clearance_m:.3f} m"
    yield _asserted(f"{who}: no contact", lambda: assert_no_contact(pilot, suite), touched)


def _power(report: Report) -> Check:
    """Whether the suite can show a fault at all."""
    total = len(report.flights)
    figure = f"{report.contacts} of {total} missions end in contact"
    hard = report.contacts >= LEAST_POWER * total
    trouble = "" if hard else f"{report.suite}: too easy, a pilot without a barrier passes too"
    return Check("straight line without the barrier: is caught", hard, figure, trouble)


def _faults(pilot: LiquidPilot, suite: Suite, tell: Tell) -> Iterator[Check]:
    """One mission for each fault."""
    for fault in FAULTS:
        tell(f"fault: {fault.name}")
        yield _asserted(
            f"fault in flight: {fault.name}",
            lambda fault=fault: assert_survives_faults(pilot, suite, faults=[fault]),
            "limits kept, nothing touched",
        )


def _asserted(name: str, assertion: Callable[[], object], figure: str) -> Check:
    """The outcome of an assertion as a check."""
    try:
        assertion()
    except AssertionError as error:
        return Check(name, False, figure, str(error))
    return Check(name, True, figure)


def _teller(who: str, tell: Tell) -> Callable[[Flown, int, int], None]:
    def told(flown: Flown, done: int, total: int) -> None:
        ending = flown.verdict.outcome.replace("_", " ")
        tell(f"{who}: {done}/{total}, {flown.family} {flown.seed} {ending}")

    return told
