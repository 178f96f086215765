"""The record of one flight: everything that happened, tick by tick, in named columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, no_type_check
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Float, Shaped

from sim.airframe import Airframe
from sim.columns import column_meanings, own_name
from sim.files import write_atomically
from sim.world import World

FORMAT = "lnn-nav/flight"
VERSION = 1
OUTCOMES = ("reached", "contact", "timeout", "out_of_bounds")

_TICK_COLUMNS = {
    "times": (),
    "position": (3,),
    "velocity": (3,),
    "quaternion": (4,),
    "angular_velocity": (3,),
    "forces": (4,),
    "contact": (),
    "act_seconds": (),
}
_THINK_COLUMNS = {"think_times": (), "think_seconds": ()}
_FACTS = ("family", "seed", "pilot", "engine", "limit_violations", "outcome")


class FlightError(ValueError):
    """A flight, or the file of one, that contradicts itself; the message names the column."""


@no_type_check  # At run time only: it checks itself, with or without type checking.
@dataclass(frozen=True, eq=False)
class Flight:
    """One flight, as the engine saw it. T physics ticks, S sights.

    Row k of a tick column tells of tick k: `forces` and `records` are what was applied during the
    tick, the state is the one that the tick ended in, at `times[k]`. The state before the first
    tick is the world's start.

    Attributes:
        world: where it was flown.
        family: name of the world's family, or of its file.
        seed: seed of the world; None for a world that came from a file.
        pilot: name of the pilot.
        engine: name of the engine.
        airframe: what was flown.
        times: end of each tick since the start, increasing [s].
        position: world frame [m].
        velocity: world frame [m/s].
        quaternion: xyzw, body to world.
        angular_velocity: body frame [rad/s].
        forces: of each rotor, as handed to the engine [N].
        contact: whether the airframe's sphere touched an obstacle or the ground.
        records: what the pilot's `act` recorded: name -> `[T, ...]`.
        think_times: when each sight was seen [s].
        think_records: what came with the sights and the pilot's `think`: name -> `[S, ...]`.
        act_seconds: wall time of each `act` [s].
        think_seconds: wall time of each `think` [s].
        limit_violations: ticks on which the engine was handed a force or torque out of range.
        outcome: how it ended: one of `OUTCOMES`.
        meanings: unit and meaning of recorded columns that the table of `sim.columns` lacks.
    """

    world: World
    family: str
    seed: int | None
    pilot: str
    engine: str
    airframe: Airframe
    times: Float[np.ndarray, " T"]
    position: Float[np.ndarray, "T 3"]
    velocity: Float[np.ndarray, "T 3"]
    quaternion: Float[np.ndarray, "T 4"]
    angular_velocity: Float[np.ndarray, "T 3"]
    forces: Float[np.ndarray, "T 4"]
    contact: Bool[np.ndarray, " T"]
    records: Mapping[str, Shaped[np.ndarray, "T ..."]]
    think_times: Float[np.ndarray, " S"]
    think_records: Mapping[str, Shaped[np.ndarray, "S ..."]]
    act_seconds: Float[np.ndarray, " T"]
    think_seconds: Float[np.ndarray, " S"]
    limit_violations: int
    outcome: str
    meanings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse columns that do not fit together.

        Raises:
            FlightError: naming the column, what it must be and what it was.
        """
        if self.outcome not in OUTCOMES:
            raise FlightError(f"outcome: expected one of {OUTCOMES}, got {self.outcome!r}")
        ticks, sights = len(self.times), len(self.think_times)
        if ticks < 1:
            raise FlightError("times: expected at least 1 tick, got 0")
        for name, shape in _TICK_COLUMNS.items():
            _check(name, getattr(self, name), (ticks, *shape), "b" if name == "contact" else "f")
        for name, shape in _THINK_COLUMNS.items():
            _check(name, getattr(self, name), (sights, *shape), "f")
        for kind, rows in (("records", ticks), ("think_records", sights)):
            for name, column in getattr(self, kind).items():
                _check(f"{kind}[{name!r}]", column, (rows, *np.shape(column)[1:]), "biuf")
        for name in ("times", "think_times"):
            steps = np.diff(getattr(self, name))
            if not (np.isfinite(getattr(self, name)).all() and (steps > 0).all()):
                raise FlightError(f"{name}: expected increasing finite times, got another order")

    @property
    def reached(self) -> bool:
        """Whether the target was reached, with no contact and inside the bounds until then."""
        return self.outcome == "reached"

    def save(self, path: Path | str) -> None:
        """Write the flight as one compressed `.npz`, all of it or (on a crash) none of it.

        Besides the columns it holds two JSON strings: `flight` (the facts: world, airframe, seed,
        outcome...) and `columns` (unit and meaning of every column, by name).
        """
        columns: dict[str, Any] = {
            name: getattr(self, name) for name in (*_TICK_COLUMNS, *_THINK_COLUMNS)
        }
        columns |= {f"records/{name}": column for name, column in self.records.items()}
        columns |= {f"think/{name}": column for name, column in self.think_records.items()}
        facts: dict[str, Any] = {name: getattr(self, name) for name in _FACTS}
        facts |= {
            "format": FORMAT,
            "version": VERSION,
            "airframe": asdict(self.airframe),
            "world": json.loads(self.world.to_json()),
        }
        texts = {"flight": facts, "columns": column_meanings(columns, self.meanings)}
        columns |= {name: np.array(json.dumps(text)) for name, text in texts.items()}
        write_atomically(path, lambda file: np.savez_compressed(file, **columns))


