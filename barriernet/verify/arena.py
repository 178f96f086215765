"""Scenes and adversaries for bodies among balls, drawn with numpy: the same at every seed.

A scene is eight balls, some overlapping, and a start. Starts from which the body cannot be kept
safe are screened out by the exact criterion of the guarantee: the braking path of the start must be
clear of every ball by what plans keep out. A fifth of the starts lie exactly on that edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from barriernet.backup import AnchoredBraking

BALLS = 8
SEGMENT = 12
"""Ticks for which an adversary keeps what it drew."""
HALF_SIZE, SMALLEST, LARGEST, FASTEST = 2.5, 0.3, 1.0, 3.0
"""Of the arena [m], of a ball [m], of a start [m/s]."""
LUNGE, RAM, SHAKE, CREEP, CHATTER, FAIL, LEAVE = range(7)
"""What an adversary wants: full throttle at the nearest ball; at one ball, whatever is between;
in any direction; a little, at the nearest ball; to and fro at every tick; no number; to leave."""
FAIL_TIME, LEAVE_TIME = 3.0, 5.0
"""How long, at the end of an episode, the wish is no number, and then to leave [s]."""
STEADY, SWITCHING, HOSTILE = range(3)
"""Wind: from one side; to and fro; always towards the nearest ball."""


class Scenes(NamedTuple):
    """Where a batch of E episodes takes place.

    Attributes:
        centres: of the balls [m].
        radii: of the balls, the body's own included [m].
        point: start [m].
        velocity: at the start [m/s].
        rate: class-K gain [1/s].
    """

    centres: Float[np.ndarray, "E 8 3"]
    radii: Float[np.ndarray, "E 8"]
    point: Float[np.ndarray, "E 3"]
    velocity: Float[np.ndarray, "E 3"]
    rate: Float[np.ndarray, " E"]


class Scripts(NamedTuple):
    """What the adversaries of E episodes do in S segments.

    Attributes:
        gale: unit vector, where a steady wind blows.
        wind: one of `STEADY`, `SWITCHING`, `HOSTILE`.
        target: the ball that is rammed.
        gust: sign of a switching wind in each segment.
        deed: `LUNGE` ... `LEAVE` in each segment.
        noise: three numbers in [-1, 1] for each segment.
        lapse: tick of the segment from which on the wish is NaN; `SEGMENT` for none.
    """

    gale: Float[np.ndarray, "E 3"]
    wind: Int[np.ndarray, " E"]
    target: Int[np.ndarray, " E"]
    gust: Float[np.ndarray, "E S"]
    deed: Int[np.ndarray, "E S"]
    noise: Float[np.ndarray, "E S 3"]
    lapse: Int[np.ndarray, "E S"]


def draw_scenes(
    body: AnchoredBraking, draws: np.random.Generator, episodes: int
) -> tuple[Scenes, int]:
    """Scenes with safe starts, and how many starts were drawn and screened out for them."""
    shape = (episodes, BALLS)
    centres = draws.uniform(-HALF_SIZE, HALF_SIZE, (*shape, 3))
    radii = draws.uniform(SMALLEST, LARGEST, shape)
    point, velocity = np.empty((episodes, 3)), np.empty((episodes, 3))
    room, left, screened = np.empty(shape), np.arange(episodes), 0
    while left.size:
        count = len(left)
        point[left] = draws.uniform(-HALF_SIZE, HALF_SIZE, (count, 3))
        speed = (
            FASTEST
            * draws.choice([0, 1], (count, 1), p=[0.2, 0.8])
            * draws.uniform(size=(count, 1))
        )
        velocity[left] = speed * unit(draws.normal(size=(count, 3)))
        room[left] = clear_of_path(body, point[left], velocity[left], centres[left]) - radii[left]
        left = left[room[left].min(axis=1) < body.keep_out]
        screened += len(left)
    # The nearest ball of every fifth grows until the start is exactly on the edge.
    some, nearest = np.arange(0, episodes, 5), room[::5].argmin(axis=1)
    radii[some, nearest] += room[some, nearest] - body.keep_out
    return Scenes(centres, radii, point, velocity, _spread(draws, 2.0, 40.0, episodes)), screened


def draw_scripts(draws: np.random.Generator, episodes: int, seconds: float, tick: float) -> Scripts:
    """Adversaries: half of them stay with one deed, half change it now and then; then they fail.

    Args:
        draws: random numbers.
        episodes: E.
        seconds: how long an episode takes, above `FAIL_TIME` + `LEAVE_TIME` [s].
        tick: period of the control [s].
    """
    segments, last, leave = (
        round(time / (SEGMENT * tick)) for time in (seconds, FAIL_TIME + LEAVE_TIME, LEAVE_TIME)
    )
    shape = (episodes, segments)
    changes = (draws.uniform(size=shape) < 0.1) & (np.arange(episodes)[:, None] % 2 == 0)
    changes[:, 0] = True
    # Each segment keeps the deed of the last change.
    kept = np.maximum.accumulate(np.where(changes, np.arange(segments), 0), axis=1)
    deeds = np.take_along_axis(draws.integers(0, 5, shape), kept, axis=1)
    deeds[:, -last:-leave], deeds[:, -leave:] = FAIL, LEAVE
    lapse = np.where(draws.uniform(size=shape) < 0.05, draws.integers(0, SEGMENT, shape), SEGMENT)
    return Scripts(
        gale=unit(draws.normal(size=(episodes, 3))),
        wind=draws.integers(0, 3, episodes),
        target=draws.integers(0, BALLS, episodes),
        gust=draws.choice([-1.0, 1.0], shape),
        deed=deeds,
        noise=draws.uniform(-1, 1, (*shape, 3)),
        lapse=lapse,
    )


def clear_of_path(
    body: AnchoredBraking,
    point: Float[np.ndarray, "E 3"],
    velocity: Float[np.ndarray, "E 3"],
    centres: Float[np.ndarray, "E K 3"],
) -> Float[np.ndarray, "E K"]:
    """Distance of each centre from the braking path, in plain numpy [m]."""
    a, dt = body.braking.deceleration, body.braking.tick
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    along = (velocity * (speed + a * dt) / (2 * a))[:, None]
    square = np.maximum((along**2).sum(-1), 1e-300)
    share = np.clip(((centres - point[:, None]) * along).sum(-1) / square, 0, 1)
    nearest = point[:, None] + share[..., None] * along
    return np.linalg.norm(nearest - centres, axis=-1)


def unit(vectors: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch n"]:
    """The same directions, of length one."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _spread(draws: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    """Numbers whose logarithms are uniform."""
    return np.exp(draws.uniform(np.log(low), np.log(high), count))
