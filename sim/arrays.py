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
