"""One correction of a guess at the active set, all lanes at once.

The active set is taken as equalities, its answer worked out in residual form, and every constraint
looked at again: wrong ones change sides (the primal-dual active set method of Hintermueller, Ito
and Kunisch, SIAM J. Optim. 13, 2003).
"""

from __future__ import annotations

from typing import NamedTuple, no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.answer import NONE
from barriernet._qp.lanes import UNROLLED, Lanes, gram, largest, mirrored, pulled, times
from barriernet._qp.soft import balance, responses
from barriernet._qp.sweep import read_off, sweep_all

BLUR = 2 * float(jnp.finfo(jnp.float32).eps)
"""How well a guess knows where it is, in units of its largest number."""
ROUNDING = 64
"""Violations in units of the dtype's spacing that are rounding."""


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Active:
    """A point, which constraints are taken as active, and the inverse that belongs to them.

    Attributes:
        x: the point.
        rows: active rows, soft or hard.
        at_lower: variables at their lower bound.
        at_upper: variables at their upper bound.
        held: multipliers of hard rows.
        settled: whether no constraint wanted to change sides.
        slot: as in `Answer`.
        response: as in `Answer`.
        shift: as in `Answer`.
        stiffness: as in `Answer`.
    """

    x: Float[Array, "n B"]
    rows: Bool[Array, "K B"]
    at_lower: Bool[Array, "n B"]
    at_upper: Bool[Array, "n B"]
    held: Float[Array, "K B"]
    settled: Bool[Array, " B"]
    slot: Int[Array, "n B"]
    response: Float[Array, "n n B"]
    shift: Float[Array, "n n B"]
    stiffness: Float[Array, "n n B"]

    @property
    def fixed(self) -> Bool[Array, "n B"]:
        """Variables at a bound."""
        return self.at_lower | self.at_upper


def active_at(lanes: Lanes, x: Float[Array, "n B"]) -> Active:
    """What seems active near the answer: the constraints that x violates.

    A guess gives way to a stiff bound by less than its own precision: what it touches counts too.
    """
    square = jnp.zeros((x.shape[0], *x.shape), x.dtype)
    blur = BLUR * jnp.max(jnp.abs(x), axis=0)
    return Active(
        x=x,
        rows=lanes.b > times(lanes.A, x),
        at_lower=x <= lanes.lower + blur,
        at_upper=x >= lanes.upper - blur,
        held=jnp.zeros_like(lanes.b),
        settled=jnp.zeros(x.shape[1], bool),
        slot=jnp.full(x.shape, NONE, jnp.int32),
        response=square,
        shift=square,
        stiffness=square,
    )


def corrected(lanes: Lanes, state: Active, slots: Bool[Array, "n K B"] | None) -> Active:
    """The answer for the active set as it is, and the active set that it asks for.

    Args:
        lanes: the problems.
        state: where they stand; settled lanes stay.
        slots: which hard row sits in which slot (`slots_of`); without it lanes where a hard row is
            active stay as they are, too.

    Returns:
        The new state.
    """
    eps = float(jnp.finfo(state.x.dtype).eps)
    hold = jnp.where(state.at_lower, lanes.lower - state.x, lanes.upper - state.x)
    hold = jnp.where(state.fixed, hold, 0)
    spelled = slots is None and len(state.x) <= UNROLLED
    rest = _eliminated(lanes, state, hold) if spelled else _swept(lanes, state, hold, slots)
    x, force = state.x + jnp.where(state.fixed, hold, rest.step), rest.force

    give = ROUNDING * eps * largest(len(lanes.q), lambda j: jnp.abs(lanes.q[j]))
    lack, touch = lanes.b - times(lanes.A, x), ROUNDING * eps * (jnp.abs(lanes.b) + 1)
    rows = jnp.where(state.rows, lack > -touch, lack > touch)
    at_lower = jnp.where(state.fixed, state.at_lower & (force > -give), x < lanes.lower)
    at_upper = jnp.where(state.fixed, state.at_upper & (force < give), x > lanes.upper)
    taken, held = state.rows & jnp.isinf(lanes.weight), state.held
    if slots is not None:
        multiplier = jnp.sum(jnp.where(slots, rest.held[:, None], 0), axis=0)
        rows = jnp.where(taken, jnp.any(slots, axis=0) & (multiplier > -give), rows)
        held = jnp.maximum(multiplier, 0)
    same = (at_lower == state.at_lower) & (at_upper == state.at_upper)
    same = jnp.all(same, axis=0) & jnp.all(rows == state.rows, axis=0)
    stay = state.settled if slots is not None else state.settled | jnp.any(taken, axis=0)
    new = Active(x, rows, at_lower, at_upper, held, same, *rest.inverse)
    return jax.tree.map(lambda old, new: jnp.where(stay, old, new), state, new)


def slots_of(lanes: Lanes, state: Active) -> Bool[Array, "n K B"]:
    """Which hard row sits in which slot: the i-th active one in that of the i-th free variable."""
    held = state.rows & jnp.isinf(lanes.weight)
    order = jnp.cumsum(held, axis=0, dtype=jnp.int32)
    place = jnp.cumsum(~state.fixed, axis=0, dtype=jnp.int32)
    return (place[:, None] == order[None]) & held[None] & ~state.fixed[:, None]


