"""The real gym-pybullet-drones, where it can be imported, and the flights that are asked of it.

It is found on the path or installed from its repository; it needs `transforms3d` and `scipy`.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import types
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pybullet

from sim import CF2P, CF2X, RACER, Airframe, Physics, State, rotate

TICKS, HOLD = 96, 5
"""Commands a flight (2 s at 48 Hz), and physics steps a command."""
MODELS = {"cf2x": "CF2X", "cf2p": "CF2P", "racer": "RACE"}
EFFECTS = {
    "PYB": Physics(),
    "PYB_DRAG": Physics(drag=True),
    "PYB_GND": Physics(ground_effect=True),
    "PYB_DW": Physics(downwash=True),
    "PYB_GND_DRAG_DW": Physics(drag=True, ground_effect=True, downwash=True),
}
HIGH = ((0.0, 0.0, 200.0),)
LOW = ((0.0, 0.0, 0.15),)
PAIR, HIGH_PAIR = (((0.0, 0.0, low), (0.1, 0.0, low + 1.5)) for low in (0.2, 20.0))


@dataclass(frozen=True)
class Case:
    """A kind of flight: one airframe, one of gym-pybullet-drones' physics, random commands.

    Attributes:
        airframe: ours.
        effects: the name of their physics.
        places: where each drone starts [m].
        least: of the commands, over the speed that hovers; None: uniform over the whole range.
        most: of the commands, over the speed that hovers.
    """

    airframe: Airframe
    effects: str = "PYB"
    places: tuple[tuple[float, float, float], ...] = HIGH
    least: float | None = None
    most: float = 0.0

    @property
    def physics(self) -> Physics:
        return EFFECTS[self.effects]

    def commands(self, runs: int, seed: int) -> np.ndarray:
        """Whole rotor speeds [rpm], `[runs, TICKS, drones, 4]`."""
        random = np.random.default_rng([seed, 0x69D])
        ends = np.array([self.airframe.hover_force, self.airframe.max_force, 0.0, 0.0])
        hover, top, _, _ = self.airframe.rotor_speed(ends)
        low, high = (0, top) if self.least is None else (self.least * hover, self.most * hover)
        shape = (runs, TICKS, len(self.places), 4)
        return random.integers(int(low), int(high), shape).astype(np.uint16)

    def forces(self, commands: np.ndarray) -> np.ndarray:
        """Rotor forces [N] at every physics step, `[runs, TICKS * HOLD, drones, 4]`."""
        return np.repeat(self.airframe.rotor_force(commands.astype(float)), HOLD, axis=1)


CASES = {
    "cf2x": Case(CF2X),
    "cf2p": Case(CF2P),
    "racer": Case(RACER),
    "cf2x drag": Case(CF2X, "PYB_DRAG"),
    "cf2p drag": Case(CF2P, "PYB_DRAG"),
    "racer drag": Case(RACER, "PYB_DRAG"),
    # Near the ground little differs between rotors: open loop, the drone must not tumble into it.
    "cf2x ground": Case(CF2X, "PYB_GND", LOW, 1.01, 1.015),
    "racer ground": Case(RACER, "PYB_GND", ((0.0, 0.0, 0.5),), 1.0, 1.02),
    "cf2x downwash": Case(CF2X, "PYB_DW", HIGH_PAIR, 0.97, 1.03),
    "cf2x all": Case(CF2X, "PYB_GND_DRAG_DW", PAIR, 1.05, 1.055),
}


@cache
def found() -> str:
    """Empty where gym-pybullet-drones can be imported, else what stands in the way."""
    try:
        importlib.import_module("pkg_resources")
    except ModuleNotFoundError:
        # It only asks where its own files are; setuptools 82 has removed the module.
        module = types.ModuleType("pkg_resources")
        module.resource_filename = _file_of
        sys.modules["pkg_resources"] = module
    try:
        importlib.import_module("gym_pybullet_drones.envs.CtrlAviary")
    except ModuleNotFoundError as error:
        return f"gym-pybullet-drones: {error}"
    return ""


def _file_of(package: str, name: str) -> str:
    return str(Path(importlib.import_module(package).__file__).parent / name)


def part(name: str, of: str):
    """`of` from the module gym_pybullet_drones.`name`."""
    return getattr(importlib.import_module(f"gym_pybullet_drones.{name}"), of)


def aviary(airframe: Airframe, effects: str, places, control_hz: int = 48):
    """A `CtrlAviary` at 240 Hz, silent."""
    enums = "utils.enums"
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return part("envs.CtrlAviary", "CtrlAviary")(
            drone_model=getattr(part(enums, "DroneModel"), MODELS[airframe.name]),
            num_drones=len(places),
            initial_xyzs=np.array(places),
            physics=getattr(part(enums, "Physics"), effects),
            pyb_freq=240,
            ctrl_freq=control_hz,
            user_debug_gui=False,
        )


def flown(case: Case, commands: np.ndarray) -> np.ndarray:
    """Their states after each command, `[runs, TICKS, drones, 20]`."""
    env = aviary(case.airframe, case.effects, case.places)
    try:
        rows = []
        for run in commands.astype(float):
            env.reset()
            rows.append([env.step(command)[0] for command in run])
        return np.array(rows)
    finally:
        env.close()


CIRCLE_START = (0.3, 0.0, 1.0)


def circled(seconds: float, whole: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A circle under their own `DSLPIDControl` at 240 Hz.

    Args:
        seconds: of flight.
        whole: round the commands to whole rpm.

    Returns:
        Commands [rpm] `[ticks, 4]` and positions after each [m] `[ticks, 3]`.
    """
    env = aviary(CF2X, "PYB", (CIRCLE_START,), 240)
    try:
        state, commands, positions = env.reset()[0][0], [], []
        pilot = controller()
        for tick in range(int(seconds * 240)):
            rpm = steered(pilot, state, tick / 240)
            rpm = np.round(rpm) if whole else rpm
            state = env.step(rpm[None])[0][0]
            commands.append(rpm)
            positions.append(state[:3])
        return np.array(commands), np.array(positions)
    finally:
        env.close()


def controller():
    """Their controller of the cf2x."""
    model = part("utils.enums", "DroneModel").CF2X
    return part("control.DSLPIDControl", "DSLPIDControl")(drone_model=model)


def steered(pilot, state: np.ndarray, time: float) -> np.ndarray:
    """Rotor speeds [rpm] towards a point that circles once in 5 s, from a state of theirs."""
    angle = 2 * np.pi * time / 5
    target = np.array([0.3 * np.cos(angle), 0.3 * np.sin(angle), 1.0 + 0.02 * time])
    return pilot.computeControlFromState(1 / 240, state, target_pos=target)[0]


def as_theirs(state: State) -> np.ndarray:
    """Our state as theirs, `[20]`, but for the last commands."""
    euler = pybullet.getEulerFromQuaternion(state.quaternion)
    spin = rotate(state.quaternion, state.angular_velocity)
    return np.concatenate(
        [state.position, state.quaternion, euler, state.velocity, spin, np.zeros(4)]
    )
