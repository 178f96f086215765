"""Engines: what moves a drone through a world, one physics tick at a time.

Two of them share one interface: `sim.bullet.BulletEngine` on PyBullet, and `TwinEngine` here on
the jax twin. Both count crossed limits at the same door, feel the same wind and the same mass
error, and collide the same sphere with the same solids.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from sim import twin
from sim.airframe import Airframe
from sim.arrays import real_numbers
from sim.closing import Closing
from sim.physics import PLAIN, Physics
from sim.scene import Counts, Scene, scene_of, ticks_in
from sim.state import AnyArray, State, at_rest, normalise
from sim.tick import one_tick
from sim.twin import TwinState
from sim.world import World

# Without shapes and dtypes, which engines check themselves: their errors name the field.
Forces: TypeAlias = Sequence[float] | AnyArray
"""Of the four rotors [N], `[4]`."""
Wind: TypeAlias = Sequence[float] | AnyArray
"""Velocity of the air [m/s], world frame, `[3]`."""
Others: TypeAlias = Sequence[Sequence[float]] | AnyArray
"""Positions of other drones [m], world frame, `[n, 3]`."""

_FLOATS = [float] * 3


class EngineError(RuntimeError):
    """The engine can no longer step: it was closed, or its physics server is gone."""


class EngineInputError(ValueError):
    """What an engine was given is no state, force or wind; the message names the field."""


class EngineTypeError(EngineInputError, TypeError):
    """What an engine was given does not consist of real numbers (complex, objects, text)."""


@runtime_checkable
class Engine(Protocol):
    """Moves one drone through one world."""

    airframe: Airframe
    world: World
    door: Door

    def reset(self, state: State | None = None) -> State:
        """Place the drone: at `state`, or (None) at rest at the world's start.

        A flight begins: obstacles that move stand where they start.
        """
        ...

    def step(
        self,
        forces: Forces,
        wind: Wind | None = None,
        others: Others | None = None,
        ticks: int = 1,
    ) -> tuple[State, bool]:
        """Ticks of 1 / `PHYSICS_HZ` under rotor forces [N] in air that moves at `wind` [m/s].

        Args:
            forces: commanded to the rotors.
            wind: in these ticks; None: the engine's own.
            others: positions of the other drones [m], whose downwash is felt if there is any.
            ticks: how many; in one call they cost less.

        Returns:
            The state after them (numpy, float64), and whether the drone touched a solid after any.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds. Closing twice is fine."""
        ...

    def __enter__(self) -> Engine:
        """The engine itself, to be closed at the end of the block."""
        ...

    def __exit__(self, *details: object) -> None:
        """Close the engine."""
        ...


@dataclass
class Door:
    """Where forces enter an engine: limits are counted here, so they mean something to any pilot.

    Attributes:
        airframe: whose limits are kept.
        limit_violations: ticks with anything out of range.
        force_violations: ticks with a rotor force outside [0, max_force], or not finite.
        torque_violations: ticks with a torque beyond the most that the rotors can give.
        nonfinite: ticks with a force that is not finite.
    """

    airframe: Airframe
    limit_violations: int = 0
    force_violations: int = 0
    torque_violations: int = 0
    nonfinite: int = 0

    def __post_init__(self) -> None:
        """Keep plain floats at hand: this runs at every tick."""
        self._most = self.airframe.max_force
        self._rows = [[float(value) for value in row] for row in self.airframe.mixer[1:]]
        self._torques = [float(value) * (1 + 1e-12) for value in self.airframe.max_torque]

    def admit(self, forces: Forces, ticks: int = 1) -> list[float]:
        """Count what is out of range and return what real rotors would do instead.

        Args:
            forces: of the four rotors [N].
            ticks: for how many.

        Returns:
            The forces clipped to [0, max_force]; 0 for those that are not finite.

        Raises:
            EngineInputError: if they are not four numbers.
        """
        given = forces if isinstance(forces, list | tuple) else ()
        if isinstance(forces, np.ndarray) and forces.dtype.kind == "f":
            given = forces.tolist()
        try:
            a, b, c, d = given
            # What is no four plain floats is looked at more closely: this runs at every tick.
            plain = type(a + b + c + d) is float
        except (TypeError, ValueError):
            plain = False
        if not plain:
            a, b, c, d = given = numbers_of("forces", forces, "[N]", 4).tolist()
        most = self._most
        # Written so that nan fails it. Forces in range cannot give a torque out of range.
        if 0.0 <= a <= most and 0.0 <= b <= most and 0.0 <= c <= most and 0.0 <= d <= most:
            return [a, b, c, d]
        self.limit_violations += ticks
        self.force_violations += ticks
        finite = [force if math.isfinite(force) else 0.0 for force in given]
        self.nonfinite += ticks * (finite != [a, b, c, d])
        for row, limit in zip(self._rows, self._torques, strict=True):
            if abs(sum(map(operator.mul, row, finite))) > limit:
                self.torque_violations += ticks
                break
        return [min(max(force, 0.0), most) for force in finite]

    def clear(self) -> None:
        """Count from zero again."""
        self.limit_violations = self.force_violations = 0
        self.torque_violations = self.nonfinite = 0


class TwinEngine(Closing):
    """The jax twin as an engine. It feels no contact, it reports it: solids do not stop it.

    Computes in float64 where jax has it enabled, else in float32.
    """

    def __init__(
        self,
        airframe: Airframe,
        world: World,
        *,
        mass_scale: float = 1.0,
        wind: Wind = (0.0, 0.0, 0.0),
        pad: Counts | None = None,
        physics: Physics = PLAIN,
    ) -> None:
        """Place `airframe` at the start of `world`.

        Args:
            airframe: what flies.
            world: where.
            mass_scale: true mass and inertia over the airframe's.
            wind: velocity of the air [m/s], world frame, unless `step` is told otherwise.
            pad: entries of each kind of obstacle; see `scene_of`.
            physics: what there is besides rigid-body motion.

        Raises:
            EngineInputError: naming the argument that is not right.
            PhysicsError: the airframe lacks what the physics needs.
            WorldError: `pad` is too small.
        """
        physics.check(airframe)
        self.airframe, self.world, self.door = airframe, world, Door(airframe)
        self.wind, self.physics = wind_of(wind), physics
        self._mass_scale = mass_scale_of(mass_scale)
        self._dtype = jax.dtypes.canonicalize_dtype(np.float64)
        self._scene = scene_of(world, pad, self._dtype)
        self._twin: TwinState | None = None
        self._ticks = 0
        self.reset()

    def reset(self, state: State | None = None) -> State:
        """Place the drone: at `state`, or (None) at rest at the world's start; counts restart.

        Raises:
            EngineInputError: if the state is not that of one body, or not finite.
        """
        self.door.clear()
        self._ticks = 0
        placed = start_of(self.world, state)
        rotors = self.physics.start(self.airframe, dtype=self._dtype)
        self._twin = twin.start(placed.as_jax(self._dtype), jax.tree.map(jnp.asarray, rotors))
        return placed

    def step(
        self,
        forces: Forces,
        wind: Wind | None = None,
        others: Others | None = None,
        ticks: int = 1,
    ) -> tuple[State, bool]:
        """One command, for some ticks; see `Engine.step`.

        Raises:
            EngineError: the engine was closed.
            EngineInputError: forces, wind, others or ticks are not numbers of the right count.
        """
        if self._twin is None:
            raise EngineError("engine: expected an open one, got one that was closed")
        ticks, contact = ticks_of(ticks), False
        admitted = np.array(self.door.admit(forces, ticks), self._dtype)
        air = np.array(self.wind if wind is None else wind_of(wind), self._dtype)
        near = None if others is None else others_of(others).astype(self._dtype)
        for _ in range(ticks):
            self._twin, distance = _advance(
                self.airframe,
                self.physics,
                self._scene,
                self._twin,
                admitted,
                air,
                self._mass_scale,
                near,
                ticks_in(self._scene, self._ticks),
            )
            self._ticks += 1
            contact = contact or bool(distance < self.airframe.collision_radius)
        return jax.tree.map(lambda leaf: np.array(leaf, np.float64), self._twin.body), contact

    def close(self) -> None:
        """Forget the flight; stepping fails from now on."""
        self._twin = None


def start_of(world: World, state: State | None = None) -> State:
    """Where a flight of `world` begins: at `state`, or (None) at rest, level, at the start yaw.

    Raises:
        EngineInputError: naming the field that is not right.
    """
    if state is not None:
        return state_of(state)
    return at_rest(np.array(world.start_position, np.float64), world.start_yaw)


def state_of(state: State) -> State:
    """The state of one body as finite float64 numpy arrays, its quaternion normalised.

    Raises:
        EngineInputError: naming the field that is not right.
    """
    sizes = {"position": 3, "velocity": 3, "quaternion": 4, "angular_velocity": 3}
    fields = {}
    for name, size in sizes.items():
        fields[name] = value = numbers_of(name, getattr(state, name), count=size)
        if not np.isfinite(value).all():
            raise EngineInputError(f"{name}: expected {size} finite numbers, got {value!r}")
    plain = State(**fields)
    if not plain.quaternion.any():
        raise EngineInputError("quaternion: expected one that is not zero, got zeros")
    return replace(plain, quaternion=normalise(plain.quaternion))


def wind_of(wind: Wind) -> tuple[float, float, float]:
    """A wind as three plain floats [m/s].

    Raises:
        EngineInputError: if it is not three finite numbers.
    """
    if not isinstance(wind, tuple) or list(map(type, wind)) != _FLOATS:
        wind = numbers_of("wind", wind, "[m/s]", 3).tolist()
    x, y, z = wind
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise EngineInputError(f"wind: expected 3 finite numbers [m/s], got {wind!r}")
    return x, y, z


def ticks_of(ticks: int) -> int:
    """A number of ticks.

    Raises:
        EngineInputError: if it is not a whole one above zero.
    """
    if type(ticks) is int and ticks > 0:
        return ticks
    if isinstance(ticks, bool) or not isinstance(ticks, int | np.integer) or ticks < 1:
        raise EngineInputError(f"ticks: expected a whole number of 1 or more, got {ticks!r}")
    return int(ticks)


def others_of(others: Others) -> Float[np.ndarray, "n 3"]:
    """Positions of other drones as an array [m].

    Raises:
        EngineInputError: if they are not finite rows of three.
    """
    rows = numbers_of("others", others, "[m]")
    rows = rows.reshape(0, 3) if rows.size == 0 else rows
    if rows.ndim != 2 or rows.shape[1] != 3 or not np.isfinite(rows).all():
        raise EngineInputError(f"others: expected rows of 3 finite numbers [m], got {others!r}")
    return rows


def mass_scale_of(mass_scale: float) -> float:
    """A positive factor.

    Raises:
        EngineInputError: if it is not.
    """
    scale = float(numbers_of("mass_scale", mass_scale))
    if not (math.isfinite(scale) and scale > 0):
        raise EngineInputError(f"mass_scale: expected a positive number, got {mass_scale!r}")
    return scale


def numbers_of(
    field: str, given: object, unit: str = "", count: int | None = None
) -> Float[np.ndarray, "..."]:
    """What was given for a field as float64.

    Raises:
        EngineTypeError: it does not consist of real numbers.
        EngineInputError: it is not a row of `count` of them.
    """
    try:
        numbers = real_numbers(given)
    except TypeError as error:
        raise EngineTypeError(f"{field}: {error}") from error
    if count is not None and numbers.shape != (count,):
        got = len(numbers) if numbers.ndim == 1 else f"shape {numbers.shape}"
        expected = f"{field}: expected {count} numbers {unit}".rstrip()
        raise EngineInputError(f"{expected}, got {got}")
    return numbers


@partial(jax.jit, static_argnums=(0, 1))
def _advance(
    airframe: Airframe,
    physics: Physics,
    scene: Scene,
    twin_state: TwinState,
    forces: Float[Array, " 4"],
    wind: Float[Array, " 3"],
    mass_scale: Float[Array, ""],
    others: Float[Array, "n 3"] | None,
    ticks: int | Int[Array, ""] | None,
) -> tuple[TwinState, Float[Array, ""]]:
    return one_tick(airframe, scene, twin_state, forces, wind, mass_scale, physics, others, ticks)
