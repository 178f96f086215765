"""Traffic merging: a car joins another road's traffic behind one car, and follows another.

BarrierNet (Xiao et al., IEEE T-RO 2023), the repository's Merging, with the problem of Xiao and
Cassandras, "Decentralized optimal merging control for connected and automated vehicles with safety
constraint guarantees", Automatica 2021. Position along the own road, 400 m before the merging
point; the acceleration is the control, every 0.1 s. Two barriers of relative degree 1, both with
the headway of 1.8 s:

* the car ahead: x_ahead - x - 1.8 v >= 0, always;
* the car that comes from the other road and goes first: x_first - x - 1.8 (x / 400) v >= 0, a gap
  that grows from the distance itself at the start to the headway at the merging point.

Other than in the repository, which publishes one run behind one car:

* The data are our own: optimal control by shooting (`optimal_control`), in traffic drawn at random.
* Hard limits of the acceleration; a reserve for what happens until the next command, up to 2 m/s^2
  from each other car. Gains of barriers of degree 1 may change as they like: no guard is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from barriernet.barrier import Barrier
from barriernet.examples.experiment import Demonstrations, Experiment, Scene
from barriernet.examples.network import PolicySize
from barriernet.examples.optimal_control import Shooting, optimal_path
from barriernet.examples.training import Recipe
from barriernet.joint import join_barriers
from barriernet.limits import Limits
from barriernet.sampled import SampledData
from barriernet.system import ControlAffineSystem

DT = 0.1
LENGTH = 400.0
"""From the start to the merging point [m]."""
HEADWAY = 1.8
"""[s]"""
SPEED = 30.0
"""Wished [m/s]."""
HARDEST = (-5.9, 3.9)
"""Limits of the acceleration [m/s^2]: 0.6 g and 0.4 g."""
OTHERS = 2.0
"""Bound on the other cars' accelerations [m/s^2]."""
FASTEST = 35.0
"""For the reserve only [m/s]."""
EXPERT_GAINS = (1.0, 1.0)
SHOOTING = Shooting(steps=140)
RECIPE = Recipe(epochs=40, batch=64, rate=5e-3, calm=1e-4)


def _drift(state: Array) -> Array:
    still = jnp.zeros((), state.dtype)
    return jnp.stack([state[1], still, state[3], still, state[5], still])


def _channels(state: Array) -> Array:
    return jnp.zeros((6, 1), state.dtype).at[5, 0].set(1)


SYSTEM = ControlAffineSystem(_drift, _channels, 6, 1)
"""Position [m] and speed [m/s] of the car ahead, of the one that goes first, and of our own."""


def to_car_ahead(state: Array) -> Array:
    """Distance beyond the headway [m]."""
    return state[0] - state[4] - HEADWAY * state[5]


def to_first_car(state: Array) -> Array:
    """Distance beyond the part of the headway that is due here [m]."""
    return state[2] - state[4] - HEADWAY * state[4] / LENGTH * state[5]


def _barrier(h: Callable[[Array], Array], bend: float) -> Barrier:
    """The rate of h falls by u and the other car's braking, and by `bend` u as the gap grows."""
    return Barrier(h, 1, sampled=SampledData(DT, OTHERS + (1 + bend) * HARDEST[1]))


BARRIERS = (
    _barrier(to_car_ahead, 0.0),
    _barrier(to_first_car, 3 * HEADWAY * FASTEST / LENGTH),
)


def _move(state: Array, control: Array, outside: Array) -> Array:
    """Exact for accelerations that are held; `outside` are those of the other two cars."""
    positions, speeds = state[::2], state[1::2]
    rates = jnp.concatenate([outside, control])
    moved = positions + speeds * DT + rates * DT**2 / 2
    return jnp.stack([moved, speeds + rates * DT], axis=1).ravel()


EXPERIMENT = Experiment(
    name="merging",
    size=PolicySize(
        observations=6,
        trunk=72,
        branch=(24,),
        controls=1,
        gains=2,
        activation=jax.nn.relu,
        gain_range=(0.3, 4.0),
    ),
    limits=Limits.between([HARDEST[0]], [HARDEST[1]]),
    dt=DT,
    rows=lambda state, gains: join_barriers(SYSTEM, BARRIERS, state, gains),
    move=_move,
    margins=lambda state: jnp.stack([to_car_ahead(state), to_first_car(state)]),
    place=(4,),
)


def _costs(states: Array, controls: Array) -> Array:
    """Accelerating and not going at the wished speed cost."""
    slow = states[:, 5] - SPEED
    return DT**0.5 * jnp.concatenate([controls[:, 0], 0.2 * slow])


def _traffic(rng: np.random.Generator, paths: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts `[paths, 6]`, and the other cars' accelerations, which fade away to none."""
    speed = rng.uniform(22, 29, (paths, 3))
    gap = np.stack(
        [HEADWAY * speed[:, 2] + rng.uniform(5, 25, paths), rng.uniform(20, 50, paths)], 1
    )
    starts = np.zeros((paths, 6))
    starts[:, 1::2], starts[:, 0], starts[:, 2] = speed, gap[:, 0], gap[:, 1]
    fading = np.linspace(1, 0, SHOOTING.steps)[:, None]
    return starts, rng.uniform(-0.8, 0.6, (paths, 1, 2)) * fading


def demonstrate(paths: int, seed: int = 0, held_out: int = 5) -> Demonstrations:
    """Optimal paths in random traffic.

    Args:
        paths: how many; of every `held_out` of them the last is kept for tests and closed loops.
        seed: of the traffic.
        held_out: see there.
    """
    starts, outside = _traffic(np.random.default_rng(seed), paths)
    guess = jnp.zeros((SHOOTING.knots, 1))

    def solve(start: Array, acting: Array) -> tuple[Array, Array]:
        gains = jnp.asarray(EXPERT_GAINS, start.dtype)
        return optimal_path(EXPERIMENT, SHOOTING, _costs, gains, start, acting, guess)

    states, controls = map(np.asarray, jax.jit(jax.vmap(solve))(starts, outside))
    test = np.arange(paths) % held_out == held_out - 1
    return Demonstrations(
        states=states[~test].reshape(-1, 6),
        controls=controls[~test].reshape(-1, 1),
        test_states=states[test].reshape(-1, 6),
        test_controls=controls[test].reshape(-1, 1),
        scenes=(Scene("new traffic", EXPERIMENT, starts[test], outside[test], states[test]),),
    )
