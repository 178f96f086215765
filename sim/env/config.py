"""What an environment can be told: the keyword arguments of `gymnasium.make`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args, no_type_check

from sim.airframe import CF2X, Airframe
from sim.battery import PhysicsError
from sim.env.errors import EnvError
from sim.env.limits import CommandLimits, is_number
from sim.env.reward import Reward
from sim.families import TRAINING_FAMILIES, FamilyError
from sim.families.registry import family_named, generate
from sim.fields import LARGEST
from sim.mission import DEVELOPMENT_SEEDS, TRAINING_SEEDS
from sim.physics import PLAIN, Physics
from sim.sensors import CALM, Disturbance, RayPattern
from sim.twin import PHYSICS_HZ
from sim.world import World

EngineKind: TypeAlias = Literal["pybullet", "twin"]
ActionKind: TypeAlias = Literal["forces", "rates", "velocity", "acceleration"]
ObservationKind: TypeAlias = Literal["dict", "flat"]

SIMPLE = ("wind", "mass_error", "range_noise", "drop")
"""What of a disturbance every kind of environment knows."""

RAYS = RayPattern(((0.0, 16), (30.0, 8), (-30.0, 8)))
"""A level ring of 16 rays, and rings of 8 looking up and down by 30 degrees; 8 m far."""


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class EnvConfig:
    """Everything that an environment depends on.

    Attributes:
        family: of the worlds, one of `sim.FAMILIES`.
        world: one world instead of a family's. Every seed gives this one; `seeds` are then those
            of the disturbance, only one by default.
        engine: `pybullet`, or `twin` (needs no PyBullet, but feels no contact: it reports it).
        action: what an action commands; see `sim.env.actions`.
        normalised: actions are in [-1, 1], from the lower to the upper limit of each entry; else
            they are in SI units.
        observation: `dict`, or `flat`: the same numbers in one vector.
        rays: fixed to the body.
        control_hz: control steps a second [Hz], a divisor of 240.
        seeds: first seed of the worlds, and the one after the last; by default those for training,
            or (families that are never trained on) those for development.
        speed: set speed of the worlds [m/s], which decides their time limit; None: their own.
        density: multiplies the number of obstacles; None: 1.
        disturbance: how reality differs from the ideal.
        physics: what there is besides rigid-body motion; many drones in one world have none.
        airframe: what flies.
        limits: of the commands that are not forces.
        reward: its weights.
    """

    family: str = "forest"
    world: World | None = None
    engine: EngineKind = "pybullet"
    action: ActionKind = "velocity"
    normalised: bool = True
    observation: ObservationKind = "dict"
    rays: RayPattern = RAYS
    control_hz: int = 48
    seeds: tuple[int, int] | None = None
    speed: float | None = None
    density: float | None = None
    disturbance: Disturbance = CALM
    physics: Physics = PLAIN
    airframe: Airframe = CF2X
    limits: CommandLimits = CommandLimits()
    reward: Reward = Reward()

    def __post_init__(self) -> None:
        """Refuse what no environment can be made of.

        Raises:
            EnvError: naming the field, what it must be and what it was.
        """
        _require_one_of("engine", self.engine, EngineKind)
        _require_one_of("action", self.action, ActionKind)
        _require_one_of("observation", self.observation, ObservationKind)
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                wanted = getattr(kind, "__name__", str(kind))
                raise EnvError(f"{name}: expected a {wanted}, got {getattr(self, name)!r}")
        hz = self.control_hz
        if isinstance(hz, bool) or not isinstance(hz, int) or hz < 1 or PHYSICS_HZ % hz:
            raise EnvError(f"control_hz: expected a divisor of {PHYSICS_HZ}, got {hz!r}")
        for name, most in (("speed", LARGEST), ("density", 10.0)):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and 0 <= value <= most):
                raise EnvError(f"{name}: expected a number in [0, {most:g}], got {value!r}")
        self._check_seeds()
        try:
            self.physics.check(self.airframe)
        except PhysicsError as error:
            raise EnvError(f"physics.{error}") from error

    @property
    def ticks(self) -> int:
        """Physics steps in a control step."""
        return PHYSICS_HZ // self.control_hz

    @property
    def span(self) -> tuple[int, int]:
        """First seed of the worlds, and the one after the last."""
        if self.seeds is not None:
            return self.seeds
        if self.world is not None:
            return 0, 1
        held_out = self.family not in TRAINING_FAMILIES
        seeds = DEVELOPMENT_SEEDS if held_out else TRAINING_SEEDS
        return seeds.start, seeds.stop

    def compiled(self) -> EnvConfig:
        """The same, but for what a compiled step does not depend on: others may share it."""
        kept = (
            *("engine", "action", "rays", "control_hz"),
            *("disturbance", "physics", "airframe", "limits"),
        )
        return EnvConfig(**{name: getattr(self, name) for name in kept})

    def require_simple_disturbance(self) -> None:
        """Refuse what only single environments simulate.

        Raises:
            EnvError: naming the part of the disturbance.
        """
        for name, value in vars(self.disturbance).items():
            if name not in SIMPLE and value != getattr(CALM, name):
                raise EnvError(f"disturbance.{name}: expected none here, got {value!r}")

    def require_plain_physics(self) -> None:
        """Refuse what drones that share a world do not have.

        Raises:
            EnvError: there is more than rigid-body motion.
        """
        if not self.physics.plain:
            raise EnvError(f"physics: expected none here, got {self.physics!r}")

    def world_seed(self, seed: int) -> int:
        """The world's seed of an environment's seed: `first + seed % (number of seeds)`."""
        first, end = self.span
        return first + seed % (end - first)

    def world_of(self, world_seed: int) -> World:
        """The world of a seed of a world."""
        if self.world is not None:
            return self.world
        return _generated(self.family, world_seed, self.speed, self.density)

    def _check_seeds(self) -> None:
        try:
            family_named(self.family)
        except (FamilyError, TypeError) as error:
            raise EnvError(str(error)) from error
        if self.seeds is not None and not (
            isinstance(self.seeds, tuple)
            and len(self.seeds) == 2
            and all(isinstance(end, int) and not isinstance(end, bool) for end in self.seeds)
            and 0 <= self.seeds[0] < self.seeds[1]
        ):
            raise EnvError(f"seeds: expected (first, one after the last), got {self.seeds!r}")


@lru_cache(maxsize=1024)
def _generated(family: str, seed: int, speed: float | None, density: float | None) -> World:
    """A world of a family; a small span of seeds is generated once."""
    return generate(family, seed, speed, density)


_KINDS = {
    "world": World | None,
    "normalised": bool,
    "rays": RayPattern,
    "disturbance": Disturbance,
    "physics": Physics,
    "airframe": Airframe,
    "limits": CommandLimits,
    "reward": Reward,
}


def config_of(**options: Any) -> EnvConfig:  # noqa: ANN401 - checked one by one
    """The configuration of keyword arguments.

    Raises:
        EnvError: for a name that nobody knows, or a value that is not right.
    """
    known = [field.name for field in dataclasses.fields(EnvConfig)]
    for name in options:
        if name not in known:
            raise EnvError(f"{name}: expected one of the options {', '.join(known)}")
    return EnvConfig(**options)


def _require_one_of(name: str, value: object, kind: Any) -> None:  # noqa: ANN401 - a Literal
    if not isinstance(value, str) or value not in get_args(kind):
        raise EnvError(f"{name}: expected one of {', '.join(get_args(kind))}, got {value!r}")
