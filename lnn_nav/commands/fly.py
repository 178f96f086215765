"""The verb `fly`: one mission, and everything there is to see of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from lnn_nav.commands.conditions import DisturbanceOptions, PhysicsOptions
from lnn_nav.commands.shell import (
    BAD,
    GOOD,
    InputError,
    at_least,
    complain,
    display,
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
    from rich.console import Console

    from lnn_nav.pilot import LiquidPilot
    from sim.judge import Verdict
    from sim.record import Flight
    from sim.state import State
    from sim.world import World


@dataclass(frozen=True)
class Fly:
    """Fly one mission; film, report, record and verdict go into a folder.

    Exit code 0: target reached, no contact, no limit crossed. 1: not so. 2: bad input.
    """

    pilot: str = "default"
    """Who flies: default, straight-line, or the folder of a trained pilot."""
    world: str = "mixed"
    """Family of the world: forest, boulders, blocks, walls, mixed, dense_forest, rooms, gates,
    pillars, diffphys, iros2022_0, iros2022_1, iros2022_2, iros2022_3, moving or city."""
    world_file: Path | None = None
    """A world file (JSON), flown instead of a family's world."""
    seed: int = 1_000_003
    """Of the world, and of all that is drawn; training knows those below 1,000,000."""
    speed: float | None = None
    """Set speed [m/s]; the world's own if not given."""
    engine: Literal["pybullet", "twin"] = "pybullet"
    """Physics: PyBullet, or its twin in jax."""
    barrier: Literal["on", "off"] = "on"
    """Whether the stopping-path barrier corrects the policy (rotor limits always hold)."""
    barrier_sees: Literal["rays", "map"] = "rays"
    """What the barrier knows: what the rays saw, or (for study) the true map."""
    disturbed: Annotated[DisturbanceOptions, arg(name="")] = DisturbanceOptions()
    """How reality differs from the ideal."""
    effects: Annotated[PhysicsOptions, arg(name="")] = PhysicsOptions()
    """What there is besides rigid-body motion."""
    gui: bool = False
    """Open PyBullet's window and fly in real time."""
    out: Path | None = None
    """Folder for the five files; runs/<utc>-<world>-<seed> if not given."""

    @property
    def place(self) -> str:
        """The world in a word."""
        return self.world if self.world_file is None else self.world_file.stem

    def default_out(self) -> Path:
        """Where the files go if nobody says: a folder named by the time of asking."""
        parts = [time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), self.place]
        return Path("runs", "-".join(parts + [str(self.seed)] * (self.world_file is None)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Fly.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit code; Ctrl-C ends the process with 130.
    """
    options = parse(Fly, "fly", arguments)
    folder = options.out or options.default_out()
    try:
        return _fly(replace(options, out=folder), folder)
    except InputError as error:
        return complain("fly", error)
    except KeyboardInterrupt:
        leave()


def _fly(options: Fly, folder: Path) -> int:
    console = open_console()
    place = options.place if options.world_file else f"{options.place}, seed {options.seed}"
    line = f"{options.pilot} flies {place}, in {options.engine}, barrier {options.barrier}"
    console.print(line, markup=False)
    with console.status("loading", refresh_per_second=4) as status:
        world, pilot = _prepared(options)
        writable_folder("--out", folder)
        from lnn_nav.commands.flight_files import write_files

        status.update("compiling the pilot")
        flight = _flight(options, world, pilot, status.update)
        try:
            judged, paths = write_files(folder, _config(options), flight, status.update)
        except OSError as error:
            raise InputError(f"--out: {error}") from error
    _show(console, flight, judged, pilot.sight_rate)
    for path in paths:
        console.print(str(path), markup=False, soft_wrap=True)
    return GOOD if judged.passed else BAD


def _prepared(options: Fly) -> tuple[World, LiquidPilot]:
    """World and pilot, all options checked."""
    options.disturbed.disturbance(), options.effects.physics()
    at_least("--seed", options.seed, 0)
    display(options.gui, options.engine)
    set_up_jax()
    set_up_engine(options.engine)
    from lnn_nav.store import load_pilot

    if options.world_file is not None:
        world = world_from_file(options.world_file, options.speed)
    else:
        world = generated("--world", options.world, options.seed, options.speed)
    see_what_moves(options.barrier_sees, world)
    with option(f"--pilot {options.pilot}"):
        pilot = load_pilot(options.pilot, options.barrier == "on", options.barrier_sees)
    return world, pilot


def _flight(
    options: Fly, world: World, pilot: LiquidPilot, tell: Callable[[str], object]
) -> Flight:
    """Fly, with a line that lives."""
    from sim.engine import EngineError
    from sim.flight import fly

    def progress(now: float, state: State) -> None:
        speed = math.hypot(*state.velocity)
        gap = math.dist(world.target, state.position)
        tell(f"{now:5.1f} s   {speed:3.1f} m/s   {gap:4.1f} m to the target")

    calm = options.world_file is not None and options.disturbed == DisturbanceOptions()
    try:
        return fly(
            world,
            pilot,
            options.engine,
            disturbance=options.disturbed.disturbance(),
            physics=options.effects.physics(),
            family=options.place,
            seed=None if calm else options.seed,
            gui=options.gui,
            progress=progress,
        )
    except EngineError as error:
        raise InputError(f"--engine {options.engine}: {error}") from error


def _config(options: Fly) -> dict[str, object]:
    """The options as plain data, by their names."""
    plain = asdict(options)
    plain |= plain.pop("disturbed") | plain.pop("effects")
    return {name: str(v) if isinstance(v, Path) else v for name, v in plain.items()}


def _show(console: Console, flight: Flight, judged: Verdict, sight_rate: float) -> None:
    """The verdict as a small table."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    good = "green" if judged.passed else "red"
    tick, sight = 1e3 * judged.time_s / judged.ticks, 1e3 / sight_rate
    crossed = judged.limit_violations + judged.nonfinite
    for name, value in (
        ("outcome", f"[bold {good}]{judged.outcome.replace('_', ' ')}[/]"),
        ("time", f"{judged.time_s:.2f} s of {flight.world.time_limit:.0f} s"),
        ("path", f"{judged.path_m:.1f} m at {judged.mean_speed_mps:.2f} m/s"),
        ("least clearance", f"{judged.min_clearance_m:.3f} m"),
        ("limits crossed", f"{crossed} of {judged.ticks} ticks"),
        ("interventions", f"{100 * judged.interventions:.1f} % of ticks"),
        ("act", _times(judged.act_ms_p50, judged.act_ms_p99, tick)),
        ("think", _times(judged.think_ms_p50, judged.think_ms_p99, sight)),
    ):
        table.add_row(name, value)
    console.print(table)


def _times(median: float, last: float, budget: float) -> str:
    return f"{median:.2f} ms median, {last:.2f} ms p99 of {budget:.1f} ms"
