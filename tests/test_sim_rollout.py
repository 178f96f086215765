"""Rollouts of many drones: the twin's own steps, and the same slopes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim import CF2X, State, start, step
from sim.physics import PLAIN, Physics
from sim.rollout import rollout
from sim.rotors import Rotors
from sim.state import normalise

T, TICKS = 6, 5
OPTIONS = {"plain": PLAIN, "lagging": Physics(drag=True, rotors=Rotors(time_constant=0.03))}


def begin(batch, physics):
    rng = np.random.default_rng(0)
    fields = [rng.normal(size=(*batch, size)) for size in (3, 3, 4, 3)]
    fields[2] = normalise(fields[2])
    return start(State(*fields).as_jax(), physics.start(CF2X, batch))


def commands(batch):
    spread = np.random.default_rng(1).uniform(0.5, 1.5, (T, *batch, 4))
    return jnp.asarray(CF2X.hover_force * spread)


def one_by_one(state, forces, physics, scale):
    bodies = []
    for force in forces:
        for _ in range(TICKS):
            state = step(CF2X, state, force, mass_scale=scale, physics=physics)
        bodies.append(state.body)
    return state, jax.tree.map(lambda *leaves: jnp.stack(leaves), *bodies)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_a_rollout_is_the_twin_s_steps(name, batch):
    physics, forces = OPTIONS[name], commands(batch)
    scale = np.random.default_rng(2).uniform(0.8, 1.2, batch)
    fly = jax.jit(lambda s, f: rollout(CF2X, s, f, TICKS, physics, scale))
    got = fly(begin(batch, physics), forces)
    expected = one_by_one(begin(batch, physics), forces, physics, scale)
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=1e-11)


def test_its_gradient_is_that_of_differences():
    state, forces = begin((3,), PLAIN), commands((3,))
    change = np.random.default_rng(3).normal(size=forces.shape) * CF2X.hover_force

    def end(forces):
        return jnp.sum(jnp.sin(rollout(CF2X, state, forces, TICKS)[1].position))

    value, slope = jax.jit(jax.value_and_grad(end))(forces)
    near = jax.jit(end)
    tiny = 1e-5
    difference = (near(forces + tiny * change) - near(forces - tiny * change)) / (2 * tiny)
    assert np.isfinite(value)
    np.testing.assert_allclose(jnp.vdot(slope, change), difference, rtol=1e-6)


def test_what_it_cannot_fly_is_refused():
    with pytest.raises(ValueError, match="ticks: expected 1 or more, got 0"):
        rollout(CF2X, begin((), PLAIN), commands(()), 0)
    with pytest.raises(ValueError, match="downwash"):
        rollout(CF2X, begin((), PLAIN), commands(()), 1, Physics(downwash=True))
