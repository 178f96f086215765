"""What needs a library that only some users have: imported when asked for, or one sentence."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.env.multi import SwarmEnv


class MissingExtra(ImportError):
    """A library of an extra is not installed."""


def optional(module: str, extra: str) -> ModuleType:
    """Import a library of an extra.

    Raises:
        MissingExtra: it is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module.partition('.')[0]}: needs the extra [{extra}] of this package ({error})"
        ) from error


def parallel_env(drones: int = 4, **options: Any) -> SwarmEnv:  # noqa: ANN401 - checked one by one
    """Many drones in one world, as a PettingZoo `ParallelEnv`; see `sim.env.multi`.

    Args:
        drones: 1 to 24.
        options: the fields of `EnvConfig`.

    Raises:
        MissingExtra: PettingZoo is not there.
        EnvError: naming the argument that is not right.
    """
    from sim.env.multi import SwarmEnv

    return SwarmEnv(drones, **options)
