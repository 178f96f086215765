"""The privileged guide of training: the cheapest way to the target, everywhere in a world.

A coarse grid holds the cost-to-go of a body that pays more near obstacles; its negative gradient
is the direction in which a pilot that knew the whole world would fly. Only the loss sees it.
Solved by alternating sweeps along x with relaxations inside each plane (a fast sweeping method,
Zhao, Mathematics of Computation 2005), on all worlds of a batch at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Float

from sim.scene import Scene, obstacle_distance
from sim.state import AnyArray, safe_norm

FAR = 1e4


@dataclass(frozen=True)
class GuideGrid:
    """The grid and the costs.

    Attributes:
        cell: edge of a cell [m].
        shape: cells along x, y and z.
        origin: centre of the first cell [m], world frame.
        comfort: clearance below which a metre costs more [m].
        price: extra cost of a metre at no clearance.
        blocked: clearance at which a metre costs `wall` more [m].
        wall: price of a metre inside an obstacle.
        rounds: pairs of sweeps.
    """

    cell: float = 0.33
    shape: tuple[int, int, int] = (62, 44, 13)
    origin: tuple[float, float, float] = (-2.3, -7.1, 0.0)
    comfort: float = 0.5
    price: float = 3.0
    blocked: float = 0.1
    wall: float = 30.0
    rounds: int = 3

    def centres(self) -> Float[Array, "x y z 3"]:
        """Centre of every cell [m]."""
        axes = [
            self.cell * jnp.arange(n, dtype=jnp.float32) + o
            for n, o in zip(self.shape, self.origin, strict=True)
        ]
        return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1)


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Guide:
    """Cost-to-go on the grid [m], `[*batch, x, y, z]`."""

    cost: Float[Array, "*batch x y z"]


def guide_to(grid: GuideGrid, scene: Scene, target: Float[Array, " 3"]) -> Guide:
    """Solve the cost-to-go of one world.

    Args:
        grid: where and at what price.
        scene: one scene.
        target: [m], world frame.
    """
    centres = grid.centres()
    gap = _clearance(scene, centres)
    price = 1 + grid.price * jnp.clip(1 - gap / grid.comfort, 0, 1)
    price = jnp.where(gap < grid.blocked, grid.wall, price) * grid.cell
    away = safe_norm(centres - target)
    cost = jnp.where(away <= 1.2 * grid.cell, away, FAR)
    for _ in range(grid.rounds):
        cost = _sweep(cost, price)
        cost = _sweep(cost[::-1], price[::-1])[::-1]
    return Guide(cost)


def cost_at(grid: GuideGrid, guide: Guide, position: Float[AnyArray, " 3"]) -> Float[Array, ""]:
    """Cost-to-go from a position [m]."""
    return _at(guide.cost, (position - jnp.asarray(grid.origin, position.dtype)) / grid.cell)


def way(
    grid: GuideGrid,
    guide: Guide,
    position: Float[AnyArray, " 3"],
    target: Float[Array, " 3"],
) -> Float[Array, " 3"]:
    """Unit vector of the cheapest way on from a position; straight to the target near it."""
    origin = jnp.asarray(grid.origin, position.dtype)
    top = jnp.asarray(grid.shape, position.dtype) - 2.001
    place = jnp.clip((position - origin) / grid.cell, 1.0, top)
    eye = jnp.eye(3, dtype=position.dtype)
    ahead = jnp.stack([_at(guide.cost, place + eye[i] * 0.7) for i in range(3)])
    behind = jnp.stack([_at(guide.cost, place - eye[i] * 0.7) for i in range(3)])
    slope = ahead - behind
    direct = target - position
    distance = safe_norm(direct)
    direct = direct / jnp.maximum(distance, 1e-3)
    down = -slope / jnp.maximum(safe_norm(slope), 1e-3)
    return jnp.where(distance < 1.5 * grid.cell, direct, down)


def _clearance(scene: Scene, centres: Array) -> Array:
    """Distance to obstacles, floor and the faces of the bounds [m]."""
    inside = jnp.minimum(centres - scene.bounds[0], scene.bounds[1] - centres)
    # The edge of the world is no obstacle: it only has to be kept away from.
    return jnp.minimum(obstacle_distance(scene, centres), jnp.min(inside, axis=-1) + 0.1)


def _sweep(cost: Array, price: Array) -> Array:
    """Carry costs from each plane x to the next, relaxing inside the plane."""

    def advance(before: Array, plane: tuple[Array, Array]) -> tuple[Array, Array]:
        here, toll = plane
        arrived = jnp.minimum(here, _relaxed(before, toll, depth=1))
        for _ in range(4):
            arrived = jnp.minimum(arrived, _relaxed(arrived, toll, depth=0))
        return arrived, arrived

    start = jnp.full(cost.shape[1:], FAR, cost.dtype)
    _, swept = jax.lax.scan(advance, start, (cost, price))
    return swept


def _relaxed(plane: Array, toll: Array, depth: int) -> Array:
    """Cheapest arrival in each cell from the nine cells around it, `depth` planes away."""
    padded = jnp.pad(plane, 1, constant_values=FAR)
    rows, columns = plane.shape
    arrived = jnp.full(plane.shape, FAR, plane.dtype)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            step = (depth + i * i + j * j) ** 0.5
            moved = padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns]
            arrived = jnp.minimum(arrived, moved + step * toll)
    return arrived


def _at(field: Array, place: Array) -> Array:
    """Trilinear interpolation at a place in cells."""
    top = jnp.asarray(field.shape, jnp.int32) - 2
    corner = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, top)
    share = jnp.clip(place - corner, 0, 1)
    cube = jax.lax.dynamic_slice(field, tuple(corner), (2, 2, 2))
    for part in share:
        cube = cube[0] * (1 - part) + cube[1] * part
    return cube
