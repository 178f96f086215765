"""Bad actions never reach a rotor, and commands become forces by the laws of their controllers."""

from __future__ import annotations

from typing import Any

import env_rig
import flying
import jax
import numpy as np
import pytest

from sim import CF2X, State, quaternion_from_yaw, quaternion_multiply, rotate
from sim.env import ActionError, ActionTypeError, EnvError, actions, controllers
from sim.env.actions import Actions, in_floats
from sim.env.config import config_of
from sim.state import normalise

NAN, INF = float("nan"), float("inf")


def admitted(action: Any, **options: Any) -> tuple[np.ndarray, str]:
    command, fault = Actions(config_of(**options)).admit(action)
    return command, actions.FAULTS[int(fault)]


@pytest.mark.parametrize("kind", env_rig.ACTIONS)
@pytest.mark.parametrize("normalised", [True, False])
def test_an_action_spans_the_physical_limits(kind, normalised):
    known = Actions(config_of(action=kind, normalised=normalised))
    for end, limit in ((known.space.low, known.low), (known.space.high, known.high)):
        command, fault = known.admit(end)
        np.testing.assert_array_equal(command, limit)
        assert fault == 0
        if normalised:
            assert (np.abs(end) == 1).all()
        else:
            np.testing.assert_array_equal(end, limit.astype(np.float32))
    assert (known.low <= known.still).all() and (known.still <= known.high).all()


def test_rotor_forces_end_where_the_airframe_does():
    known = Actions(config_of(action="forces", normalised=False))
    assert known.space.high.tolist() == [CF2X.max_force] * 4
    assert known.space.low.tolist() == [0.0] * 4


@pytest.mark.parametrize("kind", env_rig.ACTIONS)
@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (NAN, "not_finite"),
        (INF, "not_finite"),
        (-INF, "not_finite"),
        (1e9, "out_of_range"),
        (-1e9, "out_of_range"),
        (3e38, "out_of_range"),
    ],
)
def test_a_bad_entry_becomes_a_command_inside_the_limits(kind, normalised, entry, fault):
    known = Actions(config_of(action=kind, normalised=normalised))
    for place in range(4):
        action = known.space.sample().astype(np.float32)
        action[place] = entry
        command, code = known.admit(action)
        assert actions.FAULTS[int(code)] == fault
        assert (command >= known.low).all() and (command <= known.high).all()
        if fault == "not_finite":
            np.testing.assert_array_equal(command, known.still)
        else:
            assert command[place] == (known.high if entry > 0 else known.low)[place]


def test_any_float32_bits_are_admitted_inside_the_limits():
    bits = np.random.default_rng(0).integers(0, 1 << 32, (20_000, 4), np.uint32)
    for kind in env_rig.ACTIONS:
        for normalised in (True, False):
            known = Actions(config_of(action=kind, normalised=normalised))
            with np.errstate(all="ignore"):
                given = bits.view(np.float32)
                command, fault = known.admit(given, given.shape)
            assert (command >= known.low).all() and (command <= known.high).all()
            wrong = ~np.isfinite(given).all(axis=1)
            np.testing.assert_array_equal(fault == 2, wrong)


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (np.zeros(3), ActionError),
        (np.zeros((1, 4)), ActionError),
        (np.zeros((2, 4)), ActionError),
        (0.5, ActionError),
        ([], ActionError),
        ([[0.0], [0.0, 1.0]], ActionError),
        (np.zeros(4, complex), ActionTypeError),
        (np.array([0.0, 0.0, 0.0, None]), ActionTypeError),
        (np.array(["0"] * 4), ActionTypeError),
        (np.zeros(4, bool), ActionTypeError),
        (None, ActionTypeError),
    ],
)
def test_a_wrong_shape_or_type_is_an_error_that_names_the_action(action, error):
    with pytest.raises(error, match="^action: expected"):
        admitted(action)
    assert issubclass(error, ValueError) and (error is ActionError or issubclass(error, TypeError))


@pytest.mark.parametrize("kind", env_rig.ACTIONS)
def test_an_environment_flies_on_through_bad_actions(kind):
    env = env_rig.make(action=kind, seeds=(0, 1), world=flying.open_world(time_limit=0.5))
    env.reset(seed=0)
    seen_forces = []
    door = env._place.engine.door
    admit = door.admit
    door.admit = lambda forces, ticks=1: seen_forces.append(list(forces)) or admit(forces)
    bad = [np.full(4, NAN), np.full(4, INF), np.array([1e9, 0, 0, -1e9]), np.zeros(4)]
    for action, fault, count in zip(
        bad, ("not_finite", "not_finite", "out_of_range", ""), (1, 2, 3, 3), strict=True
    ):
        seen, reward, over, _, info = env.step(action)
        assert (info["fault"], info["limit_violations"]) == (fault, count)
        assert env.observation_space.contains(seen) and np.isfinite(reward) and not over
    assert np.isfinite(seen_forces).all() and len(seen_forces) == 20
    assert door.limit_violations == 0
    with pytest.raises(ActionError):
        env.step(np.zeros(5))
    assert env.step(np.zeros(4))[4]["limit_violations"] == 3


