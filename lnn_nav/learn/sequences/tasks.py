"""What there is to learn, ready for any cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lnn_nav.learn.sequences.contestants import Backbone
from lnn_nav.learn.sequences.digits import LOST, Pictures, as_points, as_rows, load_pictures
from lnn_nav.learn.sequences.fit import Recipe
from lnn_nav.learn.sequences.samples import Samples
from lnn_nav.learn.sequences.xor import SHORTEST, as_events, as_steps, draw_bits

BITS, BIT_TIME = 32, 0.25
"""Bits of the longest stream, and time that passes in each [s]."""

HELD_BACK = 10_000
"""Streams of each test; half as many to choose by."""

LOSSES = 5
"""How often each picture that is held back is shown, with other steps lost."""

_TESTS = 1_000_000
"""Seed of what is held back; those of training are below."""


@dataclass(frozen=True)
class Task:
    """Something to learn.

    Attributes:
        features: of a step.
        classes: to tell apart.
        draw: seed of a training -> (random numbers of a round -> its sequences).
        validation: to choose a rate by.
        tests: for the figures, by name; the first is the task's own.
        backbone: of the liquid cells.
        recipe: how every cell is trained.
        rates: learning rates to choose from.
    """

    features: int
    classes: int
    draw: Callable[[int], Callable[[np.random.Generator], Samples]]
    validation: Samples
    tests: Mapping[str, Samples]
    backbone: Backbone
    recipe: Recipe
    rates: tuple[float, ...]


def xor(samples: int = 100_000, bits: int = BITS, dense: bool = False) -> Task:
    """Parity of streams of up to `bits` bits; see `lnn_nav.learn.sequences.xor`."""
    encode = as_steps if dense else as_events

    def streams(count: int, seed: int, shortest: int = SHORTEST) -> Samples:
        drawn = encode(*draw_bits(count, bits, np.random.default_rng(seed), shortest))
        return replace(drawn, dt=drawn.dt * np.float32(BIT_TIME))

    def draw(seed: int) -> Callable[[np.random.Generator], Samples]:
        # The same streams in every round: a hundred thousand are all there are.
        train = streams(samples, seed)
        return lambda _: train

    held = min(HELD_BACK, samples)
    tests = {
        "streams": streams(held, _TESTS),
        f"{bits} bits": streams(held, _TESTS + 1, bits),
    }
    recipe = Recipe(epochs=24.0, batch=128, rate=2e-3, decay=1e-3, again=0.1)
    return Task(
        features=1,
        classes=2,
        draw=draw,
        validation=streams(held // 2 or 1, _TESTS + 2),
        tests=tests,
        # As in the published recipes.
        backbone=Backbone("relu", 2),
        recipe=recipe,
        rates=(recipe.rate,),
    )


def digits(
    samples: int | None = None, points: bool = False, lost: tuple[float, float] = LOST
) -> Task:
    """Pictures of which most is lost; see `lnn_nav.learn.sequences.digits`."""
    pictures = load_pictures()
    encode = partial(as_points if points else as_rows, lost=lost)
    train = Pictures(*(part[:samples] for part in pictures.train))

    def hold(held: Pictures, seed: int) -> Samples:
        # Each picture several times: what is lost differs, and the figure depends less on it.
        often = Pictures(*(np.repeat(part, LOSSES, axis=0) for part in held))
        return encode(often, np.random.default_rng(seed))

    return Task(
        features=1 if points else 8,
        classes=10,
        # Other steps are lost every time that a picture is shown.
        draw=lambda _: partial(encode, train),
        validation=hold(pictures.validation, _TESTS + 2),
        tests={"digits": hold(pictures.test, _TESTS)},
        # The best on the validation set among relu, silu and lecun_tanh, one or two neurons wide.
        backbone=Backbone("silu", 1),
        recipe=Recipe(epochs=400.0, batch=64, decay=0.1),
        rates=(1e-2, 3e-2, 1e-1),
    )
