"""What every test shares: a CPU, float64, the same random examples each time, and the data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read by jax at its first import, so they stand before it.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import jax
from hypothesis import settings

jax.config.update("jax_enable_x64", True)

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