class _Rest(NamedTuple):
    """The answer for an active set.

    Attributes:
        step: of the free variables.
        force: slope at the fixed ones.
        held: multipliers of the rows in the slots.
        inverse: slot, response, shift and stiffness of `Answer`.
    """

    step: Float[Array, "n B"]
    force: Float[Array, "n B"]
    held: Float[Array, "n B"]
    inverse: tuple[Array, Array, Array, Array]


def _springs(lanes: Lanes, state: Active) -> Float[Array, "K B"]:
    """Weights of the active soft rows, 0 for others."""
    return jnp.where(state.rows & jnp.isfinite(lanes.weight), lanes.weight, 0)


def _sign(state: Active) -> Float[Array, "n B"]:
    return jnp.where(state.at_lower, 1.0, -1.0).astype(state.x.dtype)


def _own_slots(state: Active) -> Int[Array, "n B"]:
    """The slots of bounds alone."""
    size, rows = state.x.shape[0], state.rows.shape[0]
    own = jnp.arange(size, dtype=jnp.int32)[:, None] + rows
    return jnp.where(state.at_lower, own, jnp.where(state.at_upper, own + size, NONE))


def _eliminated(lanes: Lanes, state: Active, hold: Float[Array, "n B"]) -> _Rest:
    """Without hard rows and for few variables: fast."""
    found = balance(lanes, state.x, _springs(lanes, state), state.fixed, hold)
    inverse = responses(found, state.fixed, _sign(state))
    return _Rest(found.step, found.force, state.x, (_own_slots(state), *inverse))


def _swept(
    lanes: Lanes, state: Active, hold: Float[Array, "n B"], slots: Bool[Array, "n K B"] | None
) -> _Rest:
    """With hard rows, or for many variables."""
    size = len(state.x)
    tableau, chosen = _tableau(lanes, state, slots)
    tableau = sweep_all(tableau, chosen)
    found = read_off(tableau, state.fixed, hold, chosen.shape[0])
    return _Rest(found[:size], found[:size], -found[size:], _inverse(state, tableau, slots))


def _tableau(
    lanes: Lanes, state: Active, slots: Bool[Array, "n K B"] | None
) -> tuple[Float[Array, "m m B"], Bool[Array, "s B"]]:
    """The conditions of optimality of an active set as a tableau, and which unknowns count.

    Unknowns: the step from x, then minus the multipliers of the rows in the slots.
    """
    x, free = state.x, ~state.fixed
    lack = lanes.b - times(lanes.A, x)
    weight = _springs(lanes, state)
    slope = lanes.q + times(lanes.P, x) - jnp.stack(pulled(lanes.A, weight * lack))
    inner = mirrored(gram(lanes.A, weight))
    matrix = lanes.P + jnp.stack([jnp.stack(row) for row in inner])
    zero = jnp.zeros_like(slope[:1])
    if slots is None:
        top = jnp.concatenate([matrix, slope[:, None]], axis=1)
        return jnp.concatenate([top, jnp.concatenate([slope, zero])[None]]), free
    normals = jnp.sum(jnp.where(slots[:, None], lanes.A[None], 0), axis=2)
    short = -jnp.sum(jnp.where(slots, lack[None], 0), axis=1)
    top = jnp.concatenate([matrix, jnp.swapaxes(normals, 0, 1), slope[:, None]], axis=1)
    middle = jnp.concatenate([normals, jnp.zeros_like(matrix), short[:, None]], axis=1)
    edge = jnp.concatenate([slope, short, zero])
    used = jnp.any(slots, axis=1)
    return jnp.concatenate([top, middle, edge[None]]), jnp.concatenate([free, used])


def _inverse(
    state: Active, tableau: Float[Array, "m m B"], slots: Bool[Array, "n K B"] | None
) -> tuple[Array, Array, Array, Array]:
    """Slot, response, shift and stiffness of `Answer`, from the swept tableau."""
    size, slot, sign = len(state.x), _own_slots(state), _sign(state)
    fixed, swept = state.fixed, tableau[:size, :size]
    here = jnp.eye(size, dtype=bool)[..., None]
    response = jnp.where(~fixed[:, None] & ~fixed[None], -swept, 0)
    shift = jnp.where(here, sign[:, None], jnp.where(fixed[None], 0, -sign[:, None] * swept))
    shift = jnp.where(fixed[:, None], shift, 0)
    pair = fixed[:, None] & fixed[None]
    stiffness = jnp.where(pair, sign[:, None] * swept * sign[None], 0)
    if slots is None:
        return slot, response, shift, stiffness
    used = jnp.any(slots, axis=1)
    slot = jnp.where(used, jnp.argmax(slots, axis=1).astype(jnp.int32), slot)
    across, inner = tableau[size : 2 * size, :size], tableau[size : 2 * size, size : 2 * size]
    shift = jnp.where(used[:, None] & ~fixed[None], -across, shift)
    mixed = jnp.where(used[:, None] & fixed[None], across * sign[None], 0)
    stiffness = stiffness + mixed + jnp.swapaxes(mixed, 0, 1)
    return slot, response, shift, jnp.where(used[:, None] & used[None], inner, stiffness)