def test_without_admission_the_engine_counts_what_the_environment_lets_through(monkeypatch):
    """The negative control: the door behind the environment's own would have seen it."""
    env = env_rig.make(action="forces", normalised=False)
    env.reset(seed=0)
    monkeypatch.setattr(env._actions, "admit", lambda action: (np.asarray(action), 0))
    env.step(np.full(4, 1e9))
    assert env._place.engine.door.limit_violations == env.config.ticks


def states(count: int, seed: int = 0) -> list[State]:
    draws = np.random.default_rng(seed)
    return [
        State(
            draws.normal(size=3),
            draws.normal(scale=3, size=3),
            normalise(draws.normal(size=4)),
            draws.normal(scale=5, size=3),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("kind", env_rig.ACTIONS)
def test_floats_numpy_and_jax_agree_and_every_force_is_in_range(kind):
    known = Actions(config_of(action=kind))
    compiled = jax.jit(jax.vmap(known.controller))
    bodies, draws = states(300), np.random.default_rng(1)
    commands = draws.uniform(known.low, known.high, (300, 4))
    pairs = list(zip(bodies, commands, strict=True))
    one_by_one = np.array([known.controller(body, command) for body, command in pairs])
    plain = [known.controller(in_floats(body), command.tolist()) for body, command in pairs]
    np.testing.assert_allclose(plain, one_by_one, rtol=0, atol=1e-15)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *bodies)
    np.testing.assert_allclose(compiled(stacked, commands), one_by_one, rtol=0, atol=1e-12)
    assert (one_by_one >= 0).all() and (one_by_one <= CF2X.max_force).all()


@pytest.mark.parametrize("kind", ["velocity", "acceleration"])
def test_commands_are_in_the_heading_frame(kind):
    """Turned about the vertical, a drone does the same to the same command."""
    known, draws = Actions(config_of(action=kind)), np.random.default_rng(2)
    for body in states(50):
        command = draws.uniform(known.low, known.high)
        turn = quaternion_from_yaw(float(draws.uniform(-3, 3)))
        turned = State(
            body.position,
            rotate(turn, body.velocity),
            quaternion_multiply(turn, body.quaternion),
            body.angular_velocity,
        )
        np.testing.assert_allclose(
            known.controller(turned, command), known.controller(body, command), atol=1e-12
        )


def test_torque_goes_before_thrust():
    level = State(np.zeros(3), np.zeros(3), np.array([0.0, 0, 0, 1]), np.zeros(3))
    for thrust in (0.0, 0.3, 4 * CF2X.max_force):
        command = np.array([thrust, 1.0, -0.5, 0.2])
        wrench = CF2X.mixer @ controllers.forces_of_rates(CF2X, level, command)
        wished = np.array(CF2X.inertia) * controllers.RATE_GAIN * command[1:]
        np.testing.assert_allclose(wrench[1:], wished, atol=1e-12)
        if thrust == 0.3:
            assert wrench[0] == pytest.approx(thrust)


@pytest.mark.parametrize(
    ("kind", "command", "reached"),
    [
        ("velocity", [0.25, 0.0, 0.0, 0.0], lambda body: body.velocity - [1.0, 0, 0]),
        ("velocity", [0.0, -0.25, 0.05, 0.0], lambda body: body.velocity - [0, -1.0, 0.2]),
        ("rates", [1 / 2.25 * 2 - 1, 0.0, 0.0, 0.5], lambda body: body.angular_velocity[2] - 1.5),
    ],
)
def test_what_is_commanded_is_reached(kind, command, reached):
    hall = flying.open_world(target=(5.9, 3.9, 2.9), obstacles=(), time_limit=60.0)
    env = env_rig.make(action=kind, world=hall)
    env.reset(seed=0)
    assert abs(reached(env.state)).max() > 0.9
    for _ in range(96):
        env.step(np.array(command, np.float32))
    assert abs(reached(env.state)).max() < 0.05


def test_an_acceleration_is_what_the_velocity_gains():
    env = env_rig.make(action="acceleration", world=flying.open_world(obstacles=()))
    env.reset(seed=0)
    told = np.array([1 / 3, 0.0, 0.0, 0.0], np.float32)
    for _ in range(24):
        env.step(told)
    before = env.state.velocity
    for _ in range(24):
        env.step(told)
    np.testing.assert_allclose((env.state.velocity - before) / 0.5, [2, 0, 0], atol=0.1)


def test_before_the_first_reset_there_is_nothing_to_step():
    with pytest.raises(EnvError, match="reset"):
        env_rig.make().step(np.zeros(4))
