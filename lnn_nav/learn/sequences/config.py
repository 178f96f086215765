"""Settings of `scripts/train_sequence.py`: the dataclass is the command line and its help."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lnn_nav.learn.config import TrainError


@dataclass(frozen=True)
class SequenceConfig:
    """Train liquid cells and their baselines on sequences that have nothing to do with drones.

    xor: parity of a stream of bits of which only changes are told. digits: handwritten digits, row
    by row, most rows lost.
    """

    task: Literal["xor", "digits"] = "xor"
    """What to learn."""
    cell: tuple[str, ...] = ()
    """One or several of cfc, cfc-blind (constant dt), mixed, ltc, lstm, lstm-told (dt is a
    feature), gru, gru-told, gruode, reservoir (default: those of the task's table)."""
    seeds: int = 3
    """How many trainings of each cell; seeds 0, 1, ..."""
    epochs: float | None = None
    """How many times as many sequences are shown as there are (default: the task's recipe)."""
    minutes: float | None = None
    """Wall time of each training at most [min]; the schedule ends with it."""
    samples: int | None = None
    """Sequences to learn from (default: 100,000 streams, 1,000 pictures)."""
    rates: tuple[float, ...] = ()
    """Learning rates; the best on the validation set counts (default: the task's)."""
    neurons: int | None = None
    """Of every cell (default: 64 for xor; for digits as many as `--parameters` allow)."""
    parameters: int = 8000
    """At most so many in cell and readout, where `--neurons` says nothing."""
    dense: bool = False
    """xor: tell every bit, not only changes."""
    points: bool = False
    """digits: pixel by pixel at random times, not row by row."""
    lost: tuple[float, float] = (0.3, 0.7)
    """digits: least and largest share of the steps that are lost; 0 0 for whole pictures."""
    quick: bool = False
    """A small run that only shows that it works: few sequences, one seed, one rate."""
    out: Path | None = None
    """Folder for result.json, the trained cells and gradient_norms.png."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            TrainError: naming the field, what was expected and what came.
        """
        for name in ("seeds", "samples", "neurons", "parameters"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrainError(f"{name}: expected 1 or more, got {value}")
        rates = [("rates", rate) for rate in self.rates]
        for name, value in (("epochs", self.epochs), ("minutes", self.minutes), *rates):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise TrainError(f"{name}: expected a positive number, got {value}")
        if not 0 <= self.lost[0] <= self.lost[1] < 1:
            raise TrainError(f"lost: expected two shares in order, 0 to below 1, got {self.lost}")
        if self.dense and self.task != "xor":
            raise TrainError(f"dense: expected --task xor with it, got {self.task}")
        if self.points and self.task != "digits":
            raise TrainError(f"points: expected --task digits with it, got {self.task}")
