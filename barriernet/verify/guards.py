"""Safety filters for a body among balls, under one interface: one harness flies them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from barriernet.backup import AnchoredBraking, Motion, anchored_control
from barriernet.barrier import Barrier
from barriernet.qp import solve_qp
from barriernet.system import ControlAffineSystem
from barriernet.verify import arena

Memory: TypeAlias = Any
Act: TypeAlias = Callable[[Memory, Motion, Array, Array, Array, Array], tuple[Memory, Array, Array]]
"""From memory, motion, centres, radii, wish and rate to memory, control and the share of the
answer that was sent (see `draw_back`)."""


@dataclass(frozen=True)
class Guard:
    """A safety filter.

    Attributes:
        name: in words.
        start: from the motion at the start to the memory.
        act: one tick.
    """

    name: str
    start: Callable[[Motion], Memory]
    act: Act


def anchored(body: AnchoredBraking) -> Guard:
    """The filter that is to be trusted."""

    def act(
        plan: Motion, motion: Motion, centres: Array, radii: Array, wish: Array, rate: Array
    ) -> tuple[Motion, Array, Array]:
        plan, control, report = anchored_control(body, plan, motion, centres, radii, wish, rate)
        return plan, control, report.share

    return Guard("anchored braking", lambda motion: motion, act)


def without_anchor(body: AnchoredBraking) -> Guard:
    """A planted fault: the same rows, but the plan starts anew from the body at every tick."""

    def act(
        blank: None, motion: Motion, centres: Array, radii: Array, wish: Array, rate: Array
    ) -> tuple[None, Array, Array]:
        _, control, report = anchored_control(body, motion, motion, centres, radii, wish, rate)
        return blank, control, report.share

    return Guard("without the anchor", lambda motion: None, act)


def clipped_hocbf(body: AnchoredBraking, gains: tuple[float, float] = (1.0, 1.0)) -> Guard:
    """What is common: HOCBF rows of relative degree two, a QP without limits, then clip."""
    free, hard = jnp.full(3, jnp.inf), jnp.full(arena.BALLS, jnp.inf)

    def nearest(A: Array, b: Array, wish: Array) -> Array:
        return solve_qp(jnp.eye(3), -wish, A, b, -free, free, hard).x

    return _hocbf(f"HOCBF {gains}, then clip", body, gains, nearest)


def worst_row_hocbf(body: AnchoredBraking, gains: tuple[float, float] = (1.0, 1.0)) -> Guard:
    """What is simplest: the worst HOCBF row alone, in closed form, then clip."""

    def nearest(A: Array, b: Array, wish: Array) -> Array:
        lengths = jnp.sqrt(jnp.sum(A**2, axis=1)) + 1e-12
        short = (b - A @ wish) / lengths
        worst = jnp.argmax(short)
        return wish + jnp.maximum(short[worst], 0) * A[worst] / lengths[worst]

    return _hocbf(f"worst row of HOCBF {gains}, then clip", body, gains, nearest)


def _hocbf(
    name: str,
    body: AnchoredBraking,
    gains: tuple[float, float],
    nearest: Callable[[Array, Array, Array], Array],
) -> Guard:
    """Rows of h = distance^2 - radius^2. A wish that is not finite is replaced by damping."""
    system = ControlAffineSystem(
        lambda x: jnp.concatenate([x[3:], jnp.zeros_like(x[3:])]),
        lambda x: jnp.concatenate([jnp.zeros((3, 3), x.dtype), jnp.eye(3, dtype=x.dtype)]),
        states=6,
    )
    limit = jnp.asarray(body.limit)

    def act(
        blank: None, motion: Motion, centres: Array, radii: Array, wish: Array, rate: Array
    ) -> tuple[None, Array, Array]:
        state = jnp.concatenate([motion.point, motion.velocity])

        def row(centre: Array, radius: Array) -> tuple[Array, Array]:
            h = lambda x: jnp.sum((x[:3] - centre) ** 2) - radius**2  # noqa: E731
            A, b = Barrier(h, 2, gains).rows(system, state)
            return A[0], b[0]

        A, b = jax.vmap(row)(centres, radii)
        wish = jnp.where(jnp.isfinite(wish), wish, -4 * motion.velocity)
        return blank, jnp.clip(nearest(A, b, wish), -limit, limit), jnp.ones(())

    return Guard(name, lambda motion: None, act)


def unguarded(body: AnchoredBraking) -> Guard:
    """No filter at all: the wish, clipped."""
    limit = jnp.asarray(body.limit)

    def act(
        blank: None, motion: Motion, centres: Array, radii: Array, wish: Array, rate: Array
    ) -> tuple[None, Array, Array]:
        wish = jnp.where(jnp.isfinite(wish), wish, -4 * motion.velocity)
        return blank, jnp.clip(wish, -limit, limit), jnp.ones(())

    return Guard("no filter", lambda motion: None, act)
