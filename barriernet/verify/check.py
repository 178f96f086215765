"""What was checked, and what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: in words.
        passed: whether it holds.
        figure: what was seen.
        trouble: what went wrong and how to see it again; empty if nothing did.
        numbers: the figure's numbers by name, for tables.
    """

    name: str
    passed: bool
    figure: str
    trouble: str = ""
    numbers: Mapping[str, int | float] = field(default_factory=dict)
