"""Readings, the protocol of an error model, and how models are chained."""

from __future__ import annotations

import math
from typing import Any, Protocol, TypeAlias, no_type_check, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Bool, Float

from sim.state import AnyArray


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Reading:
    """Numbers that a sensor gives at one time.

    Attributes:
        value: `[n]`.
        valid: False where there is no number; the value then means nothing, `[n]`.
    """

    value: Float[Array, " n"]
    valid: Bool[Array, " n"]


@runtime_checkable
class ErrorModel(Protocol):
    """One fault of a sensor; hashable, its numbers are constants to jax."""

    def begin(self, key: Array, first: Reading) -> Any:  # noqa: ANN401 - each model's own
        """What the model remembers before the first reading, as arrays."""
        ...

    def apply(
        self,
        memory: Any,  # noqa: ANN401
        key: Array,
        reading: Reading,
        dt: float | Array,
    ) -> tuple[Any, Reading]:
        """Spoil a reading that comes `dt` [s] after the last one."""
        ...


Models: TypeAlias = tuple[ErrorModel, ...]


def reading_of(value: Float[AnyArray, " n"]) -> Reading:
    """Numbers that are all there."""
    value = jnp.asarray(value)
    return Reading(value, jnp.ones(value.shape, bool))


def begin(models: Models, key: Array, first: Reading) -> tuple[Any, ...]:
    """What a chain of models remembers before its first reading.

    Args:
        models: in the order in which they spoil.
        key: random key of this sensor's life; the one of `apply` must be another.
        first: a reading of the shape and dtype of all of them.
    """
    keys = (jax.random.fold_in(key, index) for index in range(len(models)))
    return tuple(model.begin(own, first) for model, own in zip(models, keys, strict=True))


def apply(
    models: Models, memory: tuple[Any, ...], key: Array, reading: Reading, dt: float | Array
) -> tuple[tuple[Any, ...], Reading]:
    """Spoil one reading by a chain of models.

    Args:
        models: in the order in which they spoil.
        memory: of `begin`, or of the last reading.
        key: random key of this reading.
        reading: one that is right.
        dt: time since the last reading [s].
    """
    after = []
    for index, (model, own) in enumerate(zip(models, memory, strict=True)):
        own, reading = model.apply(own, jax.random.fold_in(key, index), reading, dt)
        after.append(own)
    return tuple(after), reading


def at_least_zero(name: str, value: float) -> None:
    """Refuse a number that no fault has.

    Raises:
        ValueError: naming the field, if the value is not finite or below zero.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name}: expected a finite number >= 0, got {value}")