def load_flight(path: Path | str) -> Flight:
    """Read a flight that `Flight.save` wrote.

    Raises:
        FlightError: the file is not a flight, is cut short, or lacks a column.
        OSError: the file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (BadZipFile, EOFError, ValueError) as error:
        raise FlightError(f"{path}: expected the .npz file of a flight, got: {error}") from error
    needed = ("flight", "columns", *_TICK_COLUMNS, *_THINK_COLUMNS)
    for name in needed:
        if name not in arrays:
            raise FlightError(f"{path}: expected a column {name!r}, got {sorted(arrays)}")
    facts, meanings = (json.loads(str(arrays[name])) for name in ("flight", "columns"))
    if (facts.get("format"), facts.get("version")) != (FORMAT, VERSION):
        raise FlightError(
            f"{path}: format: expected {FORMAT!r} version {VERSION}, "
            f"got {facts.get('format')!r} version {facts.get('version')!r}"
        )
    own_meanings = column_meanings([name for name in arrays if name not in needed[:2]], {})
    return Flight(
        world=World.from_json(json.dumps(facts["world"])),
        airframe=_airframe(facts["airframe"]),
        records=_below("records/", arrays),
        think_records=_below("think/", arrays),
        meanings={
            own_name(name): text
            for name, text in meanings.items()
            if own_meanings.get(name) != text
        },
        **{name: facts[name] for name in _FACTS},
        **{name: arrays[name] for name in (*_TICK_COLUMNS, *_THINK_COLUMNS)},
    )


def _check(name: str, column: object, shape: tuple[int, ...], kinds: str) -> None:
    """Refuse a column that is no array of this shape, and of one of these kinds of numbers."""
    if not isinstance(column, np.ndarray):
        raise FlightError(f"{name}: expected a numpy array, got {type(column).__name__}")
    if column.shape != shape:
        raise FlightError(f"{name}: expected shape {shape}, got {column.shape}")
    if column.dtype.kind not in kinds:
        wanted = {"f": "floats", "b": "booleans"}.get(kinds, "numbers or booleans")
        raise FlightError(f"{name}: expected {wanted}, got {column.dtype}")


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns under `prefix`, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _airframe(fields: Mapping[str, Any]) -> Airframe:
    """An airframe from JSON, where tuples are lists."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    values["rotor_positions"] = tuple((x, y) for x, y in values["rotor_positions"])
    return Airframe(**values)
