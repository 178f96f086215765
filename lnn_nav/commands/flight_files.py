"""The five files of a flight: config.json, flight.npz, verdict.json, flight.gif, report.html."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lnn_nav.insight import write_report
from sim.files import write_atomically
from sim.judge import Verdict, finite_ticks, verdict
from sim.quiet import unheard
from sim.record import Flight
from sim.world import world_hash

LIBRARIES = ("lnn-nav", "jax", "flax", "numpy", "pybullet")


def write_files(
    folder: Path,
    options: Mapping[str, Any],
    flight: Flight,
    tell: Callable[[str], object] = lambda text: None,
) -> tuple[Verdict, list[Path]]:
    """Write all there is to keep of a flight, each file whole or not at all.

    Args:
        folder: where.
        options: of the flight, for config.json.
        flight: what happened.
        tell: is told what is being done.

    Returns:
        The verdict, and the files in the order in which one would look at them. The film is left
        out where the extra `[sim]` is not installed, or where nothing of the flight is finite.

    Raises:
        OSError: a file cannot be written.
    """
    judged = verdict(flight)
    paths = {
        name: folder / name
        for name in ("report.html", "flight.gif", "flight.npz", "verdict.json", "config.json")
    }
    tell("writing")
    _write_json(paths["config.json"], configuration(options, flight))
    write_atomically(paths["verdict.json"], lambda file: file.write(judged.to_json().encode()))
    flight.save(paths["flight.npz"])
    tell("filming")
    film = _film(flight, paths["flight.gif"])
    if film is None:
        del paths["flight.gif"]
    tell("writing")
    write_report(flight, judged, paths["report.html"], film)
    return judged, list(paths.values())


def configuration(options: Mapping[str, Any], flight: Flight) -> dict[str, Any]:
    """What it takes to fly this again: options, hash of the world, versions."""
    return {
        "format": "lnn-nav/fly",
        "version": 1,
        "options": dict(options),
        "world_hash": world_hash(flight.world),
        "speed": flight.world.speed,
        "airframe": flight.airframe.name,
        "versions": {"python": platform.python_version()} | _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def _film(flight: Flight, path: Path) -> bytes | None:
    """Film a flight, if there is a camera and something to see."""
    try:
        with unheard():
            from lnn_nav.insight.film import write_film
    except ImportError:
        return None
    return write_film(flight, path) if finite_ticks(flight).any() else None
