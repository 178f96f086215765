"""What is controlled, and how hard: control-affine systems and limits of their controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from barriernet._qp.bounds import inside

StateFunction: TypeAlias = Callable[[Array], Array]
"""A function of one state `[states]` that jax can differentiate."""


class ModelError(ValueError):
    """A system, limit or barrier whose parts do not fit; names the part, expected and got."""


@dataclass(frozen=True)
class ControlAffineSystem:
    """dx/dt = drift(x) + control_matrix(x) u, from two plain functions.

    Attributes:
        drift: f, from a state `[states]` to its rate without control `[states]`.
        control_matrix: g, from a state to `[states, controls]`.
        states: length of the state.
        controls: length of the control.
    """

    drift: StateFunction
    control_matrix: StateFunction
    states: int
    controls: int

    def __post_init__(self) -> None:
        """Ask both functions for their shapes.

        Raises:
            ModelError: a size is not positive, or a function answers in another shape.
        """
        for name in ("states", "controls"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name}: expected at least 1, got {getattr(self, name)}")
        state = jax.ShapeDtypeStruct((self.states,), jnp.float32)
        expected = {
            "drift": (self.states,),
            "control_matrix": (self.states, self.controls),
        }
        for name, shape in expected.items():
            got = jax.eval_shape(getattr(self, name), state)
            if getattr(got, "shape", None) != shape:
                raise ModelError(f"{name}: expected shape {shape}, got {got}")

    def rate(
        self, state: Float[Array, " states"], control: Float[Array, " controls"]
    ) -> Float[Array, " states"]:
        """Rate of change of the state."""
        return self.drift(state) + self.control_matrix(state) @ control


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Limits:
    """Smallest and largest control, each `[*batch, controls]`; infinite where there is no limit.

    Build concrete ones with `Limits.between`, which checks them; limits that change in flight may
    be put together inside `jit`, where nothing can be raised: `solve_qp` refuses bad ones.
    """

    lower: Float[Array, "*batch controls"]
    upper: Float[Array, "*batch controls"]

    @classmethod
    def between(cls, lower: object, upper: object) -> Limits:
        """Limits from numbers or sequences of numbers.

        Raises:
            ModelError: shapes differ, a number is NaN, or lower exceeds upper somewhere.
            TypeError: not real numbers.
        """
        values = {}
        for name, given in (("lower", lower), ("upper", upper)):
            value = np.asarray(given)
            if value.dtype.kind not in "iuf":
                raise TypeError(f"{name}: expected real numbers, got {value.dtype}")
            value = np.atleast_1d(value)
            value = value if value.dtype.kind == "f" else value.astype(float)
            if value.ndim != 1 or np.isnan(value).any():
                raise ModelError(f"{name}: expected a vector without NaN, got {given!r}")
            values[name] = value
        low, high = values["lower"], values["upper"]
        if low.shape != high.shape:
            raise ModelError(f"upper: expected shape {low.shape} as lower, got {high.shape}")
        if np.any(low > high) or np.any(low == np.inf) or np.any(high == -np.inf):
            raise ModelError(f"upper: expected at least lower = {low}, got {high}")
        return cls(jnp.asarray(low), jnp.asarray(high))

    @property
    def middle(self) -> Float[Array, "*batch controls"]:
        """Half way between the limits; where one is infinite, the allowed value nearest zero."""
        bounded = jnp.isfinite(self.lower) & jnp.isfinite(self.upper)
        low, high = jnp.where(bounded, self.lower, 0), jnp.where(bounded, self.upper, 0)
        return self.clip(low / 2 + high / 2)

    def within(self, dtype: DTypeLike) -> Limits:
        """The same limits in another dtype, rounded inwards."""
        lower, upper = jnp.asarray(self.lower), jnp.asarray(self.upper)
        low, high = lower.astype(dtype), upper.astype(dtype)
        low = jnp.where(low < lower, jnp.nextafter(low, jnp.full_like(low, jnp.inf)), low)
        high = jnp.where(high > upper, jnp.nextafter(high, jnp.full_like(high, -jnp.inf)), high)
        return Limits(low, high)

    def clip(self, control: Float[Array, "*batch controls"]) -> Float[Array, "*batch controls"]:
        """Put a finite control inside the limits, bit for bit; NaN limits are no limits."""
        control, low, high = jnp.broadcast_arrays(control, self.lower, self.upper)
        return inside(control, low, high)
