"""What an experiment is: a system, its barriers' rows, and a policy that is filtered by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, no_type_check

import jax.numpy as jnp
import numpy as np
from flax import nnx, struct
from jax import Array
from jaxtyping import Bool, Float

from barriernet.examples.network import Policy, PolicySize
from barriernet.filter import filter_control
from barriernet.limits import Limits

RowFunction: TypeAlias = Callable[[Array, Array], tuple[Array, Array]]
"""From a state `[states]` and gains `[gains]` to rows A `[K, controls]` and b `[K]`."""


@dataclass(frozen=True)
class Experiment:
    """A control task with barriers, as the policy and the closed loop see it.

    Attributes:
        name: of the experiment.
        size: of the policy, whose observation is the whole state.
        limits: of the control.
        dt: time between two commands [s].
        rows: of all barriers.
        move: from a state, a control and what acts from outside to the state `dt` later, exactly.
        margins: h of each barrier at a state `[barriers]`; all >= 0 is safe.
        place: which numbers of the state are the own position [m].
    """

    name: str
    size: PolicySize
    limits: Limits
    dt: float
    rows: RowFunction
    move: Callable[[Array, Array, Array], Array]
    margins: Callable[[Array], Array]
    place: tuple[int, ...]


@dataclass(frozen=True)
class Scene:
    """Closed loops of one kind.

    Attributes:
        name: says what they have in common.
        experiment: the system and the barriers that are met there.
        starts: first states `[runs, states]`.
        outside: what acts from outside `[runs, steps, outside]`.
        paths: where the expert went `[runs, steps, states]`, if he did.
    """

    name: str
    experiment: Experiment
    starts: Float[np.ndarray, "runs states"]
    outside: Float[np.ndarray, "runs steps outside"]
    paths: Float[np.ndarray, "runs steps states"] | None = None


@dataclass(frozen=True)
class Demonstrations:
    """States and the controls that an expert chose there, in float64.

    Attributes:
        states: to learn from `[rows, states]`.
        controls: the expert's `[rows, controls]`.
        test_states: held out `[test_rows, states]`.
        test_controls: the expert's `[test_rows, controls]`.
        scenes: where the trained policy is to drive.
    """

    states: Float[np.ndarray, "rows states"]
    controls: Float[np.ndarray, "rows controls"]
    test_states: Float[np.ndarray, "test_rows states"]
    test_controls: Float[np.ndarray, "test_rows controls"]
    scenes: tuple[Scene, ...]


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Learnt:
    """A trained policy.

    Attributes:
        weights: of the network, a pytree of float32 arrays.
        mean: of the observations in training `[states]`.
        scale: their standard deviations `[states]`.
    """

    weights: nnx.State
    mean: Float[Array, "*batch states"]
    scale: Float[Array, "*batch states"]


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Answer:
    """What a policy does at a state.

    Attributes:
        control: `[controls]`.
        gains: of the barriers there [1/s], `[gains]`.
        logits: what the gains were made of `[gains]`.
        certified: whether the layer vouches for the control; never without it.
    """

    control: Float[Array, "*batch controls"]
    gains: Float[Array, "*batch gains"]
    logits: Float[Array, "*batch gains"]
    certified: Bool[Array, "*batch"]


def fresh(size: PolicySize, states: Float[Array, "rows states"], key: Array) -> Learnt:
    """An untrained policy that standardises its observations by these states."""
    weights = nnx.state(Policy(size, rngs=nnx.Rngs(key)))
    spread = jnp.std(states, axis=0)
    return Learnt(weights, jnp.mean(states, axis=0), jnp.where(spread > 0, spread, 1))


@lru_cache
def _structure(size: PolicySize) -> nnx.GraphDef:
    return nnx.graphdef(nnx.eval_shape(lambda: Policy(size, rngs=nnx.Rngs(0))))


def answer(
    experiment: Experiment, learnt: Learnt, state: Float[Array, " states"], barrier: bool = True
) -> Answer:
    """What a policy does at a state, in the state's dtype.

    Args:
        experiment: whose policy it is.
        learnt: the policy.
        state: where the system is.
        barrier: whether the control is the one nearest the wish that meets every row; without it,
            it is the wish.
    """
    observation = ((state - learnt.mean) / learnt.scale).astype(jnp.float32)
    wish, logits = nnx.merge(_structure(experiment.size), learnt.weights)(observation)
    wish, gains = wish.astype(state.dtype), experiment.size.gains_of(logits).astype(state.dtype)
    if not barrier:
        return Answer(wish, gains, logits, jnp.zeros((), bool))
    A, b = experiment.rows(state, gains)
    control, certificate = filter_control(wish, A, b, experiment.limits)
    return Answer(control, gains, logits, certificate.certified)


def mean_square_error(
    control: Float[Array, "rows controls"], expert: Float[Array, "rows controls"]
) -> Float[Array, ""]:
    """Over rows and controls."""
    return jnp.mean((control - expert) ** 2)
