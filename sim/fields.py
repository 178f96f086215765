"""Checks of single fields of what people write by hand: typed errors that say which field."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LARGEST = 1e6
"""No length [m], time [s] or speed [m/s] of a world may exceed this: squares fit a float32."""

_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxother, _brief.maxlong = 2, 60, 40


class WorldError(ValueError):
    """A world, or a file that should hold one, is not right.

    Attributes:
        field: path of the field, such as `obstacles[3].radius`.
        expected: what it must be.
        got: what it was.
    """

    def __init__(self, field: str, expected: str, got: object) -> None:
        """Say which field is wrong, and how."""
        self.field, self.expected, self.got = field, expected, got
        super().__init__(field, expected, got)  # The arguments, so that it survives pickling.

    def __str__(self) -> str:
        """One line, short whatever was got."""
        return f"{self.field}: expected {self.expected}, got {_brief.repr(self.got)}"

    def under(self, parent: str) -> WorldError:
        """The same error, its field being part of `parent`."""
        return WorldError(f"{parent}.{self.field}", self.expected, self.got)


def number(value: object, field: str) -> float:
    """A finite number of sane size as a float; -0.0 becomes 0.0.

    Raises:
        WorldError: for booleans, for anything else that is no real number, and out of range.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise WorldError(field, "a number", value)
    # Compared before the conversion, which fails for integers that no float can hold.
    if not -LARGEST <= value <= LARGEST:
        size = "a finite number" if not _is_finite(value) else f"at most {LARGEST:g} in size"
        raise WorldError(field, size, value)
    return float(value) + 0.0


def positive(value: object, field: str) -> float:
    """A finite number above zero.

    Raises:
        WorldError: where it is not.
    """
    result = number(value, field)
    if result <= 0:
        raise WorldError(field, "a number above 0", value)
    return result


def vector(value: object, field: str) -> tuple[float, float, float]:
    """Three finite numbers.

    Raises:
        WorldError: naming the field, or the component that is wrong.
    """
    items = sequence(value, field)
    if len(items) != 3:
        raise WorldError(field, "3 numbers", value)
    x, y, z = (number(item, f"{field}[{i}]") for i, item in enumerate(items))
    return x, y, z


def positive_vector(value: object, field: str) -> tuple[float, float, float]:
    """Three finite numbers above zero.

    Raises:
        WorldError: naming the field, or the component that is wrong.
    """
    for i, item in enumerate(vector(value, field)):
        positive(item, f"{field}[{i}]")
    return vector(value, field)


def sequence(value: object, field: str) -> Sequence[Any]:
    """A list, a tuple or the rows of an array.

    Raises:
        WorldError: where it is something else.
    """
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return list(value)
    if not isinstance(value, list | tuple):
        raise WorldError(field, "a list", value)
    return value


def keys(
    value: object, field: str, required: Sequence[str], optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    """An object that has every required key, and none that nobody knows.

    Raises:
        WorldError: naming the missing or the unknown key.
    """
    if not isinstance(value, dict):
        raise WorldError(field or "world", "an object", value)
    prefix = f"{field}." if field else ""
    for key in value:
        if key not in required and key not in optional:
            known = ", ".join([*required, *optional])
            raise WorldError(f"{prefix}{key!s:.60}", f"one of the keys {known}", value[key])
    for key in required:
        if key not in value:
            raise WorldError(f"{prefix}{key}", "a value", "nothing")
    return value


def _is_finite(value: int | float | np.integer | np.floating) -> bool:
    return isinstance(value, int) or math.isfinite(value)
