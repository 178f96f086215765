"""An independent flight in raw PyBullet: forces on the links of a URDF, link frame by link frame.

This drives PyBullet as gym-pybullet-drones does (a base, four rotor links without mass, one link
for the yaw torque; five calls a step) and shares no line with `sim`.
"""

from __future__ import annotations

import numpy as np
import pybullet

TORQUE_PER_FORCE = 7.94e-12 / 3.16e-10
LINKS = {
    "prop0": "0.028 -0.028 0",
    "prop1": "-0.028 -0.028 0",
    "prop2": "-0.028 0.028 0",
    "prop3": "0.028 0.028 0",
    "center_of_mass": "0 0 0",
}


def link(name: str, mass: str, ixx: str, iyy: str, izz: str) -> str:
    inertia = f'ixx="{ixx}" iyy="{iyy}" izz="{izz}" ixy="0" ixz="0" iyz="0"'
    inertial = f'<inertial><mass value="{mass}"/><inertia {inertia}/></inertial>'
    return f'<link name="{name}">{inertial}</link>'


def urdf() -> str:
    links = link("base", "0.027", "1.4e-5", "1.4e-5", "2.17e-5")
    for name, origin in LINKS.items():
        links += link(name, "0", "0", "0", "0") + (
            f'<joint name="{name}_joint" type="fixed"><parent link="base"/><child link="{name}"/>'
            f'<origin xyz="{origin}" rpy="0 0 0"/></joint>'
        )
    return f'<?xml version="1.0"?><robot name="reference">{links}</robot>'


def fly(folder, start, forces):
    """Fly every run of `forces` [runs, steps, 4] from `start` (a numpy state of batch [runs]).

    Returns positions [runs, steps, 3] and final angular velocities [runs, 3], world frame.
    """
    path = folder / "reference.urdf"
    path.write_text(urdf())
    client = pybullet.connect(pybullet.DIRECT)
    positions = np.empty((*forces.shape[:2], 3))
    spins = np.empty((len(forces), 3))
    try:
        for run, commands in enumerate(forces):
            pybullet.resetSimulation(physicsClientId=client)
            pybullet.setGravity(0, 0, -9.8, physicsClientId=client)
            pybullet.setTimeStep(1 / 240, physicsClientId=client)
            body = pybullet.loadURDF(
                str(path),
                start.position[run],
                start.quaternion[run],
                flags=pybullet.URDF_USE_INERTIA_FROM_FILE,
                physicsClientId=client,
            )
            turn = np.array(pybullet.getMatrixFromQuaternion(start.quaternion[run])).reshape(3, 3)
            spin = turn @ start.angular_velocity[run]
            pybullet.resetBaseVelocity(body, start.velocity[run], spin, physicsClientId=client)
            for step, command in enumerate(commands):
                _push(client, body, command)
                pybullet.stepSimulation(physicsClientId=client)
                positions[run, step] = pybullet.getBasePositionAndOrientation(body, client)[0]
            spins[run] = pybullet.getBaseVelocity(body, client)[1]
    finally:
        pybullet.disconnect(client)
    return positions, spins


def _push(client, body, command):
    for rotor, force in enumerate(command):
        pybullet.applyExternalForce(
            body, rotor, [0, 0, force], [0, 0, 0], pybullet.LINK_FRAME, physicsClientId=client
        )
    torque = TORQUE_PER_FORCE * (-command[0] + command[1] - command[2] + command[3])
    pybullet.applyExternalTorque(
        body, 4, [0, 0, torque], pybullet.LINK_FRAME, physicsClientId=client
    )


def commands(kind, runs, steps, seed):
    """Rotor forces [runs, steps, 4] [N], a new command every fifth step (48 Hz)."""
    random = np.random.default_rng(seed)
    hover, most = 0.027 * 9.8 / 4, 2.25 * 0.027 * 9.8 / 4
    ticks = steps // 5
    if kind == "hover":
        held = hover * random.uniform(0.95, 1.05, (runs, ticks, 4))
    elif kind == "uniform":
        held = most * random.uniform(0, 1, (runs, ticks, 4))
    else:  # smooth: a sine of its own for each rotor
        time = np.arange(ticks)[:, None] / 48
        rate, phase = random.uniform(0.2, 3, (2, runs, 1, 4))
        held = hover * (1 + 0.05 * np.sin(2 * np.pi * rate * time + phase))
    return np.repeat(held, 5, axis=1)
