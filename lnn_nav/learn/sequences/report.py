"""What a comparison leaves behind: a table, result.json, the networks, and their gradients."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from flax import nnx
from rich.table import Table

from lnn_nav.insight.gradients import gradient_norms
from lnn_nav.insight.neuron_plots import draw_gradient_norms
from lnn_nav.learn.sequences.config import SequenceConfig
from lnn_nav.learn.sequences.contestants import CONTESTANTS
from lnn_nav.learn.sequences.fit import Recipe
from lnn_nav.learn.sequences.run import Result, Trained, spread_of
from lnn_nav.learn.sequences.tasks import Task
from lnn_nav.store import save_tree
from sim.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN = 64
"""Sequences whose gradients are drawn."""


def table_of(results: Sequence[Result]) -> Table:
    """A row a cell: accuracy on each test, mean and spread over seeds."""
    table = Table()
    for title in ("cell", "neurons", "parameters", "rate", *results[0].accuracy, "s", "skipped"):
        table.add_column(title, justify="left" if title == "cell" else "right")
    for row in results:
        figures = [
            f"{100 * np.mean(right):.2f} +- {100 * spread_of(right):.2f} %"
            for right in row.accuracy.values()
        ]
        spent = f"{np.mean(row.seconds):.0f}"
        rate = f"{row.rate:g}" if row.rate else "-"
        sizes = (str(row.neurons), str(row.parameters))
        table.add_row(row.cell, *sizes, rate, *figures, spent, str(row.skipped))
    return table


def write(
    config: SequenceConfig,
    recipe: Recipe,
    task: Task,
    trained: Sequence[Trained],
    folder: Path,
    seconds: float,
) -> None:
    """Put the results, the trained networks and the drawing of gradients into a folder.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    result = {
        "config": dataclasses.asdict(config) | {"out": str(folder)},
        "recipe": dataclasses.asdict(recipe),
        "backbone": dataclasses.asdict(task.backbone),
        "results": [one.result.as_json() for one in trained],
        "wall_s": round(seconds, 1),
    }
    text = json.dumps(result, indent=2) + "\n"
    write_atomically(folder / "result.json", lambda file: file.write(text.encode()))
    for one in trained:
        row = one.result
        about = {"task": config.task, "cell": row.cell, "neurons": row.neurons}
        about["backbone"] = result["backbone"]
        save_tree(folder / row.cell, {"params": nnx.state(one.after)}, about)
    draw_gradients(task, trained).savefig(folder / "gradient_norms.png", dpi=150)


def draw_gradients(task: Task, trained: Sequence[Trained]) -> Figure:
    """How the gradient of the last output fades into the past, before training and after it.

    Over sequences of the last test, all of the length that most of them have.
    """
    samples = list(task.tests.values())[-1]
    length = int(np.bincount(samples.lengths).argmax())
    some = samples.take(np.flatnonzero(samples.lengths == length)[:DRAWN], length)
    norms = {}
    for one in trained:
        name = one.result.cell
        seen = CONTESTANTS[name].sees(some) if name in CONTESTANTS else some
        for when, model in (("before", one.before), ("after", one.after)):
            norms[f"{name}, {when}"] = gradient_norms(model.cell, seen.inputs, seen.dt)
    return draw_gradient_norms(norms)
