"""From rows that are exact to first order to a next state that is exactly safe.

Rows are linear in the control, the path is not. Their answer is therefore tried: the barriers of
the state that it leads to are worked out, and where one would be lost the control is drawn back
towards the backup's, which loses none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

SHARES = (1.0, 0.75, 0.5, 0.25)
"""What is tried, in this order; the backup alone comes last."""


def draw_back(
    control: Float[Array, " controls"],
    backup: Float[Array, " controls"],
    now: Float[Array, " barriers"],
    following: Callable[[Array], Array],
    shares: Sequence[float] = SHARES,
) -> tuple[Float[Array, " controls"], Float[Array, ""]]:
    """The first of backup + share (control - backup) that loses no barrier in this tick.

    A barrier is lost that falls below zero, or that is below zero and falls. The backup is not
    tried: that it loses none is what makes it a backup.

    Args:
        control: wanted.
        backup: what is always allowed.
        now: the barriers of this state.
        following: from a control to the barriers one tick later.
        shares: to be tried, in falling order.

    Returns:
        The control, and its share: 1 for what was wanted, 0 for the backup.
    """
    tried = jnp.asarray(shares, control.dtype)
    controls = jnp.where(
        (tried == 1)[:, None], control, backup + tried[:, None] * (control - backup)
    )
    floor = jnp.minimum(now, 0)
    # A barrier that is no number is lost.
    kept = jnp.all(jax.vmap(following)(jax.lax.stop_gradient(controls)) >= floor, axis=-1)
    first, found = jnp.argmax(kept), jnp.any(kept)
    return jnp.where(found, controls[first], backup), jnp.where(found, tried[first], 0)
