"""Backup barriers of any system: the user brings one tick of its motion, a backup, and h(x) >= 0.

x_0, x_1 ... x_N is the backup's path: x_{k+1} = F(x_k, u_b(x_k)), every control held for a tick,
as it is in flight. With margins e_0 <= ... <= e_N (zero without disturbance) the barriers are

    S_i(x) = min over k of h_i(x_k) - e_k         every point of the path is safe, for each h_i;
    T_j(x) = h_b,j(x_N) - e_N                     it ends in a set where the backup may stay.

Assumed of the user (`backup_flaws` looks for counterexamples): the backup is inside the limits, it
keeps h_b from falling where T >= 0, and h >= e_N where h_b >= e_N.

Proved in sampled time, without remainder. The safe set {S >= 0, T >= 0} is invariant under the
backup, because the path from its next state is the rest of the same path. The rows are taken from
the least value on each piece of the path,

    h_i(x_k of F(x, u)) - e_k >= (1 - alpha dt) S_i(x),     T_j(F(x, u)) >= (1 - alpha dt) T_j(x),

and the backup meets all of them at every safe state: the left side is then h_i(x_{k+1}) - e_k,
which is at least S_i. (With the value of the same point of the old path on the right, as in the
continuous-time literature, that fails: a path that goes by an obstacle brings each of its points
nearer to it.)

Exact to first order only. Rows are linear: the left side is replaced by its tangent at u_b, whose
error is at most M |u - u_b|^2 / 2, M a bound of its second derivative, O(dt^2) for a force and
O(dt^4) for a position. `backup_control` therefore tries its answer (`draw_back`): the next state is
safe for certain, rate and nearness to the wish are what the tangent makes of them.

Not covered: between samples h may dip below its samples by at most dt^2 / 8 times a bound of its
second derivative in time; take it off h. Against a disturbance, margins that grow by at least what
one tick's push can change at each point of the path, e_{k+1} - e_k >= max |h(x_k') - h(x_k)|, keep
the proof if the backup also makes good e_N's own growth inside the terminal set. A memory (an
anchor), a clock (moving obstacles whose motion is known) and the like are part of the state.

Gurriet, Mote, Singletary, Nilsson, Feron and Ames, "A scalable safety critical control framework
for nonlinear systems", IEEE Access 2020; Chen, Jankovic, Santillo and Ames, "Backup control barrier
functions", CDC 2021; Singletary et al., arXiv 2201.04331; closed form: arXiv 2510.05436.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Float

from barriernet._qp.problem import FloatArray
from barriernet.discrete import DiscreteSystem
from barriernet.errors import ModelError
from barriernet.system import StateFunction


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class FlowRows:
    """Rows A u >= b of the sampled barriers, in the units of h.

    Attributes:
        matrix: A, `[R, controls]`.
        bound: b, `[R]`.
        barrier: S of each h, then T of each h_b.
    """

    matrix: Float[Array, "*batch R controls"]
    bound: Float[Array, "*batch R"]
    barrier: Float[Array, "*batch barriers"]


@dataclass(frozen=True)
class BackupFlow:
    """A system, a backup, and what must stay at or above zero along the backup's path.

    Attributes:
        system: one tick of the motion, F; its `period` is the tick.
        backup: u_b, from a state to a control inside the limits.
        barrier: h, from a state to `[K]` or a scalar.
        ticks: N, length of the path.
        terminal: h_b, from a state to `[J]` or a scalar; h itself by default, which is right where
            the path ends at rest.
        pieces: of the path, each of which gives one row for each h_i; at most N.
        margins: e_0 ... e_N, not falling; one number for all alike.
    """

    system: DiscreteSystem
    backup: StateFunction
    barrier: StateFunction
    ticks: int
    _: KW_ONLY
    terminal: StateFunction | None = None
    pieces: int = 4
    margins: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        """Check the numbers and ask the functions for their shapes.

        Raises:
            ModelError: a number is out of its range, or a function answers in another shape.
        """
        if self.ticks < 1:
            raise ModelError(f"ticks: expected at least 1, got {self.ticks}")
        if not 1 <= self.pieces <= self.ticks:
            raise ModelError(f"pieces: expected 1 to {self.ticks}, got {self.pieces}")
        margins = np.atleast_1d(np.asarray(self.margins, float))
        if margins.shape not in ((1,), (self.ticks + 1,)) or not np.all(np.isfinite(margins)):
            raise ModelError(f"margins: expected 1 or {self.ticks + 1} finite numbers, {margins}")
        if np.any(np.diff(margins) < 0):
            raise ModelError(f"margins: expected numbers that do not fall, got {margins}")
        state = jax.ShapeDtypeStruct((self.system.states,), jnp.float32)
        got = jax.eval_shape(lambda x: jnp.asarray(self.backup(x)), state).shape
        if got != (self.system.controls,):
            raise ModelError(f"backup: expected shape ({self.system.controls},), got {got}")
        for name in ("barrier", "terminal"):
            function = getattr(self, name) or self.barrier
            shape = jax.eval_shape(lambda x, f=function: jnp.asarray(f(x)), state).shape
            if len(shape) > 1:
                raise ModelError(f"{name}: expected a scalar or a vector, got shape {shape}")

    def path(self, state: Float[FloatArray, " states"]) -> Float[Array, "points states"]:
        """x_0 ... x_N."""
        x = jnp.asarray(state)
        return jnp.concatenate([x[None], self._onward(x, self.ticks)])

    def values(self, state: Float[FloatArray, " states"]) -> Float[Array, " barriers"]:
        """S of each h, then T of each h_b: the state is safe where none is below zero."""
        path = self.path(state)
        heights = jax.vmap(self.barrier_at)(path) - self._margins(path.dtype)[:, None]
        end = self.terminal_at(path[-1]) - self._margins(path.dtype)[-1]
        return jnp.concatenate([jnp.min(heights, axis=0), end])

    def values_after(
        self, state: Float[FloatArray, " states"], control: Float[FloatArray, " controls"]
    ) -> Float[Array, " barriers"]:
        """The same, one tick later."""
        return self.values(self.system.next(state, control))

    def backup_at(self, state: Float[FloatArray, " states"]) -> Float[Array, " controls"]:
        """The backup's control, in the dtype of the state."""
        x = jnp.asarray(state)
        return jnp.asarray(self.backup(x), x.dtype)

    def barrier_at(self, state: Float[FloatArray, " states"]) -> Float[Array, " K"]:
        """H of one state, without its path."""
        x = jnp.asarray(state)
        return jnp.atleast_1d(jnp.asarray(self.barrier(x), x.dtype))

    def terminal_at(self, state: Float[FloatArray, " states"]) -> Float[Array, " J"]:
        """The terminal h_b of one state."""
        x = jnp.asarray(state)
        return jnp.atleast_1d(jnp.asarray((self.terminal or self.barrier)(x), x.dtype))

    @property
    def last_margin(self) -> float:
        """The margin e_N at the end of the path."""
        return float(np.atleast_1d(self.margins)[-1])

    def rows(
        self, state: Float[FloatArray, " states"], rate: Float[FloatArray, ""] | float
    ) -> FlowRows:
        """The rows at one state; the backup meets all of them where it is safe.

        Args:
            state: where the system is.
            rate: alpha, class-K gain [1/s], positive, below 1 / tick.
        """
        x = jnp.asarray(state)
        margins, control = self._margins(x.dtype), self.backup_at(state)

        def ahead(u: Array) -> tuple[tuple[Array, Array], Array]:
            """H at x_1 ... x_N and h_b at x_{N+1}; beside them h_b at x_N."""
            first = self.system.next(x, u)
            path = jnp.concatenate([first[None], self._onward(first, self.ticks)])
            heights = jax.vmap(self.barrier_at)(path[:-1])
            return (heights, self.terminal_at(path[-1])), self.terminal_at(path[-2])

        (heights, end), push, now = jax.linearize(ahead, control, has_aux=True)
        slopes, end_slope = jax.vmap(push)(jnp.eye(control.shape[0], dtype=x.dtype))
        least = jnp.min(heights - margins[1:, None], axis=0)
        barrier = jnp.concatenate(
            [jnp.minimum(self.barrier_at(x) - margins[0], least), now - margins[-1]]
        )
        heights, slopes = _lowest(self.pieces, heights - margins[:-1, None], slopes)
        matrix = _without_traces(jnp.concatenate([slopes, end_slope.T]))
        count = least.shape[0]
        kept = (1 - jnp.asarray(rate, x.dtype) * self.system.period) * barrier
        wanted = jnp.concatenate([jnp.tile(kept[:count], self.pieces), kept[count:]])
        reached = jnp.concatenate([heights, end - margins[-1]])
        return FlowRows(matrix, wanted - reached + matrix @ control, barrier)

    def _onward(self, state: Array, ticks: int) -> Array:
        def tick(x: Array, _: None) -> tuple[Array, Array]:
            x = self.system.next(x, self.backup_at(x))
            return x, x

        return jax.lax.scan(tick, state, length=ticks)[1]

    def _margins(self, dtype: jnp.dtype) -> Array:
        return jnp.broadcast_to(jnp.asarray(self.margins, dtype), (self.ticks + 1,))


def _without_traces(matrix: Array) -> Array:
    """Rows that the control has no hold on are zero: what rounding leaves there has no meaning."""
    size = jnp.max(jnp.abs(matrix), axis=1, keepdims=True)
    return jnp.where(size > 8 * jnp.finfo(matrix.dtype).eps * jnp.max(size), matrix, 0)


def _lowest(pieces: int, heights: Array, slopes: Array) -> tuple[Array, Array]:
    """The least height on each piece of the path, `[pieces K]`, and its slope in the control."""
    low, steep = [], []
    for piece in np.array_split(np.arange(heights.shape[0]), pieces):
        part = heights[piece[0] : piece[-1] + 1]
        place = jnp.argmin(part, axis=0)
        barriers = jnp.arange(part.shape[1])
        low.append(part[place, barriers])
        steep.append(slopes[:, piece[0] + place, barriers].T)
    return jnp.concatenate(low), jnp.concatenate(steep)
