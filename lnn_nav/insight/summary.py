"""The words on top of a report: outcome, a sentence, and the key figures."""

from __future__ import annotations

from html import escape

from sim.judge import Verdict
from sim.record import Flight

HEADLINES = {
    "reached": "Reached",
    "contact": "Contact",
    "timeout": "Timeout",
    "out_of_bounds": "Out of bounds",
}


def headline(verdict: Verdict) -> str:
    """The outcome in a word or two."""
    return HEADLINES[verdict.outcome]


def tone(verdict: Verdict) -> str:
    """The page's colour: good, late (harmless) or bad."""
    if verdict.passed:
        return "good"
    harmless = verdict.outcome in ("timeout", "out_of_bounds") and not verdict.contacts
    return "late" if harmless and not verdict.limit_violations else "bad"


def eyebrow(verdict: Verdict) -> str:
    """Who flew where."""
    seed = "" if verdict.seed is None else f", seed {verdict.seed:,}"
    return (
        f"<b>{escape(verdict.pilot)}</b> in <b>{escape(verdict.world)}</b>{seed}, "
        f"flown in {escape(verdict.engine)}"
    )


def summary(verdict: Verdict) -> str:
    """Two or three sentences."""
    ends = {
        "reached": "to the target",
        "contact": "until it touched something solid",
        "timeout": "until the time was over, short of the target",
        "out_of_bounds": "until it left the bounds",
    }
    parts = [f"Flew {verdict.path_m:.1f} m in {verdict.time_s:.1f} s, {ends[verdict.outcome]}."]
    if verdict.min_clearance_m > 0:
        parts.append(f"Never nearer than {verdict.min_clearance_m:.2f} m to anything solid.")
    share = 100 * verdict.interventions
    parts.append(
        f"The barrier changed {share:.1f} % of the commands."
        if share
        else "The barrier changed no command."
    )
    if verdict.limit_violations:
        parts.append(f"{verdict.limit_violations} ticks crossed a limit of the airframe.")
    if verdict.nonfinite:
        parts.append(f"{verdict.nonfinite} ticks were not finite.")
    return " ".join(parts)


def cards(flight: Flight, verdict: Verdict) -> list[str]:
    """The key figures."""
    torque = max(verdict.max_torque_fraction)
    ticks = f"of {verdict.ticks:,} ticks"
    tick_ms = 1e3 * verdict.time_s / verdict.ticks
    figures = [
        ("Time", f"{verdict.time_s:.2f}", "s", f"limit {flight.world.time_limit:.0f} s", False),
        (
            "Mean speed",
            f"{verdict.mean_speed_mps:.2f}",
            "m/s",
            f"set speed {flight.world.speed:.1f} m/s",
            False,
        ),
        (
            "Least clearance",
            f"{verdict.min_clearance_m:.2f}",
            "m",
            f"beyond a {flight.airframe.collision_radius:.2f} m sphere",
            verdict.min_clearance_m <= 0,
        ),
        ("Interventions", f"{100 * verdict.interventions:.1f}", "%", ticks, False),
        ("Fallback", f"{verdict.fallback_ticks}", "", ticks, verdict.fallback_ticks > 0),
        (
            "Rotor force",
            f"{100 * verdict.max_rotor_fraction:.1f}",
            "%",
            f"of the limit; torque {100 * torque:.0f} %",
            verdict.max_rotor_fraction > 1,
        ),
        (
            "Limits crossed",
            f"{verdict.limit_violations}",
            "",
            ticks,
            verdict.limit_violations > 0,
        ),
        (
            "Control step",
            f"{verdict.act_ms_p99:.2f}",
            "ms",
            f"99th percentile of {tick_ms:.1f} ms",
            verdict.act_ms_p99 > tick_ms,
        ),
    ]
    return [_card(*figure) for figure in figures]


def _card(name: str, value: str, unit: str, note: str, warn: bool) -> str:
    kind = "card warn" if warn else "card"
    return (
        f'<dl class="{kind}"><dt>{escape(name)}</dt><dd>{escape(value)}'
        f"<small>{escape(unit)}</small></dd><p>{escape(note)}</p></dl>"
    )
