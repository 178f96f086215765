"""Options of flights that are not ideal: those of `sim.Disturbance` and `sim.Physics`.

Said again here, with a line of help each: the command's help must not wait for the import of `sim`.
A test keeps them in step.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lnn_nav.commands.shell import fields

if TYPE_CHECKING:
    from sim.physics import Physics
    from sim.sensors import Disturbance


@dataclass(frozen=True)
class DisturbanceOptions:
    """How reality differs from the ideal; all of it is drawn from the mission's seed."""

    wind: float = 0.0
    """Speed of the air [m/s], its direction drawn from the seed."""
    mass_error: float = 0.0
    """The true mass is off by this fraction, its sign drawn from the seed."""
    range_noise: float = 0.0
    """Standard deviation of a range, as a fraction of it."""
    drop: float = 0.0
    """Fraction of the rays' returns that are lost."""
    jitter: float = 0.0
    """Standard deviation of the time between two sights [s]."""
    delay: float = 0.0
    """Age of a sight when the pilot gets it [s]."""
    gust: float = 0.0
    """Dryden gusts, as strong as with a wind of this speed at 6 m [m/s]."""
    sway: float = 0.0
    """Standard deviation of a wind that is a moving average of white noise [m/s]."""
    inertia_error: float = 0.0
    """The true inertia is off by this fraction more, its sign drawn from the seed."""
    start_offset: float = 0.0
    """The start is off by up to this distance, where that is clear [m]."""
    start_speed: float = 0.0
    """The start is at up to this speed [m/s]."""
    start_tilt: float = 0.0
    """The start is turned by up to this angle [rad]."""
    range_bias: float = 0.0
    """Standard deviation of a constant error of each ray [m]."""
    range_walk: float = 0.0
    """Growth of each ray's error that walks at random [m/sqrt(s)]."""
    range_step: float = 0.0
    """Ranges come in whole multiples of this [m]."""
    blind: float = 0.0
    """Width of a sector of azimuth without any returns [rad]."""
    position_noise: float = 0.0
    """Standard deviation of each axis of the estimated position [m]."""
    position_bias: float = 0.0
    """Standard deviation of a constant error of each axis of it [m]."""
    velocity_noise: float = 0.0
    """Standard deviation of each axis of the estimated velocity [m/s]."""
    attitude_noise: float = 0.0
    """Standard deviation of the estimated attitude about each axis [rad]."""
    spin_noise: float = 0.0
    """Standard deviation of each axis of the estimated angular velocity [rad/s]."""

    def disturbance(self) -> Disturbance:
        """What `sim` calls it.

        Raises:
            InputError: naming the option that is not right.
        """
        from sim.sensors import Disturbance

        with fields():
            return Disturbance(**dataclasses.asdict(self))


@dataclass(frozen=True)
class PhysicsOptions:
    """What there is besides rigid-body motion; a drone is alone, so that there is no downwash."""

    drag: bool = False
    """Drag of the spinning rotors."""
    ground_effect: bool = False
    """More force near the ground."""
    motor_lag: float = 0.0
    """Time constant of the rotors' speed behind its set value [s]."""
    motor_delay: int = 0
    """Physics ticks of 1/240 s from a command to the speed controller's answer."""
    wear: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Force of each rotor over that of a new one at the same speed."""
    battery: float | None = None
    """A battery that sags, this fraction of its charge used at the start; none if not given."""

    def physics(self) -> Physics:
        """What `sim` calls it.

        Raises:
            InputError: naming the option that is not right.
        """
        from sim.battery import Battery
        from sim.physics import Physics
        from sim.rotors import Rotors

        with fields(
            delay="--motor-delay",
            time_constant="--motor-lag",
            efficiency="--wear",
            used="--battery",
        ):
            battery = None if self.battery is None else Battery(used=self.battery)
            rotors = Rotors(self.motor_delay, self.motor_lag, self.wear, battery)
            return Physics(self.drag, self.ground_effect, rotors=rotors)
