"""The door to many drones in one world: PettingZoo is imported when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.env.multi import SwarmEnv


def parallel_env(drones: int = 4, **options: Any) -> SwarmEnv:  # noqa: ANN401 - checked one by one
    """Many drones in one world, as a PettingZoo `ParallelEnv`; see `sim.env.multi`.

    Args:
        drones: 1 to 24.
        options: the fields of `EnvConfig`.

    Raises:
        MissingExtra: PettingZoo is not there.
        EnvError: naming the argument that is not right.
    """
    from sim.env.multi import SwarmEnv

    return SwarmEnv(drones, **options)
