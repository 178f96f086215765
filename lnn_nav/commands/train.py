"""The verb `train`: a live line, and a summary at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import tyro

from lnn_nav.learn.config import TrainConfig, TrainError

if TYPE_CHECKING:
    from rich.console import Console

    from lnn_nav.learn.train import Progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a pilot.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit code: 0 for a finished run, 130 for an interrupted one (saved), 2 for bad input.
    """
    from rich.console import Console

    console = Console()
    try:
        config = tyro.cli(TrainConfig, args=arguments, prog="train")
        config = dataclasses.replace(config, out=config.folder)
        return _train(config, console)
    except (TrainError, OSError, ValueError) as error:
        console.print(f"train: {error}", style="red", markup=False, highlight=False)
        return 2


def _train(config: TrainConfig, console: Console) -> int:
    """Run with the programs' settings: 64 bits for flight, one thread for small matrices."""
    import jax
    from rich.live import Live
    from rich.text import Text

    from lnn_nav.learn.train import Progress, train

    jax.config.update("jax_enable_x64", True)
    last = [Progress("starting", 0.0)]

    def show(progress: Progress) -> None:
        last[0] = progress if progress.figures else _kept(progress, last[0])
        live.update(Text(_line(last[0])))

    with Live(Text("starting"), console=console, refresh_per_second=4) as live:
        finished = train(config, show)
    word = "finished" if finished else "interrupted, saved: go on with --resume"
    console.print(f"{word}; pilot and state in {config.out}", markup=False, highlight=False)
    return 0 if finished else 130


def _kept(new: Progress, old: Progress) -> Progress:
    """A new phase with the last figures."""
    return dataclasses.replace(new, figures=old.figures)


def _line(progress: Progress) -> str:
    """One line for the terminal."""
    figures = progress.figures
    words = [f"{progress.phase:<16} {100 * min(progress.share, 1):5.1f} %"]
    words += [f"step {progress.iteration}"] if progress.iteration else []
    for name in ("loss", "progress", "pace", "arrived", "touched", "gradient"):
        if name in figures:
            words.append(f"{name} {figures[name]:.3g}")
    return "  ".join(words)
