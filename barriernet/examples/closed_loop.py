"""A policy drives its system: what counts in the end."""

from __future__ import annotations

from typing import no_type_check

import jax
from flax import struct
from jax import Array
from jaxtyping import Bool, Float

from barriernet.examples.experiment import Experiment, Learnt, answer


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Drive:
    """A closed loop, step by step.

    Attributes:
        states: at each step, the start first `[*batch, steps, states]`.
        controls: applied there `[*batch, steps, controls]`.
        margins: h of each barrier there `[*batch, steps, barriers]`.
        gains: chosen there `[*batch, steps, gains]`.
        certified: whether the layer vouched for the control `[*batch, steps]`; never without it.
    """

    states: Float[Array, "*batch steps states"]
    controls: Float[Array, "*batch steps controls"]
    margins: Float[Array, "*batch steps barriers"]
    gains: Float[Array, "*batch steps gains"]
    certified: Bool[Array, "*batch steps"]


def drive(
    experiment: Experiment,
    learnt: Learnt,
    start: Float[Array, " states"],
    outside: Float[Array, "steps outside"],
    barrier: bool = True,
) -> Drive:
    """Let a policy act on its system from a start, one command every `dt`.

    Args:
        experiment: whose system it is.
        learnt: who acts.
        start: state of the first step.
        outside: what acts from outside at each step.
        barrier: whether its wishes pass through the layer.
    """

    def step(state: Array, acting: Array) -> tuple[Array, Drive]:
        given = answer(experiment, learnt, state, barrier)
        margins = experiment.margins(state)
        seen = Drive(state, given.control, margins, given.gains, given.certified)
        return experiment.move(state, given.control, acting), seen

    return jax.lax.scan(step, start, outside)[1]
