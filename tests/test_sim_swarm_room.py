"""A swarm, ticks at once and contacts where they can be: the same as asking tick by tick."""

from __future__ import annotations

import flying
import numpy as np
import pytest

from sim import CF2X, Box, Cylinder, EngineError, EngineInputError, Sphere, State, at_rest
from sim.bullet.body import Body
from sim.bullet.room import SharedRoom, Solids
from sim.clearances import clearance
from sim.swarm import BulletSwarm

HALL = flying.open_world(
    obstacles=(
        Cylinder((1.0, 0.4, 1.5), 0.3, 3.0),
        Sphere((-1.0, 0.2, 0.6), 0.4),
        Box((0.2, -1.0, 1.2), (0.4, 0.3, 0.8), 0.6),
    )
)
PLACES = np.array([[0.0, 0.1, 1.5], [0.3, 0.1, 1.5], [0.0, 0.5, 1.3], [-0.3, 0.1, 1.7]])
COUNT = len(PLACES)


def thrown(seed: int) -> State:
    """From the middle, in any directions, spinning."""
    rng = np.random.default_rng(seed)
    shape = (COUNT, 3)
    begin = at_rest(PLACES)
    return begin.replace(
        velocity=1.2 * rng.normal(size=shape), angular_velocity=rng.normal(size=shape)
    )


def flown(swarm: BulletSwarm, ticks: int, seeds: range = range(6)) -> np.ndarray:
    """State and contact of each drone, a row for each command of five ticks."""
    rows = []
    for seed in seeds:
        forces = np.random.default_rng([1, seed]).uniform(0.5, 1.4, (24, COUNT, 4))
        swarm.reset(thrown(seed))
        for command, force in enumerate(CF2X.hover_force * forces):
            if command == 12 and seed % 2:
                swarm.leave(1)
            touched = np.zeros(COUNT, bool)
            for _ in range(5 // ticks):
                states, contacts = swarm.step(force, ticks=ticks)
                touched |= contacts
            rows.append(np.column_stack([*vars(states).values(), touched]))
    return np.array(rows)


@pytest.mark.parametrize("wind", [(0.0, 0.0, 0.0), (1.0, -0.5, 0.2)])
def test_ticks_at_once_and_unasked_contacts_change_no_bit(monkeypatch, wind):
    """Against one tick a call that asks each time; with more room than there is it fails."""
    with BulletSwarm(CF2X, HALL, COUNT, wind=wind) as swarm:
        careless = flown(swarm, 5)
        swarm.step(np.full((COUNT, 4), 9.0), ticks=3)
        assert swarm.doors[0].limit_violations == 3
        generous = swarm._room._radius
        swarm._room._radius = -0.3
        missed = flown(swarm, 5)
        swarm._room._radius = generous
        monkeypatch.setattr(SharedRoom, "_look", lambda room: False)
        careful = flown(swarm, 1)
    assert careless.tobytes() == careful.tobytes()
    assert 10 < careful[..., -1].sum() < careful[..., -1].size / 2
    assert not np.array_equal(missed[..., -1], careful[..., -1])


class Led(Body):
    """A body of no server: it is where it was put."""

    def read(self):
        return self.position


def test_shared_room_is_never_more_than_there_is():
    rng, bodies = np.random.default_rng(0), [Led(-1, i, CF2X.mass) for i in range(3)]
    walk = PLACES[:3] + np.cumsum(rng.normal(scale=0.01, size=(2_000, 3, 3)), axis=0)
    walk = np.mod(walk + 1, 2) - 1  # with jumps
    walk[..., 2] = np.abs(walk[..., 2])
    room, held = SharedRoom(Solids(HALL), CF2X.collision_radius, lambda clear: None), []
    room.follow(bodies)
    for places in walk.tolist():
        for body, place in zip(bodies, places, strict=True):
            body.position = tuple(place)
        held.append(room.holds())
    held = np.array(held)
    solid = clearance(HALL, CF2X.collision_radius, walk.reshape(-1, 3)).reshape(-1, 3)
    gaps = [np.linalg.norm(walk[:, i] - walk[:, i - 1], axis=-1) for i in range(3)]
    least = np.minimum(solid.min(axis=1), np.min(gaps, axis=0) / 2 - CF2X.collision_radius)
    assert (least[held] > 0).all() and held.mean() > 0.2
    # It is not merely timid.
    assert held[least > 0.04].all()
    bodies[0].position = (float("nan"), 0.0, 1.0)
    assert not room.holds()


def test_a_swarm_is_reset_first_and_its_ticks_are_whole_numbers():
    with BulletSwarm(CF2X, HALL, COUNT) as swarm:
        with pytest.raises(EngineError, match="expected a reset"):
            swarm.step(np.zeros((COUNT, 4)))
        swarm.reset(at_rest(PLACES))
        for ticks in (0, -1, True):
            with pytest.raises(EngineInputError, match="ticks: expected a whole number"):
                swarm.step(np.zeros((COUNT, 4)), ticks=ticks)
