"""gym-pybullet-drones, both ways: our missions inside its `CtrlAviary`, our physics inside it.

Panerati et al., "Learning to fly", IROS 2021. It is not on the package index; its repository is
installed without what it does not need here (stable-baselines3 and torch):

    pip install transforms3d
    pip install --no-deps git+https://github.com/learnsyslab/gym-pybullet-drones

`AviaryEngine` is an engine like `sim.bullet.BulletEngine`: what `fly` flies, flies in there, by
`sim.fly(world, pilot, AviaryEngine)`.
`twin_aviary` is a `CtrlAviary` whose drones move by `sim.twin`: for controllers and loops that
were written for it, with lag, drag and batteries of `sim.physics`.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import redirect_stdout
from functools import cache, partial
from importlib.resources import files
from io import StringIO
from types import ModuleType
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from sim import twin
from sim.airframe import CF2P, CF2X, RACER, Airframe
from sim.bullet import Movers, add_obstacles, pybullet
from sim.bullet.contacts import in_contact
from sim.clearances import clearance
from sim.closing import Closing
from sim.engine import (
    Door,
    EngineError,
    EngineInputError,
    Forces,
    Others,
    Wind,
    mass_scale_of,
    start_of,
    ticks_of,
    wind_of,
)
from sim.physics import PLAIN, Physics
from sim.state import AnyArray, State, rotate, rotate_inverse
from sim.twin import PHYSICS_HZ, TwinState
from sim.world import World

PACKAGE = "gym_pybullet_drones"
INSTALL = (
    "pip install transforms3d, then "
    "pip install --no-deps git+https://github.com/learnsyslab/gym-pybullet-drones"
)
AIRFRAMES = {"cf2x": CF2X, "cf2p": CF2P, "racer": RACER}
"""By the names that it has for its drones."""


def load(module: str = "envs.CtrlAviary") -> ModuleType:
    """Import a module of gym-pybullet-drones.

    It asks `pkg_resources` where its files are, which setuptools has no more since version 82:
    where that is missing, what is asked of it is put in its place.

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    try:
        importlib.import_module("pkg_resources")
    except ImportError:
        stand_in = ModuleType("pkg_resources")
        stand_in.__dict__["resource_filename"] = lambda package, name: str(
            files(package).joinpath(name)
        )
        sys.modules["pkg_resources"] = stand_in
    try:
        return importlib.import_module(f"{PACKAGE}.{module}")
    except ImportError as error:
        raise ImportError(f"gym-pybullet-drones is missing: {INSTALL} ({error})") from error


