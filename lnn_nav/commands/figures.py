"""What `evaluate` prints and writes: a line a mission, then the figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnn_nav.commands.shell import option

if TYPE_CHECKING:
    from rich.console import Console

    from sim.campaign import Result


def teller(console: Console, update: Callable[[str], object]) -> Callable[[Any, int, int], None]:
    """One line a mission: a line that lives on a terminal, a line each elsewhere."""

    def tell(result: Result, done: int, total: int) -> None:
        text = f"{done:>{len(str(total))}}/{total}  {result.family} {result.seed}  "
        if result.verdict is None:
            console.print(f"{text}failed: {result.reason}", markup=False, soft_wrap=True)
            return
        judged = result.verdict
        text += f"{judged.outcome.replace('_', ' ')} in {judged.time_s:.1f} s"
        text += f", {judged.min_clearance_m:.2f} m clear"
        if console.is_terminal:
            update(text)
        else:
            console.print(text, markup=False, soft_wrap=True)

    return tell


def show_figures(console: Console, sums: dict[str, Any]) -> None:
    """The figures as a small table: all missions, then each family."""
    from rich.table import Table

    columns = (
        ("success %", "success", 100, 1),
        ("contacts", "contacts", 1, 0),
        ("timeouts", "timeouts", 1, 0),
        ("limits", "limit_violations", 1, 0),
        ("m/s", "mean_speed_mps", 1, 2),
        ("time ratio", "time_ratio", 1, 2),
        ("clear m", "min_clearance_m", 1, 3),
        ("changed %", "interventions", 100, 1),
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("world", "missions", *(column[0] for column in columns)):
        table.add_column(name, justify="left" if name == "world" else "right")
    for world, figures in {"all": sums, **sums["per_world"]}.items():
        cells = [
            "-" if figures[key] is None else f"{scale * figures[key]:.{digits}f}"
            for _, key, scale, digits in columns
        ]
        table.add_row(world, str(figures["missions"]), *cells)
    console.print(table)
    low, high = sums["success_ci95"]
    interval = f"success 95 % interval {100 * low:.1f} to {100 * high:.1f} %"
    console.print(f"{interval}; {sums['wall_s']:.0f} s", markup=False)


def write_figures(path: Path, sums: dict[str, Any]) -> None:
    """The figures as JSON, whole or not at all."""
    from sim.files import write_atomically

    text = json.dumps(sums, indent=1, allow_nan=False) + "\n"
    with option("--json"):
        write_atomically(path, lambda file: file.write(text.encode()))
