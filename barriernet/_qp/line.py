"""The springs' function along a step: its derivative is increasing and piecewise linear."""

from __future__ import annotations

from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from barriernet._qp.lanes import largest, summed

FEW_CUTS = 4
"""Up to so many are spelled out: faster, and longer to compile."""


@no_type_check
@struct.dataclass
class Line:
    """The function along a step, and what the constraints lack at its start.

    Attributes:
        start: derivative of the cost at the start.
        bend: its change over the whole step.
        stiffness: of the rows.
        lack: of the rows at the start, positive where they press.
        after: what the whole step takes from it.
        wall: stiffness of the bounds.
        short: what the lower bounds lack at the start.
        over: what the upper bounds lack at the start.
        step: of each variable.
    """

    start: Float[Array, " B"]
    bend: Float[Array, " B"]
    stiffness: Float[Array, "K B"]
    lack: Float[Array, "K B"]
    after: Float[Array, "K B"]
    wall: Float[Array, " B"]
    short: Float[Array, "n B"]
    over: Float[Array, "n B"]
    step: Float[Array, "n B"]

    def changed(self) -> Float[Array, " B"]:
        """The largest force, at the end of the step, on a constraint that changes sides."""

        def force(before: Array, after: Array) -> Array:
            return jnp.where((before > 0) != (after > 0), jnp.abs(after), 0)

        def of_row(k: int | slice) -> Array:
            return self.stiffness[k] * force(self.lack[k], self.lack[k] - self.after[k])

        def of_bounds(j: int | slice) -> Array:
            below = force(self.short[j], self.short[j] - self.step[j])
            return jnp.maximum(below, force(self.over[j], self.over[j] + self.step[j]))

        size, rows = len(self.step), len(self.lack)
        return jnp.maximum(largest(rows, of_row), self.wall * largest(size, of_bounds))

    def newton(self, length: Float[Array, " B"]) -> Float[Array, " B"]:
        """Derivative over second derivative.

        That it ends in a division keeps XLA from working it out anew in all that follows.
        """

        def of_row(k: int | slice) -> tuple[Array, Array]:
            left = self.lack[k] - length * self.after[k]
            pull = jnp.where(left > 0, self.stiffness[k] * self.after[k], 0)
            return -pull * left, pull * self.after[k]

        def of_bounds(j: int | slice) -> tuple[Array, Array]:
            way = length * self.step[j]
            short, over = self.short[j] - way, self.over[j] + way
            pressed = (short > 0) | (over > 0)
            pull = jnp.where(pressed, self.wall * self.step[j], 0)
            return pull * jnp.where(short > 0, -short, over), pull * self.step[j]

        size, rows = len(self.step), len(self.lack)
        first = self.start + length * self.bend
        first += summed(rows, lambda k: of_row(k)[0]) + summed(size, lambda j: of_bounds(j)[0])
        second = summed(rows, lambda k: of_row(k)[1]) + summed(size, lambda j: of_bounds(j)[1])
        return first / (self.bend + second)

    def search(self, cuts: int) -> Float[Array, " B"]:
        """Length of the step, at most one, that nearly minimises the function along it.

        Newton's method between two brackets.

        Args:
            cuts: lengths after the whole step; few are spelled out.
        """
        low, high = jnp.zeros_like(self.start), jnp.ones_like(self.start)
        away = self.newton(high)
        whole, state = away <= 0, _cut(low, high, high, away)
        if cuts <= FEW_CUTS:
            for _ in range(cuts - 1):
                state = _cut(*state, self.newton(state[2]))
        else:
            state = jax.lax.fori_loop(
                1, cuts, lambda _, state: _cut(*state, self.newton(state[2])), state
            )
        return jnp.where(whole, 1, state[2])


def _cut(low: Array, high: Array, length: Array, away: Array) -> tuple[Array, Array, Array]:
    """The brackets and the length after one more derivative."""
    low, high = jnp.where(away < 0, length, low), jnp.where(away < 0, high, length)
    newton = length - away
    return low, high, jnp.where((newton > low) & (newton < high), newton, (low + high) / 2)
