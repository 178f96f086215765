"""A physics server of our own: a world and airframes in it, as they are at the start."""

from __future__ import annotations

from dataclasses import replace

import pybullet

from sim.airframe import Airframe
from sim.bullet.body import Body
from sim.bullet.build import build, connect, disconnect, load_airframe
from sim.bullet.movers import MovingSolids, movers_of
from sim.bullet.near import Near, is_large
from sim.bullet.room import Solids
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
        movers: the obstacles that move; None if there are none.
        near: what is held of a large world; None if all of it is.
        solids: what the airframes can meet, but for each other.
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
        """
        self.client, self.bodies = connect(gui), list[Body]()
        try:
            # A window shows all there is, at the speed of the clock.
            partly = is_large(world) and count == 1 and not gui
            self.near = near = Near(self.client, world) if partly else None
            built = replace(world, obstacles=()) if partly else world
            numbers = [build(self.client, airframe, built, mass_scale, visual=gui)]
            self.movers = movers = movers_of(self.client, world)
            still = movers is None
            self.solids = near or (Solids(world) if still else MovingSolids(world, movers))
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
        if self.near is not None:
            self.near.clear()
        pybullet.restoreState(self._saved, physicsClientId=self.client)
        if self.movers is not None:
            self.movers.reset()

    def lost(self, error: pybullet.error) -> EngineError:
        """What it means that the server does not answer.

        One that is gone is let go of: its number may go to another.
        """
        if not pybullet.isConnected(self.client):
            self._let_go()
        return EngineError(f"physics server: expected it to answer, got: {error}")

    def close(self) -> None:
        """Stop it. Closing twice is fine."""
        disconnect(self.client)
        self._let_go()

    def _let_go(self) -> None:
        self.client = -1
        for body in self.bodies:
            body.client = -1


def place(body: Body, state: State) -> None:
    """Begin a flight of `body` at the state of one body."""
    spin = rotate(state.quaternion, state.angular_velocity)
    body.place(
        *(tuple(row.tolist()) for row in (state.position, state.velocity, state.quaternion, spin))
    )
