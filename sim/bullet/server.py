"""A physics server of our own: a world and airframes in it, as they are at the start."""

from __future__ import annotations

import pybullet

from sim.airframe import Airframe
from sim.bullet.body import Body
from sim.bullet.build import build, connect, load_airframe
from sim.closing import Closing
from sim.engine import EngineError
from sim.state import State, rotate
from sim.urdf import urdf_of
from sim.world import World


class Server(Closing):
    """PyBullet's, in this process unless it has a window.

    Attributes:
        client: PyBullet's id; -1 once closed.
        bodies: the airframes.
    """

    def __init__(
        self,
        airframe: Airframe,
        world: World,
        mass_scale: float = 1.0,
        count: int = 1,
        gui: bool = False,
    ) -> None:
        """Build `world` and load the airframe `count` times.

        Raises:
            EngineError: no server can be started.
            WorldError: an obstacle moves.
        """
        self.client, self.bodies = connect(gui), list[Body]()
        try:
            numbers = [build(self.client, airframe, world, mass_scale, visual=gui)]
            text = urdf_of(airframe, mass_scale)
            numbers += [load_airframe(self.client, text) for _ in range(count - 1)]
            mass = mass_scale * airframe.mass
            self.bodies = [Body(self.client, number, mass) for number in numbers]
            self._saved = pybullet.saveState(physicsClientId=self.client)
        except BaseException:
            self.close()
            raise

    def restore(self) -> None:
        """All as it was built: contacts of the last flight must not linger in the solver."""
        pybullet.restoreState(self._saved, physicsClientId=self.client)

    def close(self) -> None:
        """Stop it. Closing twice is fine."""
        if self.client >= 0 and pybullet.isConnected(self.client):
            pybullet.disconnect(self.client)
        self.client = -1
        for body in self.bodies:
            body.client = -1


def place(body: Body, state: State) -> None:
    """Begin a flight of `body` at the state of one body."""
    spin = rotate(state.quaternion, state.angular_velocity)
    body.place(
        *(tuple(row.tolist()) for row in (state.position, state.velocity, state.quaternion, spin))
    )


def lost(error: pybullet.error) -> EngineError:
    """What a server that does not answer means."""
    return EngineError(f"physics server: expected it to answer, got: {error}")
