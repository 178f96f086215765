"""The safety layer as a pure function: a state and a wish in, a control and a certificate out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.batch import over_batch
from barriernet.certificate import Cause, Certificate
from barriernet.errors import ModelError
from barriernet.filter import filter_control
from barriernet.joint import BarrierLike, System, join_barriers
from barriernet.limits import Limits


def safe_control(
    system: System,
    barriers: Sequence[BarrierLike],
    limits: Limits,
    state: Float[FloatArray, "*#batch states"],
    wish: Float[FloatArray, "*#batch controls"],
    gains: Float[FloatArray, "*#batch total"] | None = None,
    fallback: Float[FloatArray, "*#batch instead"] | None = None,
    *,
    time: Float[FloatArray, "*#batch"] | float = 0.0,
    weight: float | Float[FloatArray, " K"] | Float[FloatArray, ""] = float("inf"),
    cost: Float[FloatArray, "controls controls"] | None = None,
) -> tuple[Float[Array, "*batch controls"], Certificate]:
    """Filter a wish at a state: `BarrierNet` as a pure function.

    Args:
        system: whose controls are filtered.
        barriers: any number of them.
        limits: of the control, `[controls]`.
        state: where the system is.
        wish: what the policy wants.
        gains: all barriers' gains one after the other, > 0; the barriers' own by default.
        fallback: see `filter_control`.
        time: when [s], for barriers that move.
        weight: see `filter_control`.
        cost: see `filter_control`.

    Returns:
        The control and its certificate. A state, time, wish or gain that is not finite, and a gain
        that is not positive, end in the fallback with outcome `NONFINITE` and a `Cause`.

    Raises:
        ModelError: a shape does not fit the system, or leading axes do not fit each other.
        TypeError: the state is no real floating point number.
    """
    state, wish = jnp.asarray(state), jnp.asarray(wish)
    if not jnp.issubdtype(state.dtype, jnp.floating):
        raise TypeError(f"state: expected real floating point numbers, got {state.dtype}")
    gains = None if gains is None else jnp.asarray(gains, state.dtype)
    fallback = None if fallback is None else jnp.asarray(fallback)
    ready = tuple(barrier.on(system) for barrier in barriers)
    total = sum(barrier.gain_count for barrier in ready)
    sizes = (system.states, system.controls, total, system.controls)
    for name, value, size in zip(
        ("state", "wish", "gains", "fallback"), (state, wish, gains, fallback), sizes, strict=True
    ):
        if value is not None and value.shape[-1:] != (size,):
            raise ModelError(f"{name}: expected ({size},), got {value.shape}")

    def one(
        state: Array, wish: Array, gains: Array | None, fallback: Array | None, time: Array
    ) -> tuple[Array, Certificate]:
        cause, state, gains, time = _sound(state, gains, time)
        A, b = join_barriers(system, ready, state, gains, time, wish=wish, limits=limits)
        refused = cause != int(Cause.NONE)
        wish = jnp.where(refused, jnp.nan, wish)
        control, certificate = filter_control(wish, A, b, limits, weight, cost, fallback)
        return control, replace(certificate, cause=jnp.where(refused, cause, certificate.cause))

    names, ranks = ("state", "wish", "gains", "fallback", "time"), (1, 1, 1, 1, 0)
    when = jnp.asarray(time, state.dtype)
    return over_batch(one, names, ranks, (state, wish, gains, fallback, when))


def _sound(
    state: Array, gains: Array | None, time: Array
) -> tuple[Array, Array, Array | None, Array]:
    """Inputs with something ordinary in place of what must be refused, and the `Cause`.

    So derivatives of what is refused stay finite.
    """
    sound = jnp.all(jnp.isfinite(state)) & jnp.isfinite(time)
    cause = jnp.where(sound, int(Cause.NONE), int(Cause.STATE)).astype(jnp.int32)
    state = jnp.where(sound, state, 1 + 0.1 * jnp.arange(state.size, dtype=state.dtype))
    time = jnp.where(sound, time, 0)
    if gains is not None:
        usable = (gains > 0) & (gains < jnp.inf)
        cause = jnp.where(sound & ~jnp.all(usable), int(Cause.GAINS), cause).astype(jnp.int32)
        gains = jnp.where(usable, gains, 1)
    return cause, state, gains, time
