"""The adapter, in the real gym-pybullet-drones (skipped without it): both ways, same numbers."""

from __future__ import annotations

from dataclasses import replace

import flying
import numpy as np
import pytest

from lnn_nav.store import load_pilot
from sim import CALM, Disturbance, at_rest, fly, generate, verdict
from sim.adapters import gym_pybullet_drones as adapter
from sim.airframe import CF2X
from sim.bullet import BulletEngine
from sim.engine import Engine, EngineError, EngineInputError
from sim.physics import Physics
from sim.rotors import Rotors
from sim.sensors import Sight
from sim.shapes import Sphere


def theirs(module="envs.CtrlAviary"):
    try:
        return adapter.load(module)
    except ImportError as error:
        pytest.skip(str(error))


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(adapter, "PACKAGE", "no_such_drones")
    with pytest.raises(ImportError, match="pip install transforms3d, then"):
        adapter.load()


def closed_loop(engine, seconds, start=None):
    """Positions [m] and contacts under a controller that answers at every tick."""
    from sim import mission_of

    pilot = flying.Plain()
    memory = pilot.reset(mission_of(engine.world, np.float64))
    state, rows, touched = engine.reset(start), [], []
    blank = np.zeros(pilot.rays.count)
    for tick in range(int(240 * seconds)):
        if tick % 10 == 0:
            memory, wish = pilot.think(memory, Sight(state, blank, blank > -1), 1 / 24)
        memory, forces, _ = pilot.act(memory, wish, state)
        state, contact = engine.step(forces)
        rows.append(state.position)
        touched.append(contact)
    return np.array(rows), np.array(touched)


@pytest.mark.parametrize("scale", [1.0, 1.2])
@pytest.mark.parametrize("wind", [(0.0, 0.0, 0.0), (0.8, -0.5, 0.0)])
def test_a_flight_in_it_is_the_flight_in_ours(scale, wind):
    theirs()
    world = flying.open_world()
    start = at_rest(np.array([0.1, -0.2, 1.4]), 0.4)
    flown = []
    for kind in (BulletEngine, adapter.AviaryEngine):
        with kind(CF2X, world, mass_scale=scale, wind=wind) as engine:
            assert isinstance(engine, Engine)
            flown.append(closed_loop(engine, 10, start))
    assert np.abs(flown[0][0] - flown[1][0]).max() <= 1e-9
    assert np.ptp(flown[1][0][:, 0]) > 1
    np.testing.assert_array_equal(flown[0][1], flown[1][1])


@pytest.mark.parametrize("disturbance", [CALM, Disturbance(wind=0.5, mass_error=0.05, delay=0.01)])
def test_the_shipped_pilot_flies_in_it_as_in_ours(disturbance):
    """Policy, memory and safety filter, by `fly` itself."""
    theirs()
    world, pilot = generate("mixed", 1_000_003), load_pilot("default")
    ours, other = (
        fly(world, pilot, engine, disturbance=disturbance, family="mixed", seed=1_000_003)
        for engine in (BulletEngine, adapter.AviaryEngine)
    )
    assert (ours.engine, other.engine) == ("BulletEngine", "AviaryEngine")
    assert ours.outcome == other.outcome == "reached" and len(ours.times) == len(other.times)
    assert np.abs(ours.position - other.position).max() <= 1e-9
    assert verdict(other).passed and verdict(other).interventions > 0
    # The negative control: in a little more wind it is another flight.
    windy = replace(disturbance, wind=disturbance.wind + 0.1)
    blown = fly(world, pilot, disturbance=windy, family="mixed", seed=1_000_003)
    ticks = min(len(blown.times), len(other.times))
    assert np.abs(blown.position[:ticks] - other.position[:ticks]).max() > 1e-3


def test_its_world_is_ours_and_is_touched_where_ours_is():
    theirs()
    world = flying.open_world(target=(1.0, 1.5, 1.5))  # inside the post
    flown = []
    for kind in (BulletEngine, adapter.AviaryEngine):
        with kind(CF2X, world) as engine:
            flown.append(closed_loop(engine, 2)[1])
    first = [int(np.argmax(touched)) for touched in flown]
    # Its own cylinder reaches 1.3 mm further than the sphere.
    assert all(touched.any() for touched in flown) and 0 <= first[0] - first[1] <= 2


