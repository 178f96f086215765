"""Checkpoints: pilots and training states in a folder, whole, checked, without pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Shaped

from lnn_nav.archive import ArchiveError, Kind, read_archive, write_archive
from lnn_nav.design import Design, DesignError
from lnn_nav.pilot import LiquidPilot
from lnn_nav.policy import Policy
from lnn_nav.straight import StraightLine

SHIPPED = "default"
"""The trained pilot that comes with the package; `shipped` is another name for it."""
STRAIGHT_LINE = "straight-line"
"""The pilot without a network."""

Tree: TypeAlias = Any
"""Any pytree of arrays."""


class PilotError(ArchiveError):
    """A pilot that is missing, damaged or not what its design says; the message names the field."""


class StateError(ArchiveError):
    """A training state that is missing, damaged or another one's; the message names the field."""


PILOT = Kind("lnn-nav/pilot", stem="pilot", prefix="weights", error=PilotError)
ARRAYS = Kind("lnn-nav/arrays", stem="arrays", error=StateError)
TREES = Kind("lnn-nav/state", stem="state", prefix="state", error=StateError)


class Checkpoint(NamedTuple):
    """What a pilot is made of.

    Attributes:
        design: everything that is not trained.
        policy: what is trained (nothing, for a straight line).
        about: how it came to be: command, figures.
    """

    design: Design
    policy: Policy | StraightLine
    about: dict[str, Any]


def save_pilot(
    folder: Path | str, design: Design, policy: Policy, about: Mapping[str, Any] | None = None
) -> None:
    """Put a pilot into a folder; see `lnn_nav.archive` for what a crash does (no harm).

    Args:
        folder: where.
        design: everything that is not trained.
        policy: whose parameters are stored.
        about: plain data on how it came to be.

    Raises:
        PilotError: a parameter is not finite, or not what the design asks for.
        OSError: the folder cannot be written.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in _named(nnx.state(policy)).items()}
    _check_parameters(arrays, _named(_blank(design)[1]))
    content = {"design": design.to_dict(), "about": dict(about or {})}
    write_archive(folder, PILOT, arrays, content)


def load_policy(name_or_folder: Path | str) -> Checkpoint:
    """Read a pilot by its name or from its folder, all of it checked before it is used.

    Args:
        name_or_folder: `default` (the shipped pilot), `straight-line`, or a folder.

    Raises:
        PilotError: naming the field that is not right.
    """
    if str(name_or_folder) == STRAIGHT_LINE:
        design = Design()
        return Checkpoint(design, StraightLine(design.policy), {})
    folder = _folder_of(name_or_folder)
    arrays, content = read_archive(folder, PILOT)
    for key in content.keys() ^ {"design", "about"}:
        state = "an unknown key" if key in content else "nothing"
        raise PilotError(f"content.{key}", "design and about", state)
    try:
        design = Design.from_dict(content["design"])
        graph, blank = _blank(design)
    except DesignError as error:
        raise PilotError("design", "one that can fly", error) from error
    except ValueError as error:
        raise PilotError("design.policy", "one that can be built", error) from error
    wanted = _named(blank)
    _check_parameters(arrays, wanted)
    leaves = [jnp.asarray(arrays[name]) for name in wanted]
    params = jax.tree.unflatten(jax.tree.structure(blank), leaves)
    return Checkpoint(design, nnx.merge(graph, params), dict(content["about"]))


def digest(name_or_folder: Path | str) -> str:
    """What tells pilots apart: SHA-256 of the file that holds design and weights' checksum.

    Args:
        name_or_folder: as in `load_policy`; the name itself for `straight-line`.

    Raises:
        PilotError: there is no such pilot.
    """
    if str(name_or_folder) == STRAIGHT_LINE:
        return STRAIGHT_LINE
    path = _folder_of(name_or_folder) / PILOT.json_name
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PilotError("pilot", f"a folder with {PILOT.json_name}", error) from error


def load_pilot(
    name_or_folder: Path | str, barrier: bool = True, sees: Literal["rays", "map"] = "rays"
) -> LiquidPilot:
    """Read a pilot, ready to fly; see `load_policy` and `LiquidPilot`.

    Raises:
        PilotError: naming the field that is not right.
        ValueError: if `sees` is neither.
    """
    design, policy, _ = load_policy(name_or_folder)
    name = Path(name_or_folder).resolve().name if _is_path(name_or_folder) else str(name_or_folder)
    return LiquidPilot(design, policy, name, barrier, sees)


def save_arrays(
    folder: Path | str,
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Put named arrays and plain data into a folder, bit by bit.

    Raises:
        StateError: something cannot be stored.
        OSError: the folder cannot be written.
    """
    write_archive(folder, ARRAYS, arrays, about or {})


def load_arrays(
    folder: Path | str,
) -> tuple[dict[str, Shaped[np.ndarray, "..."]], dict[str, Any]]:
    """The inverse of `save_arrays`.

    Raises:
        StateError: naming the field that is not right.
    """
    return read_archive(folder, ARRAYS)


