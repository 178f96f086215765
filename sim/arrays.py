"""Arrays of either kind: numpy's or jax's."""

from __future__ import annotations

from types import ModuleType
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import Array

AnyArray: TypeAlias = Array | np.ndarray


def namespace(*arrays: AnyArray) -> ModuleType:
    """Numpy where every array is numpy's, jax.numpy otherwise."""
    return np if all(isinstance(array, np.ndarray | np.generic) for array in arrays) else jnp


def real_numbers(given: object) -> np.ndarray:
    """Numbers, or rows of them, as float64.

    Raises:
        TypeError: they are not real numbers (complex, text, booleans, objects), or no array.
    """
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise TypeError(f"expected real numbers, got {given!r}") from error
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise TypeError(f"expected real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)
