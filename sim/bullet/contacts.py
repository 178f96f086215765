"""Which bodies touch something after a step."""

from __future__ import annotations

import pybullet

EVERY = -1
"""PyBullet's number for all bodies."""


def in_contact(client: int, body: int = EVERY) -> set[int]:
    """The bodies that were pushed away from others in the last step, or are not apart after it.

    The solver lets what comes fast get hundredths of a millimetre near to a solid, or slide along
    it, and never makes a distance negative: that is a contact too.

    Args:
        client: PyBullet's id of the server.
        body: PyBullet's id of the one that is asked for; all by default.

    Returns:
        PyBullet's ids of both sides of every contact.

    Raises:
        pybullet.error: the server does not answer.
    """
    pushed = pybullet.getContactPoints(body, physicsClientId=client)
    both = {number for point in pushed if point[9] > 0.0 for number in point[1:3]}
    # The step's own distances are those of the state before it.
    pybullet.performCollisionDetection(client)
    points = pybullet.getContactPoints(body, physicsClientId=client)
    return both | {number for point in points if point[8] <= 0.0 for number in point[1:3]}
