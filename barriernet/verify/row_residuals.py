"""The backup satisfies every sampled row at every safe state: by how much at worst.

Two scales. A row of the closed form bounds an acceleration; what it stands for is
h(x+) - (1 - alpha dt) h(x), and its `lever` dh(x+)/d(row), from dt^2 / 2 to some hundredths of a
second squared, takes one to the other. Rounding leaves about 1e-15 of speeds [m/s] and places [m],
so some 1e-15 m of h, and 1e-15 / dt = 2e-13 m/s^2 of a row at 240 Hz. No less than -1e-12 is asked
for on both scales. (States are `ROUNDING` inside the edge, which their own distances are known to:
a barrier of -1e-15 m would ask for 1e-15 / dt^2 = 6e-11 m/s^2.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from barriernet.backup import Braking, Motion, brake_control, path_rows, plane_rows
from barriernet.verify.check import Check
from barriernet.verify.path_states import PathStates, safe_path_states
from barriernet.verify.vehicle import random_vehicle_states, vehicle_flow

LEAST = -1e-12
"""Least residual that counts as rounding, in metres and in m/s^2."""
RATE = 5.0
"""Class-K gain of the general flow's rows [1/s]."""
CHUNK = 20_000
"""States of one compiled call."""
BODIES = {
    "240 Hz": Braking(deceleration=3.5, lag=0.06, tick=1 / 240, inner=0.03),
    "48 Hz": Braking(deceleration=3.0, lag=0.0, tick=1 / 48, inner=0.03),
}
"""Bodies whose rows are checked."""
Control: TypeAlias = Callable[[Braking, Motion], Array]
Residuals: TypeAlias = tuple[Array, Array]
"""In metres and in the rows' own units; +inf where there is no row."""


def check_rows(states: int) -> Iterator[Check]:
    """The rows of balls and planes, of two bodies, and those of a general flow.

    Args:
        states: how many for each of the three.

    Yields:
        Each check as it is done. The last one is a planted fault, which must be seen.
    """
    for name, braking in BODIES.items():
        found = _swept(states, _path_residuals(braking, brake_control))
        yield _judged(f"rows of the braking path, {name}: the backup meets all", *found)
    found = _swept(states, _flow_residuals())
    yield _judged("rows of a general flow: the backup meets all", *found)
    faulty = _path_residuals(BODIES["48 Hz"], _brakes_less)
    least, _, count = _swept(min(states, CHUNK), faulty)
    figure = f"{least:.1e} m at worst of {count:,} rows"
    yield Check("rows: a backup that brakes 10 % less is caught", least < 1e6 * LEAST, figure)


def path_residuals(braking: Braking, control: Control, states: PathStates) -> Residuals:
    """A u - b of all rows of one state under a control."""
    motion = Motion(jnp.asarray(states.point), jnp.asarray(states.velocity))
    centres, radii, normals, offsets, rate = (
        jnp.asarray(part)
        for part in (states.centres, states.radii, states.normals, states.offsets, states.rate)
    )
    parts = (
        path_rows(braking, motion, centres, radii, rate),
        plane_rows(braking, motion, normals, offsets, rate),
    )
    left = [rows.matrix @ control(braking, motion) - rows.bound for rows in parts]
    lever = jnp.concatenate([rows.lever for rows in parts])
    return jnp.concatenate(left) * lever, jnp.concatenate(left)


def _path_residuals(
    braking: Braking, control: Control
) -> Callable[[np.random.Generator, int], Residuals]:
    residuals = jax.jit(jax.vmap(lambda states: path_residuals(braking, control, states)))
    return lambda draws, count: residuals(safe_path_states(braking, draws, count))


def _flow_residuals() -> Callable[[np.random.Generator, int], Residuals]:
    flow = vehicle_flow()

    def one(state: Array) -> Residuals:
        rows = flow.rows(state, RATE)
        left = rows.matrix @ flow.backup_at(state) - rows.bound
        left = jnp.where(jnp.all(rows.barrier >= 0), left, jnp.inf)
        return left, left

    residuals = jax.jit(jax.vmap(one))
    return lambda draws, count: residuals(random_vehicle_states(draws, count))


def _swept(
    states: int, residuals: Callable[[np.random.Generator, int], Residuals]
) -> tuple[float, float, int]:
    """Least residual in metres and in the rows' own units, and how many rows there were."""
    least, raw, rows = np.inf, np.inf, 0
    chunk = min(states, CHUNK)
    # Whole chunks, so that one program does: the last one may be more than was asked for.
    for index in range(-(-states // chunk)):
        metres, own = (np.asarray(part) for part in residuals(np.random.default_rng(index), chunk))
        # A residual that is no number is the worst of all.
        least = min(least, float(np.where(np.isnan(metres), -np.inf, metres).min()))
        raw, rows = min(raw, float(own.min())), rows + int(np.sum(metres < np.inf))
    return least, raw, rows


def _judged(name: str, least: float, raw: float, count: int) -> Check:
    figure = f"{least:.1e} m at worst of {count:,} rows; in their own units {raw:.1e}"
    passed = min(least, raw) >= LEAST
    trouble = "" if passed else f"{name}: {figure}, expected at least {LEAST}"
    numbers = {"least_m": least, "least_in_own_units": raw, "rows": count}
    return Check(name, passed, figure, trouble, numbers)


def _brakes_less(braking: Braking, motion: Motion) -> Array:
    return 0.9 * brake_control(braking, motion)
