"""Named arrays on disk: a safetensors file, and a JSON file that vouches for it.

A folder holds `<stem>.json` and `<prefix>-<hash>.safetensors`. The arrays are written first, under
a name that is their own SHA-256, then the JSON that names them is renamed into place, then older
arrays go: whatever kills the writer, at every moment the folder holds one whole archive, the old
one or the new one. The JSON holds the SHA-256 of the arrays and of itself, so a flipped bit or a
cut-off end is always seen. Nothing that is read is ever executed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sim.files import write_atomically

MOST_JSON_BYTES = 10_000_000
"""A longer JSON file is refused before it is read."""

_PLAIN = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
NATIVE = frozenset((*_PLAIN, "float16", "float32", "float64"))
"""Dtypes that safetensors holds as they are."""

_AS_BYTES = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}
"""Dtypes that numpy lacks, and the whole numbers of the same bits that stand for them."""


class ArchiveError(ValueError):
    """An archive that is missing, damaged, or not what it should be; names field and fault."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        """Say what was wrong with which field."""
        # As arguments, so that it survives a journey between processes.
        super().__init__(field, expected, str(got))
        self.field, self.expected, self.got = field, expected, str(got)

    def __str__(self) -> str:
        """One sentence."""
        return f"{self.field}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True)
class Kind:
    """What sort of archive.

    Attributes:
        format: stands in the JSON.
        version: stands in the JSON; another version is refused.
        stem: name of the JSON file, without its ending.
        prefix: begins the name of the file of the arrays.
        error: what is raised.
    """

    format: str
    version: int = 1
    stem: str = "archive"
    prefix: str = "arrays"
    error: type[ArchiveError] = ArchiveError

    @property
    def json_name(self) -> str:
        """Name of the JSON file."""
        return f"{self.stem}.json"


def write_archive(
    folder: Path | str,
    kind: Kind,
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    content: Mapping[str, Any],
) -> None:
    """Put an archive into a folder (made if it is not there) in place of the one that is in it.

    Args:
        folder: where; several writers take turns.
        kind: what sort.
        arrays: by name, of any numpy dtype of numbers, or bfloat16 or float8.
        content: what the JSON should hold besides; plain data.

    Raises:
        ArchiveError: an array or the content cannot be stored.
        OSError: the folder cannot be written (full, read-only, a file); the old archive stays.
    """
    folder = Path(folder)
    packed = {name: _pack(kind, name, array) for name, array in arrays.items()}
    weights = save(packed)
    digest = hashlib.sha256(weights).hexdigest()
    manifest = {
        "format": kind.format,
        "version": kind.version,
        "arrays": {
            "file": f"{kind.prefix}-{digest[:12]}.safetensors",
            "sha256": digest,
            "bytes": len(weights),
            "entries": {name: _entry(array) for name, array in arrays.items()},
        },
        "content": dict(content),
    }
    text = _sealed(kind, manifest)
    with _turn(folder):
        write_atomically(folder / manifest["arrays"]["file"], lambda file: file.write(weights))
        write_atomically(folder / kind.json_name, lambda file: file.write(text))
        _sweep(folder, kind, manifest["arrays"]["file"])


def read_archive(
    folder: Path | str, kind: Kind
) -> tuple[dict[str, Shaped[np.ndarray, "..."]], dict[str, Any]]:
    """Read the arrays and the content of an archive, all of it checked before it is used.

    Args:
        folder: where.
        kind: what sort.

    Raises:
        ArchiveError: naming the field that is not right.
    """
    folder, text = Path(folder), None
    while True:
        before, text = text, _read(folder / kind.json_name, kind, MOST_JSON_BYTES)
        manifest = _opened(kind, text)
        table = manifest["arrays"]
        try:
            weights = _read(folder / table["file"], kind, table["bytes"])
            break
        except ArchiveError:
            # A writer may have put another archive in place since the JSON was read.
            if text == before:
                raise
    field = table["file"]
    if len(weights) != table["bytes"]:
        raise kind.error(field, f"{table['bytes']} bytes", len(weights))
    if (digest := hashlib.sha256(weights).hexdigest()) != table["sha256"]:
        raise kind.error(field, f"SHA-256 {table['sha256'][:12]}...", f"{digest[:12]}...")
    try:
        packed = load(weights)
    except SafetensorError as error:
        raise kind.error(field, "a safetensors file", error) from None
    if packed.keys() != table["entries"].keys():
        odd = sorted(packed.keys() ^ table["entries"].keys())
        raise kind.error(field, "the arrays that the JSON lists", f"a difference in {odd}")
    return {
        name: _unpack(kind, name, packed[name], entry) for name, entry in table["entries"].items()
    }, manifest["content"]


def _pack(kind: Kind, name: str, array: object) -> np.ndarray:
    """An array as safetensors takes it."""
    if not isinstance(array, np.ndarray):
        raise kind.error(name, "a numpy array", type(array).__name__)
    dtype = array.dtype.name
    if dtype not in NATIVE and dtype not in _AS_BYTES:
        raise kind.error(name, f"one of {', '.join(sorted(NATIVE | _AS_BYTES.keys()))}", dtype)
    # Not ascontiguousarray: that one turns a scalar into a vector.
    array = np.array(array, array.dtype.newbyteorder("="), order="C", copy=True)
    return array.view(_AS_BYTES.get(dtype, array.dtype))


def _unpack(kind: Kind, name: str, array: np.ndarray, entry: Mapping[str, Any]) -> np.ndarray:
    """The inverse of `_pack`; a copy that can be written to."""
    stored = _AS_BYTES.get(entry["dtype"], entry["dtype"])
    if array.dtype.name != stored or list(array.shape) != entry["shape"]:
        got = f"{array.dtype.name} {list(array.shape)}"
        raise kind.error(name, f"{entry['dtype']} {entry['shape']}", got)
    if entry["dtype"] in _AS_BYTES:
        return array.copy().view(np.dtype(getattr(jnp, entry["dtype"])))
    return array.copy()


def _entry(array: np.ndarray) -> dict[str, Any]:
    return {"dtype": array.dtype.name, "shape": list(array.shape)}


def _text(kind: Kind, manifest: Mapping[str, Any]) -> bytes:
    """The one way to write a manifest."""
    try:
        text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise kind.error("content", "plain data for JSON", error) from None
    return f"{text}\n".encode()


def _sealed(kind: Kind, manifest: Mapping[str, Any]) -> bytes:
    """A manifest with the SHA-256 of itself."""
    # Through JSON once, so that tuples and the like hash as what is read back.
    plain = json.loads(_text(kind, manifest))
    digest = hashlib.sha256(_text(kind, plain)).hexdigest()
    text = _text(kind, plain | {"sha256": digest})
    if len(text) > MOST_JSON_BYTES:
        raise kind.error("content", f"at most {MOST_JSON_BYTES:,} bytes of JSON", len(text))
    return text


def _opened(kind: Kind, text: bytes) -> dict[str, Any]:
    """The manifest in a text, if every byte of it is as it was written."""
    field = kind.json_name
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise kind.error(field, "JSON", error) from None
    if not isinstance(manifest, dict):
        raise kind.error(field, "an object", type(manifest).__name__)
    # What it claims to be goes before what it holds: a later version has other keys.
    for key in ("format", "version"):
        wanted, got = getattr(kind, key), manifest.get(key, "nothing")
        if type(got) is not type(wanted) or got != wanted:
            raise kind.error(f"{field}: {key}", repr(wanted), repr(got))
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    digest = hashlib.sha256(_text(kind, rest)).hexdigest()
    if manifest.get("sha256") != digest or _text(kind, manifest) != text:
        raise kind.error(f"{field}: sha256", f"{digest[:12]}...", _short(manifest.get("sha256")))
    _check_table(kind, manifest)
    return manifest


def _check_table(kind: Kind, manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that was sealed by somebody who writes another format."""
    field = kind.json_name
    for key in ("arrays", "content"):
        if not isinstance(manifest.get(key), dict):
            raise kind.error(f"{field}: {key}", "an object", _short(manifest.get(key)))
    table = manifest["arrays"]
    for key, wanted in (("file", str), ("sha256", str), ("bytes", int), ("entries", dict)):
        if type(table.get(key)) is not wanted:
            raise kind.error(f"{field}: arrays.{key}", wanted.__name__, _short(table.get(key)))
    if Path(table["file"]).name != table["file"] or table["file"] in ("", ".", ".."):
        raise kind.error(f"{field}: arrays.file", "a name without folders", _short(table["file"]))
    for name, entry in table["entries"].items():
        sound = isinstance(entry, dict) and entry.keys() == {"dtype", "shape"}
        sound = sound and entry["dtype"] in (*NATIVE, *_AS_BYTES)
        if not (sound and isinstance(entry["shape"], list)):
            wanted = "the dtype and the shape of an array"
            raise kind.error(f"{field}: arrays.entries.{name}", wanted, _short(entry))


def _short(value: object) -> str:
    """A value for a message, however long it is."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(path: Path, kind: Kind, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes."""
    try:
        # First of all: opening a pipe would wait for ever.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise kind.error(path.name, "a regular file", path)
        if status.st_size > most:
            raise kind.error(path.name, f"at most {most:,} bytes", f"{status.st_size:,}")
        return path.read_bytes()
    except OSError as error:
        raise kind.error(path.name, "a file that can be read", error) from None


@contextmanager
def _turn(folder: Path) -> Generator[None]:
    """Hold a folder against other writers; the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(folder: Path, kind: Kind, keep: str) -> None:
    """Remove arrays that no JSON names any more, and what killed writers left."""
    for path in folder.glob(f"{kind.prefix}-*.safetensors"):
        if path.name != keep:
            path.unlink(missing_ok=True)
    for name in (f"{kind.prefix}-*.safetensors", kind.json_name):
        for path in folder.glob(f".{name}.*.part"):
            path.unlink(missing_ok=True)
