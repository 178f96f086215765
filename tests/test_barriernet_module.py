"""BarrierNet as a flax module: its own gains, leading axes, and a policy trained through it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from barrier_rig import FLIGHTS, double_integrator, flown, lowest_along
from flax import nnx

from barriernet import (
    Barrier,
    BarrierNet,
    GainNetwork,
    LearnableGains,
    Limits,
    ModelError,
    join_barriers,
    positive,
)
from barriernet.batch import over_batch

SYSTEM, LIMITS = double_integrator(), Limits.between([-9.0, -9.0], [9.0, 9.0])
BARRIERS = (Barrier(lambda x: 1 - x[0], 2, (1.0, 1.0)), Barrier(lambda x: 9 - x[3], 1))


def layer(**more):
    return BarrierNet(SYSTEM, BARRIERS, LIMITS, **more)


def test_barriers_whose_degree_is_still_to_be_found_are_taken_as_they_are():
    """Type checks look at every property; that of the degree raises until `on` has found it."""
    unready = [Barrier(lambda x: 1 - x[0], gains=(1.0, 1.0)), Barrier(lambda x: 9 - x[3])]
    found = BarrierNet(SYSTEM, unready, LIMITS)
    assert [barrier.relative_degree for barrier in found.barriers] == [2, 1]
    A, b = join_barriers(SYSTEM, unready, jnp.array([0.0, 0.0, 1.0, 1.0]))
    expected = join_barriers(SYSTEM, BARRIERS, jnp.array([0.0, 0.0, 1.0, 1.0]))
    np.testing.assert_array_equal(A, expected[0])
    np.testing.assert_array_equal(b, expected[1])


# Gains.


def test_only_gains_that_are_asked_for_are_parameters():
    assert not jax.tree.leaves(nnx.state(layer(), nnx.Param))
    assert [leaf.shape for leaf in jax.tree.leaves(nnx.state(layer(gains=True), nnx.Param))] == [
        (3,)
    ]
    network = GainNetwork(nnx.Linear(5, 3, rngs=nnx.Rngs(0)))
    shapes = {leaf.shape for leaf in jax.tree.leaves(nnx.state(layer(gains=network), nnx.Param))}
    assert shapes == {(3,), (5, 3)}


def test_gains_start_where_they_are_told_and_stay_positive():
    start = (1e-2, 1.0, 300.0)
    gains = LearnableGains(start)
    np.testing.assert_allclose(gains(), start, rtol=1e-12)
    gains.raw[...] = jnp.array([-1e9, 0.0, 1e9])
    assert np.all((gains() >= 1e-3) & np.isfinite(gains()))
    network = GainNetwork(lambda x: 50 * x, least=0.1)
    raw = np.array([[-1.0, 0.0, 2.0]])
    np.testing.assert_array_equal(network(raw), positive(50 * jnp.asarray(raw), 0.1))
    for bad in ((1e-4,), (np.nan,), (np.inf,)):
        with pytest.raises(ModelError, match="start"):
            LearnableGains(bad)
    with pytest.raises(ModelError, match="least"):
        LearnableGains((1.0,), least=0.0)
    with pytest.raises(ModelError, match="least"):
        GainNetwork(lambda x: x, least=0.0)


# Leading axes.


def test_leading_axes_broadcast_and_come_back():
    def one(a, b, c):
        assert a.shape == (2,) and b.shape == () and c is None
        return {"sum": a + b, "size": jnp.sum(a)}

    a, b = np.arange(24.0).reshape(3, 4, 2), np.arange(4.0)
    found = over_batch(one, "abc", (1, 0, 1), (jnp.asarray(a), jnp.asarray(b), None))
    np.testing.assert_array_equal(found["sum"], a + b[:, None])
    np.testing.assert_array_equal(found["size"], a.sum(-1))
    empty = over_batch(one, "abc", (1, 0, 1), (jnp.zeros((0, 5, 2)), jnp.zeros(()), None))
    assert empty["sum"].shape == (0, 5, 2)
    with pytest.raises(ModelError, match="batch"):
        over_batch(one, "abc", (1, 0, 1), (jnp.zeros((3, 2)), jnp.zeros(4), None))
    with pytest.raises(ModelError, match="a: expected"):
        over_batch(one, "abc", (1, 0, 1), (jnp.zeros(()), jnp.zeros(4), None))


def test_parts_that_do_not_fit_are_named():
    net = layer()
    with pytest.raises(ModelError, match="wish"):
        net(np.zeros(4), np.zeros(3))
    with pytest.raises(ModelError, match="fallback"):
        net(np.zeros(4), np.zeros(2), None, np.zeros(3))


# Training.

TRUE = np.array([2.0, 3.0])
GOAL = np.array([2.0, 0.5])


def demonstrated(x):
    """A spring to a goal behind the wall, moved to the half-space of the true gains in numpy."""
    wish = 1.5 * (GOAL - x[:, :2]) - x[:, 2:]
    most = -TRUE.sum() * x[:, 2] + TRUE.prod() * (1 - x[:, 0])
    return np.stack([np.minimum(wish[:, 0], most), wish[:, 1]], axis=1)


class Guarded(nnx.Module):
    """A plain network with the layer behind it."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(4, 16, rngs=rngs)
        self.last = nnx.Linear(16, 2, rngs=rngs)
        self.layer = layer(gains=True)

    def wish(self, x):
        return self.last(nnx.tanh(self.hidden(jnp.asarray(x))))

    def __call__(self, x):
        return self.layer(x, self.wish(x))


