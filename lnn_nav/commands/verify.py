"""The verb `verify`: a pilot's safety, checked on a suite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lnn_nav.commands.shell import (
    BAD,
    GOOD,
    INTERRUPTED,
    InputError,
    at_least,
    complain,
    fields,
    generated,
    open_console,
    option,
    parse,
    set_up_engine,
    set_up_jax,
    writable_folder,
)

if TYPE_CHECKING:
    from rich.console import Console

    from lnn_nav.pilot import LiquidPilot
    from lnn_nav.verify import Suite
    from lnn_nav.verify.checks import Check


@dataclass(frozen=True)
class Verify:
    """Check a pilot's safety: limits, contacts, an adversary, faults in flight, random bits.

    Exit code 0: every check passed. 1: one did not. 2: bad input.
    """

    pilot: str = "default"
    """Who is checked: default, straight-line, or the folder of a trained pilot."""
    worlds: str = "forest,boulders,blocks,mixed"
    """Families, with commas: forest, boulders, blocks, walls, mixed, dense_forest, rooms, gates,
    pillars, diffphys, iros2022_0, iros2022_1, iros2022_2, iros2022_3, moving, city."""
    missions: int = 20
    """How many in all for each check that flies, split evenly among the families."""
    first_seed: int = 1_000_000
    """Each family's seeds run from here; training knows those below 1,000,000."""
    engine: Literal["pybullet", "twin"] = "pybullet"
    """Physics: PyBullet, or its twin in jax."""
    speed: float | None = None
    """Set speed [m/s]; each world's own if not given."""
    reach: float = 0.0
    """Share of missions that must reach the target."""
    vectors: int = 1_000_000
    """Vectors of random bits sent through the last stage."""
    json: Path | None = None
    """Write the checks to this file too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit code.
    """
    options = parse(Verify, "verify", arguments)
    try:
        return _verify(options)
    except InputError as error:
        return complain("verify", error)
    except KeyboardInterrupt:
        return INTERRUPTED


def _verify(options: Verify) -> int:
    console = open_console()
    pilot, suite = _prepared(options)
    from lnn_nav.verify.checks import run_checks

    console.print(f"{pilot.name}: {suite}", markup=False, soft_wrap=True)
    checks: list[Check] = []
    with console.status("compiling the pilot", refresh_per_second=4) as status:
        for check in run_checks(
            pilot, suite, at_least=options.reach, vectors=options.vectors, tell=status.update
        ):
            checks.append(check)
            _show(console, check)
    passed = all(check.passed for check in checks)
    lost = sum(not check.passed for check in checks)
    verdict = "[bold green]safe[/]" if passed else f"[bold red]not safe: {lost} checks failed[/]"
    console.print(f"{verdict}   {len(checks) - lost} of {len(checks)} checks passed")
    if options.json is not None:
        _write(options.json, passed, checks)
        console.print(str(options.json), markup=False, soft_wrap=True)
    return GOOD if passed else BAD


def _prepared(options: Verify) -> tuple[LiquidPilot, Suite]:
    """Pilot and suite, all options checked."""
    at_least("--missions", options.missions, 1)
    at_least("--first-seed", options.first_seed, 0)
    at_least("--vectors", options.vectors, 1)
    if not 0 <= options.reach <= 1:
        raise InputError(f"--reach: expected a share from 0 to 1, got {options.reach}")
    if options.json is not None:
        if options.json.is_dir():
            raise InputError(f"--json: expected a file, got the folder {options.json}")
        writable_folder("--json", options.json.parent)
    set_up_jax()
    set_up_engine(options.engine)
    from lnn_nav.store import load_pilot
    from lnn_nav.verify import Suite

    families = tuple(name.strip() for name in options.worlds.split(","))
    first = options.first_seed
    with fields(family="--worlds", families="--worlds"):
        suite = Suite(families, first, options.missions, options.engine, options.speed)
    for family in families:
        generated("--worlds", family, first, options.speed)
    with option(f"--pilot {options.pilot}"):
        pilot = load_pilot(options.pilot)
    return pilot, suite


def _show(console: Console, check: Check) -> None:
    """One line a check, and what is wrong with it."""
    mark = "[green]pass[/]" if check.passed else "[bold red]FAIL[/]"
    console.print(f"{mark}  {check.name:<52} {check.figure}", soft_wrap=True)
    if check.trouble:
        console.print(check.trouble, markup=False, soft_wrap=True)


def _write(path: Path, passed: bool, checks: list[Check]) -> None:
    from sim.files import write_atomically

    plain = {"passed": passed, "checks": [asdict(check) for check in checks]}
    text = json.dumps(plain, indent=1, allow_nan=False) + "\n"
    with option("--json"):
        write_atomically(path, lambda file: file.write(text.encode()))
