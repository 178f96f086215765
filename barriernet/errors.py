"""The one error of everything that is put together wrongly."""

from __future__ import annotations


class ModelError(ValueError):
    """A system, limit or barrier whose parts do not fit; names the part, expected and got."""