@pytest.mark.long
def test_a_plain_network_is_trained_through_the_layer():
    states = np.random.default_rng(1).uniform([-0.5, -0.5, 0, -1], [0.9, 1, 0.8, 1], (64, 4))
    shown = demonstrated(states)
    graph, parameters, rest = nnx.split(Guarded(nnx.Rngs(0)), nnx.Param, ...)

    @jax.jit
    def slope(parameters):
        def loss(parameters):
            control, certificate = nnx.merge(graph, parameters, rest)(states)
            return jnp.mean((control - shown) ** 2), certificate.summary()

        return jax.value_and_grad(loss, has_aux=True)(parameters)

    descent = optax.adam(0.02)
    memory, losses = descent.init(parameters), []
    for _ in range(250):
        (loss, summary), gradient = slope(parameters)
        step, memory = descent.update(gradient, memory)
        parameters = optax.apply_updates(parameters, step)
        losses.append(float(loss))
    assert losses[-1] < 0.02 * losses[0]
    assert int(summary.certified) == 64 and int(summary.replaced) == 0

    # The layer's own gains: their slope, and where they went.
    (_, _), gradient = slope(parameters)
    raw, differences = parameters["layer"]["gains"]["raw"][...], []
    for shift in 1e-5 * np.eye(3):
        ends = []
        for sign in (1, -1):
            parameters["layer"]["gains"]["raw"][...] = raw + sign * shift
            ends.append(slope(parameters)[0][0])
        differences.append((ends[0] - ends[1]) / 2e-5)
    parameters["layer"]["gains"]["raw"][...] = raw
    found = gradient["layer"]["gains"]["raw"][...]
    np.testing.assert_allclose(found, differences, rtol=1e-5, atol=1e-9)
    model = nnx.merge(graph, parameters, rest)
    learnt = model.layer.gains()[:2]
    assert np.abs(learnt.sum() - TRUE.sum()) < 0.3 and np.abs(learnt.prod() - TRUE.prod()) < 0.5

    # In closed loop: the network alone goes through the wall.
    pilot = jax.jit(model.wish)
    wall = Barrier(BARRIERS[0].h, 2, tuple(float(gain) for gain in learnt))
    start = states[:FLIGHTS] * [1, 1, 0, 0]

    def lowest(*barriers):
        path, _, fallbacks = flown(
            SYSTEM, barriers, ([-9, -9], [9, 9]), start, lambda x, t: pilot(x), tick=0.02, ticks=200
        )
        assert fallbacks == 0
        return lowest_along(wall.h, path)

    assert np.all(lowest(wall) >= -1e-3) and np.all(lowest() < -0.1)
