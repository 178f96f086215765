"""What the verbs share: options in, one sentence for bad ones, jax as flights need it."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from sim.world import World

Options = TypeVar("Options")

GOOD, BAD, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: it went well; it ran and went badly; what was asked for makes no sense; Ctrl-C."""


class InputError(ValueError):
    """An option, or a file that it names, that is not right; the message is for the user."""


@contextmanager
def option(name: str) -> Generator[None]:
    """Errors of values and files raised inside are the fault of the option `name`."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(f"{name}: {' '.join(str(error).split())}") from error


@contextmanager
def fields(**options: str) -> Generator[None]:
    """Errors raised inside name a field first; say the option instead, the field's own by default.

    Args:
        options: by field, where the option is called differently.
    """
    try:
        yield
    except ValueError as error:
        field, _, rest = " ".join(str(error).split()).partition(": ")
        name = options.get(field, f"--{field.replace('_', '-')}")
        raise InputError(f"{name}: {rest}") from error


def at_least(name: str, value: int, least: int) -> None:
    """Refuse an option that is too small.

    Raises:
        InputError: naming it.
    """
    if not value >= least:
        raise InputError(f"{name}: expected {least} or more, got {value}")


def parse(kind: type[Options], verb: str, arguments: Sequence[str] | None) -> Options:
    """Options from the command line; on `--help` or nonsense the process ends here."""
    return tyro.cli(kind, prog=f"lnn-nav {verb}", args=arguments)


def complain(verb: str, error: InputError) -> int:
    """Say what is wrong with the input, and answer the exit code."""
    print(f"lnn-nav {verb}: {error}", file=sys.stderr)
    return BAD_INPUT


def leave() -> NoReturn:
    """End the process after Ctrl-C, at once: jax crashes at exit when a compilation was stopped."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def open_console() -> Console:
    """Where the verbs write: as wide as the terminal, or 100 columns into a file."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def set_up_jax() -> None:
    """Flights compute in 64 bits, and on the CPU unless told otherwise: their steps are small.

    Each step is waited for, and is computed where it is called: handing it, or parts of it, to
    other threads of the CPU would cost as much as half the step.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("NPROC", "1")
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    keep_compiled()


def keep_compiled() -> None:
    """Let jax keep what it compiles in the user's cache: only the first flight waits for it.

    A folder that the user named (`JAX_COMPILATION_CACHE_DIR`) stays; one that cannot be written
    is done without.
    """
    import jax

    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # Compiled for this very kind of machine: a home may be shared by several.
    machine = hashlib.sha256(_processor().encode()).hexdigest()[:12]
    folder = home / "lnn-nav" / f"jax-{jax.__version__}-{machine}"
    try:
        writable_folder("cache", folder)
    except InputError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # For the processes of a campaign, which begin anew.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)


def _processor() -> str:
    """What the processor is and can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    kept = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(kept)])


def set_up_engine(name: str) -> None:
    """Import an engine without its greeting.

    Raises:
        InputError: its library is not installed, or there is no such engine.
    """
    if name != "pybullet":
        return
    from sim.quiet import unheard

    with unheard():
        try:
            import sim.bullet  # noqa: F401
        except ImportError as error:
            missing = f"--engine: pybullet needs the extra [sim] of this package ({error})"
            raise InputError(missing) from error


def display(gui: bool, engine: str) -> None:
    """See that there is a window to open; without a display PyBullet ends the whole process.

    Raises:
        InputError: naming the option.
    """
    if not gui:
        return
    if engine != "pybullet":
        raise InputError(f"--gui: expected --engine pybullet with it, got {engine}")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        raise InputError("--gui: expected a display (DISPLAY is not set), got none")


def writable_folder(name: str, folder: Path) -> None:
    """Make a folder and see that files can be put there, before a long flight finds out.

    Raises:
        InputError: naming the option.
    """
    with option(name):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def generated(
    name: str, family: str, seed: int, speed: float | None, density: float | None = None
) -> World:
    """A world of a family.

    Raises:
        InputError: naming the option, for the family `name`.
    """
    from sim.families import generate

    with fields(family=name):
        return generate(family, seed, speed, density)


def see_what_moves(sees: str, world: World) -> None:
    """See that a barrier which knows the map can fly there: its map stands still.

    Raises:
        InputError: naming the option.
    """
    from sim.motion import any_moves

    if sees == "map" and any_moves(world.obstacles):
        raise InputError("--barrier-sees: expected rays where obstacles move, got map")


def world_from_file(path: Path, speed: float | None) -> World:
    """A world file, its set speed replaced if `speed` [m/s] is given (the time limit scales).

    Raises:
        InputError: naming the field that is not right.
    """
    from dataclasses import replace

    from sim.world import load_world

    with option(f"--world-file {path}"):
        world = load_world(path)
    if speed is None:
        return world
    with option("--speed"):
        if not 1e-3 <= speed <= 100:
            raise ValueError(f"expected 0.001 to 100 m/s, got {speed}")
        return replace(world, speed=speed, time_limit=world.time_limit * world.speed / speed)
