"""Actions: what their entries mean, their space, and what becomes of a bad one.

| kind | entries |
|---|---|
| `forces` | of the four rotors [N], each in [0, max_force] |
| `rates` | collective thrust [N], rates about the body's x, y, z [rad/s] |
| `velocity` | velocity ahead, left, up [m/s], yaw rate [rad/s] |
| `acceleration` | acceleration ahead, left, up [m/s^2], yaw rate [rad/s] |

Ahead and left are level, ahead being where the nose points. Normalised actions are in [-1, 1], -1
for the lower limit of an entry and 1 for the upper.

A bad action never reaches a rotor: the wrong shape, or anything but real numbers, is an error. An
action with an entry that is not finite is replaced whole by the still command (hover; no speed; no
acceleration), one with an entry out of range is clipped. Both are told in `info["fault"]`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from gymnasium import spaces
from jaxtyping import Float

from sim.arrays import real_numbers
from sim.env import controllers
from sim.env.config import EnvConfig
from sim.env.controllers import Numbers
from sim.env.errors import ActionError, ActionTypeError
from sim.state import State

FAULTS = ("", "out_of_range", "not_finite")
"""What can be wrong with an action of the right shape and type; the entries of `info["fault"]`."""

Controller: TypeAlias = Callable[[State, Numbers], Numbers]
"""Rotor forces [N] for the state of one body and a command in SI units."""


class Actions:
    """The actions of a configuration.

    Attributes:
        low: of each entry, SI units.
        high: of each entry, SI units.
        still: the command that takes the place of one that is not finite, SI units.
        space: of an action, normalised or not.
        controller: from state and command to rotor forces.
    """

    def __init__(self, config: EnvConfig) -> None:
        """Know limits, space and controller of `config`."""
        self.low, self.high, self.still = _limits(config)
        self.controller = controller_of(config)
        self._normalised = config.normalised
        ends = (self.low, self.high)
        if config.normalised:
            ends = (-np.ones(4), np.ones(4))
        self.space = spaces.Box(
            ends[0].astype(np.float32), ends[1].astype(np.float32), dtype=np.float32
        )
        # float32 bounds, compared in float64: what the space holds is never out of range.
        self._least, self._most = (
            np.asarray(end, np.float64) for end in (self.space.low, self.space.high)
        )

    def admit(
        self,
        action: object,
        shape: tuple[int, ...] = (4,),
    ) -> tuple[Float[np.ndarray, "*batch 4"], np.ndarray]:
        """The command of an action, finite and inside its limits whatever the action is.

        Args:
            action: one, or a batch of them.
            shape: that it must have.

        Returns:
            The command in SI units, and an index into `FAULTS` for each action of the batch.

        Raises:
            ActionTypeError: if it does not consist of real numbers.
            ActionError: if it has another shape.
        """
        try:
            given = real_numbers(action)
        except TypeError as error:
            raise ActionTypeError(f"action: {error}") from error
        if given.shape != shape:
            raise ActionError(f"action: expected shape {shape}, got {given.shape}")
        finite = np.asarray(np.isfinite(given).all(axis=-1))
        inside = ((given >= self._least) & (given <= self._most)).all(axis=-1)
        if self._normalised:
            share = (np.clip(np.where(np.isfinite(given), given, 0.0), -1, 1) + 1) / 2
            command = self.low + share * (self.high - self.low)
        else:
            command = np.where(np.isfinite(given), given, 0.0)
        command = np.where(finite[..., None], command, self.still)
        fault = np.where(finite, np.where(inside, 0, 1), 2)
        return np.clip(command, self.low, self.high), fault


def in_floats(state: State) -> State:
    """A state of one body in plain floats, as the controllers take it fastest."""
    return State(*(value.tolist() for value in vars(state).values()))


def controller_of(config: EnvConfig) -> Controller:
    """The controller of the configuration's kind of action."""
    airframe = config.airframe
    if config.action == "forces":
        return _forces
    if config.action == "rates":
        return partial(controllers.forces_of_rates, airframe)
    if config.action == "acceleration":
        return partial(controllers.forces_of_acceleration, airframe)
    return partial(controllers.forces_of_velocity, airframe, config.limits.acceleration)


def _forces(state: State, command: Numbers) -> Numbers:
    return command


def _limits(config: EnvConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper limit and still command, SI units."""
    airframe, limits = config.airframe, config.limits
    zero = np.zeros(4)
    if config.action == "forces":
        return zero, np.full(4, airframe.max_force), np.full(4, airframe.hover_force)
    if config.action == "rates":
        turn = [limits.body_rate, limits.body_rate, limits.yaw_rate]
        most = 4 * airframe.max_force
        still = np.array([4 * airframe.hover_force, 0.0, 0.0, 0.0])
        return np.array([0.0, *np.negative(turn)]), np.array([most, *turn]), still
    along = limits.speed if config.action == "velocity" else limits.acceleration
    high = np.array([along, along, along, limits.yaw_rate])
    return -high, high, zero
