"""Somebody else's policy behind the layer: numpy in, numpy out, never NaN."""

from __future__ import annotations

import numpy as np
import pytest
from barrier_rig import FLIGHTS, dense_motion, double_integrator, filter_all, rows_of

from barriernet import (
    Barrier,
    BarrierNet,
    Cause,
    DiscreteBarrier,
    DiscreteSystem,
    Limits,
    ModelError,
    Outcome,
    filtered_policy,
)

SYSTEM = double_integrator()
LAYER = BarrierNet(
    SYSTEM,
    (Barrier(lambda x: 1 - x[0], 2, (2.0, 3.0)), Barrier(lambda x: 9 - x[3], 1)),
    Limits.between([-9.0, -9.0], [9.0, 9.0]),
)


class Careless:
    """Looks like a trained policy of stable-baselines3; counts its steps as a hidden state."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert episode_start is None or len(episode_start) == len(observation)
        scale = 5.0 if deterministic else 4.0
        action = np.broadcast_to([scale, 0.0], (*np.shape(observation)[:-1], 2))
        return action.astype(np.float32), (0 if state is None else state) + 1


class Tensor:
    """Looks like a tensor of torch with a gradient: no array before it is detached."""

    def __init__(self, value):
        self.value = value

    def detach(self):
        return self

    def cpu(self):
        return self.value

    def __array__(self, *_):
        raise RuntimeError("call detach() first")


def flights():
    state = np.random.default_rng(0).uniform(-0.5, 0.5, (FLIGHTS, 4)) * [1, 1, 0, 0]
    return state.astype(np.float32)


def test_a_policy_that_predicts_is_kept_safe_in_closed_loop():
    seen = []
    guarded = filtered_policy(Careless(), LAYER, record=seen.append)
    move, hidden, lowest = dense_motion(SYSTEM, 0.02, 2), None, []
    state = flights()
    for _ in range(150):
        action, hidden = guarded.predict(state, hidden, episode_start=np.zeros(FLIGHTS))
        assert isinstance(action, np.ndarray) and action.dtype == np.float32
        state = np.asarray(move(state.astype(float), action.astype(float), 0.0))[:, -1]
        state = state.astype(np.float32)
        lowest.append(1 - state[:, 0])
    assert hidden == 150 and len(seen) == 150
    assert all(int(certificate.summary().certified) == FLIGHTS for certificate in seen)
    assert np.min(lowest) >= -1e-3
    # Alone it is through the wall within the same time.
    assert np.all(state[:, 0] > 0.8) and np.all(0.5 * 4.0 * (150 * 0.02) ** 2 - 0.5 > 1)
    _, certificate = guarded(flights())
    assert isinstance(certificate.margins, np.ndarray)


class Swayed:
    """A callable whose answer the test sets, so that one compiled layer serves."""

    def __call__(self, observation):
        return self.answer(observation)


def test_faults_of_a_policy_become_the_fallback_never_nan():
    policy = Swayed()
    guarded, state = filtered_policy(policy, LAYER), flights()
    for bad in (np.nan, np.inf, -np.inf):
        policy.answer = lambda seen, bad=bad: np.full((FLIGHTS, 2), bad, np.float32)
        action, certificate = guarded(state)
        np.testing.assert_array_equal(action, 0)
        assert np.all(certificate.cause == Cause.WISH)
        assert np.all(certificate.outcome == Outcome.NONFINITE)
    policy.answer = lambda seen: np.ones((FLIGHTS, 2), np.float32)
    broken = state.copy()
    broken[::2, 1] = np.nan
    action, certificate = guarded(broken)
    np.testing.assert_array_equal(certificate.replaced, np.isnan(broken[:, 1]))
    np.testing.assert_array_equal(action[::2], 0)
    assert np.all(certificate.cause[::2] == Cause.STATE) and np.all(action[1::2] == 1)
    policy.answer = lambda seen: np.full((FLIGHTS, 2), 3e38, np.float32)
    action, _ = guarded(state)
    assert np.all(np.abs(action) <= 9)
    # What looks like a tensor is read as one.
    policy.answer = lambda seen: Tensor(np.ones((FLIGHTS, 2), np.float32))
    np.testing.assert_array_equal(guarded(state)[0], 1)


def test_one_observation_and_its_state_in_another_form():
    """Of a system of steps, whose rows need the wish and the limits: as rows and filter say."""
    system = DiscreteSystem(lambda x, u: x + 0.2 * u, 2, 2)
    barriers = (
        DiscreteBarrier(lambda x: 1 - x @ x, 1, (0.5,), concavity=0.08),
        DiscreteBarrier(lambda x: 0.15 - x[0], 1, (0.5,)),
    )
    limits = Limits.between([-1.0, -2.0], [1.0, 2.0])
    policy, states = Swayed(), flights()[:, :2].astype(float) / 5
    policy.answer = lambda seen: seen["goal"] - seen["place"]
    guarded = filtered_policy(
        policy, BarrierNet(system, barriers, limits), state_of=lambda seen: seen["place"]
    )
    goal = np.array([0.7, -20.0])
    rows = rows_of(system, barriers, limits)(states, 0.0, goal - states)
    expected, certificates = filter_all(goal - states, *rows, limits)
    assert np.sum(certificates.certified) > 8 and np.all(np.any(certificates.active, axis=1))
    for i in range(FLIGHTS):
        action, certificate = guarded({"place": states[i], "goal": goal})
        assert action.shape == (2,) and certificate.certified == certificates.certified[i]
        np.testing.assert_allclose(action, expected[i], rtol=1e-12, atol=1e-12)
        if certificate.certified:
            onward = states[i] + 0.2 * action
            assert 0.15 - onward[0] >= 0.5 * (0.15 - states[i, 0]) - 1e-9
            assert 1 - onward @ onward >= 0.5 * (1 - states[i] @ states[i]) - 1e-9
    assert guarded.predict({"place": states[0], "goal": goal})[1] is None


def test_what_does_not_fit_is_named():
    policy = Swayed()
    guarded, state = filtered_policy(policy, LAYER), flights()
    for answer, name in (
        (np.zeros((FLIGHTS, 3)), "action: expected shape"),
        (np.zeros((FLIGHTS - 1, 2)), "action: expected"),
        (None, "action: expected real numbers"),
        (np.zeros((FLIGHTS, 2), complex), "action: expected real numbers"),
    ):
        policy.answer = lambda seen, answer=answer: answer
        with pytest.raises(ModelError, match=name):
            guarded(state)
    policy.answer = lambda seen: np.zeros((FLIGHTS, 2))
    with pytest.raises(ModelError, match="state: expected shape"):
        guarded(state[:, :3])
    with pytest.raises(ModelError, match="state: expected none"):
        guarded.predict(state, state=1)
    with pytest.raises(ModelError, match="policy"):
        filtered_policy(3, LAYER)


def test_a_network_of_torch_is_wrapped_where_torch_is_installed():
    torch = pytest.importorskip("torch")
    network = torch.nn.Linear(4, 2)
    state = flights()
    guarded = filtered_policy(lambda seen: network(torch.as_tensor(seen)), LAYER)
    action, certificate = guarded(state)
    assert isinstance(action, np.ndarray) and np.all(certificate.certified)
    idle = ~np.any(certificate.active, axis=1)
    plain = network(torch.as_tensor(state)).detach().numpy()
    np.testing.assert_allclose(action[idle], plain[idle], rtol=1e-5, atol=1e-6)