def save_tree(
    folder: Path | str, trees: Mapping[str, Tree], about: Mapping[str, Any] | None = None
) -> None:
    """Put pytrees of arrays and plain data into a folder, bit by bit.

    Args:
        folder: where.
        trees: by name; leaves are arrays (of jax or numpy), random keys or numbers.
        about: plain data.

    Raises:
        StateError: a leaf cannot be stored.
        OSError: the folder cannot be written.
    """
    arrays = {name: _bits(leaf) for name, leaf in _leaves(trees).items()}
    write_archive(folder, TREES, arrays, about or {})


def load_tree(
    folder: Path | str, like: Mapping[str, Tree]
) -> tuple[dict[str, Tree], dict[str, Any]]:
    """The inverse of `save_tree`.

    Args:
        folder: where.
        like: trees of the same structure, shapes and dtypes; each leaf comes back as one of the
            same type (jax array, numpy array, random key, number).

    Raises:
        StateError: naming the leaf that is not like that of `like`, or what is damaged.
    """
    arrays, about = read_archive(folder, TREES)
    wanted = _leaves(like)
    _check_names(arrays, wanted, StateError)
    leaves = [_revived(name, arrays[name], leaf) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(dict(like)), leaves), about


def load_about(folder: Path | str) -> dict[str, Any]:
    """The plain data that `save_tree` put beside its trees: enough to know which trees to expect.

    Raises:
        StateError: naming what is damaged.
    """
    return read_archive(folder, TREES)[1]


def _blank(design: Design) -> tuple[Any, Any]:
    """Graph and abstract parameters of a design's policy: names, shapes, dtypes, no numbers."""
    policy = nnx.eval_shape(lambda: Policy(design.policy, rngs=nnx.Rngs(0)))
    return nnx.split(policy)


def _named(state: Any) -> dict[str, Any]:  # noqa: ANN401 - an nnx.State
    """The leaves of a policy's state in its own order, by dotted names."""
    variables = {".".join(map(str, path)): leaf for path, leaf in nnx.to_flat_state(state)}
    return {name: variable.get_value() for name, variable in variables.items()}


def _check_parameters(arrays: Mapping[str, np.ndarray], wanted: Mapping[str, Any]) -> None:
    """Refuse parameters that are not those that the design asks for, or not finite."""
    _check_names(arrays, wanted, PilotError)
    for name, like in wanted.items():
        _check_like(name, arrays[name], like.shape, like.dtype, PilotError)
        if not np.isfinite(arrays[name].astype(np.float64)).all():
            raise PilotError(name, "finite numbers", "others among them")


def _check_names(
    arrays: Mapping[str, Any], wanted: Mapping[str, Any], error: type[ArchiveError]
) -> None:
    for name in sorted(arrays.keys() ^ wanted.keys()):
        if name in wanted:
            raise error(name, "an array of this name", "none")
        raise error(name, f"only the {len(wanted)} arrays that are asked for", "one more")


def _check_like(
    name: str, array: np.ndarray, shape: tuple, dtype: np.dtype, error: type[ArchiveError]
) -> None:
    if array.shape != tuple(shape) or array.dtype != dtype:
        got = f"{array.dtype} {list(array.shape)}"
        raise error(name, f"{np.dtype(dtype)} {list(shape)}", got)


def _leaves(trees: Mapping[str, Tree]) -> dict[str, Any]:
    """Every leaf by its path."""
    pairs, _ = jax.tree_util.tree_flatten_with_path(dict(trees))
    return {jax.tree_util.keystr(path): leaf for path, leaf in pairs}


def _is_key(leaf: object) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _bits(leaf: Any) -> np.ndarray:  # noqa: ANN401 - any leaf
    """A leaf as a numpy array."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _revived(name: str, array: np.ndarray, like: Any) -> Any:  # noqa: ANN401 - any leaf
    """A stored leaf as one of the type of `like`."""
    blank = _bits(like)
    _check_like(name, array, blank.shape, blank.dtype, StateError)
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(like))
    if isinstance(like, jax.Array):
        return jnp.asarray(array)
    return array if isinstance(like, np.ndarray) else type(like)(array[()])


def _is_path(name: Path | str) -> bool:
    """Whether a pilot is named by its folder, not by one of the names that ship."""
    return isinstance(name, Path) or name not in ("shipped", SHIPPED, STRAIGHT_LINE)


def _folder_of(name: Path | str) -> Path:
    """The folder of a pilot."""
    if not _is_path(name):
        return Path(str(files("lnn_nav").joinpath("pilots", SHIPPED)))
    folder = Path(name)
    if not folder.is_dir():
        wanted = f"a folder with {PILOT.json_name}, {SHIPPED} or {STRAIGHT_LINE}"
        raise PilotError("pilot", wanted, repr(str(name)))
    return folder
