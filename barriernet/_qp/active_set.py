"""The dual active set loop (Goldfarb and Idnani, Math. Programming 27, 1983), slacks eliminated.

It starts at the minimum of the cost alone and takes in one violated constraint at a time, keeping
every multiplier >= 0. A soft row in the active set has slack = multiplier / weight, so it needs no
slack variable: it adds weight a a' to the cost matrix, and any number of them may be active. Hard
rows and bounds in the active set hold as equalities; at most n of those can be independent, and
each sits in one of n slots.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.dense import backward, factor, forward, solve

NONE = -1
"""Index of no constraint."""


@struct.dataclass
class Constraints:
    """Rows and bounds in one list: C x >= c, rows scaled to length one.

    Attributes:
        C: rows, identity, minus identity.
        c: right sides; finite everywhere, see `usable`.
        usable: false for missing bounds and for rows of zeros, which x cannot change.
        weight: price of squared slack of each row (scaled), 0 where the row is hard.
        compliance: 1 / weight, 0 where hard.
        soft: which rows have a slack.
    """

    C: Float[Array, "m n"]
    c: Float[Array, " m"]
    usable: Bool[Array, " m"]
    weight: Float[Array, " K"]
    compliance: Float[Array, " K"]
    soft: Bool[Array, " K"]


@struct.dataclass
class ActiveSet:
    """Where the loop stands.

    Attributes:
        x: minimum over the active set.
        soft_active: active soft rows.
        soft_multiplier: their multipliers, 0 elsewhere.
        slot: index of the hard constraint in each slot, `NONE` where free.
        slot_multiplier: its multiplier, 0 where free.
        candidate: violated constraint that is being taken in, `NONE` when there is none.
        candidate_multiplier: how far it is in.
        relaxed: whether the hard rows turned out infeasible and have slack now.
        iterations: passes so far.
    """

    x: Float[Array, " n"]
    soft_active: Bool[Array, " K"]
    soft_multiplier: Float[Array, " K"]
    slot: Int[Array, " n"]
    slot_multiplier: Float[Array, " n"]
    candidate: Int[Array, ""]
    candidate_multiplier: Float[Array, ""]
    relaxed: Bool[Array, ""]
    iterations: Int[Array, ""]


def iteration_limit(variables: int, rows: int) -> int:
    """Most passes of the loop; each pass takes in or drops one constraint."""
    return 8 * (variables + 8) + 4 * rows


def run(
    P: Float[Array, "n n"], start: Float[Array, " n"], constraints: Constraints, enabled: Array
) -> ActiveSet:
    """Solve from the unconstrained minimum `start`; a disabled problem returns at once."""
    size, rows = start.shape[0], constraints.weight.shape[0]
    dtype = start.dtype
    state = ActiveSet(
        x=start,
        soft_active=jnp.zeros(rows, bool),
        soft_multiplier=jnp.zeros(rows, dtype),
        slot=jnp.full(size, NONE, jnp.int32),
        slot_multiplier=jnp.zeros(size, dtype),
        candidate=jnp.zeros((), jnp.int32),
        candidate_multiplier=jnp.zeros((), dtype),
        relaxed=jnp.zeros((), bool),
        iterations=jnp.zeros((), jnp.int32),
    )
    scale = jnp.max(jnp.abs(start))
    first = _most_violated(state, constraints, scale)
    state = state.replace(candidate=jnp.where(enabled, first, NONE))
    limit = iteration_limit(size, rows)

    def unfinished(state: ActiveSet) -> Array:
        return (state.candidate != NONE) & (state.iterations < limit)

    def advance(state: ActiveSet) -> ActiveSet:
        return _step(state, P, start, scale, constraints)

    return jax.lax.while_loop(unfinished, advance, state)


def effective(constraints: Constraints, relaxed: Array) -> tuple[Array, Array, Array]:
    """Weight, compliance and softness of the rows, with hard rows made soft where relaxed."""
    stiff = stiff_weight(constraints)
    weight = jnp.where(constraints.soft, constraints.weight, jnp.where(relaxed, stiff, 0))
    compliance = jnp.where(
        constraints.soft, constraints.compliance, jnp.where(relaxed, 1 / stiff, 0)
    )
    return weight, compliance, constraints.soft | relaxed


def stiff_weight(constraints: Constraints) -> Array:
    """Weight that a hard row gets once the hard rows are known to contradict each other."""
    raise_by = 1e8 if constraints.c.dtype == jnp.float64 else 1e4
    return jnp.asarray(raise_by, constraints.c.dtype)


def slot_normals(C: Float[Array, "m n"], slot: Int[Array, " n"]) -> Float[Array, "n n"]:
    """One row per slot; rows of zeros where free."""
    return jnp.where((slot != NONE)[:, None], C[jnp.maximum(slot, 0)], 0)


def _most_violated(state: ActiveSet, constraints: Constraints, scale: Array) -> Array:
    eps = jnp.finfo(scale.dtype).eps
    rows = constraints.weight.shape[0]
    violation = constraints.c - constraints.C @ state.x
    noise = 16 * eps * (jnp.abs(constraints.c) + jnp.max(jnp.abs(state.x)))
    index = jnp.arange(constraints.c.shape[0], dtype=jnp.int32)
    taken = jnp.any(state.slot[None, :] == index[:, None], axis=1)
    taken = taken | (index < rows) & jnp.concatenate(
        [state.soft_active, jnp.zeros(index.shape[0] - rows, bool)]
    )
    open_rows = constraints.usable & ~taken & (violation > noise)
    ranked = jnp.where(open_rows, violation, -1)
    worst = jnp.argmax(ranked).astype(jnp.int32)
    return jnp.where(ranked[worst] > 0, worst, NONE)


def _step(
    state: ActiveSet,
    P: Float[Array, "n n"],
    start: Float[Array, " n"],
    scale: Array,
    constraints: Constraints,
) -> ActiveSet:
    eps = jnp.finfo(P.dtype).eps
    rows = constraints.weight.shape[0]
    weight, compliance, soft = effective(constraints, state.relaxed)
    candidate = jnp.maximum(state.candidate, 0)
    is_row = candidate < rows
    normal = constraints.C[candidate]
    violation = constraints.c[candidate] - normal @ state.x
    if rows:
        row = jnp.minimum(candidate, rows - 1)
        candidate_soft = is_row & soft[row]
        give = jnp.where(candidate_soft, compliance[row], 0)
    else:
        candidate_soft = jnp.zeros((), bool)
        give = jnp.zeros((), P.dtype)

    # Directions: how x and the multipliers move when the candidate's multiplier grows by one.
    A = constraints.C[:rows]
    stiff = P + (A * jnp.where(state.soft_active, weight, 0)[:, None]).T @ A
    used = state.slot != NONE
    chol = factor(stiff)
    normals = slot_normals(constraints.C, state.slot)
    both = forward(chol, jnp.concatenate([normal[:, None], normals.T], axis=1))
    pull, held = both[:, 0], both[:, 1:]
    gram = factor(held.T @ held + jnp.diag(jnp.where(used, 0.0, 1.0).astype(P.dtype)))
    ratio = solve(gram, held.T @ pull)
    free = pull - held @ ratio
    curvature = free @ free
    dependent = (curvature <= 64 * eps * (pull @ pull)) | (jnp.all(used) & ~candidate_soft)
    direction = jnp.where(dependent, 0, backward(chol, free))
    curvature = jnp.where(dependent, 0, curvature)
    soft_rate = jnp.where(state.soft_active, -weight * (A @ direction), 0)

    # How far: until the candidate holds, or until a multiplier reaches zero.
    whole = give + curvature
    full = jnp.where(
        whole > 0,
        jnp.maximum(violation - state.candidate_multiplier * give, 0)
        / jnp.where(whole > 0, whole, 1),
        jnp.inf,
    )
    soft_limit = jnp.where(
        soft_rate < 0, state.soft_multiplier / jnp.where(soft_rate < 0, -soft_rate, 1), jnp.inf
    )
    slot_limit = jnp.where(
        used & (ratio > 0), state.slot_multiplier / jnp.where(ratio > 0, ratio, 1), jnp.inf
    )
    limits = jnp.concatenate([soft_limit, slot_limit])
    blocker = jnp.argmin(limits)
    nearest = limits[blocker]
    blocked = nearest < full
    length = jnp.minimum(nearest, full)
    stuck = ~jnp.isfinite(length)
    length = jnp.where(stuck, 0, length)

    x = state.x + length * direction
    soft_multiplier = jnp.maximum(state.soft_multiplier + length * soft_rate, 0)
    slot_multiplier = jnp.maximum(state.slot_multiplier - length * ratio, 0)
    reached = state.candidate_multiplier + length

    # Drop the blocker, or take the candidate in.
    drop = blocked & ~stuck
    take = ~blocked & ~stuck
    index = jnp.arange(rows)
    leaves = drop & (blocker == index)
    enters = take & candidate_soft & (candidate == index)
    soft_active = (state.soft_active | enters) & ~leaves
    soft_multiplier = jnp.where(enters, reached, jnp.where(soft_active, soft_multiplier, 0))
    place = jnp.arange(used.shape[0])
    freed = drop & (blocker - rows == place)
    filled = take & ~candidate_soft & (jnp.argmin(used) == place)
    slot = jnp.where(filled, candidate, jnp.where(freed, NONE, state.slot))
    slot_multiplier = jnp.where(filled, reached, jnp.where(freed | ~used, 0, slot_multiplier))

    # Neither is possible: the hard rows contradict each other (or differ by noise only).
    serious = violation > 1e4 * eps * (scale + jnp.abs(constraints.c[candidate]))
    relax = stuck & serious & ~state.relaxed
    moved = ActiveSet(
        x=jnp.where(relax, start, x),
        soft_active=soft_active & ~relax,
        soft_multiplier=jnp.where(relax, 0, soft_multiplier),
        slot=jnp.where(relax, NONE, slot),
        slot_multiplier=jnp.where(relax, 0, slot_multiplier),
        candidate=state.candidate,
        candidate_multiplier=jnp.where(drop, reached, 0),
        relaxed=state.relaxed | relax,
        iterations=state.iterations + 1,
    )
    following = _most_violated(moved, constraints, scale)
    following = jnp.where(drop, state.candidate, following)
    return moved.replace(candidate=jnp.where(stuck & ~relax, NONE, following))
