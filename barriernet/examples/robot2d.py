"""2D robot: a unicycle on its way to a target on the far side of a disc, at about 5 m/s.

BarrierNet (Xiao et al., IEEE T-RO 2023), the repository's 2D_Robot. As there: state x, y, heading,
speed and the target's offset, which the policy observes; turning rate and acceleration as controls
every 0.1 s; a disc of radius 6 m at (40, 15), b = |p - c|^2 - 6^2, one high-order barrier of degree
2; starts near (5, 15) at 2 m/s, targets 60 m ahead and up to 10 m to either side; a network
5-128-(32, 32)-(2, 2) with rectifiers. Other than there:

* The data are our own: optimal control by shooting (`optimal_control`), subject to the guarded row
  with both gains 1.5. Starts vary.
* The controls have limits, and the gains are below 2.5 instead of 4: head-on at 5.5 m/s, rows of 4
  start to brake where 20 m/s^2 are due, rows of 2.5 where 10 are.
* The row is guarded (`guarded_rows`).

As there, a policy may meet another disc than the one it was trained on (`experiment(radius)`): the
layer is told, the network is not.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from barriernet.barrier import Barrier
from barriernet.examples.experiment import Demonstrations, Experiment, Scene
from barriernet.examples.held import guarded_rows
from barriernet.examples.network import PolicySize
from barriernet.examples.optimal_control import Shooting, optimal_path
from barriernet.examples.training import Recipe
from barriernet.limits import Limits
from barriernet.system import ControlAffineSystem

DT = 0.1
CENTRE = (40.0, 15.0)
RADIUS = 6.0
LARGER = 7.5
"""Radius of a disc that no network was trained on [m]."""
AHEAD = (65.0, 15.0)
"""Where a target of offset 0 lies [m]; others lie beside it."""
SPEED = 5.0
GUARD = 2.5
"""Gain of the guarding row, and the network's largest [1/s]."""
MARGIN = 2.5
"""Kept off b [m^2], 0.2 m. The guard leaves out that the acceleration turns while the controls are
held: T^2 / 2 |2 u1 u2 n - u1^2 v e| 2 |p - c| = 1.6 m^2/s of b' in each step at the limits and
5.5 m/s, which lowers b by 2.1 m^2 at most."""
EXPERT_GAINS = (1.5, 1.5)
SHOOTING = Shooting(steps=133)
RECIPE = Recipe(epochs=40, batch=64, rate=5e-3, calm=1e-4)


def _drift(state: Array) -> Array:
    heading, speed = state[2], state[3]
    still = jnp.zeros((), state.dtype)
    return jnp.stack([speed * jnp.cos(heading), speed * jnp.sin(heading), still, still, still])


def _channels(state: Array) -> Array:
    return jnp.zeros((5, 2), state.dtype).at[2, 0].set(1).at[3, 1].set(1)


SYSTEM = ControlAffineSystem(_drift, _channels, 5, 2)
"""x, y [m], heading [rad], speed [m/s], offset of the target [m]; turning rate, acceleration."""


def _move(state: Array, control: Array, outside: Array) -> Array:
    """One step of the classical Runge-Kutta method: wrong by less than 1e-6 m."""
    del outside
    first = SYSTEM.rate(state, control)
    second = SYSTEM.rate(state + first * (DT / 2), control)
    third = SYSTEM.rate(state + second * (DT / 2), control)
    fourth = SYSTEM.rate(state + third * DT, control)
    return state + (first + 2 * second + 2 * third + fourth) * (DT / 6)


SIZE = PolicySize(
    observations=5,
    trunk=128,
    branch=(32,),
    controls=2,
    gains=2,
    activation=jax.nn.relu,
    gain_range=(1e-2, GUARD),
)


def experiment(radius: float = RADIUS) -> Experiment:
    """The experiment with a disc of this radius [m]."""

    def clearance(state: Float[Array, " 5"]) -> Float[Array, ""]:
        """The disc's b [m^2]."""
        return jnp.sum((state[:2] - jnp.asarray(CENTRE, state.dtype)) ** 2) - radius**2

    return Experiment(
        name="robot2d",
        size=SIZE,
        limits=Limits.between([-1.0, -10.0], [1.0, 10.0]),
        dt=DT,
        rows=guarded_rows(SYSTEM, Barrier(clearance, 2), GUARD, MARGIN),
        move=_move,
        margins=lambda state: clearance(state)[None],
        place=(0, 1),
    )


EXPERIMENT = experiment()


def _costs(states: Array, controls: Array) -> Array:
    """Turning, accelerating and not going at the set speed cost; so does missing the target."""
    end = states[-1, :2] - jnp.asarray(AHEAD, states.dtype)
    miss = end - jnp.stack([jnp.zeros((), states.dtype), states[-1, 4]])
    change = jnp.diff(controls, axis=0) / DT
    return jnp.concatenate(
        [
            DT**0.5 * (controls * jnp.asarray([10.0, 1.0])).ravel(),
            DT**0.5 * (change * jnp.asarray([3.0, 0.3])).ravel(),
            DT**0.5 * (states[:, 3] - SPEED),
            3 * miss,
        ]
    )


def demonstrate(paths: int, seed: int = 0, held_out: int = 5) -> Demonstrations:
    """Optimal paths to targets spread evenly over 10 m to either side.

    Args:
        paths: how many; of every `held_out` of them the last is kept for tests and closed loops.
        seed: of the starts.
        held_out: see there.
    """
    rng = np.random.default_rng(seed)
    offsets = np.linspace(-10.0, 10.0, 2 * paths + 1)[1::2]
    spread = np.array([1.0, 1.0, 0.05, 0.3])
    near = np.array([5.0, 15.0, 0.0, 2.0]) + spread * rng.uniform(-1, 1, (paths, 4))
    starts = np.concatenate([near, offsets[:, None]], 1)
    times = np.arange(SHOOTING.knots) * SHOOTING.every / SHOOTING.steps
    swerve = np.zeros((SHOOTING.knots, 2))
    swerve[:, 0] = 0.06 * np.cos(np.pi * times)
    swerve[:, 1] = np.where(times < 0.25, 0.9, 0)
    guesses = np.where(offsets < 0, -1, 1)[:, None, None] * swerve
    outside = jnp.zeros((SHOOTING.steps, 0))

    def solve(start: Array, guess: Array) -> tuple[Array, Array]:
        gains = jnp.asarray(EXPERT_GAINS, start.dtype)
        return optimal_path(EXPERIMENT, SHOOTING, _costs, gains, start, outside, guess)

    states, controls = map(np.asarray, jax.jit(jax.vmap(solve))(starts, guesses))
    alone = np.broadcast_to(outside, (paths // held_out, *outside.shape))
    test = np.arange(paths) % held_out == held_out - 1
    return Demonstrations(
        states=states[~test].reshape(-1, 5),
        controls=controls[~test].reshape(-1, 2),
        test_states=states[test].reshape(-1, 5),
        test_controls=controls[test].reshape(-1, 2),
        scenes=(
            Scene("new targets", EXPERIMENT, starts[test], alone, states[test]),
            Scene("a larger disc", experiment(LARGER), starts[test], alone),
        ),
    )
