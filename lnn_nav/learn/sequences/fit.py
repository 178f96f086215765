"""The training loop: AdamW on the cross-entropy, its rate warmed up and let go by a cosine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from lnn_nav.learn.config import TrainError
from lnn_nav.learn.sequences.model import Classifier
from lnn_nav.learn.sequences.samples import Samples, batches

KNOWN_LOSS = 0.2
"""Loss of a sequence below which it is shown less and less often [nat]."""


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        epochs: how many times as many sequences are shown as there are.
        batch: sequences a step.
        rate: peak learning rate.
        warm_up: share of the run over which the rate rises.
        decay: decoupled weight decay.
        clip: bound of the gradient's norm.
        again: chance that a sequence that was got right is shown in the next round; 1 shows all.
        stride: batches are a multiple of so many steps wide.
    """

    epochs: float = 60.0
    batch: int = 128
    rate: float = 5e-3
    warm_up: float = 0.05
    decay: float = 1e-3
    clip: float = 1.0
    again: float = 1.0
    stride: int = 8


class Progress(NamedTuple):
    """What a run tells after a round.

    Attributes:
        share: how much of the run is done, 0 to 1.
        loss: mean of the round [nat]; of what was shown.
        right: share of the round that was got right.
        skipped: steps so far that were left out because they were not finite.
    """

    share: float
    loss: float
    right: float
    skipped: int


class Fitted(NamedTuple):
    """What came out.

    Attributes:
        model: as trained.
        rounds: what was told.
        steps: of the optimiser.
        seconds: wall time [s].
    """

    model: Classifier
    rounds: tuple[Progress, ...]
    steps: int
    seconds: float


class _State(NamedTuple):
    params: Any
    moments: Any
    skipped: Array


def fit(
    recipe: Recipe,
    model: Classifier,
    draw: Callable[[np.random.Generator], Samples],
    seed: int,
    *,
    minutes: float | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Fitted:
    """Train a classifier; the one that is given stays as it is.

    Args:
        recipe: how.
        model: at the start.
        draw: the sequences of a round, always the same number; they may be others each time.
        seed: of their order, and of `draw`.
        minutes: at most so long [min]; the schedule then ends with whichever comes first.
        tell: called after every round.

    Raises:
        TrainError: more than one step in ten was not finite.
    """
    run = _Run(recipe, model, seed, minutes)
    while run.share() < 1:
        tell(run.round(draw(run.rng)))
    return Fitted(
        nnx.merge(run.graph, run.state.params),
        tuple(run.told),
        run.steps,
        time.monotonic() - run.began,
    )


class _Run:
    """The moving parts of a run."""

    def __init__(self, recipe: Recipe, model: Classifier, seed: int, minutes: float | None) -> None:
        self.recipe, self.minutes = recipe, minutes
        self.graph, params = nnx.split(model)
        # The step gives away what it is given; the caller keeps theirs.
        params = jax.tree.map(jnp.copy, params)
        moments = optimiser(recipe).init(params)
        self.state = _State(params, moments, jnp.zeros((), jnp.int32))
        self.rng = np.random.default_rng(seed)
        self.began, self.shown, self.total, self.steps = time.monotonic(), 0, np.inf, 0
        self.losses = np.zeros(0, np.float32)
        self.told: list[Progress] = []

    def share(self) -> float:
        """How much of the run is done."""
        passed = (time.monotonic() - self.began) / 60
        by_time = 0.0 if self.minutes is None else passed / self.minutes
        return min(1.0, max(self.shown / self.total, by_time))

    def round(self, samples: Samples) -> Progress:
        """Show what is to be shown once."""
        if not len(self.losses):
            self.total = self.recipe.epochs * len(samples)
            self.losses = np.full(len(samples), np.inf, np.float32)
        chosen = np.flatnonzero(self._due(samples))
        now, seen = samples.take(chosen), []
        for rows, width in batches(now.lengths, self.recipe.batch, self.rng, self.recipe.stride):
            share = self.share()
            if share >= 1:
                break
            rate = np.float32(learning_rate(self.recipe, share))
            batch = now.take(rows, width)
            told = (batch.inputs, batch.dt, batch.lengths, batch.labels)
            self.state, found = _step(self.recipe, self.graph, self.state, told, rate)
            seen.append((chosen[rows], found))
            self.shown, self.steps = self.shown + len(rows), self.steps + 1
        return self._account(seen)

    def _due(self, samples: Samples) -> Bool[np.ndarray, " n"]:
        """Which sequences are to be shown: those that are known, seldom."""
        chance = np.clip(self.losses / KNOWN_LOSS, self.recipe.again, 1)
        return self.rng.random(len(samples)) < chance

    def _account(self, seen: list[tuple[np.ndarray, _Found]]) -> Progress:
        losses = [np.asarray(found.losses) for _, found in seen]
        for (rows, _), loss in zip(seen, losses, strict=True):
            self.losses[rows] = np.where(np.isfinite(loss), loss, np.inf)
        skipped = int(self.state.skipped)
        if skipped > max(10, self.steps / 10):
            raise TrainError(f"rate: {skipped} of {self.steps} steps were not finite")
        means = [float(np.mean([np.mean(loss) for loss in losses]))] if losses else [np.nan]
        right = float(np.mean([float(found.right) for _, found in seen])) if seen else np.nan
        progress = Progress(self.share(), means[0], right, skipped)
        self.told.append(progress)
        return progress


class _Found(NamedTuple):
    losses: Float[Array, " batch"]
    right: Float[Array, ""]


def learning_rate(recipe: Recipe, share: float) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    rise = min(share / recipe.warm_up, 1.0) if recipe.warm_up > 0 else 1.0
    return recipe.rate * rise * 0.5 * (1 + np.cos(np.pi * min(share, 1.0)))


def optimiser(recipe: Recipe) -> optax.GradientTransformation:
    """Clipped AdamW direction; the learning rate is applied by the step."""
    return optax.chain(
        optax.clip_by_global_norm(recipe.clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(recipe.decay),
    )


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _step(
    recipe: Recipe,
    graph: Any,  # noqa: ANN401 - the static half of an nnx split
    state: _State,
    batch: tuple[Array, Array, Array, Array],
    rate: Float[Array, ""],
) -> tuple[_State, _Found]:
    """One step of the optimiser; none at all where a number is not finite."""
    *told, labels = batch

    def loss_of(params: Any) -> tuple[Array, _Found]:  # noqa: ANN401 - an nnx.State
        scores = nnx.merge(graph, params)(*told)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        return losses.mean(), _Found(losses, (scores.argmax(-1) == labels).mean())

    (loss, found), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    sound = jnp.isfinite(optax.tree.norm(gradient)) & jnp.isfinite(loss)
    direction, moments = optimiser(recipe).update(gradient, state.moments, state.params)
    params = jax.tree.map(lambda old, way: old - rate * way, state.params, direction)
    kept = jax.tree.map(
        lambda new, old: jnp.where(sound, new, old),
        (params, moments),
        (state.params, state.moments),
    )
    return _State(*kept, state.skipped + ~sound), found
