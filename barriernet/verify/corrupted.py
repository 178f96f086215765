"""Quadratic programs with everything wrong that can go wrong: bits, units, rows, bounds.

Each function takes sound problems and random numbers and returns spoilt ones. numpy only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from barriernet.verify.problems import Problems

Spoil: TypeAlias = Callable[[np.random.Generator, Problems], Problems]


def _some(
    rng: np.random.Generator, part: np.ndarray, values: list[float], share: float
) -> np.ndarray:
    """A share of the numbers replaced by one of some values."""
    chosen = rng.random(part.shape) < share
    return np.where(chosen, rng.choice(values, part.shape), part).astype(part.dtype)


def with_no_numbers(rng: np.random.Generator, sound: Problems) -> Problems:
    """NaN and infinities anywhere in cost, rows and weights."""
    values = [np.nan, np.inf, -np.inf]
    parts = {name: _some(rng, getattr(sound, name), values, 0.01) for name in "PqAb"}
    return sound._replace(**parts, weight=_some(rng, sound.weight, values, 0.01))


def with_extremes(rng: np.random.Generator, sound: Problems) -> Problems:
    """Numbers of 1e30, subnormal numbers and zeros in wish and rows."""
    tiny = float(np.finfo(sound.q.dtype).smallest_subnormal)
    values = [1e30, -1e30, tiny, -tiny, 0.0, -0.0]
    return sound._replace(**{name: _some(rng, getattr(sound, name), values, 0.1) for name in "qAb"})


def with_zero_rows(rng: np.random.Generator, sound: Problems) -> Problems:
    """A third of the rows is zero, hard ones among them."""
    blank = rng.random(sound.b.shape) < 0.3
    weight = np.where(rng.random(sound.b.shape) < 0.05, np.inf, sound.weight)
    return sound._replace(A=np.where(blank[..., None], 0, sound.A), weight=weight)


def with_repeated_rows(rng: np.random.Generator, sound: Problems) -> Problems:
    """Every row twice, in other units the second time."""
    half = sound.b.shape[1] // 2
    unit = 10 ** rng.uniform(-3, 3, (*sound.b.shape[:1], half))
    A, b, weight = sound.A.copy(), sound.b.copy(), sound.weight.copy()
    A[:, half : 2 * half] = A[:, :half] * unit[..., None]
    b[:, half : 2 * half] = b[:, :half] * unit
    weight[:, half : 2 * half] = weight[:, :half] / unit**2
    return sound._replace(A=A, b=b, weight=weight)


def with_hard_contradictions(rng: np.random.Generator, sound: Problems) -> Problems:
    """Some rows hard, some of those opposed by their neighbours."""
    A, b, weight = sound.A.copy(), sound.b.copy(), sound.weight.copy()
    opposed = rng.random(len(b)) < 0.5
    A[:, 1] = np.where(opposed[:, None], -A[:, 0], A[:, 1])
    b[:, 1] = np.where(opposed, 0.5 - b[:, 0], b[:, 1])
    weight[:, :2] = np.inf
    return sound._replace(A=A, b=b, weight=weight)


def in_other_units(rng: np.random.Generator, sound: Problems) -> Problems:
    """Rows scaled by 1e-6 to 1e6, their weights left as they are."""
    unit = 10 ** rng.uniform(-6, 6, sound.b.shape)
    return sound._replace(A=sound.A * unit[..., None], b=sound.b * unit)


def with_random_bounds(rng: np.random.Generator, sound: Problems) -> Problems:
    """Bounds and wish of random bits: subnormal, huge, equal and infinite ones among them."""
    lower, upper, q = (_bits(rng, sound.q) for _ in range(3))
    lower, upper = (
        np.nan_to_num(v, nan=0.0, posinf=np.inf, neginf=-np.inf) for v in (lower, upper)
    )
    return sound._replace(q=q, lower=np.minimum(lower, upper), upper=np.maximum(lower, upper))


def of_random_bits(rng: np.random.Generator, sound: Problems) -> Problems:
    """Every number but the bounds of random bits."""
    return sound._replace(
        **{name: _bits(rng, getattr(sound, name)) for name in ("P", "q", "A", "b", "weight")}
    )


def _bits(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    kind = np.uint64 if like.dtype == np.float64 else np.uint32
    return rng.integers(0, np.iinfo(kind).max, like.shape, dtype=kind, endpoint=True).view(
        like.dtype
    )


SPOILS: dict[str, Spoil] = {
    "as drawn": lambda _, sound: sound,
    "NaN and infinities": with_no_numbers,
    "1e30, subnormal, zero": with_extremes,
    "zero rows": with_zero_rows,
    "repeated rows": with_repeated_rows,
    "hard contradictions": with_hard_contradictions,
    "rows x 1e-6 to 1e6": in_other_units,
    "bounds of random bits": with_random_bounds,
    "random bits": of_random_bits,
}
"""What is done to the problems, by name."""
