"""One step of training: new flights where old ones ended, a window flown, the policy improved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, no_type_check

import jax
import jax.numpy as jnp
import optax
from flax import nnx, struct
from jax import Array
from jaxtyping import Float, Int

from lnn_nav.learn.courses import FAMILIES, Course, draw_start
from lnn_nav.learn.rollout import FlightShape, Flyer, loss_of
from lnn_nav.policy import GAINS, Policy
from sim.state import at_rest
from sim.twin import start


@dataclass(frozen=True)
class Schedule:
    """How the optimiser goes.

    Attributes:
        rate: peak learning rate; AdamW, cosine decay to zero over each phase.
        decay: weight decay.
        clip: bound of the gradient's norm.
        warm_up: fraction of the phase over which the rate rises.
        speeds: least and most set speed of training flights [m/s].
        patience: thoughts after which a flight begins anew.
    """

    rate: float = 2e-3
    decay: float = 1e-4
    clip: float = 1.0
    warm_up: float = 0.03
    speeds: tuple[float, float] = (1.0, 3.3)
    patience: int = 600


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class TrainState:
    """Everything that training changes; enough to go on exactly where it stopped.

    Attributes:
        params: of the policy.
        moments: of the optimiser.
        average: exponential moving average of the parameters: what is shipped.
        flyers: flights of every family, `[families, batch, ...]`.
        iteration: steps done.
    """

    params: Any
    moments: Any
    average: Any
    flyers: Flyer
    iteration: Int[Array, ""]


def optimiser(schedule: Schedule) -> optax.GradientTransformation:
    """Clipped AdamW direction; the learning rate is applied by `train_step`."""
    return optax.chain(
        optax.clip_by_global_norm(schedule.clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(schedule.decay),
    )


def first_state(schedule: Schedule, policy: Policy, batch: int) -> TrainState:
    """Before the first step: all flights are over and will begin anew."""
    _, params = nnx.split(policy)
    size = (len(FAMILIES), batch)
    body = at_rest(jnp.zeros((*size, 3), jnp.float32))
    flyers = Flyer(
        twin=start(body),
        neurons=jnp.zeros((*size, policy.cell.memory_size), jnp.float32),
        course=jnp.zeros(size, jnp.int32),
        speed=jnp.ones(size, jnp.float32),
        thrust=jnp.full(size, 9.8, jnp.float32),
        done=jnp.ones(size, bool),
        age=jnp.zeros(size, jnp.int32),
    )
    moments = optimiser(schedule).init(params)
    return TrainState(params, moments, params, flyers, jnp.zeros((), jnp.int32))


def train_step(
    schedule: Schedule,
    shape: FlightShape,
    graph: Any,  # noqa: ANN401 - the static half of an nnx split
    courses: Course,
    state: TrainState,
    key: Array,
    progress: Float[Array, ""],
) -> tuple[TrainState, dict[str, Array]]:
    """One window of flight in one family, and one step of the optimiser.

    Args:
        schedule: of the optimiser.
        shape: of the flights; behind the barrier only the class-K gains learn.
        graph: static half of the policy.
        courses: `[families, each, ...]`.
        state: before.
        key: random key of this step.
        progress: share of the phase that is done, 0 to 1: sets the learning rate.

    Returns:
        The state after, and figures of the window.
    """
    kind = state.iteration % len(FAMILIES)
    courses = jax.tree.map(lambda leaf: leaf[kind], courses)
    flyers = jax.tree.map(lambda leaf: leaf[kind], state.flyers)
    flyers = renew(schedule, shape, courses, kind, flyers, key)
    here = jax.tree.map(lambda leaf: leaf[flyers.course], courses)
    loss = jax.value_and_grad(loss_of, argnums=2, has_aux=True)
    (value, (flyers, figures)), gradient = loss(shape, graph, state.params, kind, here, flyers)
    if shape.barrier:
        gradient = only_gains(gradient)
    norm = optax.tree.norm(gradient)
    sound = jnp.isfinite(norm)
    gradient = jax.tree.map(lambda leaf: jnp.where(sound, leaf, 0), gradient)
    direction, moments = optimiser(schedule).update(gradient, state.moments, state.params)
    if shape.barrier:
        direction = only_gains(direction)
    rate = learning_rate(schedule, progress)
    params = jax.tree.map(lambda old, step: old - rate * step, state.params, direction)
    blend = jnp.minimum(0.01, 1 / (state.iteration + 1.0))
    average = jax.tree.map(lambda old, new: old + blend * (new - old), state.average, params)
    flyers = jax.tree.map(lambda all_, new: all_.at[kind].set(new), state.flyers, flyers)
    after = TrainState(params, moments, average, flyers, state.iteration + 1)
    return after, {**figures, "loss": value, "gradient": norm, "sound": sound, "rate": rate}


def only_gains(direction: Any) -> Any:  # noqa: ANN401 - like parameters
    """What concerns the head's outputs for the class-K gains, and nothing else."""

    def kept(path: tuple[Any, ...], leaf: Array) -> Array:
        of_head = getattr(path[0], "key", None) == "head"
        return leaf.at[..., :-GAINS].set(0) if of_head else jnp.zeros_like(leaf)

    return jax.tree_util.tree_map_with_path(kept, direction)


def learning_rate(schedule: Schedule, progress: Float[Array, ""]) -> Float[Array, ""]:
    """Linear warm-up, then cosine decay."""
    rise = jnp.clip(progress / schedule.warm_up, 0.05, 1)
    return schedule.rate * rise * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1)))


def renew(
    schedule: Schedule,
    shape: FlightShape,
    courses: Course,
    kind: Array,
    flyers: Flyer,
    key: Array,
) -> Flyer:
    """Begin a new flight wherever one is over: same arguments as `train_step`, of one family."""
    batch, each = flyers.done.shape[0], courses.target.shape[0]
    where, how = jax.random.split(key)
    course = jax.random.randint(where, (batch,), 0, each, jnp.int32)
    chosen = jax.tree.map(lambda leaf: leaf[course], courses)
    draw = jax.vmap(lambda c, k: draw_start(shape.guide, c, kind, k, schedule.speeds))
    body, speed = draw(chosen, jax.random.split(how, batch))
    fresh = Flyer(
        twin=start(body),
        neurons=jnp.zeros_like(flyers.neurons),
        course=course,
        speed=speed,
        thrust=jnp.full(batch, 9.8, jnp.float32),
        done=jnp.zeros(batch, bool),
        age=jnp.zeros(batch, jnp.int32),
    )
    over = flyers.done | (flyers.age > schedule.patience)

    def pick(new: Array, old: Array) -> Array:
        return jnp.where(over.reshape(-1, *(1,) * (old.ndim - 1)), new, old).astype(old.dtype)

    return jax.tree.map(pick, fresh, flyers)
