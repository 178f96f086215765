"""What a campaign flies, how, and what comes of each mission."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from sim.flight import EngineName
from sim.judge import Verdict
from sim.physics import PLAIN, Physics
from sim.sensors import CALM, Disturbance
from sim.world import World, world_hash

MissionName: TypeAlias = tuple[str, int]
"""Family and seed; for a world of one's own: any name, and the seed of the disturbance."""

DIED = "the worker process died"
OVERDUE = "the mission took longer than its deadline"


@dataclass(frozen=True)
class Terms:
    """How the missions of a campaign are flown.

    Attributes:
        engine: which physics.
        disturbance: how reality differs from the ideal; drawn from each mission's seed.
        speed: set speed [m/s]; from the seed if None.
        density: multiplies the number of obstacles; the family's own if None.
        world: flown in every mission instead of the family's.
        physics: what there is besides rigid-body motion.
    """

    engine: EngineName = "pybullet"
    disturbance: Disturbance = CALM
    speed: float | None = None
    density: float | None = None
    world: World | None = None
    physics: Physics = PLAIN

    def to_dict(self) -> dict[str, Any]:
        """As plain data; a world by its hash, and what is not there as None."""
        world = None if self.world is None else world_hash(self.world)
        physics = None if self.physics == PLAIN else asdict(self.physics)
        changed = {"disturbance": asdict(self.disturbance), "world": world, "physics": physics}
        return {**vars(self), **changed}


@dataclass(frozen=True)
class Result:
    """How one mission went.

    Attributes:
        family: of the world.
        seed: of the world.
        verdict: None if the mission could not be flown.
        reason: why not; empty if it was.
        speed: set speed [m/s]; nan if unknown.
        straight_m: from the start over every via to the target [m]; nan if unknown.
        wall_s: wall time that it took, its share of compiling included [s].
    """

    family: str
    seed: int
    verdict: Verdict | None
    reason: str = ""
    speed: float = math.nan
    straight_m: float = math.nan
    wall_s: float = 0.0


Progress: TypeAlias = Callable[[Result, int, int], object]
"""Is told each result as it comes in, how many there are by now, and how many there will be."""


def shard(missions: Sequence[MissionName], index: int, count: int) -> list[MissionName]:
    """Part `index` (from 1) of `count` parts of a campaign, as even as can be in every family.

    Raises:
        ValueError: there is no such part.
    """
    if count < 1 or not 1 <= index <= count:
        raise ValueError(f"shard: expected 1/{max(count, 1)} or a later part, got {index}/{count}")
    return list(missions[index - 1 :: count])
