"""Strict JSON, and files that are never half there. Knows nothing of what the JSON means."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path

from sim.fields import WorldError

MOST_BYTES = 10_000_000
"""A longer file is refused before it is read."""


def parse(text: str) -> object:
    """The value of a JSON text.

    NaN and infinities come through as floats, so that the caller can name the field they are in.

    Raises:
        WorldError: if the text is too long, no JSON, nested too deeply, or has a key twice.
    """
    if len(text) > MOST_BYTES:
        raise WorldError("file", f"at most {MOST_BYTES:,} bytes", len(text))
    try:
        return json.loads(text, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as error:
        raise WorldError("file", "JSON", str(error)) from None
    except WorldError:
        raise
    except RecursionError:
        raise WorldError("file", "JSON nested a few levels deep", "much deeper nesting") from None
    except ValueError as error:  # An integer of thousands of digits.
        raise WorldError("file", "numbers of sane length", str(error)) from None


def read(path: str | os.PathLike[str]) -> str:
    """The text of a regular file of UTF-8 that is not too long.

    Raises:
        WorldError: if it is not, or cannot be read.
    """
    name = os.fspath(path)
    try:
        status = os.stat(name)
        # First of all: opening a pipe would wait for ever, and a device may never end.
        if not stat.S_ISREG(status.st_mode):
            raise WorldError("file", "a regular file", name)
        if status.st_size > MOST_BYTES:
            size = f"{status.st_size:,} bytes"
            raise WorldError("file", f"at most {MOST_BYTES:,} bytes", size)
        with open(name, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WorldError("file", "a file that can be read", str(error)) from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WorldError("file", "UTF-8 text", str(error)) from None


def write(path: str | os.PathLike[str], text: str) -> None:
    """Put a whole text in place of a file: at any moment there is the old one or the new one."""
    target = Path(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner reads; a new file is like its neighbours.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise WorldError(f"{key:.60}", "the key once in its object", "the key twice")
            seen.add(key)
    return result
