"""Films of episodes, and stable-baselines3 as it is on an environment as it is."""

from __future__ import annotations

import runpy
import sys

import env_rig
import flying
import imageio.v3
import numpy as np
import pytest

from sim.env import EnvError, MissingExtra, record

AHEAD = np.array([0.4, 0.0, 0.0, 0.0], np.float32)


def ahead(seen: object) -> np.ndarray:
    return AHEAD


@pytest.fixture(scope="module")
def drawn():
    env = env_rig.make(render_mode="rgb_array", world=flying.open_world(time_limit=0.4))
    yield env
    env.close()


def test_a_film_shows_the_episode_at_the_speed_at_which_it_was_flown(drawn, tmp_path):
    info = record(drawn, ahead, tmp_path / "films" / "flight.gif", seed=0)
    assert info["outcome"] == "timeout"
    frames = imageio.v3.imread(tmp_path / "films" / "flight.gif", index=None)
    # 20 control steps at 48 Hz: the start, every second step, the last one among them.
    assert frames.shape == (11, 240, 320, 3)
    waits = imageio.v3.immeta(tmp_path / "films" / "flight.gif")["duration"]
    assert waits == pytest.approx(1000 / 24, abs=5)
    assert (frames[0] != frames[-1]).mean() > 0.02


def test_a_film_ends_where_it_is_told_to(drawn, tmp_path):
    info = record(drawn, ahead, tmp_path / "short.gif", seed=0, most_steps=5)
    assert info["outcome"] == "flying" and info["time"] == pytest.approx(5 / 48)
    assert len(imageio.v3.imread(tmp_path / "short.gif", index=None)) == 4


def test_what_cannot_be_filmed_is_named(drawn, tmp_path, monkeypatch):
    for arguments, word in (
        ((drawn, ahead, tmp_path / "film.avi"), "path"),
        ((env_rig.make(), ahead, tmp_path / "film.gif"), "env"),
    ):
        with pytest.raises(EnvError, match=f"^{word}: expected"):
            record(*arguments)
    with pytest.raises(EnvError, match="^most_steps: expected"):
        record(drawn, ahead, tmp_path / "film.gif", most_steps=0)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtra, match=r"\[video\]"):
        record(drawn, ahead, tmp_path / "film.mp4", most_steps=1)
    assert not list(tmp_path.iterdir())


def test_an_mp4_film(drawn, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    record(drawn, ahead, tmp_path / "flight.mp4", seed=0)
    frames = imageio.v3.imread(tmp_path / "flight.mp4", plugin="FFMPEG")
    assert frames.shape == (11, 240, 320, 3)


def test_without_stable_baselines3_one_sentence_names_the_extra(repository, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    script = runpy.run_path(str(repository / "scripts" / "train_ppo.py"))
    assert script["main"](script["Lesson"]()) == 2
    assert "[ppo]" in capsys.readouterr().out


def test_ppo_learns_on_an_environment_as_it_is(repository, tmp_path, capsys):
    pytest.importorskip("stable_baselines3")
    script = runpy.run_path(str(repository / "scripts" / "train_ppo.py"))
    out = tmp_path / "agent.zip"
    lesson = script["Lesson"](steps=512, environments=1, worlds=1, density=0.0, out=out)
    assert script["main"](lesson) == 0
    assert "episodes" in capsys.readouterr().out and out.stat().st_size > 10_000
