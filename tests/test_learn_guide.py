"""The privileged guide and the loss: laws that a wrong one breaks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lnn_nav.learn.courses import FAMILIES, build_courses
from lnn_nav.learn.guide import GuideGrid, way
from lnn_nav.learn.losses import LossWeights, window_loss
from lnn_nav.learn.rollout import FlightShape, loss_of
from lnn_nav.learn.step import Schedule, first_state, only_gains, renew
from lnn_nav.policy import Policy, PolicyShape
from sim.scene import signed_distance

GRID = GuideGrid()
COURSES = build_courses(GRID, 4, 500, (1.0, 1.5, 1.5), 2.0)


def follow(course: object, steps: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Positions and clearances of a point that goes where the guide says, 5 cm a step."""

    def go(position: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        step = way(GRID, course.guide, position, course.target)
        return position + 0.05 * step, position

    _, path = jax.lax.scan(go, course.start.position, None, length=steps)
    return np.asarray(path), np.asarray(signed_distance(course.scene, path))


def test_following_the_guide_arrives_everywhere_and_hits_nothing() -> None:
    """Twelve worlds; the straight line is the negative control: it hits in most of them."""
    hits = 0
    for kind in range(len(FAMILIES)):
        for index in range(4):
            course = jax.tree.map(lambda leaf, k=kind, i=index: leaf[k, i], COURSES)
            path, clearance = follow(course)
            arrived = np.linalg.norm(path - np.asarray(course.target), axis=1) < 0.3
            assert arrived.any()
            assert clearance[: int(arrived.argmax())].min() > 0.0
            line = np.linspace(course.start.position, course.target, 200)
            hits += bool((signed_distance(course.scene, line) < 0.06).any())
    assert hits >= 6


def test_cost_to_go_is_never_below_the_distance() -> None:
    """No way is shorter than the straight one (up to the grid's first cell)."""
    distance = jnp.linalg.norm(GRID.centres() - COURSES.target[:, :, None, None, None], axis=-1)
    assert float((COURSES.guide.cost - distance).min()) > -1.5 * GRID.cell


def test_the_loss_of_a_perfect_flight_is_nearly_nothing_and_each_fault_costs() -> None:
    """Each part of the loss sees its fault."""
    shape = (24, 2)
    zero, one = jnp.zeros(shape), jnp.ones(shape)
    good = {
        "velocity": jnp.ones((*shape, 3)),
        "wished_velocity": jnp.ones((*shape, 3)),
        "clearance": 2 * one,
        "edge": 2 * one,
        "wish": jnp.zeros((*shape, 3)),
        "corrected": zero,
        "alive": one,
    }
    least, _ = window_loss(LossWeights(), **good)
    assert float(least) < 1e-6
    faults = {"velocity": 0.0, "clearance": 0.05, "edge": 0.1, "wish": 4.0, "corrected": 9.0}
    for name, value in faults.items():
        loss, _ = window_loss(LossWeights(), **{**good, name: jnp.full_like(good[name], value)})
        assert float(loss) > float(least) + 0.05, name


def test_choosing_a_side_is_cheaper_than_the_middle() -> None:
    """Most guides go left, some go right: all the way left must beat less of it."""
    shape = (24, 5)
    sides = jnp.tile(jnp.asarray([2.0, 2.0, 2.0, -2.0, -2.0]), (24, 1))
    wished = jnp.zeros((*shape, 3)).at[..., 1].set(sides)
    rest = {
        "wished_velocity": wished,
        "clearance": 2 * jnp.ones(shape),
        "edge": 2 * jnp.ones(shape),
        "wish": jnp.zeros((*shape, 3)),
        "corrected": jnp.zeros(shape),
        "alive": jnp.ones(shape),
    }
    left = jnp.zeros((*shape, 3)).at[..., 1].set(2.0)
    commit, _ = window_loss(LossWeights(), velocity=left, **rest)
    for share in (0.0, 0.2, 0.5, 0.8):
        dither, _ = window_loss(LossWeights(), velocity=share * left, **rest)
        assert float(commit) < float(dither)


def test_the_gradient_through_the_twin_is_the_slope_of_the_loss() -> None:
    """Finite differences along the gradient, without gradient decay; its decay is a control."""
    graph, params = nnx.split(Policy(PolicyShape(), rngs=nnx.Rngs(0)))
    shape, first = FlightShape(steps=8, decay=1.0), jax.tree.map(lambda leaf: leaf[0], COURSES)
    flyers = jax.tree.map(
        lambda leaf: leaf[0], first_state(Schedule(), nnx.merge(graph, params), 4).flyers
    )
    # Flights that begin anywhere, most of them already moving.
    flyers = renew(Schedule(), shape, first, jnp.int32(0), flyers, jax.random.key(0))
    here = jax.tree.map(lambda leaf: leaf[flyers.course], first)

    def loss(params: object, shape: FlightShape) -> jax.Array:
        return loss_of(shape, graph, params, jnp.int32(0), here, flyers)[0]

    both = jax.jit(jax.value_and_grad(loss), static_argnums=1)
    _, gradient = both(params, shape)
    square = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(gradient))
    assert square > 0
    size = 2e-3 / square**0.5

    def at(sign: float) -> float:
        moved = jax.tree.map(lambda p, g: p + sign * size * g, params, gradient)
        return float(both(moved, shape)[0])

    slope = (at(1.0) - at(-1.0)) / (2 * size)
    assert abs(slope / square - 1) < 0.05


def test_behind_the_barrier_only_the_gains_learn() -> None:
    params = nnx.state(Policy(PolicyShape(), rngs=nnx.Rngs(0)))
    kept = only_gains(jax.tree.map(jnp.ones_like, params))
    for name in ("kernel", "bias"):
        assert (np.asarray(kept["head"][name].get_value()) == [0, 0, 0, 1, 1]).all()
    inputs = kept["head"]["kernel"].get_value().shape[0]
    assert sum(float(jnp.sum(leaf)) for leaf in jax.tree.leaves(kept)) == 2 * inputs + 2
