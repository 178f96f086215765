"""Settings of a training run: the dataclass is the configuration, the command line and its help."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path


class TrainError(ValueError):
    """A training option, or a folder to resume from, that cannot be; the message names it."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a pilot by backpropagation through the differentiable twin.

    Give either `--minutes` (wall time, set-up included) or `--iterations`.
    """

    out: Path | None = None
    """Folder of the run: pilot, training state, metrics.jsonl, config.json (default:
    runs/<utc>-train-<seed>)."""
    minutes: float | None = None
    """Wall time of the whole run [min]."""
    iterations: int | None = None
    """Steps of the optimiser; such a run can be repeated exactly."""
    seed: int = 0
    """Of weights, flights and disturbances; worlds are those of the training seeds."""
    resume: bool = False
    """Go on from the state in `--out`."""
    cell: str = "cfc"
    """cfc, wired_cfc, ltc, wired_ltc, mixed, lstm, gru, mlp, tcn, ctrnn, odernn or gruode."""
    parameters: int = 20_000
    """At most this many parameters in the policy."""
    batch: int = 64
    """Flights at a time."""
    steps: int = 72
    """Thoughts in a window of flight, 24 a second."""
    courses: int = 128
    """Worlds of each training family."""
    most_dense: tuple[float, float, float] = (1.0, 2.0, 2.0)
    """Factor on the density of the densest forest, boulders and blocks flown in training."""
    most_zoom: float = 2.5
    """Every second training world is zoomed, by 1 to this."""
    rate: float = 2e-3
    """Peak learning rate."""
    barrier_share: float = 0.0
    """Last share of the run, flown behind the barrier: class-K gains learn through the QP."""
    checkpoint_seconds: float = 60.0
    """Time between two saved states [s]."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            TrainError: naming the field, what was expected and what came.
        """
        if self.resume and self.out is None:
            raise TrainError("out: expected the folder of the run to resume")
        if (self.minutes is None) == (self.iterations is None):
            raise TrainError("minutes, iterations: expected exactly one of them")
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise TrainError(f"minutes: expected a positive number, got {self.minutes}")
        for name in ("iterations", "parameters", "batch", "steps", "courses"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrainError(f"{name}: expected 1 or more, got {value}")
        for name in ("rate", "checkpoint_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise TrainError(f"{name}: expected a positive number, got {value}")
        if min(self.most_dense) < 1 or not self.most_zoom >= 1:
            raise TrainError("most_dense, most_zoom: expected factors of 1 or more")
        if not 0 <= self.barrier_share < 1:
            raise TrainError(f"barrier_share: expected 0 to below 1, got {self.barrier_share}")
        if self.seed < 0:
            raise TrainError(f"seed: expected 0 or more, got {self.seed}")

    @property
    def folder(self) -> Path:
        """Where the run goes; a new name each second where `out` is not given."""
        return self.out or Path("runs") / time.strftime(
            f"%Y%m%dT%H%M%SZ-train-{self.seed}", time.gmtime()
        )
