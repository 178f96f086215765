"""The verdict on a flight: did it arrive, how close did it come, what did the limits say."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float

from sim.airframe import Airframe
from sim.clearances import clearance
from sim.record import Flight, FlightError
from sim.state import up_of

INTERVENTION = 1e-3
"""The barrier intervened where it changed the acceleration by more than this [m/s^2]."""


@dataclass(frozen=True)
class Verdict:
    """What `verdict.json` holds.

    Attributes:
        reached: the target was reached, with no contact and inside the bounds until then.
        contacts: ticks that ended in contact with an obstacle or the ground.
        outcome: reached, contact, timeout or out_of_bounds.
        time_s: how long the flight took, in simulation time [s].
        path_m: length of the path flown [m].
        mean_speed_mps: path over time [m/s].
        min_clearance_m: least distance of the collision sphere to anything solid [m]; negative
            where it was inside.
        limit_violations: ticks on which the engine was handed a force or torque out of range.
        max_rotor_fraction: largest magnitude of any rotor's force over its limit.
        max_torque_fraction: the same for the torque about each body axis.
        max_tilt_rad: largest angle between the body's z axis and up [rad].
        nonfinite: ticks with a force or a part of the state that is not finite.
        ticks: physics ticks flown.
        interventions: fraction of ticks on which the barrier changed the acceleration.
        fallback_ticks: ticks on which the backup command flew for an answer that was rejected.
        act_ms_p50: median wall time of `act` [ms].
        act_ms_p99: its 99th percentile [ms].
        think_ms_p50: median wall time of `think` [ms].
        think_ms_p99: its 99th percentile [ms].
        seed: of the world; None for a world from a file.
        world: name of the world's family or file.
        engine: what flew it.
        pilot: who flew it.
    """

    reached: bool
    contacts: int
    outcome: str
    time_s: float
    path_m: float
    mean_speed_mps: float
    min_clearance_m: float
    limit_violations: int
    max_rotor_fraction: float
    max_torque_fraction: tuple[float, float, float]
    max_tilt_rad: float
    nonfinite: int
    ticks: int
    interventions: float
    fallback_ticks: int
    act_ms_p50: float
    act_ms_p99: float
    think_ms_p50: float
    think_ms_p99: float
    seed: int | None
    world: str
    engine: str
    pilot: str

    @property
    def passed(self) -> bool:
        """Whether the target was reached with no contact and no limit crossed."""
        return self.reached and not (self.contacts or self.limit_violations or self.nonfinite)

    def to_json(self) -> str:
        """The contents of `verdict.json`."""
        return json.dumps(asdict(self), indent=2, allow_nan=False)


def verdict(flight: Flight) -> Verdict:
    """Judge a flight by its record alone.

    Forces and states that are not finite are counted, and left out of every other figure, so
    that each figure is finite whatever the flight was.
    """
    sound = finite_ticks(flight)
    forces = flight.forces[sound].astype(np.float64)
    start = np.asarray(flight.world.start_position, np.float64)
    path = np.vstack([start, flight.position[sound]])
    path_m = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    times = np.concatenate([[0.0], flight.times[sound]])
    clearances = clearance(flight.world, flight.airframe.collision_radius, path, times)
    act, think = flight.act_seconds * 1e3, flight.think_seconds * 1e3
    time_s = float(flight.times[-1])
    return Verdict(
        reached=flight.reached,
        contacts=int(flight.contact.sum()),
        outcome=flight.outcome,
        time_s=time_s,
        path_m=path_m,
        mean_speed_mps=path_m / time_s if time_s > 0 else 0.0,
        min_clearance_m=float(clearances.min()),
        limit_violations=int(flight.limit_violations),
        max_rotor_fraction=float(np.abs(forces).max(initial=0.0)) / flight.airframe.max_force,
        max_torque_fraction=_torque_fractions(flight.airframe, forces),
        max_tilt_rad=float(tilt(flight.quaternion[sound]).max(initial=0.0)),
        nonfinite=int((~sound).sum()),
        ticks=len(flight.times),
        interventions=float(interventions(flight).mean()),
        fallback_ticks=int(fallbacks(flight).sum()),
        act_ms_p50=_percentile(act, 50),
        act_ms_p99=_percentile(act, 99),
        think_ms_p50=_percentile(think, 50),
        think_ms_p99=_percentile(think, 99),
        seed=flight.seed,
        world=flight.family,
        engine=flight.engine,
        pilot=flight.pilot,
    )


def finite_ticks(flight: Flight) -> Bool[np.ndarray, " T"]:
    """Ticks on which every force and every part of the state is a finite number."""
    columns = (
        flight.position,
        flight.velocity,
        flight.quaternion,
        flight.angular_velocity,
        flight.forces,
    )
    return np.logical_and.reduce(np.isfinite(np.hstack(columns)), axis=1)


def interventions(flight: Flight) -> Bool[np.ndarray, " T"]:
    """Ticks on which what flew differs from what the policy asked for by over `INTERVENTION`.

    A tick on which either is not finite counts too: whatever flew, it was not the wish. None
    where the pilot recorded no `acceleration` and `acceleration_wish`.
    """
    flown, wish = (flight.records.get(name) for name in ("acceleration", "acceleration_wish"))
    if flown is None or wish is None:
        return np.zeros(len(flight.times), bool)
    for name, column in (("acceleration", flown), ("acceleration_wish", wish)):
        if column.shape[1:] != (3,):
            raise FlightError(f"records[{name!r}]: expected [T, 3], got {list(column.shape)}")
    with np.errstate(invalid="ignore"):
        return ~(np.linalg.norm(flown - wish, axis=1) <= INTERVENTION)


def fallbacks(flight: Flight) -> Bool[np.ndarray, " T"]:
    """Ticks that the pilot marked in `records["fallback"]`; none without that record."""
    marks = flight.records.get("fallback", np.zeros(len(flight.times)))
    return np.logical_or.reduce(marks.reshape(len(flight.times), -1).astype(bool), axis=1)


def tilt(quaternion: Float[np.ndarray, "T 4"]) -> Float[np.ndarray, " T"]:
    """Angle between the body's z axis and up [rad]."""
    up = up_of(quaternion.astype(np.float64))
    return np.arctan2(np.linalg.norm(up[:, :2], axis=1), up[:, 2])


def _torque_fractions(
    airframe: Airframe, forces: Float[np.ndarray, "T 4"]
) -> tuple[float, float, float]:
    """Largest torque about each body axis, over the most that the rotors can give."""
    torques = np.abs(forces @ airframe.mixer[1:].T) / airframe.max_torque
    x, y, z = torques.max(axis=0, initial=0.0).tolist()
    return x, y, z


def _percentile(values: Float[np.ndarray, " N"], percent: int) -> float:
    return float(np.percentile(values, percent)) if len(values) else 0.0