class AviaryEngine(Closing):
    """gym-pybullet-drones' `CtrlAviary` as an engine, stepped and commanded at 240 Hz.

    It collides with the shape of its own drone, and, as our engines do, with one sphere.
    """

    def __init__(
        self,
        airframe: Airframe,
        world: World,
        *,
        mass_scale: float = 1.0,
        wind: Wind = (0.0, 0.0, 0.0),
        physics: Physics = PLAIN,
    ) -> None:
        """Build `world` in it and place the drone at the start.

        Args:
            airframe: one of `AIRFRAMES`.
            world: where.
            mass_scale: true mass and inertia over the airframe's.
            wind: velocity of the air [m/s], world frame, unless `step` is told otherwise.
            physics: drag, ground effect and downwash are its own; of these, one or all.

        Raises:
            EngineInputError: it has no such airframe, or no such physics.
            ImportError: gym-pybullet-drones is missing.
        """
        if AIRFRAMES.get(airframe.name) != airframe:
            raise EngineInputError(
                f"airframe: expected one of {', '.join(AIRFRAMES)}, got {airframe.name!r}"
            )
        self.airframe, self.world, self.door = airframe, world, Door(airframe)
        self.wind, self._mass_scale = wind_of(wind), mass_scale_of(mass_scale)
        self._aviary = _quietly(
            _aviary_class(),
            world,
            drone_model=load("utils.enums").DroneModel(airframe.name),
            physics=_theirs(physics),
            pyb_freq=PHYSICS_HZ,
            ctrl_freq=PHYSICS_HZ,
            obstacles=True,
            user_debug_gui=False,
        )
        self.reset()

    def reset(self, state: State | None = None) -> State:
        """Place the drone: at `state`, or (None) at rest at the world's start; counts restart.

        Raises:
            EngineError: the engine was closed.
            EngineInputError: if the state is not that of one body, or not finite.
        """
        aviary = self._open()
        placed = start_of(self.world, state)
        self.door.clear()
        _quietly(aviary.reset)
        client, body = aviary.getPyBulletClient(), int(aviary.getDroneIds()[0])
        spin = rotate(placed.quaternion, placed.angular_velocity)
        _scale_mass(client, body, self._mass_scale)
        pybullet.resetBasePositionAndOrientation(
            body, placed.position, placed.quaternion, physicsClientId=client
        )
        pybullet.resetBaseVelocity(body, placed.velocity, spin, physicsClientId=client)
        aviary._updateAndStoreKinematicInformation()
        self._quaternion = placed.quaternion
        return placed

    def step(
        self,
        forces: Forces,
        wind: Wind | None = None,
        others: Others | None = None,
        ticks: int = 1,
    ) -> tuple[State, bool]:
        """One command, for some ticks; see `sim.engine.Engine.step`.

        Raises:
            EngineError: the engine was closed.
            EngineInputError: forces or wind are not numbers of the right count, or there are
                others: it knows of downwash from its own drones only.
        """
        if others is not None:
            raise EngineInputError("others: expected None, it simulates its own drones only")
        speeds = self.airframe.rotor_speed(np.array(self.door.admit(forces, ticks_of(ticks))))
        air, touched = self.wind if wind is None else wind_of(wind), False
        for _ in range(ticks):
            touched = self._tick(speeds, air) or touched
        return self._state(), touched

    def _tick(self, speeds: AnyArray, air: tuple[float, float, float]) -> bool:
        """Move; whether there is a contact afterwards."""
        aviary = self._open()
        client, body = aviary.getPyBulletClient(), int(aviary.getDroneIds()[0])
        if air != (0.0, 0.0, 0.0):
            push = twin.wind_force(self.airframe, aviary.vel[0], np.array(air), self._mass_scale)
            pybullet.applyExternalForce(
                body,
                -1,
                np.asarray(push, float).tolist(),
                aviary.pos[0].tolist(),
                pybullet.WORLD_FRAME,
                physicsClientId=client,
            )
        aviary.movers.tick()
        aviary.step(speeds[None])
        contact = bool(in_contact(client, body))
        times = np.array([aviary.movers.time])
        room = clearance(self.world, self.airframe.collision_radius, aviary.pos, times)[0]
        return contact or bool(room < 0.0)

    def close(self) -> None:
        """Stop its physics server. Closing twice is fine."""
        aviary, self._aviary = self._aviary, None
        if aviary is not None:
            aviary.close()

    def _open(self) -> Any:  # noqa: ANN401 - a CtrlAviary
        if self._aviary is None:
            raise EngineError("engine: expected an open one, got one that was closed")
        return self._aviary

    def _state(self) -> State:
        aviary = self._open()
        quaternion = aviary.quat[0].copy()
        # Of the two quaternions of an orientation, the one nearer to the last.
        if quaternion @ self._quaternion < 0:
            quaternion = -quaternion
        self._quaternion = quaternion
        spin = rotate_inverse(quaternion, aviary.ang_v[0].copy())
        return State(aviary.pos[0].copy(), aviary.vel[0].copy(), quaternion, spin)


def twin_aviary(
    drone: str = "cf2x",
    num_drones: int = 1,
    physics: Physics = PLAIN,
    initial_xyzs: np.ndarray | None = None,
    initial_rpys: np.ndarray | None = None,
    pyb_freq: int = PHYSICS_HZ,
    ctrl_freq: int = PHYSICS_HZ,
    **options: Any,  # noqa: ANN401 - those of CtrlAviary
) -> Any:  # noqa: ANN401 - a CtrlAviary
    """A `CtrlAviary` in which drones move by `sim.twin`; nothing in it collides.

    Args:
        drone: one of `AIRFRAMES`.
        num_drones: in it; with downwash they feel one another.
        physics: what there is besides rigid-body motion.
        initial_xyzs: where they start [m], `[num_drones, 3]`.
        initial_rpys: roll, pitch and yaw at the start [rad], `[num_drones, 3]`.
        pyb_freq: physics steps a second; a multiple of `ctrl_freq`.
        ctrl_freq: commands a second.
        options: others of `CtrlAviary`.

    Raises:
        EngineInputError: there is no such drone.
        ImportError: gym-pybullet-drones is missing.
    """
    if drone not in AIRFRAMES:
        raise EngineInputError(f"drone: expected one of {', '.join(AIRFRAMES)}, got {drone!r}")
    physics.check(AIRFRAMES[drone])
    enums = load("utils.enums")
    given = {"initial_xyzs": initial_xyzs, "initial_rpys": initial_rpys, **options}
    return _quietly(
        _twin_class(),
        AIRFRAMES[drone],
        physics,
        drone_model=enums.DroneModel(drone),
        num_drones=num_drones,
        physics=enums.Physics.DYN,
        pyb_freq=pyb_freq,
        ctrl_freq=ctrl_freq,
        user_debug_gui=False,
        **given,
    )


