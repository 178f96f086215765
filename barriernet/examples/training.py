"""Imitation through the barrier layer: one compiled scan over all steps of all epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int

from barriernet.examples.experiment import Experiment, Learnt, answer, fresh, mean_square_error


@dataclass(frozen=True)
class Recipe:
    """How a policy is trained: Adam on the mean square error, its rate falling like a cosine.

    Attributes:
        epochs: passes over the data.
        batch: rows of a step; each epoch leaves out the rows that fill no batch, drawn anew.
        rate: peak learning rate.
        warm_up: first share of the steps, over which the rate rises.
        last: rate of the last step, as a share of the peak.
        decay: decoupled weight decay.
        clip: largest norm of a step's gradient.
        betas: decay rates of Adam's two averages; a short run needs short ones.
        calm: weight of the mean square of what the gains' logits exceed 2 by, which keeps gains
            from the ends of their range, where the sigmoid is flat and nothing more is learnt.
        jitter: standard deviation of what is added to the states of a step, in units of their
            spread: between rows of one path there is nothing else that keeps the policy smooth.
    """

    epochs: int = 60
    batch: int = 32
    rate: float = 1e-3
    warm_up: float = 0.05
    last: float = 0.0
    decay: float = 0.0
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    calm: float = 0.0
    jitter: float = 0.0

    def optimiser(self, steps: int) -> optax.GradientTransformation:
        """Of a run of so many steps."""
        rise = int(self.warm_up * steps)
        first = 0.0 if rise else self.rate
        schedule = optax.warmup_cosine_decay_schedule(
            first, self.rate, rise, steps, self.last * self.rate
        )
        descent = optax.adamw(schedule, *self.betas, weight_decay=self.decay)
        return optax.chain(optax.clip_by_global_norm(self.clip), descent)


def train(
    experiment: Experiment,
    recipe: Recipe,
    states: Float[Array, "rows states"],
    controls: Float[Array, "rows controls"],
    key: Array,
    barrier: bool = True,
) -> tuple[Learnt, Float[Array, " steps"]]:
    """Train one policy from one seed; pure, for `jit`, and for `vmap` over keys.

    Args:
        experiment: whose policy it is.
        recipe: how.
        states: to learn from.
        controls: the expert's there.
        key: of weights and batches.
        barrier: whether the wish passes through the barrier layer, gains and all; without it the
            same network is trained on its wish alone.

    Returns:
        The policy and the loss of each step's batch.
    """
    drawn, shuffled, shaken = jax.random.split(key, 3)
    learnt = fresh(experiment.size, states, drawn)
    order = _batches(recipe, states.shape[0], shuffled)
    optimiser = recipe.optimiser(order.shape[0])
    reach = recipe.jitter * learnt.scale

    def step(carry: tuple, drawn: tuple[Array, Array]) -> tuple[tuple, Array]:
        (weights, memory), (rows, noise) = carry, drawn
        seen = states[rows] + reach * jax.random.normal(noise, states[rows].shape, states.dtype)

        def loss(weights: object) -> Array:
            learning = replace(learnt, weights=weights)
            given = jax.vmap(lambda state: answer(experiment, learning, state, barrier))(seen)
            error = mean_square_error(given.control, controls[rows])
            return error + recipe.calm * jnp.mean(jax.nn.relu(jnp.abs(given.logits) - 1) ** 2)

        value, slope = jax.value_and_grad(loss)(weights)
        change, memory = optimiser.update(slope, memory, weights)
        return (optax.apply_updates(weights, change), memory), value

    start = (learnt.weights, optimiser.init(learnt.weights))
    noises = jax.random.split(shaken, order.shape[0])
    (weights, _), losses = jax.lax.scan(step, start, (order, noises))
    return replace(learnt, weights=weights), losses


def _batches(recipe: Recipe, rows: int, key: Array) -> Int[Array, "steps batch"]:
    """Rows of every step, shuffled anew in every epoch."""
    size = min(recipe.batch, rows)
    each = rows // size
    orders = jax.vmap(lambda k: jax.random.permutation(k, rows)[: each * size])(
        jax.random.split(key, recipe.epochs)
    )
    return orders.reshape(recipe.epochs * each, size)
