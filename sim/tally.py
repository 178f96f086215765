"""The figures of a campaign, over all its missions and for each family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from sim.campaign import Result
from sim.judge import Verdict

FAILED = "failed"
"""Outcome of a mission that could not be flown."""


def tally(results: Sequence[Result], wall_s: float) -> dict[str, Any]:
    """What `evaluate` writes.

    Args:
        results: of a campaign.
        wall_s: wall time of the whole campaign [s].

    Returns:
        `figures` of all missions; `per_world`: the same by family, their `wall_s` being the sum
        of their missions'; `per_mission`: seed, world, outcome, time_s, min_clearance_m each (and
        the reason, where the outcome is `failed`).
    """
    families = dict.fromkeys(result.family for result in results)
    by_family = {
        family: [result for result in results if result.family == family] for family in families
    }
    return {
        **figures(results, wall_s),
        "per_world": {
            family: figures(own, sum(result.wall_s for result in own))
            for family, own in by_family.items()
        },
        "per_mission": [_mission(result) for result in results],
    }


def figures(results: Sequence[Result], wall_s: float) -> dict[str, Any]:
    """Figures of some missions; None where no mission gives one.

    `contacts` counts missions with any contact, `limit_violations`, `nonfinite` and
    `fallback_ticks` count ticks; `mean_speed_mps` and `interventions` are over all time flown;
    `time_ratio` and `path_ratio` are means over the missions that reached: flight time over that
    of the straight line at the set speed, path over the straight line.
    """
    flown = [result.verdict for result in results if result.verdict is not None]
    arrived = [result for result in results if result.verdict and result.verdict.reached]
    ticks = sum(verdict.ticks for verdict in flown)
    seconds = sum(verdict.time_s for verdict in flown)
    outcomes = [verdict.outcome for verdict in flown]
    changed = sum(verdict.interventions * verdict.ticks for verdict in flown)
    return {
        "missions": len(results),
        "reached": len(arrived),
        "contacts": sum(verdict.contacts > 0 for verdict in flown),
        "timeouts": outcomes.count("timeout"),
        "out_of_bounds": outcomes.count("out_of_bounds"),
        "limit_violations": sum(verdict.limit_violations for verdict in flown),
        "nonfinite": sum(verdict.nonfinite for verdict in flown),
        "success": len(arrived) / len(results) if results else None,
        "success_ci95": list(wilson(len(arrived), len(results))),
        "mean_speed_mps": sum(v.path_m for v in flown) / seconds if seconds else None,
        "time_ratio": _mean([_arrival(r).time_s * r.speed / r.straight_m for r in arrived]),
        "path_ratio": _mean([_arrival(r).path_m / r.straight_m for r in arrived]),
        "min_clearance_m": min((verdict.min_clearance_m for verdict in flown), default=None),
        "interventions": changed / ticks if ticks else None,
        "fallback_ticks": sum(verdict.fallback_ticks for verdict in flown),
        "wall_s": wall_s,
    }


def wilson(successes: int, trials: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Score interval of a proportion (Wilson, J. Amer. Stat. Assoc. 22, 1927); 95 % by default.

    Args:
        successes: how many of the trials.
        trials: how many in all; with none the answer is 0 to 1.
        z: quantile of the normal distribution.
    """
    if trials == 0:
        return 0.0, 1.0
    share, weight = successes / trials, z * z / trials
    middle = (share + weight / 2) / (1 + weight)
    reach = math.sqrt(share * (1 - share) * weight + weight * weight / 4) / (1 + weight)
    # The ends are exact there; rounding would leave a trace.
    low = 0.0 if successes == 0 else max(0.0, middle - reach)
    high = 1.0 if successes == trials else min(1.0, middle + reach)
    return low, high


def _arrival(result: Result) -> Verdict:
    """The verdict of a mission that has one."""
    if result.verdict is None:
        raise ValueError(f"verdict: expected one, got none ({result.reason})")
    return result.verdict


def _mean(values: list[float]) -> float | None:
    return fmean(values) if values else None


def _mission(result: Result) -> dict[str, Any]:
    verdict = result.verdict
    known = {"seed": result.seed, "world": result.family}
    if verdict is None:
        blank = {"outcome": FAILED, "time_s": None, "min_clearance_m": None}
        return known | blank | {"reason": result.reason}
    return known | {
        "outcome": verdict.outcome,
        "time_s": verdict.time_s,
        "min_clearance_m": verdict.min_clearance_m,
    }
