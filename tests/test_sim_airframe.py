"""The airframe against published numbers of the Crazyflie, and its mixer against geometry."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from sim import CF2X, Airframe, AirframeError


def test_published_numbers_of_the_crazyflie():
    """Constants that gym-pybullet-drones prints for this airframe."""
    assert CF2X.rotor_speed(np.full(4, CF2X.hover_force)) == pytest.approx(14468.429, abs=1e-3)
    assert CF2X.rotor_speed(np.full(4, CF2X.max_force)) == pytest.approx(21702.644, abs=1e-2)
    assert 4 * CF2X.max_force == pytest.approx(0.59535, rel=1e-7)
    np.testing.assert_allclose(CF2X.max_torque, [0.0083349, 0.0083349, 0.0074796], rtol=1e-5)


@pytest.mark.parametrize("mass", [0.027, 0.83, 0.0271, 1.0, 0.3333])
def test_max_force_is_the_largest_float32_inside_the_limit(mass):
    airframe = dataclasses.replace(CF2X, mass=mass)
    limit = 2.25 * mass * 9.8 / 4
    most = np.float32(airframe.max_force)
    assert float(most) == airframe.max_force <= limit
    assert float(np.nextafter(most, np.float32(np.inf))) > limit


def test_mixer_is_the_sum_of_moments():
    random = np.random.default_rng(0)
    forces = random.uniform(0, CF2X.max_force, (50, 4))
    arms = np.array([(x, y, 0) for x, y in CF2X.rotor_positions])
    lift = forces[..., None] * np.array([0, 0, 1.0])
    moments = np.cross(arms, lift).sum(axis=1)
    drag = forces @ np.array([-1.0, 1, -1, 1]) * 7.94e-12 / 3.16e-10
    wrench = forces @ CF2X.mixer.T
    np.testing.assert_allclose(wrench[:, 0], forces.sum(axis=1), atol=1e-15)
    np.testing.assert_allclose(wrench[:, 1:3], moments[:, :2], atol=1e-15)
    np.testing.assert_allclose(wrench[:, 3], drag, atol=1e-15)
    np.testing.assert_allclose(wrench @ CF2X.mixer_inverse.T, forces, atol=1e-15)


def test_max_torque_bounds_all_corners_and_is_reached():
    corners = np.array(np.meshgrid(*[[0, CF2X.max_force]] * 4)).reshape(4, -1).T
    torques = np.abs(corners @ CF2X.mixer[1:].T).max(axis=0)
    np.testing.assert_allclose(torques, CF2X.max_torque, rtol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_speeds_and_forces_are_inverse(kind, dtype):
    forces = kind(np.linspace(0, CF2X.max_force, 12).reshape(3, 4).astype(dtype))
    speeds = CF2X.rotor_speed(forces)
    assert speeds.dtype == dtype and type(speeds) is type(forces)
    np.testing.assert_allclose(CF2X.rotor_force(speeds), forces, rtol=1e-5, atol=1e-12)
    np.testing.assert_array_equal(CF2X.rotor_speed(-forces), np.zeros((3, 4)))


def test_airframes_are_values():
    assert dataclasses.replace(CF2X) == CF2X and hash(dataclasses.replace(CF2X)) == hash(CF2X)
    with pytest.raises(dataclasses.FrozenInstanceError):
        CF2X.mass = 1.0
    with pytest.raises(ValueError, match="read-only"):
        CF2X.mixer[0, 0] = 2.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mass", 0.0),
        ("mass", float("nan")),
        ("thrust_to_weight", -1.0),
        ("collision_radius", float("inf")),
        ("inertia", (1e-5, -1e-5, 1e-5)),
        ("yaw_signs", (1.0, 1.0, 0.5, -1.0)),
        ("yaw_signs", (1.0, -1.0)),
        ("rotor_positions", ((0.1, 0.1),) * 3),
        ("rotor_positions", ((0.1, 0.1),) * 4),
    ],
)
def test_impossible_airframes_are_refused_by_name(field, value):
    with pytest.raises(AirframeError, match=f"^{field}: expected .* got "):
        dataclasses.replace(CF2X, **{field: value})


def test_a_plus_airframe_is_expressible():
    plus = Airframe(
        name="plus",
        mass=0.027,
        inertia=(2.4e-5, 2.4e-5, 3.2e-5),
        rotor_positions=((0.04, 0.0), (0.0, 0.04), (-0.04, 0.0), (0.0, -0.04)),
        yaw_signs=(-1.0, 1.0, -1.0, 1.0),
        thrust_coefficient=3.16e-10,
        torque_coefficient=7.94e-12,
        thrust_to_weight=2.25,
    )
    np.testing.assert_allclose(plus.max_torque[:2], 0.04 * plus.max_force)
