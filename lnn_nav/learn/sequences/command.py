"""The program of `scripts/train_sequence.py`: a live line, a table, and files."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import tyro

from lnn_nav.commands.shell import (
    BAD_INPUT,
    GOOD,
    InputError,
    keep_compiled,
    open_console,
    writable_folder,
)
from lnn_nav.extras import liquid
from lnn_nav.learn.config import TrainError
from lnn_nav.learn.sequences.config import SequenceConfig

if TYPE_CHECKING:
    from lnn_nav.learn.sequences.fit import Progress, Recipe
    from lnn_nav.learn.sequences.run import Tell, Trained
    from lnn_nav.learn.sequences.tasks import Task

PROGRAM = "train_sequence.py"

TABLES = {
    "xor": ("cfc", "mixed"),
    "digits": ("cfc", "cfc-blind", "lstm", "gru", "gruode"),
}
"""Cells that a task is trained with where none are named."""

XOR_NEURONS = 64

RESERVOIR = "reservoir"


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
            # Missing at the end it would cost the drawing of a long run.
            liquid("matplotlib.figure")
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

    from lnn_nav.learn.sequences.report import table_of, write

    keep_compiled()
    began, console = time.monotonic(), open_console()
    names, task = cells_of(config), task_of(config)
    recipe = recipe_of(config, task)
    with Live(Text("starting"), console=console, refresh_per_second=2, transient=True) as live:

        def tell(cell: str, rate: float, seed: int, told: Progress) -> None:
            words = f"{cell}  rate {rate:g}  seed {seed}  {100 * told.share:5.1f} %  "
            skipped = f"  skipped {told.skipped}" if told.skipped else ""
            line = Text(f"{words}loss {told.loss:.4f}{skipped}")
            live.update(line)
            if told.share >= 1:
                console.print(line)

        trained = [_train_cell(config, recipe, task, name, tell) for name in names]
    console.print(table_of([one.result for one in trained]))
    if config.out is not None:
        spent = time.monotonic() - began
        write(config, recipe, task, trained, config.out, spent)
        console.print(f"written to {config.out}", markup=False, soft_wrap=True)
    return GOOD


def _train_cell(
    config: SequenceConfig, recipe: Recipe, task: Task, name: str, tell: Tell
) -> Trained:
    """One row of the table."""
    from lnn_nav.learn.sequences.readout import solve_reservoir
    from lnn_nav.learn.sequences.run import train_cell

    seeds = 1 if config.quick else config.seeds
    if name == RESERVOIR:
        return solve_reservoir(task, seeds, config.neurons)
    return train_cell(
        task,
        name,
        recipe,
        rates_of(config, task),
        seeds,
        neurons=config.neurons or (XOR_NEURONS if config.task == "xor" else None),
        parameters=config.parameters,
        minutes=config.minutes,
        tell=tell,
    )


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


def recipe_of(config: SequenceConfig, task: Task) -> Recipe:
    """The task's recipe, for as long as is asked for."""
    epochs = config.epochs or (3.0 if config.quick else task.recipe.epochs)
    return dataclasses.replace(task.recipe, epochs=epochs)


def rates_of(config: SequenceConfig, task: Task) -> tuple[float, ...]:
    """Learning rates to try."""
    rates = config.rates or task.rates
    return rates[:1] if config.quick else rates
