"""One tick of a body that follows an anchored plan: rows, quadratic program, trial, correction."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from barriernet.backup.anchored_body import AnchoredBraking
from barriernet.backup.braking import Motion, brake_control, next_motion
from barriernet.backup.draw_back import draw_back
from barriernet.backup.geometry import norm
from barriernet.backup.report import BackupReport
from barriernet.backup.rows import path_barrier, path_rows
from barriernet.qp import Outcome, solve_qp


def anchored_control(
    body: AnchoredBraking,
    plan: Motion,
    motion: Motion,
    centres: Float[Array, "K n"],
    radii: Float[Array, " K"],
    wish: Float[Array, " n"],
    rate: Float[Array, ""] | float,
) -> tuple[Motion, Float[Array, " n"], BackupReport]:
    """One tick: the control nearest the wish that keeps the body out of every ball.

    Pure; for batches use `vmap`. A wish that is not finite is answered by the backup: brake, then
    hold. A motion that is not finite is taken to be as planned, a plan that is not finite starts
    anew from the motion.

    Args:
        body: the design.
        plan: in memory; at the start, the motion itself.
        motion: of the body, as measured (see `motion_of`).
        centres: of the balls [m].
        radii: of the balls, the body's own included [m].
        wish: acceleration of the plan that is wanted [m/s^2].
        rate: alpha, class-K gain [1/s], positive, below 1 / tick.

    Returns:
        The next plan, the control [m/s^2], and what became of the wish.
    """
    plan, motion, outside = _on_leash(body, plan, motion)
    limit = jnp.asarray(body.limit, plan.point.dtype)
    braking, keep_out = body.braking, radii + body.keep_out
    now = path_barrier(braking, plan, centres, keep_out)

    def following(control: Array) -> Array:
        return path_barrier(braking, next_motion(braking, plan, control), centres, keep_out)

    backup = brake_control(braking, plan)
    wanted, outcome = _planned(body, plan, centres, keep_out, wish, jnp.asarray(rate))
    usable = (outcome == int(Outcome.SOLVED)) | (outcome == int(Outcome.INFEASIBLE))
    wanted = jnp.where(usable, wanted, backup)
    planned, share = draw_back(wanted, backup, now, following)
    tube = body.tube
    ahead = tube.stiffness * (plan.point - motion.point)
    correction = ahead + tube.damping * (plan.velocity - motion.velocity)
    control = jnp.clip(planned + correction, -limit, limit)
    report = BackupReport(now, outcome, jnp.where(usable, share, 0), outside)
    return next_motion(braking, plan, planned), control, report


def _planned(
    body: AnchoredBraking,
    plan: Motion,
    centres: Array,
    keep_out: Array,
    wish: Array,
    rate: Array,
) -> tuple[Array, Array]:
    """The answer of the quadratic program, inside the limits of plans, and its outcome.

    Rows are hard. Where they contradict each other the answer is the least bad one: it drives a
    plan that is inside out again.
    """
    rows = path_rows(body.braking, plan, centres, keep_out + body.cushion, rate)
    room = jnp.asarray(body.limit, wish.dtype) - body.tube.reserve
    weight = jnp.full(rows.bound.shape, jnp.inf, wish.dtype)
    eye = jnp.eye(len(body.limit), dtype=wish.dtype)
    answer = solve_qp(eye, -wish, rows.matrix, rows.bound, -room, room, weight)
    return answer.x, answer.outcome


def _on_leash(
    body: AnchoredBraking, plan: Motion, motion: Motion
) -> tuple[Motion, Motion, Bool[Array, ""]]:
    """Plan and motion, finite and no farther apart than the leash; whether they were."""
    planned, measured = _is_finite(plan), _is_finite(motion)
    blank = jax.tree.map(jnp.zeros_like, plan)
    known = _choose(measured, motion, blank)
    plan = _choose(planned, plan, known)
    motion = _choose(measured, motion, plan)
    apart = norm(plan.point - motion.point)
    leash = body.leash * body.tube.radius
    share = jnp.where(apart > leash, leash / jnp.where(apart > leash, apart, 1), 1)
    drawn = jax.tree.map(lambda at, body: body + share * (at - body), plan, motion)
    plan = _choose(apart > leash, drawn, plan)
    outside = ~(planned & measured) | (apart > body.tube.radius * (1 + 1e-9))
    return plan, motion, outside


def _is_finite(motion: Motion) -> Bool[Array, ""]:
    return jnp.all(jnp.isfinite(motion.point)) & jnp.all(jnp.isfinite(motion.velocity))


def _choose(which: Array, first: Motion, second: Motion) -> Motion:
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), first, second)
