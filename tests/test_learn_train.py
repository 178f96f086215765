"""Training: improves, saves, resumes exactly, ends cleanly on Ctrl-C, refuses what it cannot do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from lnn_nav.learn.config import TrainConfig, TrainError
from lnn_nav.learn.train import Progress, train
from lnn_nav.store import load_policy, load_tree

REPOSITORY = Path(__file__).parents[1]
SMALL = TrainConfig(Path("unset"), iterations=6, batch=4, steps=8, courses=2, rate=1e-3)


def quiet(progress: Progress) -> None:
    """Tell nobody."""


def leaves(folder: Path) -> list[np.ndarray]:
    """Every array of the saved training state, whatever its tree."""
    from safetensors.numpy import load_file

    (file,) = (folder / "state").glob("*.safetensors")
    arrays = load_file(file)
    return [arrays[name] for name in sorted(arrays)]


def run_for(
    out: Path, iterations: int, stop_after: int | None = None, resume: bool = False
) -> None:
    """Train in this process; `stop_after` raises Ctrl-C once that many steps are reported."""
    config = replace(SMALL, out=out, iterations=iterations, resume=resume)

    def tell(progress: Progress) -> None:
        if stop_after is not None and progress.phase == "compiling":
            os.kill(os.getpid(), signal.SIGINT)

    train(config, tell)


def test_an_interrupted_and_resumed_run_has_the_parameters_of_an_unbroken_one(
    tmp_path: Path,
) -> None:
    """Law: unbroken == interrupted + resumed, bit for bit, optimiser and flights included."""
    run_for(tmp_path / "unbroken", 6)
    run_for(tmp_path / "broken", 6, stop_after=1)
    done = load_policy(tmp_path / "broken").about["iterations"]
    assert 0 < done < 6, "the interrupt must have come in between, or this test shows nothing"
    run_for(tmp_path / "broken", 6, resume=True)
    pairs = list(zip(leaves(tmp_path / "unbroken"), leaves(tmp_path / "broken"), strict=True))
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)
    # Negative control: two steps more are not the same.
    other = tmp_path / "longer"
    train(replace(SMALL, out=other, iterations=7), quiet)
    assert not all(
        np.array_equal(a, b)
        for a, b in zip(leaves(tmp_path / "unbroken"), leaves(other), strict=True)
    )


def test_a_short_run_improves(tmp_path: Path) -> None:
    """105 steps, a real if small run: the loss falls by more than half, and so do the touches."""
    config = TrainConfig(tmp_path, iterations=105, batch=24, steps=48, courses=6, rate=3e-3)
    train(config, quiet)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert rows[-1]["touched"] < 0.5 * rows[0]["touched"]
    assert rows[-1]["sound"] == 1.0
    policy = load_policy(tmp_path).policy
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(policy))


def test_ctrl_c_saves_and_says_so(tmp_path: Path) -> None:
    """The program ends with 130 after SIGINT, and what it saved can be loaded."""
    out = tmp_path / "run"
    command = [sys.executable, "scripts/train.py", "--out", str(out), "--minutes", "5"]
    command += ["--batch", "4", "--steps", "8", "--courses", "2"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not (out / "metrics.jsonl").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "--resume" in text
    assert load_policy(out).about["iterations"] >= 15


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("minutes", 0.0),
        ("minutes", -1.0),
        ("minutes", float("nan")),
        ("iterations", 0),
        ("batch", 0),
        ("rate", float("inf")),
        ("barrier_share", 1.0),
        ("seed", -1),
        ("parameters", 0),
    ],
)
def test_impossible_options_are_refused_by_name(field: str, value: float) -> None:
    """Every option that cannot be is named in the error."""
    options = {"minutes": None, "iterations": 5, field: value}
    if field == "minutes":
        options["iterations"] = None
    with pytest.raises(TrainError, match=field):
        TrainConfig(Path("x"), **options)


def test_the_command_refuses_without_a_traceback(tmp_path: Path) -> None:
    """Exit code 2 and one sentence that names the option."""
    command = [sys.executable, "scripts/train.py", "--out", str(tmp_path), "--minutes", "-3"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "minutes" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_run_is_not_overwritten_or_resumed_as_another(tmp_path: Path) -> None:
    """A folder with a run needs --resume, and --resume needs the same settings."""
    train(replace(SMALL, out=tmp_path, iterations=1), quiet)
    with pytest.raises(TrainError, match="--resume"):
        train(replace(SMALL, out=tmp_path, iterations=2), quiet)
    with pytest.raises(TrainError, match="batch"):
        train(replace(SMALL, out=tmp_path, iterations=2, batch=5, resume=True), quiet)
    with pytest.raises(ValueError, match="state"):
        load_tree(tmp_path / "nothing", {"state": 0})
