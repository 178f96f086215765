"""The program of `scripts/train_sequence.py`: a live line, a table, and files."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from lnn_nav.commands.shell import (
    BAD_INPUT,
    GOOD,
    InputError,
    keep_compiled,
    open_console,
    writable_folder,
)
from lnn_nav.learn.config import TrainError
from lnn_nav.learn.sequences.config import SequenceConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from lnn_nav.learn.sequences.fit import Progress
    from lnn_nav.learn.sequences.run import Result, Trained
    from lnn_nav.learn.sequences.tasks import Task

PROGRAM = "train_sequence.py"

TABLES = {
    "xor": ("cfc", "mixed"),
    "digits": ("cfc", "cfc-blind", "lstm", "gru", "gruode"),
}
"""Cells that a task is trained with where none are named."""

XOR_NEURONS = 64

RESERVOIR = "reservoir"

DRAWN = 64
"""Sequences whose gradients are drawn."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is asked for, print a table and write files.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit code: 0, or 2 for bad input.
    """
    try:
        config = tyro.cli(SequenceConfig, prog=PROGRAM, args=arguments)
        if config.out is not None:
            writable_folder("--out", config.out)
        return _train(config)
    except InputError as error:
        return _refuse(str(error))
    except TrainError as error:
        return _refuse(f"--{error}")
    except ImportError as error:
        return _refuse(str(error))


def _refuse(why: str) -> int:
    print(f"{PROGRAM}: {why}", file=sys.stderr)
    return BAD_INPUT


def _train(config: SequenceConfig) -> int:
    """Networks are float32; nothing here asks for more."""
    from rich.live import Live
    from rich.text import Text

    from lnn_nav.learn.sequences.readout import solve_reservoir
    from lnn_nav.learn.sequences.run import train_cell

    keep_compiled()
    began, console = time.monotonic(), open_console()
    names, task = cells_of(config), task_of(config)
    trained: list[Trained] = []
    with Live(Text("starting"), console=console, refresh_per_second=2) as live:

        def tell(cell: str, rate: float, seed: int, told: Progress) -> None:
            words = f"{cell}  rate {rate:g}  seed {seed}  {100 * told.share:5.1f} %  "
            figures = f"loss {told.loss:.4f}"
            skipped = f"  skipped {told.skipped}" if told.skipped else ""
            line = Text(words + figures + skipped)
            live.update(line)
            if told.share >= 1:
                console.print(line)

        for name in names:
            seeds = 1 if config.quick else config.seeds
            if name == RESERVOIR:
                trained.append(solve_reservoir(task, seeds, config.neurons))
                continue
            one = train_cell(
                task,
                name,
                recipe_of(config, task),
                rates_of(config, task),
                seeds,
                neurons=config.neurons or (XOR_NEURONS if config.task == "xor" else None),
                parameters=config.parameters,
                minutes=config.minutes,
                tell=tell,
            )
            trained.append(one)
        live.update(Text("done"))
    console.print(table_of([one.result for one in trained]))
    if config.out is not None:
        write(config, config.out, task, trained, time.monotonic() - began)
        console.print(f"written to {config.out}", markup=False, soft_wrap=True)
    return GOOD


def cells_of(config: SequenceConfig) -> tuple[str, ...]:
    """Cells to train.

    Raises:
        TrainError: there is none of such a name.
    """
    from lnn_nav.learn.sequences.contestants import CONTESTANTS

    known = (*CONTESTANTS, RESERVOIR)
    names = config.cell or TABLES[config.task]
    for name in names:
        if name not in known:
            raise TrainError(f"cell: expected one of {', '.join(known)}, got {name!r}")
    return names


def task_of(config: SequenceConfig) -> Task:
    """What is to be learned."""
    from lnn_nav.learn.sequences.tasks import digits, xor

    if config.task == "xor":
        return xor(config.samples or (2000 if config.quick else 100_000), dense=config.dense)
    return digits(config.samples or (200 if config.quick else None), config.points, config.lost)


def recipe_of(config: SequenceConfig, task: Task) -> Any:  # noqa: ANN401 - a Recipe
    """The task's recipe, for as long as is asked for."""
    epochs = config.epochs or (3.0 if config.quick else task.recipe.epochs)
    return dataclasses.replace(task.recipe, epochs=epochs)


def rates_of(config: SequenceConfig, task: Task) -> tuple[float, ...]:
    """Learning rates to try."""
    rates = config.rates or task.rates
    return rates[:1] if config.quick else rates


def table_of(results: Sequence[Result]) -> Table:
    """A row a cell: accuracy on each test, mean and spread over seeds."""
    from rich.table import Table

    from lnn_nav.learn.sequences.run import spread_of

    table = Table()
    for title in ("cell", "neurons", "parameters", "rate", *results[0].accuracy, "s", "skipped"):
        table.add_column(title, justify="left" if title == "cell" else "right")
    for row in results:
        figures = [
            f"{100 * np.mean(right):.2f} +- {100 * spread_of(right):.2f} %"
            for right in row.accuracy.values()
        ]
        spent = f"{np.mean(row.seconds):.0f}"
        words = (
            row.cell,
            str(row.neurons),
            str(row.parameters),
            f"{row.rate:g}" if row.rate else "-",
        )
        table.add_row(*words, *figures, spent, str(row.skipped))
    return table


def write(
    config: SequenceConfig, folder: Path, task: Task, trained: Sequence[Trained], seconds: float
) -> None:
    """Put the results, the trained networks and the drawing of gradients into a folder."""
    from flax import nnx

    from lnn_nav.store import save_tree

    plain = dataclasses.asdict(config) | {"out": str(folder)}
    result = {
        "config": plain,
        "recipe": dataclasses.asdict(recipe_of(config, task)),
        "results": [one.result.as_json() for one in trained],
        "wall_s": round(seconds, 1),
    }
    text = json.dumps(result, indent=2) + "\n"
    (folder / "result.json").write_text(text, encoding="utf-8")
    for one in trained:
        about = {"task": config.task, "cell": one.result.cell, "neurons": one.result.neurons}
        save_tree(folder / one.result.cell, {"params": nnx.state(one.after)}, about)
    draw_gradients(task, trained).savefig(folder / "gradient_norms.png", dpi=150)


def draw_gradients(task: Task, trained: Sequence[Trained]) -> Figure:
    """How the gradient of the last output fades into the past, before training and after it.

    Over sequences of the last test, all of the length that most of them have.
    """
    from lnn_nav.insight.gradients import gradient_norms
    from lnn_nav.insight.neuron_plots import draw_gradient_norms
    from lnn_nav.learn.sequences.contestants import CONTESTANTS

    samples = list(task.tests.values())[-1]
    length = int(np.bincount(samples.lengths).argmax())
    some = samples.take(np.flatnonzero(samples.lengths == length)[:DRAWN], length)
    norms = {}
    for one in trained:
        name = one.result.cell
        seen = CONTESTANTS[name].sees(some) if name in CONTESTANTS else some
        models = {"before": one.before, "after": one.after}
        for when, model in models.items() if name != RESERVOIR else [("as drawn", one.after)]:
            norms[f"{name}, {when}"] = gradient_norms(model.cell, seen.inputs, seen.dt)
    return draw_gradient_norms(norms)
