"""Environments for tests: a small world of one's own, and how an episode is written down."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import flying
import gymnasium
import numpy as np

import sim.env
from sim.sensors import Disturbance, RayPattern

FEW_RAYS = RayPattern(((0.0, 8),))
LATE = Disturbance(delay=0.1)
FOREST = "lnn_nav/Forest-v0"
ACTIONS = ("forces", "rates", "velocity", "acceleration")


def make(**options: Any) -> sim.env.DroneEnv:
    """The raw environment of a hall with one post, seen by few rays."""
    options = {"world": flying.open_world(), "rays": FEW_RAYS, **options}
    env = gymnasium.make(FOREST, **options).unwrapped
    assert isinstance(env, sim.env.DroneEnv)
    return env


def episode(env: Any, seed: int, steps: int = 60) -> str:
    """Hash of all that random actions bring about."""
    env.action_space.seed(seed)
    seen, info = env.reset(seed=seed)
    told = hashlib.sha256()
    for _ in range(steps):
        for part in [*seen.values(), info["position"]]:
            told.update(part.tobytes())
        seen, reward, over, late, info = env.step(env.action_space.sample())
        told.update(np.float64(reward).tobytes() + bytes([over, late]))
        if over or late:
            break
    return told.hexdigest()


def main() -> None:
    """Print the hash of an episode that gymnasium makes without `sim.env` being imported by us."""
    import jax

    jax.config.update("jax_enable_x64", True)
    env = gymnasium.make(f"sim.env:{FOREST}", rays=FEW_RAYS)
    print("episode", episode(env, int(sys.argv[1])))


if __name__ == "__main__":
    main()