@cache
def _aviary_class() -> type[Any]:
    """A `CtrlAviary` with a world of ours in it."""

    class WorldAviary(load().CtrlAviary):
        def __init__(self, world: World, **options: Any) -> None:  # noqa: ANN401
            self._world = world
            options["initial_xyzs"] = np.array([world.start_position])
            options["initial_rpys"] = np.array([[0.0, 0.0, world.start_yaw]])
            super().__init__(**options)

        def _addObstacles(self) -> None:
            bodies = add_obstacles(self.CLIENT, self._world)
            self.movers = Movers(self.CLIENT, self._world, bodies)

    return WorldAviary


@cache
def _twin_class() -> type[Any]:
    """A `CtrlAviary` whose explicit dynamics are the twin's."""

    class TwinAviary(load().CtrlAviary):
        def __init__(self, airframe: Airframe, effects: Physics, **options: Any) -> None:  # noqa: ANN401
            self._airframe, self._effects = airframe, effects
            super().__init__(**options)

        def _housekeeping(self) -> None:
            super()._housekeeping()
            self._twins = [self._begun(int(body)) for body in self.DRONE_IDS]

        def _begun(self, body: int) -> TwinState:
            position, quaternion = pybullet.getBasePositionAndOrientation(
                body, physicsClientId=self.CLIENT
            )
            still = np.zeros(3)
            state = State(np.array(position), still, np.array(quaternion), still)
            return twin.start(state.as_jax(), self._effects.start(self._airframe))

        def _dynamics(self, rpm: np.ndarray, nth_drone: int) -> None:
            forces = self._airframe.rotor_force(rpm)
            if not self._effects.plain:
                forces = np.clip(forces, 0, self._airframe.max_force)
            others = np.delete(self.pos, nth_drone, axis=0) if self._effects.downwash else None
            moved = _tick(
                self._airframe,
                self._effects,
                self._twins[nth_drone],
                forces,
                self.PYB_TIMESTEP,
                others,
            )
            self._twins[nth_drone], body = moved, moved.body.as_numpy()
            client, shown = self.CLIENT, int(self.DRONE_IDS[nth_drone])
            pybullet.resetBasePositionAndOrientation(
                shown, body.position, body.quaternion, physicsClientId=client
            )
            spin = rotate(body.quaternion, body.angular_velocity)
            pybullet.resetBaseVelocity(shown, body.velocity, spin, physicsClientId=client)

    return TwinAviary


@partial(jax.jit, static_argnums=(0, 1))
def _tick(
    airframe: Airframe,
    physics: Physics,
    twin_state: TwinState,
    forces: Float[AnyArray, " 4"],
    dt: Float[AnyArray, ""] | float,
    others: Float[AnyArray, "n 3"] | None,
) -> TwinState:
    return twin.step(airframe, twin_state, forces, dt, physics=physics, others=others)


def _theirs(physics: Physics) -> Any:  # noqa: ANN401 - their enumeration
    """Its name for a physics of ours.

    Raises:
        EngineInputError: it has none.
    """
    enum = load("utils.enums").Physics
    effects = (physics.ground_effect, physics.drag, physics.downwash)
    names = {
        (False, False, False): "PYB",
        (True, False, False): "PYB_GND",
        (False, True, False): "PYB_DRAG",
        (False, False, True): "PYB_DW",
        (True, True, True): "PYB_GND_DRAG_DW",
    }
    if effects not in names or not physics.rotors.perfect:
        raise EngineInputError(
            f"physics: expected none, one or all of its effects and perfect rotors, got {physics}"
        )
    return enum[names[effects]]


def _scale_mass(client: int, body: int, scale: float) -> None:
    """Another mass, and inertia with it, for a body and its links."""
    if scale == 1.0:
        return
    for link in range(-1, pybullet.getNumJoints(body, physicsClientId=client)):
        mass, _, inertia, *_ = pybullet.getDynamicsInfo(body, link, physicsClientId=client)
        pybullet.changeDynamics(
            body,
            link,
            mass=scale * mass,
            localInertiaDiagonal=[scale * value for value in inertia],
            physicsClientId=client,
        )


def _quietly(call: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - anything
    """It prints its parameters."""
    with redirect_stdout(StringIO()):
        return call(*arguments, **options)
