"""Other people's simulators, as their users run them: no window, obstacles as PyBullet's bodies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np

from sim.bullet import pybullet
from sim_peers.case import START, Case, boxes_of, world_of

RATES = (48, 240)


def bare() -> Iterator[Case]:
    """A loop around `stepSimulation` and nothing else: what no engine on PyBullet can beat."""
    from sim import CF2X
    from sim.bullet import build, connect

    for obstacles in (0, 50):
        client = connect()
        build(client, CF2X, world_of(obstacles))
        # It would fall, and lie on the ground in contact.
        pybullet.setGravity(0, 0, 0, physicsClientId=client)

        def run(client: int = client) -> None:
            for _ in range(5):
                pybullet.stepSimulation(physicsClientId=client)

        yield Case("bare stepSimulation", 1, obstacles, 48, run)


def gym_pybullet_drones() -> Iterator[Case]:
    """`CtrlAviary`, hovering.

    Raises:
        ImportError: it is missing.
    """
    from sim.adapters.gym_pybullet_drones import load

    module, enums = load(), load("utils.enums")

    class Furnished(module.CtrlAviary):
        def _addObstacles(self) -> None:
            _add(self.CLIENT, self.furniture)

    for drones in (1, 8):
        for obstacles in (0, 50):
            Furnished.furniture = obstacles
            for rate in RATES:
                with redirect_stdout(StringIO()):
                    aviary = Furnished(
                        drone_model=enums.DroneModel.CF2X,
                        num_drones=drones,
                        initial_xyzs=np.array(START) + [[0.0, 0.3 * i, 0.0] for i in range(drones)],
                        ctrl_freq=rate,
                        obstacles=True,
                        user_debug_gui=False,
                    )
                action = np.full((drones, 4), aviary.HOVER_RPM)

                def run(aviary: Any = aviary, action: np.ndarray = action) -> None:  # noqa: ANN401
                    aviary.step(action)

                yield Case("gym-pybullet-drones", drones, obstacles, rate, run)


def pyflyt() -> Iterator[Case]:
    """Its quadrotor with its motor model, at its own 120 commands a second.

    Raises:
        ImportError: it is missing.
    """
    from PyFlyt.core import Aviary

    with redirect_stdout(StringIO()):
        aviary = Aviary(np.array([START]), np.zeros((1, 3)), drone_type="quadx", render=False)
    aviary.set_mode(-1)
    aviary.set_setpoint(0, np.full(4, 0.5))
    yield Case("PyFlyt", 1, 0, 120, aviary.step)


def _add(client: int, obstacles: int) -> None:
    """The boxes of the common world as bodies of PyBullet's default kind."""
    for box in boxes_of(obstacles):
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=box.half_extents, physicsClientId=client
        )
        pybullet.createMultiBody(0, shape, -1, box.center, physicsClientId=client)
