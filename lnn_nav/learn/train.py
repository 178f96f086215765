"""A training run: set up, step, report, save, resume."""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lnn_nav.design import Design
from lnn_nav.learn.config import TrainConfig, TrainError
from lnn_nav.learn.courses import Course, build_courses
from lnn_nav.learn.rollout import FlightShape
from lnn_nav.learn.step import Schedule, first_state, train_step
from lnn_nav.policy import Policy
from lnn_nav.store import load_about, load_tree, save_pilot, save_tree
from sim.files import write_atomically

REPORT_EVERY = 15
"""Steps between two lines of metrics: a few of each family."""

FIRST_SEED = 0
"""Of the training worlds."""

_STEP = jax.jit(train_step, static_argnums=(0, 1, 2))


@dataclass
class Progress:
    """What a run tells while it goes.

    Attributes:
        phase: what is being done.
        share: how much of the run is done, 0 to 1.
        figures: means since the last report.
        iteration: steps done.
        seconds: of the whole run so far.
    """

    phase: str
    share: float
    figures: dict[str, float] = field(default_factory=dict)
    iteration: int = 0
    seconds: float = 0.0


def train(config: TrainConfig, tell: Callable[[Progress], None]) -> bool:
    """Run to the end, or to the first interrupt; save both ways.

    Args:
        config: of the run.
        tell: called with progress a few times a second at most.

    Returns:
        Whether the run is over; False after an interrupt.

    Raises:
        TrainError: if `--out` holds a run that is not to be resumed, or not of this config.
    """
    run = _Run(config, tell)
    with _interrupt() as stopped:
        run.set_up()
        while not run.over() and not stopped():
            run.step()
        run.save()
    return run.over()


