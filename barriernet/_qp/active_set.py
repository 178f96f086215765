"""The dual active set loop (Goldfarb and Idnani, Math. Programming 27, 1983), slacks eliminated.

It starts at the minimum of the cost alone and takes in one violated constraint at a time, keeping
every multiplier >= 0. A soft row in the active set has slack = multiplier / weight, so it needs no
slack variable: it adds weight a a' to the cost matrix, and any number of them may be active. Hard
rows and bounds in the active set hold as equalities; at most n of those can be independent, and
each sits in one of n slots.
"""

from __future__ import annotations

from dataclasses import replace
from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.answer import NONE
from barriernet._qp.bases import Bases, bases, no_bases
from barriernet._qp.scaling import ScaledQP


@no_type_check
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
        passed_over: hard constraints that others imply up to rounding.
        bases: of this active set.
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
    passed_over: Bool[Array, " m"]
    bases: Bases
    iterations: Int[Array, ""]

    @property
    def used(self) -> Bool[Array, " n"]:
        """Which slots hold a constraint."""
        return self.slot != NONE

    def normals(self, C: Float[Array, "m n"]) -> Float[Array, "n n"]:
        """Normal of the constraint in each slot, zeros where free."""
        return jnp.where(self.used[:, None], C[jnp.maximum(self.slot, 0)], 0)

    def chosen(self, count: int) -> Bool[Array, "m n"]:
        """Whether constraint i sits in slot j."""
        return self.slot[None, :] == jnp.arange(count, dtype=jnp.int32)[:, None]


@no_type_check
@struct.dataclass
class Candidate:
    """The constraint that is being taken in: normal x >= side."""

    normal: Float[Array, " n"]
    side: Float[Array, ""]
    soft: Bool[Array, ""]
    compliance: Float[Array, ""]


@no_type_check
@struct.dataclass
class Rates:
    """Change of everything when the candidate's multiplier grows by one.

    `drift` is what x lacks of meeting the constraints in the slots, after steps from afar.
    """

    drift: Float[Array, " n"]
    x: Float[Array, " n"]
    soft: Float[Array, " K"]
    slot: Float[Array, " n"]
    closing: Float[Array, ""]


def iteration_limit(variables: int, rows: int) -> int:
    """Most passes of the loop; each takes in or drops one constraint."""
    return 8 * (variables + 8) + 4 * rows


def run(problem: ScaledQP, enabled: Bool[Array, ""]) -> ActiveSet:
    """Find the active set; a problem that is not enabled returns at once."""
    size, rows, dtype = problem.q.shape[0], problem.soft.shape[0], problem.q.dtype
    state = ActiveSet(
        x=problem.start,
        soft_active=jnp.zeros(rows, bool),
        soft_multiplier=jnp.zeros(rows, dtype),
        slot=jnp.full(size, NONE, jnp.int32),
        slot_multiplier=jnp.zeros(size, dtype),
        candidate=jnp.full((), NONE, jnp.int32),
        candidate_multiplier=jnp.zeros((), dtype),
        relaxed=jnp.zeros((), bool),
        passed_over=jnp.zeros(problem.c.shape[0], bool),
        bases=no_bases(problem),
        iterations=jnp.zeros((), jnp.int32),
    )
    first = jnp.where(enabled, _most_violated(state, problem), NONE)
    limit = iteration_limit(size, rows)
    return jax.lax.while_loop(
        lambda state: (state.candidate != NONE) & (state.iterations < limit),
        lambda state: _advance(state, problem),
        replace(state, candidate=first),
    )


def _most_violated(state: ActiveSet, problem: ScaledQP) -> Int[Array, ""]:
    count, rows = problem.c.shape[0], problem.soft.shape[0]
    violation = problem.c - problem.C @ state.x
    taken = state.passed_over | jnp.any(state.chosen(count), axis=1)
    taken = taken | jnp.concatenate([state.soft_active, jnp.zeros(count - rows, bool)])
    ranked = jnp.where(
        problem.usable & ~taken & (violation > _rounding(problem.c, state.x)), violation, 0
    )
    worst = jnp.argmax(ranked).astype(jnp.int32)
    return jnp.where(ranked[worst] > 0, worst, NONE)


def _rounding(side: Float[Array, "*m"], x: Float[Array, " n"]) -> Float[Array, "*m"]:
    """Violations of normal x >= side up to this are rounding."""
    return 16 * jnp.finfo(x.dtype).eps * (jnp.abs(side) + jnp.max(jnp.abs(x)))


