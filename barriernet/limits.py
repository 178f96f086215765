"""How hard a system may be driven: a box of allowed controls, kept bit for bit."""

from __future__ import annotations

from typing import no_type_check

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from barriernet._qp.bounds import inside
from barriernet.errors import ModelError


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
