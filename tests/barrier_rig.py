"""Closed loops for barriers: systems, one compiled filter for all, and dense integration.

Every loop pads its rows and controls to the same shape, so that the filter compiles once.
"""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from barriernet import ControlAffineSystem, Limits, filter_control, join_barriers

FLIGHTS, ROWS, CONTROLS = 16, 3, 2

filter_all = jax.jit(filter_control)


def single_integrator():
    return ControlAffineSystem(lambda x: [0.0, 0.0], lambda x: jnp.eye(2))


def double_integrator(**more):
    """Position and velocity in the plane, controlled by acceleration."""
    return ControlAffineSystem(
        lambda x: jnp.concatenate([x[2:], jnp.zeros(2)]),
        lambda x: jnp.concatenate([jnp.zeros((2, 2)), jnp.eye(2)]),
        **more,
    )


def unicycle():
    """Position and heading, controlled by speed and turn rate."""
    return ControlAffineSystem(
        lambda x: [0.0, 0.0, 0.0],
        lambda x: jnp.array([[jnp.cos(x[2]), 0.0], [jnp.sin(x[2]), 0.0], [0.0, 1.0]]),
    )


def bicycle():
    """Position, heading, speed; controlled by acceleration and tangent of the steering angle."""
    return ControlAffineSystem(
        lambda x: [x[3] * jnp.cos(x[2]), x[3] * jnp.sin(x[2]), 0.0, 0.0],
        lambda x: jnp.array([[0.0, 0.0], [0.0, 0.0], [0.0, x[3] / 0.3], [1.0, 0.0]]),
    )


def cart_pole():
    """Place and speed of a cart, angle and turn rate of its pole from upright, pushed by a force.

    Masses 1 kg and 0.1 kg, pole 0.5 m: M(q) q'' = (F + m l w^2 sin a, m g l sin a).
    """

    def parts(x):
        sine, cosine = jnp.sin(x[2]), jnp.cos(x[2])
        mass = jnp.array([[1.1, 0.05 * cosine], [0.05 * cosine, 0.025]])
        return mass, jnp.stack([0.05 * x[3] ** 2 * sine, 0.1 * 9.8 * 0.5 * sine])

    def f(x):
        mass, force = parts(x)
        faster = jnp.linalg.inv(mass) @ force
        return [x[1], faster[0], x[3], faster[1]]

    def g(x):
        faster = jnp.linalg.inv(parts(x)[0])[:, 0]
        return jnp.stack([jnp.zeros(()), faster[0], jnp.zeros(()), faster[1]])[:, None]

    return ControlAffineSystem(f, g)


def rows_of(system, barriers, limits=None):
    """Compiled: states `[flights, states]`, time and wishes to padded rows."""
    spare = ROWS - len(barriers), CONTROLS - system.controls

    def one(state, time, wish):
        A, b = join_barriers(system, barriers, state, time=time, wish=wish, limits=limits)
        return jnp.pad(A, ((0, spare[0]), (0, spare[1]))), jnp.pad(
            b, (0, spare[0]), constant_values=-1.0
        )

    return jax.jit(jax.vmap(one, in_axes=(0, None, 0)))


@cache  # A flight and its negative control move alike.
def dense_motion(system, tick, substeps, push=None):
    """Compiled: exact enough motion over a tick under a held control, all its substeps.

    Runge-Kutta of fourth order; `push(state, time)` is added to the rate, held for a substep.
    """
    dt = tick / substeps

    def one(state, control, time):
        def step(x, i):
            now = time + i * dt
            extra = 0.0 if push is None else push(x, now)

            def rate(x):
                return system.rate(x, control) + extra

            k1 = rate(x)
            k2 = rate(x + dt / 2 * k1)
            k3 = rate(x + dt / 2 * k2)
            x = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + rate(x + dt * k3))
            return x, x

        return jax.lax.scan(step, state, jnp.arange(substeps))[1]

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None)))


def flown(system, barriers, limits, start, wish, *, tick, ticks, substeps=5, push=None, seen=None):
    """Fly all flights with held controls.

    Args:
        system: whose true motion it is.
        barriers: kept by the filter; none for a flight without it.
        limits: lower and upper, of the system's controls.
        start: `[flights, states]`.
        wish: from (states, time) to wishes `[flights, controls]`, in numpy.
        tick: period of the control [s].
        ticks: how many.
        substeps: of the motion in a tick.
        push: see `dense_motion`.
        seen: the system that the filter believes in, if not the true one.

    Returns:
        States `[ticks * substeps, flights, states]`, times, and how often the filter fell back.
    """
    box = Limits.between(*limits)
    rows, move = rows_of(seen or system, barriers, box), dense_motion(system, tick, substeps, push)
    spare = CONTROLS - system.controls
    padded = Limits.between(*(np.pad(np.asarray(side), (0, spare)) for side in (limits)))
    state, path, fallbacks = np.asarray(start, float), [], 0
    for k in range(ticks):
        wanted = np.clip(wish(state, k * tick), *limits)
        control = np.pad(wanted, ((0, 0), (0, spare)))
        if barriers:
            A, b = rows(state, k * tick, wanted)
            control, certificate = filter_all(control, A, b, padded)
            fallbacks += int(np.sum(certificate.replaced))
        steps = np.asarray(move(state, control[:, : system.controls], k * tick))
        path.append(np.swapaxes(steps, 0, 1))
        state = path[-1][-1]
    times = (np.arange(ticks * substeps) + 1) * (tick / substeps)
    return np.concatenate(path), times, fallbacks


def lowest_along(h, path, times=None):
    """Smallest h of each flight over all its states, `[flights]`."""
    if times is None:
        return np.asarray(jax.jit(jax.vmap(jax.vmap(h)))(path)).min(axis=0)
    return np.asarray(jax.jit(jax.vmap(jax.vmap(h, (0, None))))(path, times)).min(axis=0)
