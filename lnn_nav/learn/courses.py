"""The training courses: generated worlds as arrays, their guides, and where flights begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Float, Int

from lnn_nav.learn.guide import Guide, GuideGrid, cost_at, guide_to
from sim.families import TRAINING_FAMILIES, generate, has_corridor
from sim.scene import KINDS, Scene, scene_of, signed_distance
from sim.shapes import distances_of
from sim.state import State, at_rest, safe_norm
from sim.world import World

T = TypeVar("T")

FAMILIES = TRAINING_FAMILIES
"""Family k has obstacles of kind `KINDS[k]` only."""

PAD = 72
"""Obstacles that a course has room for; more are refused by taking the next seed."""

AT_ONCE = 16
"""Guides solved together."""


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Course:
    """Where training flights take place.

    Attributes:
        scene: obstacles and bounds.
        guide: cost-to-go.
        start: where a flight begins, at rest.
        target: [m].
    """

    scene: Scene
    guide: Guide
    start: State
    target: Float[Array, "*batch 3"]


def build_courses(
    grid: GuideGrid,
    each: int,
    first_seed: int,
    most_dense: Sequence[float],
    most_zoom: float,
    tell: Callable[[int, int], None] | None = None,
) -> Course:
    """Worlds of every training family with their guides.

    Args:
        grid: of the guides.
        each: courses of each family.
        first_seed: of the worlds.
        most_dense: for each family, the factor on its density that its last course has; courses
            go from 1 to it in even steps, so that there is more than one way to be in the way.
        most_zoom: every second course is zoomed instead, by 1 to this in even steps.
        tell: called with (courses done, courses in all).

    Returns:
        Arrays `[families, each, ...]`.
    """
    solve = jax.jit(jax.vmap(lambda scene, target: guide_to(grid, scene, target).cost))
    rows = []
    for kind, family in enumerate(FAMILIES):
        seeds = iter(range(first_seed, first_seed + 1_000_000))
        steps = np.linspace(0.0, 1.0, each).tolist()
        denser = [(1 + step * (most_dense[kind] - 1), 1.0) for step in steps]
        larger = [(1.0, 1 + step * (most_zoom - 1)) for step in steps]
        pairs = [(larger if i % 2 else denser)[i] for i in range(each)]
        courses = [_course(family, seeds, *pair) for pair in pairs]
        scene, start, target = jax.tree.map(lambda *leaves: np.stack(leaves), *courses)
        costs = []
        for first in range(0, each, AT_ONCE):
            # The last batch is filled up by going round, so that one program serves all.
            index = np.arange(first, first + AT_ONCE) % each
            part = jax.tree.map(lambda leaf, index=index: leaf[index], (scene, target))
            costs.append(np.asarray(solve(*part)))
            if tell:
                tell(kind * each + min(first + AT_ONCE, each), len(FAMILIES) * each)
        guide = Guide(jnp.asarray(np.concatenate(costs)[:each]))
        rows.append(Course(scene, guide, start, target))
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *rows)


def _course(
    family: str, seeds: Iterator[int], density: float, zoom: float
) -> tuple[Scene, State, Float[np.ndarray, " 3"]]:
    """The next world that has a way through it and fits into the arrays."""
    while True:
        world = zoomed(generate(family, next(seeds), density=density), zoom)
        if len(world.obstacles) <= PAD and (zoom == 1 or has_corridor(world)):
            break
    scene = jax.tree.map(np.asarray, scene_of(world, pad=(PAD, PAD, PAD)))
    start = at_rest(np.array(world.start_position), world.start_yaw).as_numpy(np.float32)
    return scene, start, np.array(world.target, np.float32)


def zoomed(world: World, zoom: float) -> World:
    """The same world seen larger: obstacles and the gaps between them grow about the start.

    Start, target and bounds stay; obstacles that come too near to either are left out. A few
    boulders as wide as a house teach what many small ones cannot: to go a long way round.

    Args:
        world: of a training family.
        zoom: factor on all lengths.
    """
    if zoom == 1:
        return world
    origin = np.array([*world.start_position[:2], 2.0])
    ends = np.array([world.start_position, world.target])
    kept = []
    for item in world.obstacles:
        centre = tuple((origin + zoom * (np.array(item.center) - origin)).tolist())
        sizes = {
            name: tuple(zoom * x for x in value) if isinstance(value, tuple) else zoom * value
            for name in ("radius", "height", "half_extents")
            if (value := getattr(item, name, None)) is not None
        }
        larger = replace(item, center=centre, **sizes)
        if distances_of([larger], ends).min() > 0.7:
            kept.append(larger)
    return replace(world, obstacles=tuple(kept))


def of_kind(scene: Scene, kind: Int[Array, ""], function: Callable[[Scene], T]) -> T:
    """Apply a function to a scene that has obstacles of one kind only, at the cost of one kind.

    Args:
        scene: with room for all kinds.
        kind: an index into `KINDS`; not batched, or nothing is saved.
        function: of a scene.
    """

    def branch(kept: str) -> Callable[[Scene], T]:
        def apply(scene: Scene) -> T:
            others = {
                name: jax.tree.map(lambda leaf: leaf[:0], getattr(scene, name))
                for name in KINDS
                if name != kept
            }
            return function(replace(scene, **others))

        return apply

    return jax.lax.switch(kind, [branch(name) for name in KINDS], scene)


def draw_start(
    grid: GuideGrid, course: Course, kind: Int[Array, ""], key: Array, speeds: Sequence[float]
) -> tuple[State, Float[Array, ""]]:
    """Where a flight begins: at the course's start, or anywhere free and already moving.

    Half of the latter begin where the longest detour is needed among a few free places.

    Args:
        grid: of the course's guide.
        course: one course.
        kind: of its obstacles.
        key: random key.
        speeds: least and most set speed [m/s].

    Returns:
        The state and the set speed.
    """
    places, chance, pace, turn, push, hard = jax.random.split(key, 6)
    low = jnp.asarray([-1.0, -6.0, 0.5])
    high = jnp.stack([course.target[0] - 1.5, jnp.asarray(6.0), jnp.asarray(3.3)])
    spots = low + (high - low) * jax.random.uniform(places, (12, 3))
    free = of_kind(course.scene, kind, lambda scene: signed_distance(scene, spots)) > 0.35
    costs = jax.vmap(lambda spot: cost_at(grid, course.guide, spot))(spots)
    detour = costs / jnp.maximum(jnp.asarray(safe_norm(course.target - spots)), 1.0)
    score = jnp.where(jax.random.uniform(hard) < 0.5, detour, 1.0)
    spot = spots[jnp.argmax(jnp.where(free, score, 0.0))]
    speed = jax.random.uniform(pace, (), minval=speeds[0], maxval=speeds[1])
    towards = course.target - spot
    yaw = jnp.arctan2(towards[1], towards[0]) + jax.random.uniform(
        turn, (), minval=-1.2, maxval=1.2
    )
    ahead = jnp.stack([jnp.cos(yaw), jnp.sin(yaw), jnp.zeros(())])
    scatter = jax.random.normal(push, (3,)) * jnp.asarray([1.0, 1.0, 0.3])
    level = jnp.stack([jnp.zeros(()), jnp.zeros(()), jnp.sin(yaw / 2), jnp.cos(yaw / 2)])
    anywhere = State(spot, 0.5 * speed * (scatter + ahead), level, jnp.zeros(3))
    use = jnp.any(free) & (jax.random.uniform(chance) < 0.6)
    state = jax.tree.map(
        lambda one, other: jnp.where(use, one, other).astype(jnp.float32), anywhere, course.start
    )
    return state, speed
