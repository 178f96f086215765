"""What the environments refuse, and how they say so."""

from __future__ import annotations


class EnvError(ValueError):
    """An argument of an environment is not right; the message names it."""


class ActionError(EnvError):
    """An action has the wrong shape."""


class ActionTypeError(ActionError, TypeError):
    """An action is not made of real numbers (complex, objects, text, booleans)."""
