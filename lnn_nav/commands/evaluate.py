"""The verb `evaluate`: many missions, counted."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from lnn_nav.commands.conditions import DisturbanceOptions, PhysicsOptions
from lnn_nav.commands.figures import show_figures, teller, write_figures
from lnn_nav.commands.shell import (
    BAD,
    GOOD,
    InputError,
    at_least,
    complain,
    fields,
    generated,
    leave,
    open_console,
    option,
    parse,
    see_what_moves,
    set_up_engine,
    set_up_jax,
    world_from_file,
    writable_folder,
)

if TYPE_CHECKING:
    from sim.campaign import Logbook, MissionName, Terms
    from sim.world import World


@dataclass(frozen=True)
class Evaluate:
    """Fly many missions and count: success, contacts, time, clearance.

    Exit code 0: all missions were flown. 1: some could not be flown. 2: bad input.
    """

    pilot: str = "default"
    """Who flies: default, straight-line, or the folder of a trained pilot."""
    worlds: str = "forest,boulders,blocks,mixed"
    """Families, with commas: forest, boulders, blocks, walls, mixed, dense_forest, rooms, gates,
    pillars, diffphys, iros2022_0, iros2022_1, iros2022_2, iros2022_3, moving, city."""
    world_file: Path | None = None
    """A world file (JSON), flown in every mission instead of the families' worlds."""
    first_seed: int = 1_000_000
    """Each family's seeds run from here; training knows those below 1,000,000."""
    missions: int = 200
    """How many in all, split evenly among the families."""
    speed: float | None = None
    """Set speed [m/s]; each world's own if not given."""
    density: float | None = None
    """Multiplies the number of obstacles; 1 if not given."""
    engine: Literal["pybullet", "twin"] = "pybullet"
    """Physics: PyBullet, or its twin in jax."""
    barrier: Literal["on", "off"] = "on"
    """Whether the stopping-path barrier corrects the policy (rotor limits always hold)."""
    barrier_sees: Literal["rays", "map"] = "rays"
    """What the barrier knows: what the rays saw, or (for study) the true map."""
    processes: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    """How many fly at a time; changes nothing but the wait."""
    backend: Literal["processes", "ray"] = "processes"
    """Where they fly: processes of this machine, or of a Ray cluster (RAY_ADDRESS)."""
    shard: str | None = None
    """Fly part I of N parts only, as I/N: one a machine, with the same other options."""
    logbook: Path | None = None
    """Folder where results are kept: what was flown there, in any part, is not flown again."""
    deadline: float | None = None
    """Wall time that a mission may take, compiling included [s]; those that take longer failed."""
    disturbed: Annotated[DisturbanceOptions, arg(name="")] = DisturbanceOptions()
    """How reality differs from the ideal."""
    effects: Annotated[PhysicsOptions, arg(name="")] = PhysicsOptions()
    """What there is besides rigid-body motion."""
    json: Path | None = None
    """File for the figures."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit code; Ctrl-C ends the process with 130.
    """
    options = parse(Evaluate, "evaluate", arguments)
    try:
        return _evaluate(options)
    except InputError as error:
        return complain("evaluate", error)
    except KeyboardInterrupt:
        leave()


def _evaluate(options: Evaluate) -> int:
    console = open_console()
    place = options.worlds if options.world_file is None else options.world_file
    line = f"{options.pilot} flies {options.missions} missions in {place}, in {options.engine}"
    console.print(f"{line}, barrier {options.barrier}", markup=False, soft_wrap=True)
    missions, terms = _prepared(options)
    from lnn_nav.store import load_pilot
    from sim.campaign import LogbookError, run_campaign
    from sim.tally import FAILED, tally

    pilot = partial(load_pilot, options.pilot, options.barrier == "on", options.barrier_sees)
    began = time.perf_counter()
    with console.status("compiling the pilot", refresh_per_second=4) as status:
        try:
            results = run_campaign(
                missions,
                pilot,
                terms,
                processes=options.processes,
                deadline=options.deadline,
                logbook=_logbook(options, terms),
                backend=options.backend,
                progress=teller(console, status.update),
            )
        except (LogbookError, ImportError) as error:
            raise InputError(f"{_named(error)}: {error}") from error
    sums = tally(results, time.perf_counter() - began)
    show_figures(console, sums)
    if options.json is not None:
        write_figures(options.json, sums)
        console.print(str(options.json), markup=False, soft_wrap=True)
    return BAD if any(row["outcome"] == FAILED for row in sums["per_mission"]) else GOOD


def _prepared(options: Evaluate) -> tuple[list[MissionName], Terms]:
    """Missions and terms, all options checked, pilot and worlds tried."""
    at_least("--missions", options.missions, 1)
    at_least("--processes", options.processes, 1)
    at_least("--first-seed", options.first_seed, 0)
    if options.deadline is not None and not 0 < options.deadline < float("inf"):
        raise InputError(f"--deadline: expected a time above 0 s, got {options.deadline}")
    if options.world_file is not None and options.density is not None:
        raise InputError("--density: expected none with --world-file, got one")
    set_up_jax()
    set_up_engine(options.engine)
    from lnn_nav.store import load_policy
    from sim.campaign import Terms

    disturbance, physics = options.disturbed.disturbance(), options.effects.physics()
    missions, world = _missions(options)
    with option(f"--pilot {options.pilot}"):
        load_policy(options.pilot)
    if options.json is not None:
        if options.json.is_dir():
            raise InputError(f"--json: expected a file, got the folder {options.json}")
        writable_folder("--json", options.json.parent)
    if options.logbook is not None:
        writable_folder("--logbook", options.logbook)
    missions = _part(missions, options.shard)
    speed, density = (None, None) if world else (options.speed, options.density)
    return missions, Terms(options.engine, disturbance, speed, density, world, physics)


def _missions(options: Evaluate) -> tuple[list[MissionName], World | None]:
    """What to fly; the first world of each family is tried."""
    from sim.mission import suite

    first, count = options.first_seed, options.missions
    if options.world_file is not None:
        world = world_from_file(options.world_file, options.speed)
        see_what_moves(options.barrier_sees, world)
        return [(options.world_file.stem, first + index) for index in range(count)], world
    families = [name.strip() for name in options.worlds.split(",")]
    with fields(family="--worlds", families="--worlds"):
        missions = suite(families, first, count)
    for family in families:
        world = generated("--worlds", family, first, options.speed, options.density)
        see_what_moves(options.barrier_sees, world)
    return missions, None


def _part(missions: list[MissionName], name: str | None) -> list[MissionName]:
    """Those of a shard `I/N`."""
    if name is None:
        return missions
    from sim.campaign import shard

    index, slash, count = name.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal()):
        raise InputError(f"--shard: expected I/N, such as 2/4, got {name!r}")
    with fields():
        part = shard(missions, int(index), int(count))
    if not part:
        raise InputError(f"--shard: expected at most {len(missions)} parts, got {count}")
    return part


def _logbook(options: Evaluate, terms: Terms) -> Logbook | None:
    """Where the results of this part are kept."""
    if options.logbook is None:
        return None
    from lnn_nav.store import digest
    from sim.campaign import Logbook

    about = {
        "pilot": digest(options.pilot),
        "barrier": options.barrier,
        "barrier_sees": options.barrier_sees,
        **terms.to_dict(),
    }
    part = "all" if options.shard is None else f"shard-{options.shard.replace('/', '-of-')}"
    return Logbook(options.logbook, about, part)


def _named(error: Exception) -> str:
    """The option at fault."""
    return "--backend" if isinstance(error, ImportError) else "--logbook"
