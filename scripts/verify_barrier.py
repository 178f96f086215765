#!/usr/bin/env python3
"""Check the barrier library on its own: `scripts/verify_barrier.py --quick`. See `--help`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import tyro

from barriernet.verify.answers import check_answers, check_bounds, check_verdicts
from barriernet.verify.check import Check
from barriernet.verify.flights import Campaign, check_flights
from barriernet.verify.row_residuals import check_rows


@dataclass(frozen=True)
class VerifyBarrier:
    """Check the barrier library: answers, rows, closed-loop flights, what must be seen to fail.

    Exit code 0: every check passed. 1: one did not.
    """

    answers: int = 100_000
    """Adversarial problems for the errors, and problems of known verdict."""
    spoilt: int = 10_000_000
    """Problems with everything wrong that can go wrong, for the bounds."""
    states: int = 1_000_000
    """Random safe states for the rows of each system."""
    episodes: int = 100_000
    """Closed-loop episodes at the declared wind; a tenth of them with everything else."""
    seconds: float = 60.0
    """Length of an episode [s]."""
    seed: int = 0
    """Of the episodes."""
    quick: bool = False
    """20,000 answers, spoilt problems and states, and 500 episodes of 15 s: some minutes."""
    json: Path | None = None
    """Write the checks to this file too."""


def main(config: VerifyBarrier) -> int:
    """Run every check and tell what was seen."""
    jax.config.update("jax_enable_x64", True)
    checks = []
    for check in run_checks(config):
        checks.append(check)
        print(f"{'pass' if check.passed else 'FAIL'}  {check.name:<58} {check.figure}", flush=True)
        if check.trouble:
            print(f"      {check.trouble}")
    lost = sum(not check.passed for check in checks)
    print(f"{len(checks) - lost} of {len(checks)} checks passed")
    if config.json:
        plain = {"passed": not lost, "checks": [asdict(check) for check in checks]}
        config.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return 1 if lost else 0


def run_checks(config: VerifyBarrier) -> Iterator[Check]:
    """Every check, one after the other."""
    states = 20_000 if config.quick else config.states
    episodes = 500 if config.quick else config.episodes
    seconds = 15.0 if config.quick else config.seconds
    answers, spoilt = (20_000, 20_000) if config.quick else (config.answers, config.spoilt)
    yield from check_answers(answers)
    yield from check_verdicts(answers)
    yield from check_bounds(spoilt)
    yield from check_rows(states)
    campaign = Campaign(episodes, max(episodes // 10, 200), seconds, config.seed)
    yield from check_flights(campaign, _tell)


def _tell(text: str) -> None:
    """On one line of a terminal that is written over; nowhere else."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(VerifyBarrier)))
