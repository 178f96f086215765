"""What every test shares: a CPU, float64, the same random examples each time, and the data."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

# Read by jax at its first import, so they stand before it.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # Workers and programs under test inherit it: each pilot is compiled once a run, not a file.
    _COMPILED = tempfile.mkdtemp(prefix="lnn-nav-compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED
    atexit.register(shutil.rmtree, _COMPILED, ignore_errors=True)
# What takes long in these tests is compiling: by XLA's older emitters it takes half the time. The
# campaigns of `make verify` and the benches run what users run.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
os.environ.setdefault("MPLBACKEND", "agg")

import jax
from hypothesis import settings

jax.config.update("jax_enable_x64", True)

# What jax traces is millions of objects that live on: to look through them all the time takes a
# twentieth of the tests' time.
gc.set_threshold(100_000, 20, 50)

settings.register_profile("house", derandomize=True, deadline=None, database=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of third-party test data, named by ``LNN_NAV_TEST_DATA``; skips without it."""
    folder = os.environ.get("LNN_NAV_TEST_DATA")
    if not folder:
        pytest.skip("LNN_NAV_TEST_DATA is not set")
    path = Path(folder)
    if not path.is_dir():
        raise NotADirectoryError(f"LNN_NAV_TEST_DATA: expected a folder, got {folder!r}")
    return path


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout under test."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tracked_files(repository: Path) -> tuple[Path, ...]:
    """Every file git tracks, absolute; in a tree without git, every file git would not ignore."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        files = [repository / name for name in listing.stdout.split("\0") if name]
    else:
        files = [
            path for path in repository.rglob("*") if not _is_litter(path.relative_to(repository))
        ]
    return tuple(path for path in sorted(files) if path.is_file())


def _is_litter(relative: Path) -> bool:
    """Whether tools leave this behind: hidden folders but .ci, caches, builds, flights."""
    folders = set(relative.parts[:-1])
    hidden = any(name.startswith(".") and name != ".ci" for name in folders)
    built = any(name.endswith(".egg-info") for name in folders)
    return hidden or built or bool(folders & {"__pycache__", "build", "dist", "runs"})
