"""The layer and its certificate: faults, fallbacks, limits, and training through it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from barriernet import (
    Barrier,
    BarrierNet,
    Cause,
    Certificate,
    ControlAffineSystem,
    Limits,
    ModelError,
    Outcome,
    filter_control,
    join_barriers,
    positive,
)

BATCH = 256


def wall(*, weight=np.inf, limit=4.0):
    """A double integrator in the plane, with a wall at x = 1 and a ball around (-2, 0)."""

    def drift(x):
        return jnp.concatenate([x[2:], jnp.zeros(2, x.dtype)])

    def channels(x):
        return jnp.concatenate([jnp.zeros((2, 2), x.dtype), jnp.eye(2, dtype=x.dtype)])

    system = ControlAffineSystem(drift, channels, 4, 2)
    barriers = (
        Barrier(lambda x: 1 - x[0], 2, (2.0, 2.0)),
        Barrier(lambda x: jnp.linalg.norm(x[:2] + jnp.array([2.0, 0.0], x.dtype)) - 1, 2),
    )
    limits = Limits.between([-limit, -limit], [limit, limit])
    return BarrierNet(system, barriers, limits, weight=weight)


NET = wall()
OWN_GAINS = np.array([2.0, 2.0, 1.0, 1.0])
SOFT = np.full(2, 1e4)
filter_rows = jax.jit(filter_control)
filter_with_gains = jax.jit(jax.vmap(lambda s, w, g, f: NET(s, w, g, f)))


def filter_batch(state, wish):
    return filter_with_gains(
        state, wish, np.broadcast_to(OWN_GAINS, (BATCH, 4)), np.zeros((BATCH, 2))
    )


def batch(rng, dtype=np.float64):
    state = rng.normal(size=(BATCH, 4)) * [0.5, 1.0, 1.0, 1.0]
    return state.astype(dtype), (3 * rng.normal(size=(BATCH, 2))).astype(dtype)


def test_certified_controls_keep_every_row_and_others_say_so():
    state, wish = batch(np.random.default_rng(0))
    control, certificate = filter_batch(state, wish)
    certified = np.asarray(certificate.certified)
    margins = np.asarray(certificate.margins)
    assert 0.5 * BATCH < certified.sum() < BATCH
    assert np.all(margins[certified] >= -1e-8)
    assert np.all(np.abs(control) <= 4)
    rejected = np.asarray(certificate.replaced)
    np.testing.assert_array_equal(rejected, ~certified)
    np.testing.assert_array_equal(np.asarray(control)[rejected], 0)
    changed = np.linalg.norm(np.asarray(control) - wish, axis=1)
    np.testing.assert_allclose(certificate.correction, changed, rtol=1e-12, atol=1e-12)
    # Negative control: the wishes themselves break rows.
    idle = changed[certified] < 1e-12
    assert 0.05 < np.mean(idle) < 0.95


def test_a_wish_that_is_allowed_is_not_touched():
    state = np.zeros((BATCH, 4))
    wish = np.random.default_rng(1).uniform(-0.5, 0.5, (BATCH, 2))
    control, certificate = filter_batch(state, wish)
    np.testing.assert_allclose(control, wish, rtol=1e-15, atol=1e-15)
    assert np.all(certificate.certified) and not np.any(certificate.active)
    np.testing.assert_allclose(certificate.correction, 0, atol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_faults_end_in_the_fallback_never_in_the_wish(bad):
    rng = np.random.default_rng(2)
    gains, fallback = np.ones((BATCH, 4)), rng.normal(size=(BATCH, 2)) * 10
    fallback[::3, 0] = np.nan
    expected = np.where(np.isnan(fallback), 0, np.clip(fallback, -4, 4))
    for broken, cause in enumerate((Cause.STATE, Cause.WISH, Cause.GAINS)):
        state, wish = batch(rng)
        parts = [state, wish, gains.copy()]
        parts[broken][:, 0] = bad
        control, certificate = filter_with_gains(*parts, fallback)
        np.testing.assert_array_equal(control, expected)
        assert np.all(np.asarray(certificate.outcome) == Outcome.NONFINITE)
        assert np.all(np.asarray(certificate.cause) == cause)
        assert np.all(certificate.replaced) and not np.any(certificate.certified)


def test_gains_that_are_not_positive_are_refused():
    state, wish = batch(np.random.default_rng(3))
    gains = np.ones((BATCH, 4))
    gains[:, 2] = -1.0
    _, certificate = filter_with_gains(state, wish, gains, np.zeros((BATCH, 2)))
    assert np.all(np.asarray(certificate.outcome) == Outcome.NONFINITE)


def test_a_place_where_the_barrier_has_no_slope_ends_in_the_fallback():
    state = np.zeros((BATCH, 4))
    state[:, 0] = -2.0
    control, certificate = filter_batch(state, np.ones((BATCH, 2)))
    np.testing.assert_array_equal(control, 0)
    assert np.all(certificate.replaced)
    assert np.all(np.asarray(certificate.cause) == Cause.ROWS)


def test_random_bits_never_leave_the_limits():
    rng = np.random.default_rng(4)
    bits = rng.integers(0, 2**32, (40, BATCH, 12), dtype=np.uint32).view(np.float32)
    # A third of the states and wishes are ordinary, so that every path is taken.
    for chunk in bits:
        state, wish = batch(rng, np.float32)
        odd = rng.random(BATCH) < 0.7
        state[odd], wish[::2] = chunk[odd, :4], chunk[::2, 4:6]
        control, _ = filter_with_gains(state, wish, np.abs(chunk[:, 6:10]), chunk[:, 10:])
        assert control.dtype == np.float32
        assert np.all(np.abs(control) <= 4)


def test_soft_rows_give_way_to_limits_and_say_by_how_much():
    net = wall(limit=1.0)
    rows = jax.jit(lambda x: join_barriers(net.system, net.barriers, x))(np.array([0.9, 0, 3, 0]))
    control, certificate = filter_rows(np.zeros(2), *rows, net.limits, SOFT, np.eye(2))
    assert control[0] == -1 and certificate.outcome == Outcome.SOLVED
    assert not certificate.certified
    np.testing.assert_allclose(certificate.slack, -certificate.margins.min(), rtol=1e-12)
    assert certificate.sentence().startswith("not certified")


def test_hard_rows_that_ask_for_too_much_end_in_the_fallback():
    state = np.broadcast_to([0.9, 0.0, 6.0, 0.0], (BATCH, 4))
    control, certificates = filter_batch(state, np.zeros((BATCH, 2)))
    certificate = jax.tree.map(lambda part: part[0], certificates)
    assert certificate.outcome == Outcome.INFEASIBLE and certificate.replaced
    assert "infeasible" in certificate.sentence()
    np.testing.assert_array_equal(control, 0)


def test_cost_says_what_nearest_means():
    """One row u1 + u2 >= 2 from the origin: the correction goes where it is cheap."""
    A, b = np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([2.0, -1.0])
    limits, hard = Limits.between([-9, -9], [9, 9]), np.full(2, np.inf)
    control, certificate = filter_rows(np.zeros(2), A, b, limits, hard, np.eye(2))
    np.testing.assert_allclose(control, [1, 1], rtol=1e-14)
    assert certificate.sentence().startswith("certified")
    cost = np.diag([1.0, 3.0])
    control, _ = filter_rows(np.zeros(2), A, b, limits, hard, cost)
    np.testing.assert_allclose(control, [1.5, 0.5], rtol=1e-14)


def test_no_barriers_in_float32_keep_float64_limits():
    net = BarrierNet(NET.system, (), Limits.between([0.1, -1.0], [0.7, 1.0]))
    run = jax.jit(net)
    for wish in (-5.0, 5.0):
        control, certificate = run(np.zeros(4, np.float32), np.full(2, wish, np.float32))
        assert control.dtype == certificate.correction.dtype == np.float32
        assert 0.1 <= float(control[0]) <= 0.7
        assert float(control[1]) == np.sign(wish)
        assert net.gain_count == 0 and certificate.certified


def test_gains_are_learnt_through_the_layer():
    """Gradient descent finds the gains that another layer used, from its controls alone."""
    rng = np.random.default_rng(5)
    states = jnp.asarray(rng.uniform([-0.2, -1, 0.5, -1], [0.4, 1, 1.5, 1], (64, 4)))
    wishes = jnp.full((64, 2), 3.0)
    true = jnp.array([1.5, 2.5, 1.0, 1.0])
    net = wall(weight=1e4, limit=20.0)
    run = jax.vmap(net, in_axes=(0, 0, None))

    def loss(raw):
        return jnp.mean((run(states, wishes, positive(raw))[0] - run(states, wishes, true)[0]) ** 2)

    step = jax.jit(jax.value_and_grad(loss))
    raw = jnp.zeros(4)
    first = step(raw)[0]
    for _ in range(60):
        value, slope = step(raw)
        raw = raw - 0.5 * slope
    assert np.all(np.isfinite(slope))
    assert value < 1e-2 * first
    small = 1e-5 * np.eye(4)
    differences = [(step(raw + d)[0] - step(raw - d)[0]) / 2e-5 for d in small]
    np.testing.assert_allclose(step(raw)[1], differences, rtol=1e-5, atol=1e-9)


def test_derivatives_of_rejected_controls_are_zero():
    state, wish = batch(np.random.default_rng(6))
    state[:, 1] = np.nan
    slope = jax.jit(jax.vmap(jax.grad(lambda w, s, g: NET(s, w, g)[0].sum(), argnums=(0, 2))))
    for part in slope(wish, state, np.ones((BATCH, 4))):
        np.testing.assert_array_equal(part, 0)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ModelError, match="limits"):
        BarrierNet(NET.system, (), Limits.between(0, 1))
    with pytest.raises(ModelError, match="weight"):
        BarrierNet(NET.system, NET.barriers, NET.limits, weight=np.ones(3))
    with pytest.raises(ModelError, match="cost"):
        BarrierNet(NET.system, NET.barriers, NET.limits, cost=np.eye(3))
    with pytest.raises(ModelError, match="state"):
        NET(jnp.zeros(3), jnp.zeros(2))
    with pytest.raises(ModelError, match="gains"):
        NET(jnp.zeros(4), jnp.zeros(2), jnp.ones(3))
    with pytest.raises(ModelError, match="A"):
        filter_control(jnp.zeros(3), jnp.zeros((1, 2)), jnp.zeros(1), NET.limits)


def test_certificates_speak_one_at_a_time():
    state, wish = batch(np.random.default_rng(7))
    _, certificates = filter_batch(state, wish)
    with pytest.raises(ValueError, match="batch"):
        certificates.sentence()
    one = jax.tree.map(lambda part: part[0], certificates)
    assert isinstance(one, Certificate) and one.sentence()


def certificate(**parts):
    """One that is certified, but for some parts."""
    whole = {
        "outcome": np.int32(Outcome.SOLVED),
        "replaced": np.bool_(False),
        "margins": np.array([0.5, 0.0]),
        "holds": np.bool_(True),
        "correction": np.float64(0.25),
        "active": np.array([False, True]),
        "slack": np.float64(0.0),
        "residual": np.float64(1e-12),
        "cause": np.int32(Cause.NONE),
    }
    return Certificate(**{**whole, **parts})


def test_every_outcome_and_every_cause_has_its_sentence():
    said = {certificate().sentence()}
    assert said == {"certified: changed by 0.25; 1 of 2 rows active; 0 to spare"}
    for outcome in Outcome:
        for cause in Cause if outcome == Outcome.NONFINITE else (Cause.NONE,):
            one = certificate(
                outcome=np.int32(outcome), cause=np.int32(cause), replaced=np.bool_(True)
            )
            assert not one.certified and outcome.name.lower() in one.sentence()
            assert one.sentence().startswith("fallback")
            said.add(one.sentence())
    assert len(said) == 1 + len(Outcome) - 1 + len(Cause)
    short = certificate(holds=np.bool_(False), margins=np.array([-0.125, 1.0]))
    assert short.sentence().startswith("not certified: a row is short by 0.125")


def test_a_summary_counts_all_of_a_batch():
    state, wish = batch(np.random.default_rng(8))
    state[:10, 2], wish[10:25, 0] = np.nan, np.inf
    _, certificates = filter_batch(state, wish)
    summary = jax.jit(lambda certificates: certificates.summary())(certificates)
    outcomes, causes = np.asarray(certificates.outcome), np.asarray(certificates.cause)
    np.testing.assert_array_equal(summary.outcomes, [np.sum(outcomes == o) for o in Outcome])
    np.testing.assert_array_equal(summary.causes, [np.sum(causes == c) for c in Cause])
    assert int(summary.causes[Cause.STATE]) == 10 and int(summary.causes[Cause.WISH]) == 15
    assert int(summary.count) == BATCH == int(np.sum(summary.outcomes))
    assert int(summary.certified) == np.sum(certificates.certified)
    assert int(summary.replaced) == np.sum(certificates.replaced)
    sound = jax.tree.map(lambda part: part[25:], certificates).summary()
    assert sound.worst_margin == np.min(certificates.margins[25:])
    assert sound.largest_correction == np.max(certificates.correction[25:])
    assert sound.largest_residual == np.max(certificates.residual[25:])
    said = summary.sentence()
    assert f"of {BATCH} certified" in said and "25 nonfinite" in said
    nothing = jax.tree.map(lambda part: part[:0], certificates).summary()
    assert int(nothing.count) == 0 and "none asked" in nothing.sentence()
