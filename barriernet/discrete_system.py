"""What moves in steps: x_{k+1} = F(x_k, u_k), from one plain function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.errors import ModelError


@dataclass(frozen=True)
class DiscreteSystem:
    """x_{k+1} = step(x_k, u_k), from one plain function.

    Attributes:
        step: F, from a state `[states]` and a control `[controls]` to the next state `[states]`.
        states: length of the state.
        controls: length of the control.
        period: time from one step to the next [s], for barriers that move.
    """

    step: Callable[[Array, Array], Array]
    states: int
    controls: int
    period: float = 1.0

    def __post_init__(self) -> None:
        """Ask the function for its shape.

        Raises:
            ModelError: a number is not positive, or the step answers in another shape.
        """
        for name, least in (("states", 1), ("controls", 1)):
            if getattr(self, name) < least:
                raise ModelError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 < self.period < float("inf"):
            raise ModelError(f"period: expected a positive finite number, got {self.period}")
        state, control = (
            jax.ShapeDtypeStruct((size,), jnp.float32) for size in (self.states, self.controls)
        )
        got = jax.eval_shape(lambda x, u: jnp.asarray(self.step(x, u)), state, control).shape
        if got != (self.states,):
            raise ModelError(f"step: expected shape ({self.states},), got {got}")

    def next(
        self, state: Float[FloatArray, " states"], control: Float[FloatArray, " controls"]
    ) -> Float[Array, " states"]:
        """The state one step on, in the dtype of the state."""
        x = jnp.asarray(state)
        return jnp.asarray(self.step(x, jnp.asarray(control)), x.dtype)
