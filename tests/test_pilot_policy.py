"""Policies: no compass, bounded wishes; and a design that survives its own file."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from lnn_nav.design import Design, DesignError
from lnn_nav.policy import Goal, Policy
from lnn_nav.straight import StraightLine
from sim.sensors import Sight
from sim.state import State, quaternion_from_yaw, quaternion_multiply

DESIGN = Design()


@pytest.fixture(scope="module")
def thoughts():
    """The policy with a head that says something, compiled."""
    policy = Policy(DESIGN.policy, rngs=nnx.Rngs(0))
    policy.head.kernel[...] = 20 * policy.head.kernel[...]
    graph, params = nnx.split(policy)
    return policy, jax.jit(
        lambda memory, sight, goal, dt: nnx.merge(graph, params)(memory, sight, goal, dt)
    )


def situation(seed: int) -> tuple:
    """Memory, sight and goal of a tilted drone in flight."""
    draws = np.random.default_rng(seed)
    quaternion = np.array([0, 0, 0, 1.0]) + 0.3 * draws.standard_normal(4)
    state = State(
        jnp.asarray(draws.uniform(-5, 5, 3)),
        jnp.asarray(draws.uniform(-3, 3, 3)),
        jnp.asarray(quaternion / np.linalg.norm(quaternion)),
        jnp.asarray(draws.uniform(-3, 3, 3)),
    )
    count = DESIGN.rays.count
    ranges = jnp.asarray(draws.uniform(0, 8, count), jnp.float32)
    sight = Sight(state, ranges, jnp.asarray(draws.uniform(size=count) > 0.1))
    goal = Goal(jnp.asarray(draws.uniform(-9, 9, 3)), jnp.asarray(2.0), jnp.asarray(4.0))
    return jnp.asarray(draws.uniform(-1, 1, 400), jnp.float32), sight, goal


def turned(vector: jax.Array, angle: float) -> jax.Array:
    c, s = np.cos(angle), np.sin(angle)
    return vector @ jnp.asarray([[c, s, 0], [-s, c, 0], [0, 0, 1]])


@given(seed=st.integers(0, 1_000), angle=st.floats(-np.pi, np.pi))
def test_a_turned_world_turns_the_wish_and_nothing_else(thoughts, seed, angle):
    policy, think = thoughts
    memory, sight, goal = situation(seed)
    memory = memory[: policy.cell.memory_size]
    state = sight.state
    yaw = quaternion_from_yaw(jnp.asarray(angle))
    around = replace(
        state,
        position=turned(state.position, angle),
        velocity=turned(state.velocity, angle),
        quaternion=quaternion_multiply(yaw, state.quaternion),
    )
    target = replace(goal, target=turned(goal.target, angle))
    after, wish = think(memory, sight, goal, 1 / 24)
    there, again = think(memory, replace(sight, state=around), target, 1 / 24)
    np.testing.assert_allclose(there, after, atol=1e-4)
    np.testing.assert_allclose(again.acceleration, turned(wish.acceleration, angle), atol=1e-3)
    np.testing.assert_allclose(again.gains, wish.gains, atol=1e-4)
    # The yaw rate jumps where the target is straight behind.
    sides = np.abs([wish.yaw_rate, again.yaw_rate])
    assert np.abs(wish.yaw_rate - again.yaw_rate) < 1e-3 or (sides > 2.99).all()


def test_a_turned_target_alone_does_change_the_thought(thoughts):
    policy, think = thoughts
    memory, sight, goal = situation(0)
    memory = memory[: policy.cell.memory_size]
    after, _ = think(memory, sight, goal, 1 / 24)
    there, _ = think(memory, sight, replace(goal, target=turned(goal.target, 1.0)), 1 / 24)
    assert np.abs(after - there).max() > 1e-2


@given(seed=st.integers(0, 1_000), scale=st.floats(0, 6))
def test_a_wish_stays_in_its_box_whatever_is_seen(thoughts, seed, scale):
    policy, think = thoughts
    memory, sight, goal = situation(seed)
    memory = memory[: policy.cell.memory_size]
    state = replace(sight.state, velocity=10.0**scale * sight.state.velocity)
    _, wish = think(memory, replace(sight, state=state), goal, 1 / 24)
    x, y, z = DESIGN.policy.acceleration
    assert np.hypot(wish.acceleration[0], wish.acceleration[1]) <= np.hypot(x, y) + 1e-4
    assert abs(wish.acceleration[2]) <= z
    assert abs(wish.yaw_rate) <= DESIGN.policy.yaw_rate
    low, high = DESIGN.policy.gain_range
    assert ((wish.gains >= low) & (wish.gains <= high)).all()


def test_rays_without_return_read_as_far(thoughts):
    policy, think = thoughts
    memory, sight, goal = situation(1)
    memory = memory[: policy.cell.memory_size]
    far = jnp.where(sight.valid, sight.ranges, DESIGN.policy.max_range)
    as_far = replace(sight, ranges=far, valid=jnp.ones_like(sight.valid))
    bad = replace(sight, ranges=jnp.where(sight.valid, sight.ranges, 1e6))
    one, other = think(memory, bad, goal, 1 / 24), think(memory, as_far, goal, 1 / 24)
    np.testing.assert_array_equal(one[0], other[0])


def test_rays_beyond_the_policys_own_do_not_matter_to_it(thoughts):
    policy, think = thoughts
    memory, sight, goal = situation(2)
    memory = memory[: policy.cell.memory_size]
    other = replace(sight, ranges=sight.ranges.at[DESIGN.policy.rays :].set(0.3))
    np.testing.assert_array_equal(
        think(memory, sight, goal, 1 / 24)[0], think(memory, other, goal, 1 / 24)[0]
    )


def test_the_straight_line_wishes_for_the_set_velocity():
    line = StraightLine(DESIGN.policy)
    _, sight, goal = situation(3)
    ahead = goal.target - sight.state.position
    wanted = 2.0 * ahead / jnp.linalg.norm(ahead)
    on_course = replace(sight, state=replace(sight.state, velocity=wanted))
    _, wish = line(line.blank_memory(), on_course, goal, 1 / 24)
    np.testing.assert_allclose(wish.acceleration, np.zeros(3), atol=1e-5)
    slow = replace(sight, state=replace(sight.state, velocity=0.9 * wanted))
    _, wish = line(line.blank_memory(), slow, goal, 1 / 24)
    np.testing.assert_allclose(wish.acceleration, line.rate * 0.1 * wanted, rtol=1e-4)


def test_a_design_survives_json():
    design = Design(sight_rate=48.0, policy=replace(DESIGN.policy, cell="ltc"), range_noise=0.02)
    text = json.dumps(design.to_dict())
    again = Design.from_dict(json.loads(text))
    assert again == design
    assert hash(again) == hash(design)
    assert again != DESIGN


def changed(path: str, value: object) -> dict:
    """The plain data of the default design with one entry changed; None takes it away."""
    data = DESIGN.to_dict()
    *folders, last = path.split(".")
    entry = data
    for folder in folders:
        entry = entry[folder]
    if value is None:
        del entry[last]
    else:
        entry[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("airframe_name", "b747", "airframe_name: expected one of cf2x, got 'b747'"),
        ("sight_rate", 0.0, "sight_rate: expected 1 to 240 Hz, got 0.0"),
        ("sight_rate", "fast", r"design.sight_rate: expected float, got 'fast'"),
        ("sights", 2.5, r"design.sights: expected int, got 2.5"),
        ("sights", True, r"design.sights: expected int, got True"),
        ("safety.box", [1.0, 2.0], r"design.safety.box: expected 3 values, got 2"),
        ("safety.lag", -0.1, "safety.lag: expected a positive finite number, got -0.1"),
        (
            "safety.margin",
            float("nan"),
            "safety.margin: expected a positive finite number, got nan",
        ),
        ("safety.declared_wind", -1.0, "safety.declared_wind: expected at least 0, got -1.0"),
        ("attitude.rate", float("inf"), "attitude.rate: expected a positive finite number"),
        ("sights", 0, "sights: expected a positive finite number, got 0"),
        ("range_noise", -0.1, "range_noise: expected at least 0"),
        ("safety.brake", 4.6, "safety.brake: expected at most 4.5, got 4.6"),
        ("safety.declared_wind", 4.5, "safety.brake: expected at least 4.5, got 4.5"),
        ("safety.box", [9.0, 9.0, 9.0], "safety.box: expected at most 7.84, got 9.0"),
        ("safety.box", [12.0, 12.0, 4.5], "safety.box: expected at most 19.845, got 22.19"),
        ("safety.max_tilt", 1.0, "safety.max_tilt: expected at least 1.01"),
        ("rings", [[0.0, 4]], "rings: expected at least 144 rays for the policy"),
        ("rings", 4, "design.rings: expected a list, got 4"),
        ("safety", [], "design.safety: expected an object, got list"),
        ("safety.wind", 1.0, "design.safety.wind: unknown key"),
        ("safety.lag", None, "design.safety.lag: missing key"),
    ],
)
def test_a_design_that_cannot_be_is_refused_by_name(path, value, message):
    with pytest.raises(DesignError, match=message):
        Design.from_dict(changed(path, value))


def test_a_design_of_another_kind_is_refused():
    with pytest.raises(DesignError, match="design: expected an object, got list"):
        Design.from_dict([])
