"""Somebody else's policy behind the barriers: numpy in, numpy out, never NaN.

A policy may be any callable from an observation to an action (a function, a flax or torch module),
or an object with stable-baselines3's `predict(observation, deterministic=True) -> (action, state)`.
Nothing of theirs is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float

from barriernet.certificate import Certificate
from barriernet.errors import ModelError
from barriernet.layer import BarrierNet


class FilteredPolicy:
    """A policy whose every action passes through a layer.

    The layer is compiled once for each shape, with the parameters that it had when this was made.

    Attributes:
        policy: what is asked first.
    """

    def __init__(
        self,
        policy: object,
        layer: BarrierNet,
        *,
        state_of: Callable[[Any], object] | None = None,
        record: Callable[[Certificate], object] | None = None,
    ) -> None:
        """Put a layer behind a policy; see `filtered_policy`."""
        predict = getattr(policy, "predict", None)
        if not callable(predict) and not callable(policy):
            raise ModelError(f"policy: expected a callable or a predict method, got {policy!r}")
        self.policy, self._predict = policy, predict if callable(predict) else None
        self._state_of, self._record = state_of, record
        self._sizes = (layer.system.states, layer.system.controls)
        self._observes = layer.gains is not None and state_of is not None
        graph, self._parts = nnx.split(layer)

        def run(
            parts: Any,  # noqa: ANN401 - the arrays of the layer
            state: jax.Array,
            wish: jax.Array,
            time: jax.Array,
            observation: object,
        ) -> tuple[jax.Array, Certificate]:
            layer = nnx.merge(graph, parts)
            return layer(state, wish, time=time, observation=observation)

        self._run = jax.jit(run)

    def __call__(
        self, observation: object, *, time: float = 0.0
    ) -> tuple[Float[np.ndarray, "*batch controls"], Certificate]:
        """The filtered action and its certificate, both of numpy.

        Args:
            observation: what the policy takes, one or a batch.
            time: when [s], for barriers that move.

        Raises:
            ModelError: the policy's action, or the state, has another shape or is no number.
        """
        if self._predict is None:
            action = self.policy(observation) if callable(self.policy) else None
        else:
            action, _ = self._predict(observation, deterministic=True)
        return self._filtered(observation, action, time)

    def predict(
        self,
        observation: object,
        state: object = None,
        episode_start: object = None,
        deterministic: bool = False,
    ) -> tuple[Float[np.ndarray, "*batch controls"], Any]:
        """The filtered action, called and answered as stable-baselines3 does.

        Its evaluation loops can take this in place of the policy. Certificates go to `record`.

        Args:
            observation: what the policy takes, one or a batch.
            state: hidden state of a recurrent policy.
            episode_start: where an episode starts, for a recurrent policy.
            deterministic: passed on.

        Returns:
            The action, and the policy's next hidden state.

        Raises:
            ModelError: as of a call; or the policy has no `predict` to hold a hidden state.
        """
        if self._predict is None:
            if state is not None:
                raise ModelError("state: expected none, since the policy has no predict")
            return self(observation)[0], None
        action, after = self._predict(
            observation, state=state, episode_start=episode_start, deterministic=deterministic
        )
        return self._filtered(observation, action, 0.0)[0], after

    def _filtered(
        self, observation: object, action: object, time: float
    ) -> tuple[np.ndarray, Certificate]:
        states, controls = self._sizes
        place = observation if self._state_of is None else self._state_of(observation)
        state, wish = _fitting("state", place, states), _fitting("action", action, controls)
        if state.shape[:-1] != wish.shape[:-1]:
            raise ModelError(f"action: expected {state.shape[:-1]} of them, got {wish.shape[:-1]}")
        seen = observation if self._observes else None
        answer = self._run(self._parts, state, wish, float(time), seen)
        control, certificate = jax.tree.map(np.asarray, answer)
        if self._record is not None:
            self._record(certificate)
        return control, certificate


def filtered_policy(
    policy: object,
    layer: BarrierNet,
    *,
    state_of: Callable[[Any], object] | None = None,
    record: Callable[[Certificate], object] | None = None,
) -> FilteredPolicy:
    """Put a layer behind any policy.

    Args:
        policy: from an observation to an action, `[*batch, controls]`; or an object with
            stable-baselines3's `predict`. What it answers may be of numpy, jax or torch.
        layer: whose system's state is to stay safe. Its current parameters are kept.
        state_of: from an observation to the system's state, `[*batch, states]`; the observation
            itself by default. Gains that the layer chooses see the observation.
        record: called with every certificate, one or a batch.

    Returns:
        A callable: `filtered(observation) -> (action, certificate)`, with `predict` beside it. The
        action is inside the limits whatever the policy says; an action or state that is not
        finite becomes the layer's fallback.

    Raises:
        ModelError: the policy can be neither called nor asked to predict.
    """
    return FilteredPolicy(policy, layer, state_of=state_of, record=record)


def _fitting(name: str, given: object, size: int) -> np.ndarray:
    """Numbers with the right last axis."""
    value = _numbers(name, given)
    if value.shape[-1:] != (size,):
        raise ModelError(f"{name}: expected shape (..., {size}), got {value.shape}")
    return value


def _numbers(name: str, given: object) -> np.ndarray:
    """Real floating point numbers out of numpy, jax, torch or a sequence."""
    detach = getattr(given, "detach", None)
    if callable(detach):  # A tensor of torch that remembers its gradient is no array.
        given = getattr(detach(), "cpu", detach)()
    value = np.asarray(given)
    if value.dtype.kind not in "iuf":
        raise ModelError(f"{name}: expected real numbers, got {value.dtype} of {type(given)}")
    return value if value.dtype.kind == "f" else value.astype(float)
