"""Libraries that only some users need: imported when they are asked for, or one sentence says how.

They belong to the extra `[liquid]` of this package.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class MissingExtra(ImportError):
    """A library of an extra is not installed."""


def liquid(module: str) -> ModuleType:
    """Import a library of the extra `[liquid]`.

    Raises:
        MissingExtra: it is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module.partition('.')[0]}: needs the extra [liquid] of this package ({error})"
        ) from error
