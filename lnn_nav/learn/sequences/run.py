"""Trainings side by side: every cell on one task, with several seeds, by the same recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from lnn_nav.learn.sequences.contestants import CONTESTANTS, Contestant
from lnn_nav.learn.sequences.fit import Fitted, Progress, Recipe, fit
from lnn_nav.learn.sequences.model import Classifier, accuracy, parameters_of
from lnn_nav.learn.sequences.samples import Samples
from lnn_nav.learn.sequences.tasks import Task

Tell = Callable[[str, float, int, Progress], None]
"""Called after every round: with the cell, the rate, the seed and what the round told."""


@dataclass(frozen=True)
class Result:
    """What a cell made of a task.

    Attributes:
        cell: its name.
        neurons: how many it had.
        parameters: how many numbers it and its readout learned.
        rate: the learning rate, that of the best mean on the validation set.
        validation: that mean, for every rate that was tried.
        accuracy: of each seed on each test.
        seconds: wall time of each seed's training at that rate [s].
        steps: of the optimiser, of each seed.
        skipped: steps left out because they were not finite, of all trainings together.
    """

    cell: str
    neurons: int
    parameters: int
    rate: float
    validation: dict[str, float]
    accuracy: dict[str, list[float]]
    seconds: list[float]
    steps: list[int]
    skipped: int

    def as_json(self) -> dict[str, Any]:
        """Plain data, means and spreads (standard deviations of a sample) included."""
        figures = {
            test: {"mean": float(np.mean(right)), "spread": spread_of(right)}
            for test, right in self.accuracy.items()
        }
        return {**asdict(self), "figures": figures}


class Trained(NamedTuple):
    """A result, and the first seed's classifier before and after."""

    result: Result
    before: Classifier
    after: Classifier


def spread_of(values: Sequence[float]) -> float:
    """Standard deviation of a sample; zero for one alone."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def train_cell(
    task: Task,
    name: str,
    recipe: Recipe,
    rates: Sequence[float],
    seeds: int,
    *,
    neurons: int | None = None,
    parameters: int = 8000,
    minutes: float | None = None,
    tell: Tell = lambda *_: None,
) -> Trained:
    """Train a cell with every rate and seed, and measure it at the rate that validates best.

    Args:
        task: what to learn.
        name: one of `CONTESTANTS`.
        recipe: how; its rate is replaced.
        rates: to choose from.
        seeds: how many trainings at each rate; seeds 0, 1, ...
        neurons: of the cell; by default as many as `parameters` allow.
        parameters: at most so many in cell and readout.
        minutes: at most so long for each training [min].
        tell: see `Tell`.

    Raises:
        TrainError: the cell does not fit, or its steps were not finite.
    """
    cell = CONTESTANTS[name]
    count = neurons or cell.neurons_within(task.features, task.classes, task.backbone, parameters)
    blanks, tried = _blanks(task, cell, count, seeds), {}
    for rate in rates:
        tried[rate] = [
            fit(
                replace(recipe, rate=rate),
                blank,
                _shown(task, cell, seed),
                seed,
                minutes=minutes,
                tell=partial(tell, name, rate, seed),
            )
            for seed, blank in enumerate(blanks)
        ]
    result = _measured(task, name, count, tried)
    return Trained(result, blanks[0], tried[result.rate][0].model)


def _shown(task: Task, cell: Contestant, seed: int) -> Callable[[np.random.Generator], Samples]:
    """What a cell is shown of the sequences of each round."""
    draw = task.draw(seed)
    return lambda rng: cell.sees(draw(rng))


def _measured(task: Task, name: str, neurons: int, tried: dict[float, list[Fitted]]) -> Result:
    """The figures of the rate that validates best."""
    sees = CONTESTANTS[name].sees
    validation = sees(task.validation)
    right = {
        rate: float(np.mean([accuracy(run.model, validation) for run in runs]))
        for rate, runs in tried.items()
    }
    best = max(right, key=lambda rate: right[rate])
    runs = tried[best]
    return Result(
        cell=name,
        neurons=neurons,
        parameters=parameters_of(runs[0].model),
        rate=best,
        validation={f"{rate:g}": share for rate, share in right.items()},
        accuracy={
            test: [accuracy(run.model, sees(samples)) for run in runs]
            for test, samples in task.tests.items()
        },
        seconds=[round(run.seconds, 1) for run in runs],
        steps=[run.steps for run in runs],
        skipped=sum(run.skipped for all_ in tried.values() for run in all_),
    )


def _blanks(task: Task, cell: Contestant, neurons: int, seeds: int) -> list[Classifier]:
    """Classifiers before training, one a seed, that share one compiled program."""
    made = [
        cell.classifier(task.features, neurons, task.classes, task.backbone, nnx.Rngs(seed))
        for seed in range(seeds)
    ]
    graph = nnx.graphdef(made[0])
    return [nnx.merge(graph, nnx.state(model)) for model in made]
