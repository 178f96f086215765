"""The errors of ranges that last from sight to sight, as a disturbance asks for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
from jax import Array

from sim.sensors import errors
from sim.sensors.disturbance import Disturbance
from sim.sensors.errors import Bias, BiasWalk, ErrorModel, Models, Quantisation, Reading, Sector
from sim.sensors.fan import RayFan
from sim.sensors.sight import Sight


def range_errors(disturbance: Disturbance, fan: RayFan) -> Models:
    """The models that a disturbance asks for; none if it asks for none."""
    models: list[tuple[float, ErrorModel]] = [
        (disturbance.range_bias, Bias(disturbance.range_bias)),
        (disturbance.range_walk, BiasWalk(disturbance.range_walk)),
        (disturbance.range_step, Quantisation(disturbance.range_step)),
        (disturbance.blind, Sector(fan, disturbance.blind)),
    ]
    return tuple(model for size, model in models if size > 0)


def begin_blemish(models: Models, key: Array, sight: Sight) -> tuple[Any, ...]:
    """What the models remember before the first sight."""
    return errors.begin(models, key, Reading(sight.ranges, sight.valid))


def blemish(
    models: Models,
    memory: tuple[Any, ...],
    key: Array,
    sight: Sight,
    max_range: float,
    dt: float | Array,
) -> tuple[tuple[Any, ...], Sight]:
    """Spoil the ranges of a sight. What met nothing still meets nothing.

    Args:
        models: as of `range_errors`, or any others.
        memory: of `begin_blemish`, or of the last sight.
        key: random key of this sight.
        sight: as `look` gives it.
        max_range: of the rays [m].
        dt: time since the last sight [s].
    """
    memory, spoilt = errors.apply(models, memory, key, Reading(sight.ranges, sight.valid), dt)
    hit = sight.ranges < max_range
    ranges = jnp.where(hit, jnp.clip(spoilt.value, 0, max_range), sight.ranges)
    return memory, replace(sight, ranges=ranges, valid=spoilt.valid)
