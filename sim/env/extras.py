"""What needs a library that only some users have: imported when asked for, or one sentence."""

from __future__ import annotations

import importlib
from types import ModuleType


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
