"""Trained seeds in numbers: error on held-out rows, and what happens when the policy drives."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from barriernet.examples.closed_loop import Drive, drive
from barriernet.examples.experiment import (
    Demonstrations,
    Experiment,
    Learnt,
    Scene,
    answer,
    mean_square_error,
)
from barriernet.examples.training import Recipe, train


@dataclass(frozen=True)
class Row:
    """One trained policy in one scene.

    Attributes:
        experiment: its name.
        scene: its name.
        barrier: whether the policy was trained and driven behind the layer.
        seed: of the training.
        train_s: wall time of the training, compiled before [s].
        compile_s: wall time of compiling it, once for all seeds [s].
        test_mse: mean square error of the control on held-out rows.
        least_margin: smallest h of any barrier over all runs and steps.
        unsafe_runs: share of runs in which a barrier was below zero.
        certified: share of steps that the layer vouched for.
        path_rms: root mean square distance from the expert's path [m]; None without one.
        largest_control: in magnitude, any component.
    """

    experiment: str
    scene: str
    barrier: bool
    seed: int
    train_s: float
    compile_s: float
    test_mse: float
    least_margin: float
    unsafe_runs: float
    certified: float
    path_rms: float | None
    largest_control: float

    def as_json(self) -> dict[str, object]:
        """For a file."""
        return asdict(self)


def measure(
    experiment: Experiment,
    recipe: Recipe,
    shown: Demonstrations,
    seeds: Sequence[int],
    barrier: bool,
) -> Iterator[Row]:
    """Train a policy from each seed and let it drive in every scene.

    Args:
        experiment: what is trained.
        recipe: how.
        shown: the expert's data and the scenes.
        seeds: of weights and batches.
        barrier: whether the layer is there, in training and behind the wheel.
    """
    began = time.perf_counter()
    learning = jax.jit(partial(train, experiment, recipe, barrier=barrier))
    learning = learning.lower(shown.states, shown.controls, jax.random.key(0)).compile()
    compile_s = time.perf_counter() - began
    judged = jax.jit(partial(judge, experiment, shown, barrier=barrier))
    for seed in seeds:
        began = time.perf_counter()
        learnt, _ = learning(shown.states, shown.controls, jax.random.key(seed))
        jax.block_until_ready(learnt)
        train_s = time.perf_counter() - began
        error, drives = judged(learnt)
        for scene, driven in zip(shown.scenes, drives, strict=True):
            margins = np.asarray(driven.margins)
            yield Row(
                experiment=experiment.name,
                scene=scene.name,
                barrier=barrier,
                seed=seed,
                train_s=train_s,
                compile_s=compile_s,
                test_mse=float(error),
                least_margin=float(margins.min()),
                unsafe_runs=float(np.mean(margins.min(axis=(1, 2)) < 0)),
                certified=float(np.mean(driven.certified)),
                path_rms=_distance(scene, driven),
                largest_control=float(np.abs(driven.controls).max()),
            )


def judge(
    experiment: Experiment, shown: Demonstrations, learnt: Learnt, barrier: bool
) -> tuple[Array, tuple[Drive, ...]]:
    """Error on the held-out rows, and the drives of every scene; pure, for `jit`."""
    given = jax.vmap(lambda state: answer(experiment, learnt, state, barrier))
    expert = jnp.asarray(shown.test_controls)
    error = mean_square_error(given(jnp.asarray(shown.test_states)).control, expert)
    drives = tuple(
        jax.vmap(partial(drive, scene.experiment, learnt, barrier=barrier))(
            jnp.asarray(scene.starts), jnp.asarray(scene.outside)
        )
        for scene in shown.scenes
    )
    return error, drives


def _distance(scene: Scene, driven: Drive) -> float | None:
    if scene.paths is None:
        return None
    place = list(scene.experiment.place)
    apart = np.asarray(driven.states)[..., place] - scene.paths[..., place]
    return float(np.sqrt(np.mean(np.sum(apart**2, axis=-1))))
