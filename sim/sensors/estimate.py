"""What the drone believes of its own state: the truth, spoilt by error models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from sim.sensors import errors
from sim.sensors.disturbance import Disturbance
from sim.sensors.errors import Bias, Models, WhiteNoise, reading_of
from sim.state import State, normalise, quaternion_multiply, safe_norm


@dataclass(frozen=True)
class StateErrors:
    """Error models of each part of a state.

    Attributes:
        position: [m], world frame.
        velocity: [m/s], world frame.
        attitude: of a rotation vector in the body frame [rad], zero before they are applied.
        angular_velocity: [rad/s], body frame.
    """

    position: Models = ()
    velocity: Models = ()
    attitude: Models = ()
    angular_velocity: Models = ()

    @classmethod
    def of(cls, disturbance: Disturbance) -> StateErrors:
        """Those that a disturbance asks for."""
        position = (Bias(disturbance.position_bias), WhiteNoise(disturbance.position_noise))
        return cls(
            position=position if disturbance.position_bias or disturbance.position_noise else (),
            velocity=_white(disturbance.velocity_noise),
            attitude=_white(disturbance.attitude_noise),
            angular_velocity=_white(disturbance.spin_noise),
        )


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class EstimateMemory:
    """What an estimator remembers.

    Attributes:
        models: of each part, by its name.
        last: the last estimate, kept where a part of a reading is lost.
    """

    models: dict[str, Any]
    last: State


def begin_estimate(errors_of: StateErrors, key: Array, state: State) -> EstimateMemory:
    """What the estimator remembers before its first estimate: the true state, of one body."""
    state = state.as_jax()
    parts = {
        name: errors.begin(models, _own(key, name), reading_of(_truth(state, name)))
        for name, models in vars(errors_of).items()
    }
    return EstimateMemory(parts, state)


def estimate(
    errors_of: StateErrors, memory: EstimateMemory, key: Array, state: State, dt: float | Array
) -> tuple[EstimateMemory, State]:
    """What one body believes of its state; a part without error models is the truth, bit by bit.

    Args:
        errors_of: the error models.
        memory: of `begin_estimate`, or of the last estimate.
        key: random key of this estimate.
        state: the true one.
        dt: time since the last estimate [s].
    """
    state = state.as_jax()
    parts, believed = dict(memory.models), {}
    for name, models in vars(errors_of).items():
        if not models:
            continue
        truth = reading_of(_truth(state, name))
        parts[name], read = errors.apply(models, parts[name], _own(key, name), truth, dt)
        if name == "attitude":
            turned = _turned(jnp.asarray(state.quaternion), read.value)
            believed["quaternion"] = jnp.where(jnp.all(read.valid), turned, memory.last.quaternion)
        else:
            believed[name] = jnp.where(read.valid, read.value, getattr(memory.last, name))
    answer = replace(state, **believed)
    return EstimateMemory(parts, answer), answer


def _white(std: float) -> Models:
    return (WhiteNoise(std),) if std > 0 else ()


def _own(key: Array, name: str) -> Array:
    """A key for each part, the same whichever other parts have errors."""
    return jax.random.fold_in(key, list(vars(StateErrors())).index(name))


def _truth(state: State, name: str) -> Array:
    """What the models of a part are applied to."""
    return jnp.zeros_like(state.velocity) if name == "attitude" else getattr(state, name)


def _turned(quaternion: Array, vector: Array) -> Array:
    """A body turned by a rotation vector in its own frame [rad]."""
    half = 0.5 * safe_norm(vector, keepdims=True)
    # jnp.sinc(x) = sin(pi x) / (pi x) is smooth at zero.
    turn = jnp.concatenate([0.5 * jnp.sinc(half / jnp.pi) * vector, jnp.cos(half)], axis=-1)
    return jnp.asarray(normalise(quaternion_multiply(quaternion, turn)))
