"""Bad input: every row of the table that peers were measured on, and what it meets here.

One of three things, always: an error of ours that names the field; a finite flight inside the
limits with a flag; exact behaviour up to a bound. `TABLE` says for each row which, and where it is
tested: here, or where it always was.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import env_rig
import flying
import numpy as np
import pytest

from sim import (
    CF2X,
    AirframeError,
    Disturbance,
    TwinEngine,
    World,
    at_rest,
    fly,
    twin,
    verdict,
)
from sim.battery import PhysicsError
from sim.bullet import BulletEngine
from sim.engine import Door, EngineInputError, EngineTypeError
from sim.env import ActionError, EnvError, TwinVectorEnv
from sim.env.errors import ActionTypeError
from sim.fields import WorldError

NAN, INF = math.nan, math.inf
HALL = flying.open_world(time_limit=0.25)
ENGINES = {"pybullet": BulletEngine, "twin": TwinEngine}
NAMES = sorted(ENGINES)

TABLE = {
    "action nan, inf, 1e9": (
        "inside the limits, flagged",
        "test_sim_bad_input.py::test_a_bad_action_is_flown_inside_the_limits",
        "test_env_actions.py::test_any_float32_bits_are_admitted_inside_the_limits",
        "test_sim_bullet.py::test_limits_are_counted_at_the_door",
    ),
    "action of a wrong shape or dtype": (
        "error naming it; nothing has moved",
        "test_sim_bad_input.py::test_what_is_no_action_is_refused",
    ),
    "state nan or of a wrong dtype": (
        "error naming the field",
        "test_sim_bad_starts.py::test_a_bad_start_is_refused_by_the_name_of_its_field",
    ),
    "start in an obstacle or the ground": (
        "error for a world; contact at once, finite, in an engine",
        "test_sim_world.py::test_a_bad_value_is_refused_by_the_name_of_its_field",
        "test_sim_bad_starts.py::test_a_world_that_starts_in_something_solid_is_refused",
        "test_sim_bad_starts.py::test_a_start_in_something_solid_is_a_contact_at_once",
    ),
    "dt 0, negative, nan": (
        "error naming the field",
        "test_sim_bad_input.py::test_no_time_passes_backwards_or_not_at_all",
        "test_sim_flight.py::test_what_cannot_be_flown_is_refused",
    ),
    "unknown key, negative mass": (
        "error naming it",
        "test_sim_bad_input.py::test_what_nobody_knows_and_no_body_has_is_refused",
        "test_sim_airframe.py::test_impossible_airframes_are_refused_by_name",
    ),
    "killed physics server": (
        "error naming it; begins anew; nobody else's server is touched",
        "test_sim_lost_servers.py::test_a_server_killed_in_flight_is_named_and_leaves_nothing",
        "test_sim_lost_servers.py::test_who_lost_a_server_leaves_the_next_one_of_its_number_alone",
        "test_sim_bullet.py::test_a_killed_physics_server_is_a_typed_error",
        "test_env_gym.py::test_a_server_that_was_killed_is_told_and_replaced",
    ),
    "killed worker": (
        "a mission that failed, reported",
        "test_sim_campaign.py::test_a_mission_that_raises_or_crashes_costs_no_other_mission",
    ),
    "hostile world file": (
        "error naming the field, before anything is built",
        "test_sim_world.py::test_a_large_file_is_refused_unread",
        "test_sim_world.py::test_a_bad_text_is_refused",
        "test_sim_world.py::test_what_is_no_readable_text_file_is_refused",
    ),
    "hostile URDF, SDF or voxels": (
        "error naming the element, before anything is unpacked",
        "test_sim_imports.py::test_hostile_xml_is_refused",
        "test_sim_imports.py::test_a_file_that_is_too_large_is_refused_unread",
        "test_sim_imports_voxels.py::test_a_zip_bomb_is_refused_before_it_is_unpacked",
        "test_sim_imports_voxels.py::test_a_header_that_lies_is_refused",
    ),
}


@pytest.mark.parametrize("row", TABLE)
def test_every_row_has_its_tests(row):
    for place in TABLE[row][1:]:
        file, _, name = place.partition("::")
        assert f"\ndef {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8")


ODD = {
    "nan": ([NAN] * 4, True),
    "one nan": ([0.06, NAN, 0.06, 0.06], True),
    "inf": ([INF] * 4, True),
    "minus inf": ([0.06, 0.06, 0.06, -INF], True),
    "1e9": ([1e9] * 4, False),
    "minus 1e9": ([-1e9] * 4, False),
    "1e300": (np.full(4, 1e300), False),
}
"""What is given, and whether it is not finite."""

REFUSED = {
    "three": (np.zeros(3), False),
    "a row of four": (np.zeros((1, 4)), False),
    "two rows": (np.zeros((2, 4)), False),
    "a number": (np.array(0.06), False),
    "complex": (np.full(4, 0.06 + 0j), True),
    "objects": (np.array([0.06] * 4, object), True),
    "an object": (np.array([0.06, None, 0.06, 0.06]), True),
    "text": (np.array(["0.06"] * 4), True),
    "booleans": (np.ones(4, bool), True),
    "nothing": (np.array(None), True),
}
"""What is given, and whether its type is to blame."""


class Given(flying.Plain):
    """Hands over what it was given, whatever that is."""

    def __init__(self, forces: Any) -> None:
        super().__init__()
        self.forces = forces

    def act(self, memory: dict, wish: Any, state: Any) -> tuple[dict, Any, dict]:
        return memory, self.forces, super().act(memory, wish, state)[2]


class Stepped:
    """One thing to feed: an engine, an environment, a batch of them, a swarm, or `fly` itself.

    Attributes:
        step: takes an action; answers state, fault counted, not finite counted.
        error: the kind of its errors for a wrong shape.
        field: that they name.
    """

    def __init__(self, step: Callable, error: type, kind: type, field: str) -> None:
        self.step, self.error, self.kind, self.field = step, error, kind, field


def engine_step(engine: Any) -> Stepped:
    def step(action: Any) -> tuple[np.ndarray, bool, bool]:
        engine.reset()
        state, _ = engine.step(action)
        door = engine.door
        return state.position, door.limit_violations == 1, door.nonfinite == 1

    return Stepped(step, EngineInputError, EngineTypeError, "forces")


def env_step(env: Any) -> Stepped:
    def step(action: Any) -> tuple[np.ndarray, bool, bool]:
        env.reset(seed=0)
        seen, reward, *_, info = env.step(action)
        assert env.observation_space.contains(seen) and math.isfinite(reward)
        faults = info["limit_violations"] == 1, info["fault"] == "not_finite"
        return info["position"], *faults

    return Stepped(step, ActionError, ActionTypeError, "action")


def batch_step(batch: Any) -> Stepped:
    def step(action: Any) -> tuple[np.ndarray, bool, bool]:
        batch.reset(seed=0)
        seen, rewards, *_, info = batch.step(np.stack([action] * batch.num_envs))
        assert batch.observation_space.contains(seen) and np.isfinite(rewards).all()
        faults = info["limit_violations"] == 1, info["fault"] == "not_finite"
        return info["position"], *(bool(fault.all()) for fault in faults)

    return Stepped(step, ActionError, ActionTypeError, "action")


def swarm_step(env: Any) -> Stepped:
    def step(action: Any) -> tuple[np.ndarray, bool, bool]:
        env.reset(seed=0)
        seen, rewards, *_, infos = env.step({"drone_0": action, "drone_1": np.zeros(4)})
        told = infos["drone_0"]
        assert env.observation_space("drone_0").contains(seen["drone_0"])
        assert math.isfinite(rewards["drone_0"]) and not infos["drone_1"]["fault"]
        return told["position"], told["limit_violations"] == 1, told["fault"] == "not_finite"

    return Stepped(step, ActionError, ActionTypeError, "action")


def flown_step(engine: str) -> Stepped:
    def step(action: Any) -> tuple[np.ndarray, bool, bool]:
        flight = fly(HALL, Given(action), engine)
        judged, ticks = verdict(flight), len(flight.times)
        assert not judged.passed
        return flight.position, judged.limit_violations == ticks, judged.nonfinite == ticks

    return Stepped(step, EngineInputError, EngineTypeError, "forces")


def _swarm() -> Any:
    pytest.importorskip("pettingzoo")
    from sim.env import parallel_env

    return parallel_env(2, world=flying.open_world(), rays=env_rig.FEW_RAYS)


OPENED = {
    "pybullet": lambda: (engine_step, BulletEngine(CF2X, HALL)),
    "twin": lambda: (engine_step, TwinEngine(CF2X, HALL, pad=(96, 8, 8))),
    "env pybullet": lambda: (env_step, env_rig.make()),
    "env twin": lambda: (env_step, env_rig.make(engine="twin", action="forces")),
    "batch": lambda: (
        batch_step,
        TwinVectorEnv(2, world=flying.open_world(), rays=env_rig.FEW_RAYS, action="forces"),
    ),
    "swarm": lambda: (swarm_step, _swarm()),
}


@pytest.fixture(scope="module", params=[*OPENED, "fly pybullet", "fly twin"])
def fed(request: pytest.FixtureRequest) -> Iterator[Stepped]:
    if request.param.startswith("fly "):
        yield flown_step(request.param.removeprefix("fly "))
        return
    kind, opened = OPENED[request.param]()
    with closing(opened):
        yield kind(opened)


@pytest.mark.parametrize("name", ODD)
def test_a_bad_action_is_flown_inside_the_limits(fed, name):
    action, endless = ODD[name]
    position, counted, not_finite = fed.step(np.array(action))
    assert np.isfinite(position).all() and counted and not_finite == endless
    # No faster than full thrust, or free fall, takes it.
    start = np.array(HALL.start_position)
    most = 0.5 * (CF2X.thrust_to_weight + 1) * CF2X.gravity * HALL.time_limit**2
    assert np.abs(position - start).max() < 2 * most


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_action_is_refused(fed, name):
    action, typed = REFUSED[name]
    before, *_ = fed.step(np.full(4, 0.05))
    with pytest.raises(fed.error, match=f"^{fed.field}: expected .*got ") as caught:
        fed.step(action)
    assert isinstance(caught.value, fed.kind) == typed
    assert not typed or isinstance(caught.value, TypeError)
    # What was refused has left no trace: the next one is flown as ever.
    np.testing.assert_array_equal(fed.step(np.full(4, 0.05))[0], before)


@pytest.mark.parametrize("name", NAMES)
def test_without_its_door_an_engine_would_fly_nan(name, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(Door, "admit", lambda self, forces, ticks=1: list(forces))
    with ENGINES[name](CF2X, HALL) as engine:
        assert not np.isfinite(engine.step([NAN] * 4)[0].position).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("wind", [0.0, NAN, 0.0], EngineInputError),
        ("wind", [0.0, 0.0], EngineInputError),
        ("wind", np.zeros(3, complex), EngineTypeError),
        ("wind", np.array(["1", "0", "0"]), EngineTypeError),
        ("others", [[0.0, 0.0, INF]], EngineInputError),
        ("others", np.zeros((1, 3), complex), EngineTypeError),
        ("others", np.array([["0", "0", "1"]]), EngineTypeError),
    ],
)
def test_a_bad_wind_or_neighbour_is_refused(name, argument, value, error):
    with ENGINES[name](CF2X, HALL) as engine:
        with pytest.raises(error, match=f"^{argument}: expected"):
            engine.step([0.06] * 4, **{argument: value})


@pytest.mark.parametrize("dt", [0.0, -1.0, NAN, INF])
def test_no_time_passes_backwards_or_not_at_all(dt):
    start = twin.start(at_rest(np.zeros(3)))
    with pytest.raises(PhysicsError, match="^dt: expected a positive finite number"):
        twin.step(CF2X, start, np.full(4, 0.06), dt)
    with pytest.raises(ValueError, match="^sight_rate: expected a positive finite number"):
        fly(HALL, flying.Plain(dt), "twin")
    for build in (env_rig.make, lambda **options: TwinVectorEnv(2, **options)):
        with pytest.raises(EnvError, match="^control_hz: expected a divisor of 240"):
            build(control_hz=dt)
    with pytest.raises(WorldError, match="^time_limit: expected"):
        dataclasses.replace(HALL, time_limit=dt)


@pytest.mark.parametrize("name", NAMES)
def test_no_ticks_are_none(name):
    with ENGINES[name](CF2X, HALL) as engine:
        for ticks in (0, -1):
            with pytest.raises(EngineInputError, match="^ticks: expected a whole number of 1"):
                engine.step([0.06] * 4, ticks=ticks)


def test_what_nobody_knows_and_no_body_has_is_refused():
    for build in (env_rig.make, lambda **options: TwinVectorEnv(2, **options)):
        with pytest.raises(EnvError, match="^wnid: expected one of the options family, world"):
            build(wnid=1.0)
    with pytest.raises(WorldError, match="^weather"):
        World.from_json(HALL.to_json().replace('"speed"', '"weather": 1, "speed"', 1))
    for field, value in (("mass", -0.027), ("mass", NAN), ("collision_radius", 0.0)):
        with pytest.raises(AirframeError, match=f"^{field}: expected a positive number"):
            dataclasses.replace(CF2X, **{field: value})
    for name in NAMES:
        for scale in (0.0, -1.0, NAN, INF):
            with pytest.raises(EngineInputError, match="^mass_scale: expected a positive number"):
                ENGINES[name](CF2X, HALL, mass_scale=scale)
    with pytest.raises(ValueError, match="^wind: expected a finite number >= 0"):
        Disturbance(wind=-1.0)
    with pytest.raises(ValueError, match="^seed: expected 0 or more, got -1"):
        fly(HALL, flying.Plain(), "twin", seed=-1)
