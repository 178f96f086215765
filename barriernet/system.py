"""What is controlled: control-affine systems, from plain functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.disturbance import Disturbance
from barriernet.errors import ModelError as ModelError
from barriernet.limits import Limits as Limits

StateFunction: TypeAlias = Callable[[Array], Array]
"""A function of one state `[states]` that jax can differentiate."""

LONGEST_SEARCHED = 64
"""States up to this many are found from f and g alone."""

_REFUSALS = (TypeError, ValueError, IndexError, ZeroDivisionError, AssertionError)
"""What a plain function may answer to a state of another length."""


@dataclass(frozen=True, init=False)
class ControlAffineSystem:
    """dx/dt = f(x) + g(x) u, from two plain functions.

    Attributes:
        f: drift, from a state `[states]` to its rate without control `[states]`; an array or a
            sequence of scalars.
        g: control matrix, from a state to `[states, controls]`.
        states: length of the state. Found where only one length (up to `LONGEST_SEARCHED`) fits
            what f and g answer.
        controls: length of the control. Found.
        disturbance: what else pushes the state; every barrier on the system holds against it.
    """

    f: StateFunction
    g: StateFunction
    states: int
    controls: int
    disturbance: Disturbance | None

    def __init__(
        self,
        f: StateFunction,
        g: StateFunction,
        states: int | None = None,
        controls: int | None = None,
        *,
        disturbance: Disturbance | None = None,
    ) -> None:
        """Ask both functions for their shapes.

        Raises:
            ModelError: a size is not positive, a function answers in another shape, or more than
                one length of the state fits and none is given.
        """
        for name, size in (("states", states), ("controls", controls)):
            if size is not None and size < 1:
                raise ModelError(f"{name}: expected at least 1, got {size}")
        states = _only_fit(f, g) if states is None else states
        _expect("f", f, states, (states,))
        found = _expect("g", g, states, (states, controls))[1]
        if disturbance is not None:
            bound = disturbance.bound
            pushes = len(bound) if isinstance(bound, tuple) else None
            _expect("disturbance", disturbance.matrix or g, states, (states, pushes))
        values = {"f": f, "g": g, "states": states, "controls": found, "disturbance": disturbance}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def drift(self, state: Float[FloatArray, " states"]) -> Float[Array, " states"]:
        """Rate without control, f(x), in the dtype of the state."""
        x = jnp.asarray(state)
        return jnp.asarray(self.f(x), x.dtype)

    def control_matrix(
        self, state: Float[FloatArray, " states"]
    ) -> Float[Array, "states controls"]:
        """What each control adds to the rate, g(x), in the dtype of the state."""
        x = jnp.asarray(state)
        return jnp.asarray(self.g(x), x.dtype)

    def rate(
        self, state: Float[FloatArray, " states"], control: Float[FloatArray, " controls"]
    ) -> Float[Array, " states"]:
        """Rate of change of the state, undisturbed."""
        return self.drift(state) + self.control_matrix(state) @ jnp.asarray(control)


def _shape(function: StateFunction, states: int) -> tuple[int, ...]:
    """Shape of the answer to a state of this length."""
    state = jax.ShapeDtypeStruct((states,), jnp.float32)
    return jax.eval_shape(lambda x: jnp.asarray(function(x)), state).shape


def _expect(
    name: str, function: StateFunction, states: int, expected: tuple[int | None, ...]
) -> tuple[int, ...]:
    """The shape of an answer, which must be the expected one (None: any positive size)."""
    try:
        got = _shape(function, states)
    except _REFUSALS as refusal:
        raise ModelError(
            f"{name}: expected a function of a state of shape ({states},), got "
            f"{type(refusal).__name__}: {refusal}"
        ) from refusal
    fits = len(got) == len(expected) and all(
        size == want if want is not None else size > 0
        for size, want in zip(got, expected, strict=True)
    )
    if not fits:
        wanted = tuple("any" if size is None else size for size in expected)
        raise ModelError(f"{name}: expected shape {wanted} for {states} states, got {got}")
    return got


def _only_fit(f: StateFunction, g: StateFunction) -> int:
    """The one length of the state for which f and g answer in matching shapes.

    Raises:
        ModelError: no length fits, or more than one.
    """
    fitting = []
    for states in range(1, LONGEST_SEARCHED + 1):
        try:
            rows = _shape(g, states)
            if len(rows) == 2 and rows[0] == states and _shape(f, states) == (states,):
                fitting.append(states)
        except _REFUSALS:
            continue
        if len(fitting) > 1:
            raise ModelError(
                f"states: expected to be given, since f and g fit a state of {fitting[0]} "
                f"and of {fitting[1]} numbers"
            )
    if not fitting:
        raise ModelError(
            f"states: expected to be given, or f and g to answer in shapes [states] and "
            f"[states, controls] for some length up to {LONGEST_SEARCHED}"
        )
    return fitting[0]
