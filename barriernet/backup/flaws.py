"""Looking for states at which what a backup flow takes for granted is false."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from barriernet._qp.problem import FloatArray
from barriernet.backup.flow import BackupFlow
from barriernet.limits import Limits


class BackupFlaws(NamedTuple):
    """The worst that was found; none of it above zero (up to rounding) is what the proof needs.

    Attributes:
        beyond_limits: of the backup, along the path, in units of the control.
        lost_at_end: fall of T in one tick of the backup, from states with T >= 0.
        unsafe_at_end: e_N - h at the end of the path, where T >= 0.
        safe: share of the states that were safe; where it is small, little was looked at.
    """

    beyond_limits: float
    lost_at_end: float
    unsafe_at_end: float
    safe: float


def backup_flaws(
    flow: BackupFlow, limits: Limits, states: Float[FloatArray, "samples states"]
) -> BackupFlaws:
    """Try the three assumptions of `barriernet.backup.flow` on samples: no proof, but a search.

    Args:
        flow: the system, its backup and its barriers.
        limits: of the control.
        states: where to look; only safe ones count, so draw them from where the system will be.

    Returns:
        The worst of each, -inf where no sample was safe.
    """

    def one(x: Array) -> tuple[Array, Array, Array, Array]:
        path = flow.path(x)
        controls = jax.vmap(flow.backup_at)(path)
        excess = jnp.maximum(controls - limits.upper, limits.lower - controls)
        last = path[-1]
        further = flow.system.next(last, controls[-1])
        lost = jnp.max(flow.terminal_at(last) - flow.terminal_at(further))
        unsafe = jnp.max(flow.last_margin - flow.barrier_at(last))
        return jnp.max(excess), lost, unsafe, jnp.all(flow.values(x) >= 0)

    *worst, safe = (np.asarray(part) for part in jax.jit(jax.vmap(one))(jnp.asarray(states)))
    found = (float(np.max(part[safe], initial=-np.inf)) for part in worst)
    return BackupFlaws(*found, safe=float(np.mean(safe)))