def _advance(state: ActiveSet, problem: ScaledQP) -> ActiveSet:
    """One pass: move until the candidate holds, or until another constraint has to leave."""
    rows, count = problem.soft.shape[0], problem.c.shape[0]
    _, compliance, soft = problem.stiffness(state.relaxed)
    candidate = _candidate(state, problem, compliance, soft)
    rates = _rates(state, problem, candidate)

    x = state.x + rates.drift
    violation = candidate.side - candidate.normal @ x
    met = (violation <= _rounding(candidate.side, x)) & (state.candidate_multiplier == 0)
    missing = violation - state.candidate_multiplier * candidate.compliance
    full = _ratio(jnp.maximum(missing, 0), rates.closing)
    limits = jnp.concatenate(
        [_ratio(state.soft_multiplier, -rates.soft), _ratio(state.slot_multiplier, -rates.slot)]
    )
    blocker = jnp.argmin(limits)
    length = jnp.minimum(limits[blocker], full)
    stuck = ~met & ~jnp.isfinite(length)
    drop = ~met & ~stuck & (limits[blocker] < full)
    take = ~met & ~stuck & ~drop
    length = jnp.where(take | drop, length, 0)

    index, place = jnp.arange(rows), jnp.arange(state.slot.shape[0])
    enters = take & candidate.soft & (state.candidate == index)
    fills = take & ~candidate.soft & (jnp.argmin(state.used) == place)
    leaves, frees = drop & (blocker == index), drop & (blocker - rows == place)
    reached = state.candidate_multiplier + length
    soft_active = (state.soft_active | enters) & ~leaves
    slot = jnp.where(fills, state.candidate, jnp.where(frees, NONE, state.slot))
    soft_multiplier = jnp.maximum(state.soft_multiplier + length * rates.soft, 0)
    slot_multiplier = jnp.maximum(state.slot_multiplier + length * rates.slot, 0)
    relax = stuck & ~state.relaxed & _contradicts(state, problem, candidate, rates)
    moved = replace(
        state,
        x=x + length * rates.x,
        soft_active=soft_active,
        soft_multiplier=jnp.where(enters, reached, jnp.where(soft_active, soft_multiplier, 0)),
        slot=slot,
        slot_multiplier=jnp.where(fills, reached, jnp.where(slot == NONE, 0, slot_multiplier)),
        candidate_multiplier=jnp.where(drop, reached, 0),
        passed_over=state.passed_over | (stuck & (jnp.arange(count) == state.candidate)),
        iterations=state.iterations + 1,
    )
    moved = _restarted(moved, problem, relax)
    following = jnp.where(drop, state.candidate, _most_violated(moved, problem))
    weight = jnp.where(moved.soft_active, problem.stiffness(moved.relaxed)[0], 0)
    factors = bases(problem, weight, moved.normals(problem.C), moved.used)
    return replace(moved, candidate=following, bases=factors)


def _contradicts(
    state: ActiveSet, problem: ScaledQP, candidate: Candidate, rates: Rates
) -> Bool[Array, ""]:
    """Whether a candidate that cannot be taken in proves the hard constraints infeasible.

    Its normal is then minus a sum of normals in the slots with factors >= 0 (Farkas' lemma), and
    that sum of their sides asks for more than the candidate's own side leaves.
    """
    eps = jnp.finfo(problem.q.dtype).eps
    sides = jnp.where(state.used, problem.c[jnp.maximum(state.slot, 0)], 0)
    left = candidate.side + rates.slot @ sides
    terms = jnp.abs(candidate.side) + jnp.abs(rates.slot) @ jnp.abs(sides)
    misfit = candidate.normal + rates.slot @ state.normals(problem.C)
    alike = jnp.max(jnp.abs(misfit)) <= 1e4 * eps * (1 + jnp.max(jnp.abs(rates.slot)))
    return ~candidate.soft & alike & (left > 32 * eps * terms)


def _candidate(
    state: ActiveSet,
    problem: ScaledQP,
    compliance: Float[Array, " K"],
    soft: Bool[Array, " K"],
) -> Candidate:
    rows = problem.soft.shape[0]
    at = jnp.maximum(state.candidate, 0)
    # Bounds follow the rows in the list: they are hard.
    padding = problem.c.shape[0] - rows
    return Candidate(
        normal=problem.C[at],
        side=problem.c[at],
        soft=jnp.concatenate([soft, jnp.zeros(padding, bool)])[at],
        compliance=jnp.concatenate([compliance, jnp.zeros(padding, compliance.dtype)])[at],
    )


def _rates(state: ActiveSet, problem: ScaledQP, candidate: Candidate) -> Rates:
    eps = jnp.finfo(problem.q.dtype).eps
    white, stretched, held, inner = state.bases
    pull = candidate.normal @ white
    slot = inner @ ((pull @ held) @ inner)
    free = pull - held @ slot
    # Once more, so that what is left of a dependent candidate is rounding and nothing else.
    again = inner @ ((free @ held) @ inner)
    slot, free = slot + again, free - held @ again
    closing = free @ free
    # A hard candidate that depends on the slots cannot move x, only shift their multipliers.
    full = jnp.all(state.used) & ~candidate.soft
    dependent = full | (closing <= (256 * eps) ** 2 * (pull @ pull))
    free = jnp.where(dependent, 0, free)
    sides = jnp.where(state.used, problem.c[jnp.maximum(state.slot, 0)], 0)
    off = sides - state.normals(problem.C) @ state.x
    return Rates(
        drift=white @ (held @ (inner @ (off @ inner))),
        x=white @ free,
        # weight A x, but without the digits that product loses on stiff rows
        soft=-(stretched @ free),
        slot=jnp.where(state.used, -slot, 0),
        closing=candidate.compliance + jnp.where(dependent, 0, closing),
    )


def _ratio(distance: Array, rate: Array) -> Array:
    """Distance / rate where the rate is positive, else infinity."""
    return jnp.where(rate > 0, distance / jnp.where(rate > 0, rate, 1), jnp.inf)


def _restarted(state: ActiveSet, problem: ScaledQP, relax: Bool[Array, ""]) -> ActiveSet:
    """From the start again with soft hard rows, where `relax` says so."""
    return replace(
        state,
        x=jnp.where(relax, problem.start, state.x),
        soft_active=state.soft_active & ~relax,
        soft_multiplier=jnp.where(relax, 0, state.soft_multiplier),
        slot=jnp.where(relax, NONE, state.slot),
        slot_multiplier=jnp.where(relax, 0, state.slot_multiplier),
        candidate_multiplier=jnp.where(relax, 0, state.candidate_multiplier),
        relaxed=state.relaxed | relax,
        passed_over=state.passed_over & ~relax,
    )
