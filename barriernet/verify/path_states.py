"""Random safe states of a braking body among balls, hard cases first: numpy only.

The path and the distances are worked out here from their formulas, not by the code under test.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from barriernet.backup import Braking

ROUNDING = 1e-14
"""States on the edge are this far inside: the rounding of a distance of some metres [m]."""
REST, TRACE, SLOW, BESIDE, HEAD_ON, ANY = range(6)
"""Kinds of states, in equal parts: at rest; with a trace of speed, 1e-12 to 1e-6 m/s; slower than
two ticks of braking; along the faces of balls beside the path; straight at a ball or straight away
from it; anything up to `FASTEST`."""
FASTEST = 8.0
"""Largest speed [m/s]."""


class PathStates(NamedTuple):
    """A batch of S motions, each among K balls and K planes that its braking path keeps clear of.

    Attributes:
        point: virtual point [m].
        velocity: virtual velocity [m/s].
        centres: of the balls [m].
        radii: of the balls [m]; one that is not positive stands for a ball that is not there.
        normals: of the planes, unit vectors into the allowed side.
        offsets: of the planes, normal . x >= offset [m].
        rate: class-K gain [1/s].
    """

    point: Float[np.ndarray, "S 3"]
    velocity: Float[np.ndarray, "S 3"]
    centres: Float[np.ndarray, "S K 3"]
    radii: Float[np.ndarray, "S K"]
    normals: Float[np.ndarray, "S K 3"]
    offsets: Float[np.ndarray, "S K"]
    rate: Float[np.ndarray, " S"]


def safe_path_states(
    braking: Braking, draws: np.random.Generator, states: int, balls: int = 8
) -> PathStates:
    """States of every kind; of the gaps between path and obstacle one in four is zero.

    Args:
        braking: of the body.
        draws: random numbers.
        states: S.
        balls: K.
    """
    kind = np.arange(states) % (ANY + 1)
    heading = directions(draws, states)
    # Along an axis, so that a face beside the path is parallel to it to the last digit.
    beside = kind == BESIDE
    heading[beside] = np.eye(3)[draws.integers(0, 3, np.sum(beside))]
    velocity = heading * _speeds(braking, draws, kind)[:, None]
    point = draws.uniform(-5, 5, (states, 3))
    start, stop = path_ends(braking, point, velocity)
    away, share = _places(draws, kind, heading, balls)
    length = draws.uniform(1e-3, 2, (states, balls, 1))
    centres = start[:, None] + share * (stop - start)[:, None] + length * away
    radii = distance_to_segment(start, stop, centres) - _gaps(draws, share.shape[:2])
    normals = -away
    ends = (np.sum(normals * end[:, None], axis=2) for end in (start, stop))
    offsets = np.minimum(*ends) - _gaps(draws, share.shape[:2])
    rate = np.exp(draws.uniform(np.log(0.1), np.log(0.99 / braking.tick), states))
    return PathStates(point, velocity, centres, radii, normals, offsets, rate)


def path_ends(
    braking: Braking, point: Float[np.ndarray, "S 3"], velocity: Float[np.ndarray, "S 3"]
) -> tuple[Float[np.ndarray, "S 3"], Float[np.ndarray, "S 3"]]:
    """Both ends of the braking path."""
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    a, dt = braking.deceleration, braking.tick
    return point, point + velocity * (speed + a * dt) / (2 * a)


def distance_to_segment(
    start: Float[np.ndarray, "S 3"],
    stop: Float[np.ndarray, "S 3"],
    centres: Float[np.ndarray, "S K 3"],
) -> Float[np.ndarray, "S K"]:
    """Distance of each centre from the segment of its state [m]."""
    along = (stop - start)[:, None]
    square = np.maximum((along**2).sum(-1), 1e-300)
    share = np.clip(((centres - start[:, None]) * along).sum(-1) / square, 0, 1)
    return np.linalg.norm(start[:, None] + share[..., None] * along - centres, axis=-1)


def directions(draws: np.random.Generator, *shape: int) -> Float[np.ndarray, "*shape 3"]:
    """Unit vectors, all directions alike."""
    vectors = draws.standard_normal((*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _gaps(draws: np.random.Generator, shape: tuple[int, ...]) -> Float[np.ndarray, "S K"]:
    return draws.choice([0.0, 1e-9, 1e-3, 0.3], shape) * draws.uniform(0, 1, shape) + ROUNDING


def _speeds(
    braking: Braking, draws: np.random.Generator, kind: Int[np.ndarray, " S"]
) -> Float[np.ndarray, " S"]:
    count = len(kind)
    slow = 2 * braking.deceleration * braking.tick
    choices = {
        REST: np.zeros(count),
        TRACE: 10 ** draws.uniform(-12, -6, count),
        SLOW: draws.uniform(0, slow, count),
    }
    usual = draws.uniform(0, FASTEST, count)
    return np.select([kind == which for which in choices], list(choices.values()), usual)


def _places(
    draws: np.random.Generator,
    kind: Int[np.ndarray, " S"],
    heading: Float[np.ndarray, "S 3"],
    balls: int,
) -> tuple[Float[np.ndarray, "S K 3"], Float[np.ndarray, "S K 1"]]:
    """Which way from the path the balls lie, and from where on the path."""
    away = directions(draws, len(kind), balls)
    share = draws.uniform(-0.2, 1.2, (len(kind), balls, 1))
    ahead = heading[:, None]
    beside, head_on = ((kind == which)[:, None, None] for which in (BESIDE, HEAD_ON))
    aside = away - np.sum(away * ahead, axis=2, keepdims=True) * ahead
    away = np.where(beside, aside / np.linalg.norm(aside, axis=2, keepdims=True), away)
    # Beyond the end of the path, or behind its start.
    beyond = draws.integers(0, 2, share.shape).astype(float)
    away = np.where(head_on, (2 * beyond - 1) * ahead, away)
    return away, np.where(head_on, beyond, share)