class _Run:
    """The moving parts of a run."""

    def __init__(self, config: TrainConfig, tell: Callable[[Progress], None]) -> None:
        self.config, self.tell = config, tell
        self.began, self.spent = time.monotonic(), 0.0
        self.design = design_of(config)
        policy = Policy(self.design.policy, rngs=nnx.Rngs(config.seed))
        self.graph, _ = nnx.split(policy)
        self.schedule = Schedule(rate=config.rate)
        self.shape = FlightShape(
            rays=self.design.rays.first(len(self.design.policy.rings)), steps=config.steps
        )
        self.state = first_state(self.schedule, policy, config.batch)
        self.compiled: set[FlightShape] = set()
        self.sums: dict[str, list[Any]] = {}
        self.saved_at = self.began

    def set_up(self) -> None:
        """Fresh folder or resumed state; courses; compiled step."""
        folder = self.config.folder
        if self.config.resume:
            self._resume()
        elif (folder / "state").exists():
            raise TrainError(f"out: {folder} holds a run; give --resume to go on, or another --out")
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / "config.json", _plain(self.config))
        self.tell(Progress("worlds", self.share(), iteration=self.iteration))
        self.courses: Course = build_courses(
            self.shape.guide,
            self.config.courses,
            FIRST_SEED,
            self.config.most_dense,
            self.config.most_zoom,
            lambda done, all_: self.tell(Progress(f"worlds {done}/{all_}", self.share())),
        )

    @property
    def iteration(self) -> int:
        """Steps done."""
        return int(self.state.iteration)

    def seconds(self) -> float:
        """Wall time of the run, over all its sittings [s]."""
        return self.spent + time.monotonic() - self.began

    def share(self) -> float:
        """How much of the run is done."""
        if self.config.iterations is not None:
            return self.iteration / self.config.iterations
        return self.seconds() / (60 * (self.config.minutes or 0))

    def over(self) -> bool:
        """Whether the run has had its steps or its time."""
        return self.share() >= 1

    def step(self) -> None:
        """One step; now and then a report and a checkpoint."""
        share, last = min(self.share(), 1.0), self.config.barrier_share
        # A run without that phase may still begin its last step at the very end of its time.
        barrier = last > 0 and share >= 1 - last
        progress = (share - 1 + last) / last if barrier else share / (1 - last)
        key = jax.random.fold_in(jax.random.key(self.config.seed), self.iteration)
        shape = dataclasses.replace(self.shape, barrier=barrier)
        if shape not in self.compiled:
            self.compiled.add(shape)
            self.tell(Progress("compiling", share, iteration=self.iteration))
        self.state, figures = _STEP(
            self.schedule, shape, self.graph, self.courses, self.state, key, jnp.float32(progress)
        )
        for name, value in figures.items():
            self.sums.setdefault(name, []).append(value)
        if self.iteration % REPORT_EVERY == 0:
            self._report()
        if time.monotonic() - self.saved_at > self.config.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        """Write the training state, and the averaged policy as a pilot."""
        folder, state = self.config.folder, self.state
        policy = nnx.merge(self.graph, state.average)
        about = {
            "trained_by": _command(self.config),
            "iterations": self.iteration,
            "seconds": round(self.seconds(), 1),
        }
        save_pilot(folder, self.design, policy, about)
        save_tree(folder / "state", {"state": state}, {**about, "config": _plain(self.config)})
        self.saved_at = time.monotonic()

    def _report(self) -> None:
        means = {name: float(np.mean(jax.device_get(rows))) for name, rows in self.sums.items()}
        self.sums = {}
        row = {"iteration": self.iteration, "seconds": round(self.seconds(), 1), **means}
        with open(self.config.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.tell(Progress("training", self.share(), means, self.iteration, self.seconds()))

    def _resume(self) -> None:
        folder = self.config.folder
        # Settings first: another batch or cell would only show as an array of another shape.
        before, now = load_about(folder / "state")["config"], _plain(self.config)
        free = {"out", "resume", "minutes", "iterations", "barrier_share", "checkpoint_seconds"}
        for name in sorted(now.keys() - free):
            if before.get(name) != now[name]:
                raise TrainError(f"{name}: the run has {before.get(name)!r}, got {now[name]!r}")
        trees, about = load_tree(folder / "state", {"state": self.state})
        self.state = jax.tree.map(jnp.asarray, trees["state"])
        self.spent = float(about["seconds"])
        _forget_after(folder / "metrics.jsonl", self.iteration)


def design_of(config: TrainConfig) -> Design:
    """The pilot's design that a run trains."""
    plain = Design()
    policy = dataclasses.replace(plain.policy, cell=config.cell, parameters=config.parameters)
    return dataclasses.replace(plain, policy=policy)


@contextmanager
def _interrupt() -> Generator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a flag; a second one ends the program."""
    caught: list[int] = []

    def note(number: int, frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _command(config: TrainConfig) -> str:
    """The command that trains this pilot."""
    plain = TrainConfig(config.out, iterations=1)
    words = ["scripts/train.py", "--out", config.folder.name]
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        skip = item.name in ("out", "resume", "checkpoint_seconds") or value is None
        if not skip and (value != getattr(plain, item.name) or item.name == "iterations"):
            words += [f"--{item.name.replace('_', '-')}", str(value)]
    return " ".join(words)


def _plain(config: TrainConfig) -> dict[str, Any]:
    """As it comes back from JSON: lists for tuples."""
    return json.loads(json.dumps({**dataclasses.asdict(config), "out": str(config.folder)}))


def _write_json(path: Path, data: object) -> None:
    text = json.dumps(data, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def _forget_after(path: Path, iteration: int) -> None:
    """Drop metrics of steps that the resumed state has not done."""
    if not path.exists():
        return
    rows = [line for line in path.read_text().splitlines() if line.strip()]
    kept = [line for line in rows if json.loads(line)["iteration"] <= iteration]
    text = "".join(line + "\n" for line in kept)
    write_atomically(path, lambda file: file.write(text.encode()))
