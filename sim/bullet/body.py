"""An airframe in a physics server: what pushes it in a tick, and where it is after one."""

from __future__ import annotations

import pybullet

from sim.bullet.build import ALOFT, GROUND
from sim.bullet.floats import Turn, Vector, Wrench, into_body, up_of, wind_push

_apply_force, _apply_torque = pybullet.applyExternalForce, pybullet.applyExternalTorque
_pose = pybullet.getBasePositionAndOrientation
_WORLD = pybullet.WORLD_FRAME

ALL, BUT_GROUND, NOTHING = (1, -1), (ALOFT, ~GROUND), (0, 0)
"""What a body meets: its collision group and mask."""


class Body:
    """One body of a server; arguments of PyBullet go by place, for names cost a tenth of a tick.

    Attributes:
        client: PyBullet's id of the server; -1 once it is closed.
        number: PyBullet's id of the body.
        position: at the last reading [m], world frame.
        quaternion: there, xyzw.
        lagged: one tick before, xyzw.
        up: along which rotors push in the next tick: where they pointed one tick before.
    """

    __slots__ = ("_mass", "_meets", "client", "lagged", "number", "position", "quaternion", "up")

    position: Vector
    quaternion: Turn
    lagged: Turn
    up: Vector

    def __init__(self, client: int, number: int, mass: float) -> None:
        """A body that has been loaded.

        Args:
            client: PyBullet's id of the server.
            number: PyBullet's id of the body.
            mass: its true one [kg].
        """
        self.client, self.number, self._mass = client, number, mass
        self._meets = ALL

    def place(self, position: Vector, velocity: Vector, quaternion: Turn, spin: Vector) -> None:
        """Begin a flight; velocity [m/s] and spin [rad/s] in the world frame."""
        self.move(position, velocity, quaternion, spin)
        self.position, self.quaternion, self.lagged = position, quaternion, quaternion
        self.up = up_of(quaternion)

    def move(self, position: Vector, velocity: Vector, quaternion: Turn, spin: Vector) -> None:
        """Put it elsewhere in the server; the last reading stays."""
        number, client = self.number, self.client
        pybullet.resetBasePositionAndOrientation(number, position, quaternion, client)
        pybullet.resetBaseVelocity(number, velocity, spin, client)

    def fly_aloft(self, aloft: bool) -> None:
        """Whether PyBullet need not look if it meets the ground, as it else does in every step."""
        self.meet(BUT_GROUND if aloft else ALL)

    def meet(self, what: tuple[int, int]) -> None:
        """Collide with `ALL`, with all `BUT_GROUND`, or with `NOTHING`."""
        # Only where it is news: PyBullet forgets the contacts of a body that is told.
        if what != self._meets:
            self._meets = what
            pybullet.setCollisionFilterGroupMask(self.number, -1, *what, self.client)

    def push(self, wrench: Wrench) -> None:
        """For one tick, rotors push along where they pointed a tick ago; see `sim.twin`."""
        thrust, torque_x, torque_y, torque_z = wrench
        ux, uy, uz = self.up
        x, y, z, w = self.quaternion
        # Twice each product of two components; written out, for speed.
        x2, y2, z2 = x + x, y + y, z + z
        xx, yy, zz, xy, xz, yz = x * x2, y * y2, z * z2, x * y2, x * z2, y * z2
        wx, wy, wz = w * x2, w * y2, w * z2
        # The lever, sum of f_i P_i = (-torque_y, torque_x, 0), turned into the world.
        lx = (xy - wz) * torque_x - (1 - (yy + zz)) * torque_y
        ly = (1 - (xx + zz)) * torque_x - (xy + wz) * torque_y
        lz = (yz + wx) * torque_x - (xz - wy) * torque_y
        self.up = xz + wy, yz - wx, 1 - (xx + yy)
        force = thrust * ux, thrust * uy, thrust * uz
        torque = (
            ly * uz - lz * uy + torque_z * ux,
            lz * ux - lx * uz + torque_z * uy,
            lx * uy - ly * ux + torque_z * uz,
        )
        number, client = self.number, self.client
        _apply_force(number, -1, force, self.position, _WORLD, client)
        _apply_torque(number, -1, torque, _WORLD, client)

    def push_more(self, force: Vector, torque: Vector | None = None) -> None:
        """Besides, for one tick: a force [N] and a torque [N m], world frame."""
        number, client = self.number, self.client
        _apply_force(number, -1, force, self.position, _WORLD, client)
        if torque is not None:
            _apply_torque(number, -1, torque, _WORLD, client)

    def blow(self, wind: Vector) -> None:
        """Besides, for one tick: air moves at `wind` [m/s], world frame."""
        self.push_more(wind_push(self._mass, self.velocity(), wind))

    def read(self) -> Vector:
        """Where the server's step has brought it: its position."""
        self.position, turn = _pose(self.number, self.client)
        x, y, z, w = turn
        self.lagged = a, b, c, d = self.quaternion
        # PyBullet gives either quaternion of an orientation: of the two, the one nearer to the
        # last. The product of two unit ones is at least 2 w d - 1, so mostly this is short.
        if w * d < 0.6 and x * a + y * b + z * c + w * d < 0:
            turn = -x, -y, -z, -w
        self.quaternion = turn
        return self.position

    def velocity(self) -> Vector:
        """As it is in the server now [m/s], world frame."""
        return pybullet.getBaseVelocity(self.number, self.client)[0]

    def motion(self) -> tuple[Vector, Vector]:
        """Velocity [m/s], world frame, and spin [rad/s], body frame."""
        velocity, spin = pybullet.getBaseVelocity(self.number, self.client)
        return velocity, into_body(self.quaternion, spin)
