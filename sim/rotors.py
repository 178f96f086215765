"""What happens between a commanded rotor force and the one that acts: delay, sag, lag, wear.

Off by default. Pure functions of numpy arrays or jax arrays, so that both engines share them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Float

from sim.airframe import Airframe
from sim.arrays import AnyArray, namespace
from sim.battery import Battery, PhysicsError, drawn, force_fraction, shaft_power


@dataclass(frozen=True)
class Rotors:
    """How rotors differ from ones that give every commanded force at once.

    Attributes:
        delay: physics ticks from a command to the speed controller's answer.
        time_constant: of the rotors' speed behind its set value, first order [s]; 0: none.
        efficiency: force of each rotor over that of a new one at the same speed.
        battery: bounds the force; None: never sags.
        start: force of each rotor at the start over the one that hovers.
    """

    delay: int = 0
    time_constant: float = 0.0
    efficiency: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    battery: Battery | None = None
    start: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no rotor does.

        Raises:
            PhysicsError: naming the field.
        """
        if not isinstance(self.delay, int) or not 0 <= self.delay <= 240:
            raise PhysicsError(f"delay: expected 0 to 240 whole ticks, got {self.delay!r}")
        for name in ("time_constant", "start"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise PhysicsError(f"{name}: expected a number >= 0, got {value!r}")
        if len(self.efficiency) != 4 or not all(0 < value <= 1 for value in self.efficiency):
            raise PhysicsError(f"efficiency: expected 4 numbers in (0, 1], got {self.efficiency!r}")

    @property
    def perfect(self) -> bool:
        """Whether every command acts at once, as given."""
        new = all(value == 1 for value in self.efficiency)
        return self.delay == 0 and self.time_constant == 0 and new and self.battery is None


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class RotorState:
    """What rotors remember from tick to tick.

    Attributes:
        speeds: of the last tick [rpm], `[*batch, 4]`.
        queue: commands under way [N], the oldest first, `[*batch, delay, 4]`.
        used: fraction of the battery's capacity used, `[*batch]`.
    """

    speeds: Float[AnyArray, "*batch 4"]
    queue: Float[AnyArray, "*batch delay 4"]
    used: Float[AnyArray, "*batch"]


def start_rotors(
    airframe: Airframe,
    rotors: Rotors,
    batch: tuple[int, ...] = (),
    dtype: DTypeLike = np.float64,
) -> RotorState:
    """Rotors of `batch` bodies at the start: at the force of `rotors.start`, as if for long."""
    force = min(rotors.start * airframe.hover_force, airframe.max_force)
    held = np.full((*batch, 4), force, dtype)
    queue = np.full((*batch, rotors.delay, 4), force, dtype)
    used = 0.0 if rotors.battery is None else rotors.battery.used
    return RotorState(airframe.rotor_speed(held), queue, np.full(batch, used, dtype))


def turn_rotors(
    airframe: Airframe,
    rotors: Rotors,
    state: RotorState,
    commands: Float[AnyArray, "*#batch 4"],
    dt: float | Float[AnyArray, ""],
) -> tuple[RotorState, Float[AnyArray, "*batch 4"]]:
    """One tick of the rotors.

    Args:
        airframe: whose rotors.
        rotors: how they differ from perfect ones.
        state: their memory.
        commands: commanded forces [N], in [0, `airframe.max_force`].
        dt: length of the tick [s].

    Returns:
        The memory after the tick, and the forces [N] that act during it, in the same range;
        exactly the commands where the rotors are perfect.
    """
    xp = namespace(state.speeds, commands)
    forces, queue, used = commands, state.queue, state.used
    if rotors.delay:
        late = xp.broadcast_to(commands, state.speeds.shape)[..., None, :]
        line = xp.concatenate([queue, late], axis=-2)
        forces, queue = line[..., 0, :], line[..., 1:, :]
    if rotors.battery is not None:
        voltage, used = drawn(rotors.battery, used, shaft_power(airframe, state.speeds), dt)
        most = airframe.max_force * force_fraction(rotors.battery, used, voltage)
        forces = xp.minimum(forces, most[..., None])
    speeds = _speed(airframe, forces)
    if rotors.time_constant > 0:
        fade = xp.exp(xp.asarray(-dt / rotors.time_constant, dtype=speeds.dtype))
        speeds = speeds + fade * (state.speeds - speeds)
        forces = airframe.rotor_force(speeds)
    if any(value != 1 for value in rotors.efficiency):
        forces = np.asarray(rotors.efficiency, forces.dtype) * forces
    if not rotors.perfect:
        forces = xp.clip(forces, 0.0, airframe.max_force)
    return RotorState(speeds, queue, used), forces


def _speed(airframe: Airframe, forces: Float[AnyArray, "*batch 4"]) -> Float[AnyArray, "*batch 4"]:
    """Speed [rpm] for a force, with a zero gradient (not an infinite one) at zero force."""
    xp = namespace(forces)
    turns = forces > 0
    speeds = airframe.rotor_speed(xp.where(turns, forces, xp.ones_like(forces)))
    return xp.where(turns, speeds, xp.zeros_like(forces))
