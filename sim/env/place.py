"""A world with an engine in it: what a reset keeps as long as the world stays the same."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from sim.conditions import Conditions, start_in
from sim.engine import Engine
from sim.env.config import EnvConfig
from sim.env.tasks import Way, way_of
from sim.flight import open_engine, pad_of
from sim.mission import Mission, mission_of
from sim.state import State
from sim.world import World


@dataclass(frozen=True)
class Place:
    """Where episodes are flown.

    Attributes:
        seed: of the world, and of what the disturbance draws.
        world: as a value.
        mission: the same as arrays.
        way: over its targets.
        engine: at work in it.
        start: where the disturbance puts the drone; None: the world's own start.
        air: velocity of the air at each tick [m/s]; None: steady, the engine knows it.
    """

    seed: int
    world: World
    mission: Mission
    way: Way
    engine: Engine
    start: State | None
    air: Float[np.ndarray, "ticks 3"] | None


def open_place(config: EnvConfig, world_seed: int, gui: bool = False) -> Place:
    """Build the world of a seed, and an engine in it.

    Args:
        config: of the environment.
        world_seed: of the world; see `EnvConfig.world_seed`.
        gui: open PyBullet's window.

    Raises:
        EngineError: no physics server can be started.
        WorldError: the engine cannot simulate the world.
    """
    world = config.world_of(world_seed)
    mission = mission_of(world, jax.dtypes.canonicalize_dtype(np.float64), pad_of(world))
    conditions = Conditions.draw(config.disturbance, world_seed)
    engine = open_engine(config.engine, config.airframe, world, conditions, gui, config.physics)
    start = start_in(config.disturbance, world_seed, world, config.airframe)
    air = conditions.air(config.disturbance, world_seed, world)
    return Place(world_seed, world, mission, way_of(mission), engine, start, air)
