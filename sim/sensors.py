"""What the pilot senses: a fan of range rays all around it, and an estimate of its own state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Bool, Float

from sim.scene import Scene, ray_distance
from sim.state import State, rotate


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Sight:
    """One look at the world.

    Attributes:
        state: the estimate of the drone's own state.
        ranges: distance along each ray [m], `[*batch, rays]`; the pattern's range where nothing is.
        valid: False where the return of a ray was lost, `[*batch, rays]`.
    """

    state: State
    ranges: Float[Array, "*batch rays"]
    valid: Bool[Array, "*batch rays"]


def sphere_points(count: int) -> Float[np.ndarray, "count 3"]:
    """Directions spread evenly over the sphere: a Fibonacci lattice."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    turn = np.pi * (1 + 5**0.5) * index
    level = np.sqrt(1 - height**2)
    return np.stack([level * np.cos(turn), level * np.sin(turn), height], axis=-1)


@dataclass(frozen=True)
class RayPattern:
    """Rays fixed to the body, in rings of equal elevation.

    Attributes:
        rings: (elevation [deg], number of rays) of each ring; rings 1, 2, 5, 6, 9... of the list
            are turned by half a step, so that rings listed in pairs around a middle interleave.
        max_range: [m], reported where a ray hits nothing.
    """

    rings: tuple[tuple[float, int], ...]
    max_range: float = 8.0

    def __post_init__(self) -> None:
        """Refuse an empty or impossible pattern.

        Raises:
            ValueError: naming the field.
        """
        if not self.rings or any(count < 1 or abs(angle) > 90 for angle, count in self.rings):
            raise ValueError(f"rings: expected (elevation in +-90, count >= 1) pairs: {self.rings}")
        if not (np.isfinite(self.max_range) and self.max_range > 0):
            raise ValueError(f"max_range: expected a positive number, got {self.max_range}")

    @cached_property
    def directions(self) -> Float[np.ndarray, "rays 3"]:
        """Unit vectors, body frame."""
        rows = []
        for k, (elevation, count) in enumerate(self.rings):
            azimuth = 2 * np.pi * (np.arange(count) + 0.5 * ((k + 1) // 2 % 2)) / count
            level, up = np.cos(np.deg2rad(elevation)), np.sin(np.deg2rad(elevation))
            rows.append(
                np.stack(
                    [level * np.cos(azimuth), level * np.sin(azimuth), np.full(count, up)], axis=-1
                )
            )
        return np.concatenate(rows)

    @property
    def count(self) -> int:
        """Number of rays."""
        return sum(count for _, count in self.rings)

    @cached_property
    def cell_radius(self) -> Float[np.ndarray, " rays"]:
        """Largest angle [rad] from each ray to a direction that has no nearer ray.

        Found on 40,000 directions spread evenly over the sphere (a Fibonacci lattice).
        """
        sphere = sphere_points(40_000)
        cosine = sphere.astype(np.float32) @ self.directions.T.astype(np.float32)
        nearest = cosine.argmax(axis=1)
        angle = np.arccos(np.clip(cosine.max(axis=1), -1.0, 1.0))
        radius = np.zeros(self.count)
        np.maximum.at(radius, nearest, angle)
        return radius

    def first(self, rings: int) -> RayPattern:
        """The pattern of the first `rings` rings only."""
        return RayPattern(self.rings[:rings], self.max_range)


@dataclass(frozen=True)
class Disturbance:
    """What differs between the real flight and the ideal one; everything is seeded by the mission.

    Attributes:
        wind: speed of the air [m/s], horizontal, direction drawn from the seed.
        mass_error: the airframe's mass and inertia are off by this fraction, sign from the seed.
        range_noise: standard deviation of a range, as a fraction of it.
        drop: probability that the return of a ray is lost.
        jitter: standard deviation of the time between two sights [s].
        delay: age of a sight when the pilot gets it [s].
    """

    wind: float = 0.0
    mass_error: float = 0.0
    range_noise: float = 0.0
    drop: float = 0.0
    jitter: float = 0.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no world can have.

        Raises:
            ValueError: naming the field.
        """
        for name, value in vars(self).items():
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name}: expected a finite number >= 0, got {value}")
        for name in ("mass_error", "drop"):
            if getattr(self, name) >= 1:
                raise ValueError(f"{name}: expected a fraction below 1, got {getattr(self, name)}")


def look(
    pattern: RayPattern, scene: Scene, state: State, noise: Disturbance, key: Array | None
) -> Sight:
    """Cast every ray of the pattern from a body in the scene.

    Args:
        pattern: the rays, fixed to the body.
        scene: the world as arrays, of the dtype in which the rays are cast.
        state: one body (no batch dimension: `vmap` for many).
        noise: range noise and losses.
        key: random key; needed only if there is noise.

    Returns:
        Ranges and their validity, with the true state as the estimate.
    """
    dtype = scene.bounds.dtype
    directions = rotate(state.quaternion.astype(dtype), jnp.asarray(pattern.directions, dtype))
    origin = state.position.astype(dtype)
    ranges = ray_distance(scene, origin, directions, pattern.max_range)
    valid = jnp.ones(ranges.shape, bool)
    if key is not None and (noise.range_noise > 0 or noise.drop > 0):
        spread, loss = jax.random.split(key)
        noisy = ranges * (1 + noise.range_noise * jax.random.normal(spread, ranges.shape, dtype))
        ranges = jnp.where(ranges < pattern.max_range, jnp.clip(noisy, 0, None), ranges)
        ranges = jnp.minimum(ranges, pattern.max_range)
        valid = jax.random.uniform(loss, ranges.shape) >= noise.drop
    return Sight(state=state, ranges=ranges, valid=valid)


CALM = Disturbance()
"""Nothing differs from the ideal."""
