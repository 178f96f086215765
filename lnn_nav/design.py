"""The design of a pilot: every number of it that is not trained. Stored with its weights."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lnn_nav.control import AttitudeGains
from lnn_nav.detour import DetourShape
from lnn_nav.policy import PolicyShape
from lnn_nav.safety import SafetyShape
from lnn_nav.scan import ScanShape
from sim.airframe import CF2X, Airframe
from sim.sensors import RayPattern

POLICY_RINGS = ((0.0, 72), (-22.0, 36), (22.0, 36))
"""What the policy sees: three rings all around."""

BARRIER_RINGS = (
    (-11.0, 52),
    (11.0, 52),
    (-36.0, 40),
    (36.0, 40),
    (-51.0, 30),
    (51.0, 30),
    (-68.0, 18),
    (68.0, 18),
    (-86.0, 6),
    (86.0, 6),
)
"""What only the barrier sees besides: every other direction."""

AIRFRAMES = {CF2X.name: CF2X}


class DesignError(ValueError):
    """A design that cannot be: the message names the field."""


@dataclass(frozen=True)
class Design:
    """Rates, rays, sizes and limits of a pilot.

    Attributes:
        airframe_name: what it flies.
        sight_rate: thoughts a second [Hz].
        rings: rays as (elevation [deg], count); the policy's own come first.
        max_range: of the rays [m].
        policy: size and scaling of the network.
        attitude: gains of the attitude loop.
        safety: what the barriers count on.
        detour: when the pilot asks for a way round.
        sights: how many sights are remembered.
        patches: how many patches of directions offer a ball to the barrier.
        gap_share: see `ScanShape`.
        range_noise: declared noise of the rays, see `ScanShape`.
    """

    airframe_name: str = CF2X.name
    sight_rate: float = 24.0
    rings: tuple[tuple[float, int], ...] = POLICY_RINGS + BARRIER_RINGS
    max_range: float = 8.0
    policy: PolicyShape = PolicyShape()
    attitude: AttitudeGains = AttitudeGains()
    safety: SafetyShape = SafetyShape()
    detour: DetourShape = DetourShape()
    sights: int = 6
    patches: int = 64
    gap_share: float = 0.75
    range_noise: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a design that cannot fly.

        Raises:
            DesignError: naming the field.
        """
        if self.airframe_name not in AIRFRAMES:
            known = ", ".join(AIRFRAMES)
            raise DesignError(f"airframe_name: expected one of {known}, got {self.airframe_name!r}")
        if not 1 <= self.sight_rate <= 240:
            raise DesignError(f"sight_rate: expected 1 to 240 Hz, got {self.sight_rate}")
        if sum(count for _, count in self.rings) < self.policy.rays:
            raise DesignError(f"rings: expected at least {self.policy.rays} rays for the policy")
        for name in ("max_range", "sights", "patches", "gap_share"):
            _positive(name, getattr(self, name))
        _least("range_noise", self.range_noise, 0)
        _check_safety(self.safety, self.attitude, self.airframe)

    @property
    def airframe(self) -> Airframe:
        """What it flies."""
        return AIRFRAMES[self.airframe_name]

    @cached_property
    def rays(self) -> RayPattern:
        """All rays."""
        return RayPattern(self.rings, self.max_range)

    @cached_property
    def scan(self) -> ScanShape:
        """What is remembered of them."""
        return ScanShape(
            self.rays,
            sights=self.sights,
            patches=self.patches,
            gap_share=self.gap_share,
            range_noise=self.range_noise,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, data: object) -> Design:
        """The inverse of `to_dict`.

        Raises:
            DesignError: for a missing or unknown key, or a value of the wrong type.
        """
        return _build(cls, data, "design")


def _check_safety(safety: SafetyShape, attitude: AttitudeGains, airframe: Airframe) -> None:
    """Refuse sets that do not nest: brake ball in acceleration box in thrust set, tilt included.

    Raises:
        DesignError: naming the field.
    """
    for kind, part in (("safety", safety), ("attitude", attitude)):
        for name, value in vars(part).items():
            for number in value if isinstance(value, tuple) else [value]:
                if isinstance(number, float | int) and name not in ("declared_wind", "stretch"):
                    _positive(f"{kind}.{name}", number)
    _least("safety.declared_wind", safety.declared_wind, 0)
    _least("safety.stretch", safety.stretch, 0)
    x, y, z = safety.box
    gravity = airframe.gravity
    _least("safety.brake", safety.brake, math.nextafter(safety.declared_wind, math.inf))
    _most("safety.brake", safety.brake, min(safety.box))
    _most("safety.box", z, (1 - attitude.min_vertical) * gravity)
    thrust = attitude.max_thrust * airframe.thrust_to_weight * gravity
    _most("safety.box", math.hypot(x, y, gravity + z), thrust)
    _least("safety.max_tilt", safety.max_tilt, math.atan2(math.hypot(x, y), gravity - z))


def _positive(field: str, value: float | int) -> None:
    if not 0 < value < math.inf:
        raise DesignError(f"{field}: expected a positive finite number, got {value}")


def _least(field: str, value: float | int, least: float | int) -> None:
    if not least <= value < math.inf:
        raise DesignError(f"{field}: expected at least {least:.6g}, got {value}")


def _most(field: str, value: float | int, most: float | int) -> None:
    if not value <= most:
        raise DesignError(f"{field}: expected at most {most:.6g}, got {value}")


def _build(kind: Any, data: object, where: str) -> Any:  # noqa: ANN401 - any dataclass
    """A dataclass from plain data, every key and type checked."""
    if not isinstance(data, dict):
        raise DesignError(f"{where}: expected an object, got {type(data).__name__}")
    hints = typing.get_type_hints(kind)
    names = {item.name for item in dataclasses.fields(kind)}
    for key in data.keys() ^ names:
        state = "unknown" if key in data else "missing"
        raise DesignError(f"{where}.{key}: {state} key")
    values = {name: _value(hints[name], data[name], f"{where}.{name}") for name in names}
    try:
        return kind(**values)
    except DesignError:
        raise
    except (TypeError, ValueError) as error:
        raise DesignError(f"{where}: {error}") from error


def _value(hint: Any, value: object, where: str) -> Any:  # noqa: ANN401 - any hint
    """One field's value from plain data."""
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise DesignError(f"{where}: expected a list, got {value!r}")
        parts = typing.get_args(hint)
        parts = (parts[0],) * len(value) if parts[-1] is Ellipsis else parts
        if len(parts) != len(value):
            raise DesignError(f"{where}: expected {len(parts)} values, got {len(value)}")
        pairs = zip(parts, value, strict=True)
        return tuple(_value(part, item, f"{where}[{i}]") for i, (part, item) in enumerate(pairs))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise DesignError(f"{where}: expected {hint.__name__}, got {value!r}")
