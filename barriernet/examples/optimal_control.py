"""The expert: direct single shooting, solved as a nonlinear least-squares problem.

Controls between knots are differentiated through the rollout, forward; Levenberg-Marquardt steps
(Marquardt, SIAM J. 1963) on costs and on the amounts by which barrier rows fall short. It sees the
whole future, obstacle and other cars included: what a network then learns to do from the state of
the moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from barriernet.examples.experiment import Experiment


@dataclass(frozen=True)
class Shooting:
    """How an expert's path is sought.

    Attributes:
        steps: commands of a path.
        every: commands between two knots; the control is linear in between.
        iterations: Levenberg-Marquardt steps.
        price: of a row's squared shortfall in the end, after it has risen from a millionth: paths
            first find their way, then keep the rows. The costs are of order one.
    """

    steps: int
    every: int = 4
    iterations: int = 40
    price: float = 1e3

    @property
    def knots(self) -> int:
        """Knots of a path, the last at its end or behind it."""
        return -(-(self.steps - 1) // self.every) + 1

    def held(self, knots: Float[Array, "knots controls"]) -> Float[Array, "steps controls"]:
        """The control of each step."""
        at = jnp.arange(self.steps) / self.every
        before = jnp.minimum(at.astype(int), self.knots - 2)
        share = (at - before)[:, None].astype(knots.dtype)
        return (1 - share) * knots[before] + share * knots[before + 1]


def follow(
    experiment: Experiment,
    start: Float[Array, " states"],
    controls: Float[Array, "steps controls"],
    outside: Float[Array, "steps outside"],
) -> Float[Array, "steps states"]:
    """States at which the controls are given, the start first."""

    def step(state: Array, acting: tuple[Array, Array]) -> tuple[Array, Array]:
        return experiment.move(state, *acting), state

    return jax.lax.scan(step, start, (controls, outside))[1]


def optimal_path(
    experiment: Experiment,
    shooting: Shooting,
    costs: Callable[[Array, Array], Array],
    gains: Float[Array, " gains"],
    start: Float[Array, " states"],
    outside: Float[Array, "steps outside"],
    guess: Float[Array, "knots controls"],
) -> tuple[Float[Array, "steps states"], Float[Array, "steps controls"]]:
    """The cheapest path that keeps every row; pure, for `vmap` over starts.

    Args:
        experiment: whose system and rows.
        shooting: how it is sought.
        costs: from states `[steps, states]` and controls `[steps, controls]` to residuals, half
            of whose squares are minimised.
        gains: of the rows, the same everywhere: the expert's.
        start: first state.
        outside: what acts from outside, known to the expert.
        guess: first knots.

    Returns:
        States and controls of each step.
    """

    def residuals(flat: Array, price: Array) -> Array:
        controls = shooting.held(flat.reshape(guess.shape))
        states = follow(experiment, start, controls, outside)
        A, b = jax.vmap(lambda state: experiment.rows(state, gains))(states)
        short = jax.nn.relu(b - jnp.einsum("trc,tc->tr", A, controls))
        short = short / jnp.sqrt(1 + jnp.sum(A**2, axis=-1))
        return jnp.concatenate([costs(states, controls), price**0.5 * short.ravel()])

    def improve(carry: tuple[Array, Array], price: Array) -> tuple[tuple[Array, Array], None]:
        knots, damping = carry
        now, slopes = residuals(knots, price), jax.jacfwd(residuals)(knots, price)
        normal = slopes.T @ slopes
        scaled = normal + damping * jnp.diag(jnp.diag(normal) + 1e-9)
        better = knots - jnp.linalg.solve(scaled, slopes.T @ now)
        gained = jnp.sum(residuals(better, price) ** 2) < jnp.sum(now**2)
        damping = jnp.clip(jnp.where(gained, damping / 3, damping * 4), 1e-9, 1e9)
        return (jnp.where(gained, better, knots), damping), None

    first = (guess.ravel(), jnp.asarray(1e-2, guess.dtype))
    rising = jnp.geomspace(1e-6, 1, shooting.iterations // 2, dtype=guess.dtype)
    prices = shooting.price * jnp.ones(shooting.iterations).at[: rising.shape[0]].set(rising)
    (flat, _), _ = jax.lax.scan(improve, first, prices)
    controls = shooting.held(flat.reshape(guess.shape))
    return follow(experiment, start, controls, outside), controls
