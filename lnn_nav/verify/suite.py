"""A suite of missions, flown once and remembered: what every assertion looks at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.families import generate
from sim.flight import EngineName, Pilot, fly
from sim.judge import Verdict, verdict
from sim.mission import suite as missions_of
from sim.record import Flight
from sim.sensors import CALM, Disturbance

KEPT_REPORTS = 8
"""Reports that are remembered, the oldest going first."""


@dataclass(frozen=True)
class Suite:
    """Which missions are flown, and how.

    Attributes:
        families: one family, or several.
        first_seed: each family's seeds run from here; training knows those below 1,000,000.
        missions: how many in all, split evenly among the families.
        engine: which physics.
        speed: set speed [m/s]; from the seed if None.
        density: multiplies the number of obstacles; the family's own if None.
        disturbance: how reality differs from the ideal.
    """

    families: str | tuple[str, ...] = "mixed"
    first_seed: int = 1_000_000
    missions: int = 10
    engine: EngineName = "pybullet"
    speed: float | None = None
    density: float | None = None
    disturbance: Disturbance = CALM

    def __post_init__(self) -> None:
        """Refuse what cannot be flown.

        Raises:
            ValueError: naming the field.
        """
        if self.engine not in ("pybullet", "twin"):
            raise ValueError(f"engine: expected 'pybullet' or 'twin', got {self.engine!r}")
        missions_of(self.names, self.first_seed, self.missions)

    @property
    def names(self) -> tuple[str, ...]:
        """The families, always as a tuple."""
        return (self.families,) if isinstance(self.families, str) else tuple(self.families)

    def __str__(self) -> str:
        """In a few words."""
        last = f"{self.missions} missions from seed {self.first_seed}"
        return f"{', '.join(self.names)}: {last}, in {self.engine}"


@dataclass(frozen=True)
class Incident:
    """The first time that something went wrong in a flight.

    Attributes:
        tick: index of the physics tick.
        time_s: simulation time at its end [s].
        what: in words, with the value.
    """

    tick: int
    time_s: float
    what: str


@dataclass(frozen=True)
class Flown:
    """How one mission went.

    Attributes:
        family: of the world.
        seed: of the world.
        verdict: of the flight.
        limit: the first force out of its range, if there was one.
        contact: the first contact, if there was one.
        again: how to fly it again, in Python, and as a command where there is one.
    """

    family: str
    seed: int
    verdict: Verdict
    limit: Incident | None
    contact: Incident | None
    again: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """How the missions of a suite went.

    Attributes:
        suite: the suite.
        pilot: name of the pilot.
        flights: in the order of the suite.
    """

    suite: Suite
    pilot: str
    flights: tuple[Flown, ...]

    @property
    def reached(self) -> int:
        """Missions that reached the target."""
        return sum(flown.verdict.reached for flown in self.flights)

    @property
    def success(self) -> float:
        """Share of missions that reached the target."""
        return self.reached / len(self.flights)

    @property
    def contacts(self) -> int:
        """Missions with any contact."""
        return sum(flown.contact is not None for flown in self.flights)

    @property
    def limit_violations(self) -> int:
        """Ticks with a force or torque out of range, or anything that is not finite."""
        return sum(f.verdict.limit_violations + f.verdict.nonfinite for f in self.flights)

    @property
    def min_clearance_m(self) -> float:
        """Least distance of the collision sphere to anything solid [m]."""
        return min(flown.verdict.min_clearance_m for flown in self.flights)

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.pilot} in {self.suite}: {self.reached}/{len(self.flights)} reached, "
            f"{self.contacts} with contact, {self.limit_violations} ticks out of limits, "
            f"least clearance {self.min_clearance_m:.3f} m"
        )


Progress: TypeAlias = Callable[[Flown, int, int], object]
"""Is told each flight as it ends, how many there are by now, and how many there will be."""

_reports: OrderedDict[tuple[int, Suite], tuple[Pilot, Report]] = OrderedDict()


def fly_suite(pilot: Pilot, suite: Suite, progress: Progress | None = None) -> Report:
    """Fly every mission of a suite.

    The same pilot object and an equal suite are flown once: the report is remembered. A pilot
    that is changed in place after its flight needs `forget()` before the next.

    Args:
        pilot: who.
        suite: where.
        progress: told each flight.

    Raises:
        TypeError: if `pilot` is no pilot.
    """
    if not isinstance(pilot, Pilot):
        parts = ("name", "rays", "sight_rate", "reset", "think", "act")
        missing = ", ".join(part for part in parts if not hasattr(pilot, part))
        raise TypeError(f"pilot: expected the sim.flight.Pilot protocol, lacks {missing}")
    key = (id(pilot), suite)
    if key not in _reports:
        named = missions_of(suite.names, suite.first_seed, suite.missions)
        flights: list[Flown] = []
        for family, seed in named:
            flights.append(_flown(pilot, suite, family, seed))
            if progress is not None:
                progress(flights[-1], len(flights), len(named))
        # The pilot is kept beside its report, so that its id stays its own.
        _reports[key] = (pilot, Report(suite, pilot.name, tuple(flights)))
        while len(_reports) > KEPT_REPORTS:
            _reports.popitem(last=False)
    return _reports[key][1]


def forget() -> None:
    """Forget every report that `fly_suite` remembers."""
    _reports.clear()


def first_breach(flight: Flight) -> Incident | None:
    """The first rotor force of a flight that was out of [0, max_force], or not finite."""
    most = flight.airframe.max_force
    bad = ~((flight.forces >= 0) & (flight.forces <= most))
    if not bad.any():
        return None
    tick, rotor = (int(index) for index in np.argwhere(bad)[0])
    force = flight.forces[tick, rotor]
    what = f"rotor {rotor} was handed {force:.9g} N, outside [0, {most:.9g}] N"
    return Incident(tick, float(flight.times[tick]), what)


def first_contact(flight: Flight) -> Incident | None:
    """The first contact of a flight."""
    if not flight.contact.any():
        return None
    tick = int(flight.contact.argmax())
    x, y, z = flight.position[tick]
    speed = float(np.linalg.norm(flight.velocity[tick]))
    what = f"contact at ({x:.2f}, {y:.2f}, {z:.2f}) m, at {speed:.1f} m/s"
    return Incident(tick, float(flight.times[tick]), what)


def _flown(pilot: Pilot, suite: Suite, family: str, seed: int) -> Flown:
    """Fly one mission."""
    world = generate(family, seed, suite.speed, suite.density)
    flight = fly(
        world, pilot, suite.engine, disturbance=suite.disturbance, family=family, seed=seed
    )
    judged = verdict(flight)
    again = tuple(_again(pilot.name, suite, family, seed))
    return Flown(family, seed, judged, first_breach(flight), first_contact(flight), again)


def _again(pilot: str, suite: Suite, family: str, seed: int) -> Sequence[str]:
    """How to fly a mission again."""
    given = {"speed": suite.speed, "density": suite.density}
    more = "".join(f", {name}={value}" for name, value in given.items() if value is not None)
    odd = "" if suite.disturbance == CALM else f", disturbance=sim.sensors.{suite.disturbance}"
    world = f"sim.generate({family!r}, {seed}{more})"
    lines = [
        f"sim.flight.fly({world}, pilot, {suite.engine!r}, family={family!r}, seed={seed}{odd})"
    ]
    if suite.density is None and not odd:
        speed = "" if suite.speed is None else f" --speed {suite.speed}"
        command = f"lnn-nav fly --pilot {pilot} --world {family} --seed {seed}"
        lines.append(f"{command} --engine {suite.engine}{speed}")
    return lines
