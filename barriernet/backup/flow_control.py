"""One tick of any system behind its backup: rows, quadratic program, trial, report."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from barriernet._qp.problem import FloatArray
from barriernet.backup.draw_back import draw_back
from barriernet.backup.flow import BackupFlow
from barriernet.backup.report import BackupReport
from barriernet.errors import ModelError
from barriernet.limits import Limits
from barriernet.qp import Outcome, solve_qp


def backup_control(
    flow: BackupFlow,
    limits: Limits,
    state: Float[FloatArray, " states"],
    wish: Float[FloatArray, " controls"],
    rate: Float[FloatArray, ""] | float,
    cushion: float = 0.0,
) -> tuple[Float[Array, " controls"], BackupReport]:
    """The control nearest the wish after which the backup is still possible.

    Pure; for batches use `vmap`. From a safe state of the undisturbed system the next state is
    safe, exactly (see `flow`). Outside, barriers below zero are driven up at `rate` as the limits
    allow, and none is driven deeper as long as the backup alone does not. A wish that is not
    finite is answered by the backup; a state that is not finite, by the middle of the limits.

    Args:
        flow: the system, its backup and its barriers.
        limits: of the control; always kept, bit for bit.
        state: where the system is.
        wish: what the policy wants.
        rate: alpha, class-K gain [1/s], positive, below 1 / tick.
        cushion: how far rows keep above what is tried, in units of h: about what they miss to
            second order, so that answers rarely have to be drawn back.

    Returns:
        The control, and what became of the wish.

    Raises:
        ModelError: the wish or the limits do not fit the system.
    """
    size = (flow.system.controls,)
    for name, part in (("wish", wish), ("lower", limits.lower), ("upper", limits.upper)):
        if jnp.shape(part) != size:
            raise ModelError(f"{name}: expected shape {size}, got {jnp.shape(part)}")
    x, wanted = jnp.asarray(state), jnp.asarray(wish, jnp.asarray(state).dtype)
    limits = limits.within(x.dtype)
    sound = jnp.all(jnp.isfinite(x))
    x = jnp.where(sound, x, 0)
    backup = flow.backup_at(x)
    sound = sound & jnp.all(jnp.isfinite(backup))
    backup = limits.clip(jnp.where(sound, backup, limits.middle))
    rows = flow.rows(x, rate)
    step = jnp.asarray(rate, x.dtype) * flow.system.period
    bound = rows.bound + step * cushion
    weight = jnp.full(bound.shape, jnp.inf, x.dtype)
    eye = jnp.eye(size[0], dtype=x.dtype)
    answer = solve_qp(eye, -wanted, rows.matrix, bound, limits.lower, limits.upper, weight)
    usable = (answer.outcome == int(Outcome.SOLVED)) | (answer.outcome == int(Outcome.INFEASIBLE))
    usable = usable & sound
    tried = jnp.where(usable, answer.x, backup)
    now = jax.lax.stop_gradient(rows.barrier)
    control, share = draw_back(tried, backup, now, lambda u: flow.values_after(x, u))
    report = BackupReport(
        barrier=jnp.where(sound & jnp.isfinite(rows.barrier), rows.barrier, -jnp.inf),
        outcome=answer.outcome,
        share=jnp.where(usable, share, 0),
        outside=~sound,
    )
    return limits.clip(control), report
