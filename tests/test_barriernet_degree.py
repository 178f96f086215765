"""What is found from plain functions: sizes, relative degrees, chains of every degree."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from barrier_rig import FLIGHTS, double_integrator, filter_all, rows_of, unicycle

from barriernet import (
    Barrier,
    Cause,
    ControlAffineSystem,
    Limits,
    MixedDegreeError,
    ModelError,
    Outcome,
    chain_values,
    find_relative_degree,
)


def integrators(order):
    shift, channel = np.eye(order, k=1), np.eye(order)[:, -1:]
    return ControlAffineSystem(lambda x: shift @ x, lambda x: channel)


def test_sizes_are_found():
    assert (integrators(3).states, integrators(3).controls) == (3, 1)
    assert (unicycle().states, unicycle().controls) == (3, 2)
    state = jnp.ones(4, jnp.float32)
    system = double_integrator()
    # Constants of another dtype do not change the state's.
    assert system.drift(state).dtype == system.control_matrix(state).dtype == jnp.float32
    assert integrators(4).drift(state).dtype == jnp.float32


@pytest.mark.parametrize(
    ("f", "g", "name"),
    [
        (lambda x: -x, lambda x: jnp.eye(len(x)), "states: expected to be given"),
        (lambda x: x[:1], lambda x: jnp.ones((2, 1)), "states: expected to be given, or"),
        (lambda x: x, lambda x: jnp.ones(2), "states: expected to be given, or"),
    ],
)
def test_sizes_that_cannot_be_found_are_asked_for(f, g, name):
    with pytest.raises(ModelError, match=name):
        ControlAffineSystem(f, g)


def test_functions_that_refuse_the_state_are_named():
    def unpacked(x):
        a, b = x
        return [b, a]

    with pytest.raises(ModelError, match="f: expected a function of a state of shape"):
        ControlAffineSystem(unpacked, lambda x: jnp.ones((3, 1)), 3)
    assert ControlAffineSystem(unpacked, lambda x: jnp.ones((len(x), 1))).states == 2
    with pytest.raises(ModelError, match="g: expected shape"):
        ControlAffineSystem(lambda x: x, lambda x: jnp.ones((3, 1)), 3, 2)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_chains_of_every_degree_against_closed_forms(order):
    """H = 1 - p^2 on integrators: psi_r = sum of e_{r-k} h^(k), e from the product of (s + p)."""
    gains = np.array([0.7, 1.1, 2.3, 0.4])[:order]
    state = np.array([0.3, -0.4, 0.9, 0.5])[:order]
    p, v, a, j = np.append(state, np.zeros(4 - order))
    derivatives = [1 - p**2, -2 * p * v, -2 * (v**2 + p * a), -2 * (3 * v * a + p * j)]
    derivatives.append(-2 * (3 * a**2 + 4 * v * j))
    # Without control the derivative of order r lacks its term -2 p u; the state has no more.
    weights = np.poly(-gains)[::-1]
    system = integrators(order)
    barrier = Barrier(lambda x: 1 - x[0] ** 2, gains=tuple(gains)).on(system)
    assert barrier.relative_degree == order
    (A, b), found = jax.jit(
        lambda x: (barrier.rows(system, x), chain_values(system, (barrier,), x))
    )(state)
    np.testing.assert_allclose(A, [[-2 * p]], rtol=1e-13)
    np.testing.assert_allclose(b, [-weights @ derivatives[: order + 1]], rtol=1e-12)
    values = [np.atleast_1d(np.poly(-gains[:i]))[::-1] @ derivatives[: i + 1] for i in range(order)]
    np.testing.assert_allclose(found, values, rtol=1e-12)


def test_gains_say_nothing_about_the_degree():
    wall = Barrier(lambda x: 1 - x[0], gains=(1.0,))
    with pytest.raises(ModelError, match="gains: expected 2"):
        wall.on(double_integrator())
    with pytest.raises(ModelError, match="relative_degree"):
        _ = wall.gain_count


def test_a_degree_that_holds_in_places_only_is_refused():
    def bump(x):
        return jnp.maximum(x[2], 0.0) - x[0]

    with pytest.raises(MixedDegreeError, match="derivative 1") as raised:
        find_relative_degree(double_integrator(), bump)
    assert raised.value.degree == 1
    assert len(raised.value.states) and np.all(raised.value.states[:, 2] < 0)
    fast = np.random.default_rng(0).uniform(0.1, 1, (8, 4))
    assert find_relative_degree(double_integrator(), bump, fast) == 1
    with pytest.raises(MixedDegreeError):
        Barrier(bump).on(double_integrator())


def test_a_share_near_rounding_is_not_guessed():
    def faint(x):
        return x[0] + 2e-4 * x[2]

    samples = np.random.default_rng(0).normal(size=(4, 4))
    assert find_relative_degree(double_integrator(), faint, samples) == 1
    with pytest.raises(ModelError, match="float64"):
        find_relative_degree(double_integrator(), faint, samples.astype(np.float32))


def test_states_where_h_is_not_defined_are_left_out_unless_given():
    def root(x):
        return jnp.sqrt(x[0]) - 1

    assert find_relative_degree(double_integrator(), root) == 2
    with pytest.raises(ModelError, match="finite"):
        find_relative_degree(double_integrator(), root, -np.ones((2, 4)))
    with pytest.raises(ModelError, match="one number"):
        find_relative_degree(double_integrator(), lambda x: x)


def test_traced_barriers_need_their_degree():
    system = double_integrator()

    def side(x, wall, degree):
        return Barrier(lambda y: wall - y[0], degree).rows(system, x)[1]

    with pytest.raises(ModelError, match="traced"):
        jax.jit(lambda x, w: side(x, w, None))(np.ones(4), 3.0)
    np.testing.assert_allclose(jax.jit(lambda x, w: side(x, w, 2))(np.ones(4), 3.0), [0.0])
    # One that is not traced may be met first inside jit.
    inside = jax.jit(lambda x: Barrier(lambda y: 3 - y[0]).rows(system, x)[1])(np.ones(4))
    np.testing.assert_allclose(inside, [0.0])


def test_a_wrong_degree_never_passes_in_silence():
    """Too high: refused wherever the control shows early. Too low: impossible once it is broken."""
    system, box = double_integrator(), Limits.between([-9, -9], [9, 9])
    state, wish = np.tile([0.5, 0.0, 2.0, 0.0], (FLIGHTS, 1)), np.ones((FLIGHTS, 2))

    def judged(barrier):
        rows = rows_of(system, (barrier,))(state, 0.0, wish)
        control, certificate = filter_all(wish, *rows, box)
        np.testing.assert_array_equal(control, 0)  # the middle of the limits, not the wish
        assert np.all(certificate.replaced) and not np.any(certificate.certified)
        return jax.tree.map(lambda part: part[0], certificate), rows

    certificate, _ = judged(Barrier(lambda x: 1 - x[0] - 0.3 * x[2], 2))
    assert certificate.outcome == Outcome.NONFINITE and certificate.cause == Cause.ROWS
    assert "relative degree" in certificate.sentence()
    certificate, (A, b) = judged(Barrier(lambda x: 1 - x[0], 1))
    assert not np.any(A) and b[0, 0] > 0
    assert certificate.outcome == Outcome.INFEASIBLE
