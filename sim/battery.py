"""A battery that sags: the more charge is used and the more power is drawn, the less force."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float

from sim.airframe import Airframe
from sim.arrays import AnyArray, namespace

_RADIANS_A_SECOND = 2 * math.pi / 60
_SECONDS_AN_HOUR = 3600.0


class PhysicsError(ValueError):
    """An option of the physics is impossible, or the airframe lacks a number that it needs."""


@dataclass(frozen=True)
class Battery:
    """A battery as a source of voltage behind a resistance; defaults: one small LiPo cell.

    Attributes:
        capacity: [A h].
        open_circuit: voltage without load [V] over the fraction of the capacity used: pairs
            (used, volts) from (0, full) to (1, empty), linear in between.
        resistance: of cells and wires [ohm].
        drive_efficiency: power at the rotors' shafts over power from the battery.
        used: fraction of the capacity already used at the start.
    """

    capacity: float = 0.25
    open_circuit: tuple[tuple[float, float], ...] = (
        (0.0, 4.20),
        (0.1, 4.11),
        (0.3, 3.95),
        (0.5, 3.84),
        (0.8, 3.73),
        (0.9, 3.69),
        (0.95, 3.61),
        (1.0, 3.27),
    )
    resistance: float = 0.1
    drive_efficiency: float = 1.0
    used: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no battery is.

        Raises:
            PhysicsError: naming the field.
        """
        if not (math.isfinite(self.capacity) and self.capacity > 0):
            raise PhysicsError(f"capacity: expected a positive number, got {self.capacity!r}")
        if not (math.isfinite(self.resistance) and self.resistance >= 0):
            raise PhysicsError(f"resistance: expected a number >= 0, got {self.resistance!r}")
        if not 0 < self.drive_efficiency <= 1:
            raise PhysicsError(
                f"drive_efficiency: expected a number in (0, 1], got {self.drive_efficiency!r}"
            )
        if not 0 <= self.used <= 1:
            raise PhysicsError(f"used: expected a fraction in [0, 1], got {self.used!r}")
        used = [pair[0] for pair in self.open_circuit]
        volts = [pair[1] for pair in self.open_circuit]
        rising = all(a < b for a, b in zip(used, used[1:], strict=False))
        falling = all(a >= b for a, b in zip(volts, volts[1:], strict=False))
        if not (used and used[0] == 0 and used[-1] == 1 and rising and falling and volts[-1] > 0):
            raise PhysicsError(
                "open_circuit: expected falling positive voltages from used 0 to used 1, "
                f"got {self.open_circuit!r}"
            )


def shaft_power(
    airframe: Airframe, speeds: Float[AnyArray, "*batch 4"]
) -> Float[AnyArray, "*batch"]:
    """Power at the shafts [W] of rotors at `speeds` [rpm]: torque times angular speed."""
    cubes = speeds * speeds * speeds
    total = cubes[..., 0] + cubes[..., 1] + cubes[..., 2] + cubes[..., 3]
    return namespace(speeds).asarray(airframe.torque_coefficient * _RADIANS_A_SECOND * total)


def drawn(
    battery: Battery,
    used: Float[AnyArray, "*#batch"],
    power: Float[AnyArray, "*#batch"],
    dt: float | Float[AnyArray, ""],
) -> tuple[Float[AnyArray, "*batch"], Float[AnyArray, "*batch"]]:
    """Voltage under load [V], and the fraction used after `dt` [s] at this shaft power [W].

    The voltage solves V = E - R P / V for the power P from the battery; where no voltage gives so
    much power, it is that of the most power, E / 2.
    """
    xp = namespace(used, power)
    grid, volts = (
        xp.asarray(column, dtype=power.dtype) for column in zip(*battery.open_circuit, strict=True)
    )
    source = xp.asarray(xp.interp(used, grid, volts), dtype=power.dtype)
    draw = power / battery.drive_efficiency
    square = source * source - 4 * battery.resistance * draw
    possible = square > 0
    root = xp.sqrt(xp.where(possible, square, xp.ones_like(square)))
    voltage = 0.5 * (source + xp.where(possible, root, xp.zeros_like(root)))
    spent = draw / voltage * (dt / (_SECONDS_AN_HOUR * battery.capacity))
    return xp.asarray(voltage), xp.asarray(xp.minimum(used + spent, xp.ones_like(used)))


def force_fraction(
    battery: Battery, used: Float[AnyArray, "*#batch"], voltage: Float[AnyArray, "*#batch"]
) -> Float[AnyArray, "*batch"]:
    """Most force of a rotor over that of a full battery without load.

    Speed goes with voltage and force with its square; an empty battery turns nothing.
    """
    xp = namespace(used, voltage)
    ratio = voltage / battery.open_circuit[0][1]
    return xp.asarray(xp.where(used < 1, ratio * ratio, xp.zeros_like(ratio)))
