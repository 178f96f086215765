"""What the verbs share: compiled programs are kept where the user's caches are, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import pytest

from lnn_nav.commands.shell import keep_compiled

NAME = "JAX_COMPILATION_CACHE_DIR"


@pytest.fixture
def settings(monkeypatch) -> dict[str, object]:
    """What jax is told, which it is not."""
    told: dict[str, object] = {}
    monkeypatch.setattr(jax.config, "update", told.__setitem__)
    # So that it is put back whatever the function does.
    monkeypatch.setenv(NAME, "before")
    monkeypatch.delenv(NAME)
    return told


def test_what_was_compiled_is_kept_in_the_users_cache(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_compiled()
    folder = Path(str(settings["jax_compilation_cache_dir"]))
    assert folder.is_dir() and folder.parent == tmp_path / "lnn-nav"
    # The processes of a campaign read it from here.
    assert os.environ[NAME] == str(folder)


def test_a_folder_that_the_user_named_stays(settings, monkeypatch):
    monkeypatch.setenv(NAME, "mine")
    keep_compiled()
    assert not settings and os.environ[NAME] == "mine"


def test_without_a_place_nothing_is_kept_and_nothing_fails(settings, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep_compiled()
    assert not settings and NAME not in os.environ
