"""3D robot: a double integrator that learns from one published flight past a superquadric.

BarrierNet (Xiao et al., IEEE T-RO 2023), the repository's 3D_Robot. The obstacle is b(x) =
(x - 10)^4 + (y - 10)^4 + (z - 9)^4 - 7^4 >= 0 [m^4], one high-order barrier of degree 2, gains
4 sigmoid(network) that depend on the observation; a command every 0.1 s. Kept: the network's size
(6-512-(128, 128)-(3, 2), tanh), the data and their split, standardised observations, the closed
loop. Other than there:

* The row is guarded (`guarded_rows`), so that it holds between commands and whatever the gains do:
  the published one holds in continuous time and leaves out the change of the gains.
* `RECIPE`: 128 steps of 71 rows at a rate that falls from 0.012 instead of 180 of 32 at 1e-3; two
  terms keep the gains in the range where they learn, and the policy smooth between rows.

The published "test" rows are every seventh row of the same flight: they measure interpolation.
Two of them (at 13.2 s and 17.4 s) follow jumps of the expert's control that no training row
shows; interpolating the training rows linearly in time leaves a mean square error of 6.0e-4.
"""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from barriernet.barrier import Barrier
from barriernet.examples.experiment import Demonstrations, Experiment, Scene
from barriernet.examples.held import guarded_rows
from barriernet.examples.matfile import read_matrices
from barriernet.examples.network import PolicySize
from barriernet.examples.training import Recipe
from barriernet.limits import Limits
from barriernet.system import ControlAffineSystem

DT = 0.1
CENTRE = (10.0, 10.0, 9.0)
HALF_WIDTH = 7.0
GUARD = 5.0
"""Gain of the guarding row [1/s]; with 4, the largest of the network's, it would hold back the
expert himself on 6 rows."""
MARGIN = 1.0
"""Kept off b [m^4], 0.7 mm on a face. The guard's bound on b' leaves out dt^3 / 16 u' Hessian u,
which this covers up to accelerations of 8 m/s^2; the expert's stay below 0.4."""
COLUMNS = [0, 2, 4, 1, 3, 5]
"""From the files' x, vx, y, vy, z, vz to positions, then velocities."""

RECIPE = Recipe(
    epochs=32, batch=71, rate=0.012, clip=0.1, betas=(0.8, 0.95), calm=1e-3, jitter=0.005
)


def _drift(state: Array) -> Array:
    return jnp.concatenate([state[3:], jnp.zeros(3, state.dtype)])


def _channels(state: Array) -> Array:
    return jnp.concatenate([jnp.zeros((3, 3), state.dtype), jnp.eye(3, dtype=state.dtype)])


SYSTEM = ControlAffineSystem(_drift, _channels, 6, 3)
"""Position [m] and velocity [m/s]; the control is the acceleration [m/s^2]."""


def clearance(state: Float[Array, " 6"]) -> Float[Array, ""]:
    """The obstacle's b [m^4]."""
    apart = state[:3] - jnp.asarray(CENTRE, state.dtype)
    return jnp.sum(apart**4) - HALF_WIDTH**4


BARRIER = Barrier(clearance, 2)


def _move(state: Array, control: Array, outside: Array) -> Array:
    del outside
    position, velocity = state[:3], state[3:]
    return jnp.concatenate(
        [position + velocity * DT + control * DT**2 / 2, velocity + control * DT]
    )


EXPERIMENT = Experiment(
    name="robot3d",
    size=PolicySize(observations=6, trunk=512, branch=(128, 128), controls=3, gains=2),
    limits=Limits.between([-np.inf] * 3, [np.inf] * 3),
    dt=DT,
    rows=guarded_rows(SYSTEM, BARRIER, GUARD, MARGIN),
    move=_move,
    margins=lambda state: clearance(state)[None],
    place=(0, 1, 2),
)
"""No limits, as published: with one row whose gradient is not zero there is always an answer."""


def load(folder: Path, scattered: int = 64) -> Demonstrations:
    """The published flight, and where to drive: from its start, and from others near it.

    Args:
        folder: with `data_train.mat`, `data_test.mat` and `data_imp.mat`.
        scattered: how many starts within 0.5 m of the published one, at rest.

    Raises:
        OSError: a file is missing.
        MatFileError: a file is something else.
    """
    train, test, whole = (
        read_matrices(folder / f"data_{name}.mat")["data"] for name in ("train", "test", "imp")
    )
    path = whole[:, COLUMNS]
    alone = np.zeros((1, len(path), 0))
    starts = np.repeat(path[:1], scattered, axis=0)
    starts[:, :3] += np.random.default_rng(0).uniform(-0.5, 0.5, (scattered, 3))
    return Demonstrations(
        states=train[:, COLUMNS],
        controls=train[:, 6:],
        test_states=test[:, COLUMNS],
        test_controls=test[:, 6:],
        scenes=(
            Scene("published start", EXPERIMENT, path[:1], alone, path[None]),
            Scene("scattered starts", EXPERIMENT, starts, np.repeat(alone, scattered, axis=0)),
        ),
    )
