"""One tick of a continuous system whose control is held, as a digital controller holds it."""

from __future__ import annotations

from jax import Array

from barriernet.discrete import DiscreteSystem
from barriernet.errors import ModelError
from barriernet.system import ControlAffineSystem


def held_over_ticks(system: ControlAffineSystem, tick: float, steps: int = 1) -> DiscreteSystem:
    """One tick of a continuous system with the control held: classical Runge-Kutta, fourth order.

    Args:
        system: whose motion it is.
        tick: period of the control [s].
        steps: of the integrator in a tick.

    Raises:
        ModelError: a number is not positive.
    """
    if steps < 1:
        raise ModelError(f"steps: expected at least 1, got {steps}")
    dt = tick / steps

    def moved(state: Array, control: Array) -> Array:
        for _ in range(steps):
            first = system.rate(state, control)
            second = system.rate(state + dt / 2 * first, control)
            third = system.rate(state + dt / 2 * second, control)
            fourth = system.rate(state + dt * third, control)
            state = state + dt / 6 * (first + 2 * second + 2 * third + fourth)
        return state

    return DiscreteSystem(moved, system.states, system.controls, tick)
