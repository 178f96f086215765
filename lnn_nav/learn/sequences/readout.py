"""A reservoir on a task: the network stays as it was drawn, its readout is solved for."""

from __future__ import annotations

import time

import numpy as np
from flax import nnx

from lnn_nav.cells import Reservoir, ridge
from lnn_nav.learn.sequences.model import Classifier, accuracy, last_outputs, parameters_of
from lnn_nav.learn.sequences.run import Result, Trained
from lnn_nav.learn.sequences.tasks import Task

NEURONS, ROUNDS = 500, 8
"""Of a reservoir where nothing is said; and how often a task's sequences are drawn for it."""

PENALTIES = (1e-4, 1e-2, 1.0)
"""Ridge penalties; the best on the validation set counts."""


def solve_reservoir(task: Task, seeds: int, neurons: int | None = None) -> Trained:
    """Solve for the readouts of several reservoirs.

    Args:
        task: what to learn.
        seeds: how many reservoirs; seeds 0, 1, ...
        neurons: of each.
    """
    spent, models, chosen = [], [], []
    for seed in range(seeds):
        began = time.monotonic()
        best = max(_solved(task, seed, neurons or NEURONS), key=lambda tried: tried[0])
        chosen.append(best[0])
        models.append(best[1])
        spent.append(round(time.monotonic() - began, 1))
    result = Result(
        cell="reservoir",
        neurons=models[0].cell.memory_size,
        parameters=parameters_of(models[0].readout),
        rate=0.0,
        validation={"best penalty": float(np.mean(chosen))},
        accuracy={
            test: [accuracy(model, samples) for model in models]
            for test, samples in task.tests.items()
        },
        seconds=spent,
        steps=[0] * seeds,
        skipped=0,
    )
    return Trained(result, models[0], models[0])


def _solved(task: Task, seed: int, neurons: int) -> list[tuple[float, Classifier]]:
    """Accuracy on the validation set, and classifier, for every penalty."""
    rngs, rng = nnx.Rngs(seed), np.random.default_rng(seed)
    cell = Reservoir(
        task.features, neurons, spectral_radius=0.9, leak=0.3, input_scale=0.3, rngs=rngs
    )
    blank, draw = Classifier(cell, task.classes, rngs=rngs), task.draw(seed)
    drawn = [draw(rng) for _ in range(ROUNDS)]
    states = np.concatenate([last_outputs(blank, samples) for samples in drawn])
    targets = np.eye(task.classes)[np.concatenate([samples.labels for samples in drawn])]
    tried = []
    for penalty in PENALTIES:
        model = nnx.clone(blank)
        model.readout = ridge(states, targets, penalty)
        tried.append((accuracy(model, task.validation), model))
    return tried
