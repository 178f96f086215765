"""Unit and meaning of the columns that a flight's file holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MEANINGS: Mapping[str, str] = {
    "times": "[s] end of each physics tick since the start; rows of the tick columns",
    "position": "[m] x, y, z in the world frame at the end of the tick; z up",
    "velocity": "[m/s] x, y, z in the world frame",
    "quaternion": "[1] x, y, z, w; turns body vectors into world vectors",
    "angular_velocity": "[rad/s] x, y, z in the body frame",
    "forces": "[N] force of each rotor, as handed to the engine for the tick",
    "contact": "[bool] the airframe's collision sphere touched an obstacle or the ground",
    "act_seconds": "[s] wall time of the pilot's act",
    "think_times": "[s] when each sight was seen; rows of the think columns",
    "think_seconds": "[s] wall time of the pilot's think",
    "acceleration_wish": "[m/s^2] x, y, z in the world frame that the policy asked for",
    "acceleration": "[m/s^2] x, y, z in the world frame that the barrier let through",
    "barrier": "[m] smallest barrier value h; below zero the safe set was left",
    "barrier_path": "[m] smallest barrier value h of the stopping path",
    "fallback": "[bool] the backup command flew instead of an answer that was rejected",
    "outcome_path": "[code] outcome of the QP of the stopping path",
    "outcome_rotors": "[code] outcome of the QP of the rotor limits",
    "gains": "[1/s] gain of each kind of barrier, as the policy chose it",
    "slack": "[1] most that a soft row of the stopping path's QP was given up by",
    "sensed": "[bool] the estimate of the state was finite",
    "disturbance": "[m/s^2] x, y, z in the world frame that the pilot thinks it is pushed by",
    "wind": "[m/s] x, y, z in the world frame",
    "ranges": "[m] distance seen along each ray",
    "hit": "[bool] the ray met something within its range",
    "valid": "[bool] the return of the ray was not lost",
    "neurons": "[1] state of each neuron of the policy's cell",
}


def column_meanings(names: Iterable[str], more: Mapping[str, str]) -> dict[str, str]:
    """Unit and meaning of each column of a file.

    Args:
        names: names as in the file; `records/` and `think/` come before a pilot's own names.
        more: meanings that go before those of the table, by a column's own name.
    """
    own = {name: own_name(name) for name in names}
    unknown = "[?] recorded by the pilot under this name"
    return {name: more.get(key, MEANINGS.get(key, unknown)) for name, key in own.items()}


def own_name(name: str) -> str:
    """A column's name without the prefix that says which rows it has."""
    return name.removeprefix("records/").removeprefix("think/")
