"""Named arrays: taken one by one, and put into a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx

Path: TypeAlias = tuple[Any, ...]
Module = TypeVar("Module")


class WeightsError(ValueError):
    """Weights are damaged, or of another network than was said."""


class Weights:
    """Arrays by name; each is taken once, and none may be left."""

    def __init__(self, arrays: Mapping[str, object]) -> None:
        """Anything that numpy takes for an array of finite real numbers.

        Raises:
            WeightsError: an array is something else; the message names it.
        """
        self.left: dict[str, np.ndarray] = {}
        for name, value in arrays.items():
            array = np.asarray(value)
            if array.dtype.kind not in "fiub" or not np.all(np.isfinite(array)):
                found = "other numbers" if array.dtype.kind in "fiub" else f"dtype {array.dtype}"
                raise WeightsError(f"{name}: expected finite real numbers, got {found}")
            self.left[name] = array

    def __contains__(self, name: str) -> bool:
        """Whether it is there and not taken."""
        return name in self.left

    def shape(self, name: str, axes: int) -> tuple[int, ...]:
        """Shape of an array that stays.

        Raises:
            WeightsError: it is missing, or has another number of axes.
        """
        if name not in self.left:
            held = ", ".join(sorted(self.left)) or "nothing"
            raise WeightsError(f"{name}: missing; there is {held}")
        shape = self.left[name].shape
        if len(shape) != axes:
            raise WeightsError(f"{name}: expected {axes} axes, got shape {shape}")
        return shape

    def take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """An array of a shape; it counts as taken.

        Raises:
            WeightsError: it is missing, or has another shape.
        """
        if (found := self.shape(name, len(shape))) != shape:
            raise WeightsError(f"{name}: expected shape {shape}, got {found}")
        return self.left.pop(name)

    def finish(self) -> None:
        """Refuse what nobody took.

        Raises:
            WeightsError: there is some; the message names it.
        """
        if self.left:
            names = ", ".join(f"{name} {array.shape}" for name, array in self.left.items())
            raise WeightsError(f"unknown weights: {names}")


def filled(module: Module, values: Mapping[Path, np.ndarray]) -> Module:
    """The module with these parameters, in their dtypes.

    Args:
        module: as it was drawn.
        values: every parameter by its path.

    Raises:
        WeightsError: a parameter is missing, unknown, or of another shape.
    """
    graph, state = nnx.split(module)
    drawn = dict(nnx.to_flat_state(state))
    if drawn.keys() != values.keys():
        raise WeightsError(f"parameters: expected {sorted(drawn)}, got {sorted(values)}")
    for path, value in values.items():
        if drawn[path].shape != value.shape:
            raise WeightsError(f"{path}: expected shape {drawn[path].shape}, got {value.shape}")
    parts = [(path, leaf.replace(jnp.asarray(values[path]))) for path, leaf in drawn.items()]
    return nnx.merge(graph, nnx.from_flat_state(parts))


def parameters(module: object) -> dict[Path, np.ndarray]:
    """Every parameter of a module by its path."""
    flat = nnx.to_flat_state(nnx.state(module))
    return {path: np.asarray(leaf[...]) for path, leaf in flat}
