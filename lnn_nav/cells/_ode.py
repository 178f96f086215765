"""A memory under a differential equation, over the time since the last input, by diffrax.

diffrax (Kidger, "On neural differential equations", 2021) comes with the extra `liquid`, and is
imported where the first equation is solved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

SOLVERS = {
    "euler": "Euler",
    "heun": "Heun",
    "midpoint": "Midpoint",
    "ralston": "Ralston",
    "bosh3": "Bosh3",
    "tsit5": "Tsit5",
    "dopri5": "Dopri5",
    "dopri8": "Dopri8",
    "kvaerno3": "Kvaerno3",
    "kvaerno5": "Kvaerno5",
}
"""Solvers of diffrax by their names there, in small letters; the last two are implicit."""


class LiquidExtraError(ImportError):
    """Something of the extra `liquid` is not installed."""


@dataclass(frozen=True)
class Integration:
    """How an equation is solved: in constant steps, or in steps that the error decides on.

    Attributes:
        solver: one of `SOLVERS`.
        steps: so many constant steps an input; None for adaptive steps. What follows is about
            those.
        rtol: error of a step relative to the memory, at most about this.
        atol: error of a step besides.
        first_step: length of the first step [s]; None lets the solver choose.
        safety: by how much a step is shorter than its error would allow.
        least_factor: a rejected step is not made shorter than by this at once.
        greatest_factor: an accepted step is not made longer than by this at once.
        max_steps: steps an input at most, rejected ones too; gradients pay for what is allowed.
        throw: whether an equation that needs more steps is an error (a `RuntimeError` of
            equinox, under `jit` too). If not, the memory stays where it was then: finite, but of
            a time before the end.
    """

    solver: str = "tsit5"
    steps: int | None = None
    rtol: float = 1e-3
    atol: float = 1e-6
    first_step: float | None = None
    safety: float = 0.9
    least_factor: float = 0.2
    greatest_factor: float = 10.0
    max_steps: int = 256
    throw: bool = True

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            ValueError: one is out of its range; the message names it.
        """
        if self.solver not in SOLVERS:
            raise ValueError(f"solver: expected one of {', '.join(SOLVERS)}, got {self.solver!r}")
        if self.steps is None and self.solver == "euler":
            raise ValueError("steps: expected a count, euler does not know its error; got None")
        if self.steps is not None and self.solver.startswith("kvaerno"):
            raise ValueError(f"steps: expected None, {self.solver} is adaptive; got {self.steps}")
        first = math.ulp(0) if self.first_step is None else self.first_step
        for name, value, low, high in (
            ("steps", 1 if self.steps is None else self.steps, 1, math.inf),
            ("rtol", self.rtol, 0, 1),
            ("atol", self.atol, math.ulp(0), math.inf),
            ("first_step", first, math.ulp(0), math.inf),
            ("safety", self.safety, math.ulp(0), 1),
            ("least_factor", self.least_factor, math.ulp(0), 1),
            ("greatest_factor", self.greatest_factor, 1, math.inf),
            ("max_steps", self.max_steps, 1, math.inf),
        ):
            if not (low <= value <= high and math.isfinite(value)):
                bounds = f"{0 if low == math.ulp(0) else low} to {high}"
                raise ValueError(f"{name}: expected a finite number, {bounds}, got {value}")


def integrate(
    field: Callable[..., Array],
    memory: Float[Array, "*batch m"],
    given: tuple[Float[Array, "*batch _"], ...],
    dt: Array | float,
    integration: Integration,
) -> Float[Array, "*batch m"]:
    """The memory `dt` [s] later, under d memory / d time = field(memory, *given).

    Every element of a batch has its own time and, if adaptive, its own steps. No time changes
    nothing. Adaptive steps have derivatives backwards only (`grad`, `vjp`), constant ones both
    ways. Below float32, numbers are float32 between the first step and the last.

    Args:
        field: rate of change [1/s] of one memory `[m]` under one element of what is given.
        memory: at the start.
        given: what does not change in between.
        dt: time that passes [s]: a scalar, or one value a batch element.
        integration: how.

    Raises:
        LiquidExtraError: diffrax is not installed.
    """
    solve = _constant if integration.steps else _adaptive
    dtype = jnp.promote_types(memory.dtype, jnp.float32)
    elapsed = jnp.broadcast_to(jnp.asarray(dt, dtype), memory.shape[:-1])

    def one(memory: Array, elapsed: Array, *given: Array) -> Array:
        # Time runs from 0 to 1, so that no time at all needs no case of its own.
        def rate(_: Array, memory: Array, __: None) -> Array:
            return (elapsed * field(memory, *given)).astype(dtype)

        return solve(rate, memory, elapsed, integration)

    for _ in memory.shape[:-1]:
        one = jax.vmap(one)
    return one(memory.astype(dtype), elapsed, *given).astype(memory.dtype)


def diffrax_or_error() -> ModuleType:
    """The module, imported when it is needed.

    Raises:
        LiquidExtraError: it is not installed.
    """
    try:
        import diffrax
    except ImportError as error:
        missing = f"this cell needs the extra [liquid] of this package ({error})"
        raise LiquidExtraError(missing) from error
    return diffrax


def _constant(
    rate: Callable[..., Array], memory: Array, elapsed: Array, integration: Integration
) -> Array:
    """One solver step after the other: half the time of diffrax's own loop, backwards."""
    del elapsed
    diffrax = diffrax_or_error()
    solver, term = getattr(diffrax, SOLVERS[integration.solver])(), diffrax.ODETerm(rate)
    ends = jnp.linspace(0, 1, (integration.steps or 1) + 1, dtype=memory.dtype)

    def step(carry: tuple, ends: tuple) -> tuple[tuple, None]:
        memory, held = carry
        memory, _, _, held, _ = solver.step(term, *ends, memory, None, held, made_jump=False)
        return (memory, held), None

    held = solver.init(term, ends[0], ends[1], memory, None)
    (memory, _), _ = jax.lax.scan(step, (memory, held), (ends[:-1], ends[1:]))
    return memory


def _adaptive(
    rate: Callable[..., Array], memory: Array, elapsed: Array, integration: Integration
) -> Array:
    """Steps as long as the error allows."""
    diffrax = diffrax_or_error()
    first = None
    if integration.first_step is not None:
        longer = jnp.maximum(jax.lax.stop_gradient(elapsed), integration.first_step)
        first = integration.first_step / longer
    controller = diffrax.PIDController(
        rtol=integration.rtol,
        atol=integration.atol,
        safety=integration.safety,
        factormin=integration.least_factor,
        factormax=integration.greatest_factor,
    )
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        getattr(diffrax, SOLVERS[integration.solver])(),
        jnp.zeros_like(elapsed),
        jnp.ones_like(elapsed),
        first,
        memory,
        stepsize_controller=controller,
        max_steps=integration.max_steps,
        throw=integration.throw,
    )
    return solution.ys[-1]
