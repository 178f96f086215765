"""Results of a campaign on disk, a line each: what was flown is not flown again.

A folder holds one campaign: every part of it (a shard, on whatever machine) writes a file of its
own, and reads all of them. Whoever runs the whole campaign over the folder flies what is missing.
Lines are JSON; the first of a file says what campaign it is. A line that was cut off when its
writer was killed is not a result; any other damage is refused.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

from sim.campaign.terms import MissionName, Result
from sim.judge import Verdict

FORMAT, VERSION = "lnn-nav/logbook", 1


class LogbookError(ValueError):
    """The logbook is of another campaign, damaged, or being written; the message names the file."""


class Logbook:
    """One part's file in the folder of a campaign; open while it is entered."""

    def __init__(self, folder: Path | str, about: Mapping[str, Any], part: str = "all") -> None:
        """Say which; nothing is touched yet.

        Args:
            folder: of the campaign; made if it is not there.
            about: what the campaign is, as plain JSON; the same for all its parts.
            part: name of this part's file.
        """
        self._folder = Path(folder)
        self._path = self._folder / f"{part}.jsonl"
        # As it comes back from a file: tuples are lists there.
        self._about = json.loads(json.dumps(dict(about), allow_nan=False))
        self._file: BinaryIO | None = None

    def __enter__(self) -> Logbook:
        """Open this part's file, to be written by nobody else.

        Raises:
            LogbookError: somebody writes it.
            OSError: it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        file = open(self._path, "ab")  # noqa: SIM115 - closed by __exit__
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise LogbookError(f"{self._path}: expected nobody to write it now") from error
        self._file = file
        file.truncate(len(_whole(self._path.read_bytes())))
        if not self._path.stat().st_size:
            self._write({"format": FORMAT, "version": VERSION, "about": self._about})
        return self

    def __exit__(self, *details: object) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def known(self) -> dict[MissionName, Result]:
        """What was flown by any part; missions that could not be flown are to be tried again.

        Raises:
            LogbookError: a file is damaged, or of another campaign.
        """
        found: dict[MissionName, Result] = {}
        for path in sorted(self._folder.glob("*.jsonl")):
            head, *rows = _rows(path)
            _check(path, head, self._about)
            for number, row in enumerate(rows, start=2):
                result = _result(row, f"{path}, line {number}")
                if result.verdict is not None:
                    found[result.family, result.seed] = result
        return found

    def add(self, result: Result) -> None:
        """Write a result; it is on the disk when this returns."""
        row = asdict(result)
        self._write({name: _plain(value) for name, value in row.items()})

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._file is None:
            raise LogbookError(f"{self._path}: expected an open logbook, got one that was closed")
        self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _whole(text: bytes) -> bytes:
    """Without a last line that was cut off."""
    return text[: text.rfind(b"\n") + 1]


def _rows(path: Path) -> list[Any]:
    lines = _whole(path.read_bytes()).splitlines()
    if not lines:
        return [None]
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise LogbookError(f"{path}, line {number}: expected JSON: {error}") from error
    return rows


def _check(path: Path, head: object, about: Mapping[str, Any]) -> None:
    """Refuse a file of another format or campaign; one that has just been made says nothing yet."""
    if head is None:
        return
    if not isinstance(head, dict) or (head.get("format"), head.get("version")) != (FORMAT, VERSION):
        raise LogbookError(f"{path}: expected {FORMAT} version {VERSION}, got {str(head)[:80]}")
    theirs = head.get("about")
    theirs = theirs if isinstance(theirs, dict) else {}
    for name in sorted({*about, *theirs}):
        if about.get(name) != theirs.get(name):
            got = f"{name} {theirs.get(name)!r}, not {about.get(name)!r}"
            raise LogbookError(f"{path}: expected this campaign, got one with {got}")


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """As JSON: numbers that are not finite by their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _result(row: object, where: str) -> Result:
    """A result of a row.

    Raises:
        LogbookError: it is none.
    """
    try:
        given = _typed(Result, row)
        judged = given.pop("verdict")
        return Result(
            **given, verdict=None if judged is None else Verdict(**_typed(Verdict, judged))
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LogbookError(f"{where}: expected a result: {error}") from error


def _typed(kind: type[Result | Verdict], row: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Values of a dataclass's fields: floats and tuples of them as such, the rest as it is."""
    wanted = {field.name: str(field.type) for field in fields(kind)}
    if set(row) != set(wanted):
        raise ValueError(f"fields {sorted(set(row) ^ set(wanted))} missing or unknown")
    return {name: _cast(wanted[name], value) for name, value in row.items()}


def _cast(kind: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if kind == "float":
        return float(value)
    return tuple(float(part) for part in value) if kind.startswith("tuple[float") else value
