"""The environments' names: one for each family, for as many families as there are."""

from __future__ import annotations

import gymnasium

from sim.families import FAMILIES

NAMESPACE, VERSION = "lnn_nav", 0


def env_id(family: str) -> str:
    """The id of a family's environment: `dense_forest` is `lnn_nav/DenseForest-v0`."""
    name = "".join(part.capitalize() for part in family.split("_"))
    return f"{NAMESPACE}/{name}-v{VERSION}"


def ids() -> dict[str, str]:
    """Names of the environments by family."""
    return {name: env_id(name) for name in FAMILIES}


ENV_IDS = tuple(ids().values())


def register_all() -> None:
    """Tell gymnasium of every family that it does not know yet."""
    for family, name in ids().items():
        if name in gymnasium.registry:
            continue
        gymnasium.register(
            id=name,
            entry_point="sim.env.single:DroneEnv",
            vector_entry_point="sim.env.vector:TwinVectorEnv",
            kwargs={"family": family},
        )
