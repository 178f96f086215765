"""What the air does: formulas against numbers and laws, the same in numpy and in jax."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from sim import CF2X
from sim.aero import downwash_force, drag_force, ground_effect_forces


def tumbling(count: int) -> tuple[np.ndarray, ...]:
    """Positions, velocities, quaternions and rotor forces near the ground."""
    random = np.random.default_rng(1)
    quaternions = random.normal(size=(count, 4))
    return (
        random.uniform([-1, -1, 0.05], [1, 1, 0.6], (count, 3)),
        random.normal(scale=3, size=(count, 3)),
        quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True),
        random.uniform(0, CF2X.max_force, (count, 4)),
    )


def test_the_air_of_numpy_and_of_jax_is_the_same():
    position, velocity, quaternion, forces = tumbling(50)
    others = np.concatenate([position + [0, 0.05, 0.3], position])
    speeds = CF2X.rotor_speed(forces)
    for answer in (
        lambda xp: drag_force(CF2X, xp.asarray(velocity), xp.asarray(speeds)),
        lambda xp: ground_effect_forces(CF2X, *map(xp.asarray, (position, quaternion, forces))),
        lambda xp: downwash_force(CF2X, xp.asarray(position), xp.asarray(others)),
    ):
        ours, theirs = answer(np), answer(jnp)
        assert type(ours) is np.ndarray and isinstance(theirs, jax.Array)
        assert np.abs(ours).max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_drag_opposes_motion_in_proportion_to_speed_and_rotors():
    _, velocity, _, forces = tumbling(50)
    speeds = CF2X.rotor_speed(forces)
    drag = drag_force(CF2X, velocity, speeds)
    assert ((drag * velocity).sum(axis=1) < 0).all()
    np.testing.assert_allclose(drag_force(CF2X, 2 * velocity, 3 * speeds), 6 * drag, rtol=1e-12)
    one = drag_force(CF2X, np.array([0.0, 0.0, 2.0]), np.full(4, 60 / (2 * np.pi)))
    np.testing.assert_allclose(one, [0, 0, -2 * 4 * 10.311e-7], rtol=1e-12)


def test_the_ground_pushes_rotors_that_are_near_it_and_none_upside_down():
    forces, level = np.full(4, 0.066), np.array([0.0, 0.0, 0.0, 1.0])

    def lift(height, quaternion=level):
        return ground_effect_forces(CF2X, np.array([0.0, 0.0, height]), quaternion, forces)

    np.testing.assert_allclose(lift(0.1), 0.066 * 11.36859 * (2.31348e-2 / 0.4) ** 2, rtol=1e-12)
    np.testing.assert_allclose(lift(0.2) / lift(0.1), 0.25, rtol=1e-12)
    # Below their least height gym-pybullet-drones lets the cushion grow no more.
    least = 0.25 * 2.31348e-2 * math.sqrt(15 * 11.36859 / 4)
    np.testing.assert_allclose(lift(0.0), lift(least), rtol=1e-12)
    rolled = np.array([math.sin(0.1), 0.0, 0.0, math.cos(0.1)])
    right, _, left, _ = lift(0.1, rolled)
    assert left < right
    for turn in (np.array([1.0, 0, 0, 0]), np.array([0.0, math.sqrt(0.5), 0, math.sqrt(0.5)])):
        assert not lift(0.1, turn).any()


def test_a_plume_pushes_what_is_below_it_and_nothing_else():
    def push(*offsets):
        return float(downwash_force(CF2X, np.zeros(3), np.array(offsets, float).reshape(-1, 3)))

    below = push((0, 0, 1.5))
    np.testing.assert_allclose(below, -2267.18 * (2.31348e-2 / 6) ** 2, rtol=1e-12)
    aside = below * math.exp(-0.5 * (0.1 / (0.16 * 1.5 - 0.11)) ** 2)
    np.testing.assert_allclose(push((0.06, 0.08, 1.5)), aside, rtol=1e-12)
    np.testing.assert_allclose(push((0, 0, 1.5), (0, 0.1, 1.5)), below + aside, rtol=1e-12)
    assert push() == push((0, 0, 0)) == push((0, 0, -1)) == push((10, 0, 1.5)) == 0
    # Where the formula divides by zero or has no bound the answer is still a number.
    for depth in (0.11 / 0.16, 1e-300, 1e-9):
        assert math.isfinite(push((0, 0, depth))) and math.isfinite(push((1e-8, 0, depth)))
