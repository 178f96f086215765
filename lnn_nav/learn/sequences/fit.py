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

RATES = 10_000
"""Parts of a run that have a learning rate each."""

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
        loss: mean of what was shown in the round [nat].
        skipped: steps so far that were left out because they were not finite.
    """

    share: float
    loss: float
    skipped: int


class Fitted(NamedTuple):
    """What came out.

    Attributes:
        model: as trained.
        rounds: what was told.
        steps: of the optimiser.
        skipped: those of them that were left out because they were not finite.
        seconds: wall time [s].
    """

    model: Classifier
    rounds: tuple[Progress, ...]
    steps: int
    skipped: int
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
        int(run.state.skipped),
        time.monotonic() - run.began,
    )


class _Run:
    """The moving parts of a run."""

    def __init__(self, recipe: Recipe, model: Classifier, seed: int, minutes: float | None) -> None:
        self.recipe, self.minutes = recipe, minutes
        self.graph, params = nnx.split(model)
        # The step gives away what it is given; the caller keeps theirs.
        params = jax.tree.map(jnp.copy, params)
        moments = optimiser(recipe.clip, recipe.decay).init(params)
        self.state = _State(params, moments, jnp.zeros((), jnp.int32))
        self.rng = np.random.default_rng(seed)
        self.began, self.shown, self.total, self.steps = time.monotonic(), 0, np.inf, 0
        self.losses, self.rates = np.zeros(0, np.float32), rates_of(recipe)
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
            batch, rate = now.take(rows, width), self.rates[int(share * RATES)]
            told = (batch.inputs, batch.dt, batch.lengths, batch.labels)
            fixed = (self.recipe.clip, self.recipe.decay, self.graph)
            self.state, losses = _step(*fixed, self.state, told, rate)
            seen.append((chosen[rows], losses))
            self.shown, self.steps = self.shown + len(rows), self.steps + 1
        return self._account(seen)

    def _due(self, samples: Samples) -> Bool[np.ndarray, " n"]:
        """Which sequences are to be shown: those that are known, seldom."""
        chance = np.clip(self.losses / KNOWN_LOSS, self.recipe.again, 1)
        return self.rng.random(len(samples)) < chance

    def _account(self, seen: list[tuple[np.ndarray, Array]]) -> Progress:
        """Remember the losses, and tell."""
        skipped, shown = int(self.state.skipped), [np.zeros(0, np.float32)]
        for rows, losses in seen:
            shown.append(np.asarray(losses))
            self.losses[rows] = np.where(np.isfinite(shown[-1]), shown[-1], np.inf)
        if skipped > max(10, self.steps / 10):
            raise TrainError(f"rate: {skipped} of {self.steps} steps were not finite")
        self.told.append(Progress(self.share(), _mean(np.concatenate(shown)), skipped))
        return self.told[-1]


def rates_of(recipe: Recipe) -> Float[np.ndarray, " shares"]:
    """Learning rate over the run: up from zero, then half a cosine down to zero."""
    up = round(recipe.warm_up * RATES)
    schedule = optax.warmup_cosine_decay_schedule(0.0, recipe.rate, up, RATES)
    return np.asarray(schedule(np.arange(RATES + 1)), np.float32)


def optimiser(clip: float, decay: float) -> optax.GradientTransformation:
    """Clipped AdamW direction; the learning rate is applied by the step."""
    return optax.chain(
        optax.clip_by_global_norm(clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(decay),
    )


def _mean(values: Float[np.ndarray, " n"]) -> float:
    """Of those that are finite; infinite if there are none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else np.inf


# The rate is no constant of the program: one is compiled for all of them.
@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _step(
    clip: float,
    decay: float,
    graph: Any,  # noqa: ANN401 - the static half of an nnx split
    state: _State,
    batch: tuple[Array, Array, Array, Array],
    rate: Float[Array, ""],
) -> tuple[_State, Float[Array, " batch"]]:
    """One step of the optimiser, none at all where a number is not finite; and losses before."""
    *told, labels = batch

    def loss_of(params: Any) -> tuple[Array, Array]:  # noqa: ANN401 - an nnx.State
        scores = nnx.merge(graph, params)(*told)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        return losses.mean(), losses

    (loss, losses), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    sound = jnp.isfinite(optax.tree.norm(gradient)) & jnp.isfinite(loss)
    direction, moments = optimiser(clip, decay).update(gradient, state.moments, state.params)
    params = jax.tree.map(lambda old, way: old - rate * way, state.params, direction)
    kept = jax.tree.map(
        lambda new, old: jnp.where(sound, new, old),
        (params, moments),
        (state.params, state.moments),
    )
    return _State(*kept, state.skipped + ~sound), losses
