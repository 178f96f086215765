"""The verb `train`: a live line, and a summary at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lnn_nav.commands.shell import (
    GOOD,
    INTERRUPTED,
    InputError,
    complain,
    keep_compiled,
    open_console,
    parse,
)
from lnn_nav.learn.config import TrainConfig, TrainError

if TYPE_CHECKING:
    from lnn_nav.learn.train import Progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a pilot.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        Exit code: 0 for a finished run, 130 for an interrupted one (saved), 2 for bad input.
    """
    try:
        config = parse(TrainConfig, "train", arguments)
        return _train(dataclasses.replace(config, out=config.folder))
    except TrainError as error:
        return complain("train", InputError(f"--{error}"))
    except OSError as error:
        return complain("train", InputError(f"--out: {error}"))
    except ValueError as error:
        return complain("train", InputError(str(error)))


def _train(config: TrainConfig) -> int:
    """Run as flights compute: in 64 bits where nothing else is said."""
    import jax
    from rich.live import Live
    from rich.text import Text

    from lnn_nav.learn.train import Progress, train

    jax.config.update("jax_enable_x64", True)
    keep_compiled()
    console, last = open_console(), [Progress("starting", 0.0)]

    def show(progress: Progress) -> None:
        last[0] = progress if progress.figures else _kept(progress, last[0])
        live.update(Text(_line(last[0])))

    with Live(Text("starting"), console=console, refresh_per_second=4) as live:
        finished = train(config, show)
    word = "finished" if finished else "interrupted, saved: go on with --resume"
    console.print(f"{word}; pilot and state in {config.out}", markup=False, soft_wrap=True)
    return GOOD if finished else INTERRUPTED


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