def test_what_moves_in_our_world_moves_in_its():
    """A ball comes at a hovering drone; a reset puts it back. Stopped, it would not be met."""
    theirs()
    firsts = []
    for velocity in ((-1.0, 0.0, 0.0), (0.0, 0.0, 0.0)):
        world = flying.open_world(obstacles=(Sphere((1.0, 0.0, 1.5), 0.3, velocity),))
        for kind in (BulletEngine, adapter.AviaryEngine):
            with kind(CF2X, world) as engine:
                for _ in range(2):
                    engine.reset()
                    touched = [engine.step([CF2X.hover_force] * 4)[1] for _ in range(200)]
                    firsts.append(int(np.argmax(touched)) if any(touched) else 200)
    ours, again, its, its_again = firsts[:4]
    assert ours == again == 153 and its == its_again and 0 <= ours - its <= 2
    assert firsts[4:] == [200] * 4


def test_limits_are_counted_at_its_door_too():
    theirs()
    with adapter.AviaryEngine(CF2X, flying.open_world()) as engine:
        engine.step([np.nan, 99.0, -1.0, 0.05])
        assert (engine.door.limit_violations, engine.door.nonfinite) == (1, 1)
        with pytest.raises(EngineInputError, match="forces: expected 4 numbers"):
            engine.step([0.1, 0.1])
        engine.reset()
        assert engine.door.limit_violations == 0
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.step([0.06] * 4)


def test_what_it_does_not_have_is_refused():
    theirs()
    world = flying.open_world()
    with pytest.raises(EngineInputError, match="physics: expected none, one or all"):
        adapter.AviaryEngine(CF2X, world, physics=Physics(drag=True, ground_effect=True))
    with pytest.raises(EngineInputError, match="drone: expected one of cf2x, cf2p, racer, got 'x'"):
        adapter.twin_aviary("x")


def steps(aviary, seconds=2.0):
    rng, rows = np.random.default_rng(0), []
    count = int(seconds * aviary.CTRL_FREQ)
    for _ in range(count):
        spread = rng.uniform(0.95, 1.05, (aviary.NUM_DRONES, 4))
        rows.append(aviary.step(aviary.HOVER_RPM * spread)[0][:, :16])
    return np.array(rows)


@pytest.mark.parametrize("drone", ["cf2x", "cf2p", "racer"])
@pytest.mark.parametrize("effect", ["", "drag"])
def test_our_drone_in_its_loop_is_its_own_drone(drone, effect):
    module, enums = theirs(), theirs("utils.enums")
    start = np.array([[0.0, 0.0, 20.0], [1.0, 1.0, 22.0]])
    physics = Physics(drag=effect == "drag")
    given = {"num_drones": 2, "initial_xyzs": start, "ctrl_freq": 48}
    ours = adapter.twin_aviary(drone, physics=physics, **given)
    exact = adapter._quietly(
        module.CtrlAviary,
        drone_model=enums.DroneModel(drone),
        physics=enums.Physics["PYB_DRAG" if effect else "PYB"],
        user_debug_gui=False,
        **given,
    )
    got, expected = steps(ours), steps(exact)
    assert np.abs(got - expected)[..., :3].max() <= 1e-7
    # Started again it flies again.
    adapter._quietly(ours.reset)
    np.testing.assert_array_equal(steps(ours, 0.5), got[:24])
    # Negative control: with rotors that take their time it is another drone.
    slow = adapter.twin_aviary(
        drone, physics=Physics(drag=effect == "drag", rotors=Rotors(time_constant=0.05)), **given
    )
    assert np.abs(steps(slow) - expected)[..., :3].max() > 1e-3
    for aviary in (ours, exact, slow):
        aviary.close()


def test_its_controller_flies_our_drone():
    pid = theirs("control.DSLPIDControl")
    model = theirs("utils.enums").DroneModel.CF2X
    aviary = adapter.twin_aviary(initial_xyzs=np.array([[0.0, 0.0, 1.0]]))
    control = pid.DSLPIDControl(drone_model=model)
    target, observed = np.array([0.3, -0.2, 1.3]), adapter._quietly(aviary.reset)[0]
    for _ in range(240 * 5):
        speeds, _, _ = control.computeControlFromState(1 / 240, observed[0], target)
        observed = aviary.step(speeds[None])[0]
    assert np.abs(observed[0, :3] - target).max() < 0.02
    aviary.close()
