#!/usr/bin/env python3
"""Let stable-baselines3 learn to fly: `scripts/train_ppo.py --steps 50000`. See `--help`.

Its PPO as it is, on an environment as it is: what the two agree on is Gymnasium. Needs the extra
[ppo].
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro


@dataclass(frozen=True)
class Lesson:
    """Train PPO, and tell how the reward of an episode changes."""

    family: str = "forest"
    """Of the worlds."""
    steps: int = 50_000
    """Control steps to learn from."""
    environments: int = 4
    """How many are flown in turn."""
    worlds: int = 64
    """How many worlds there are to learn from; few are met often, and built again less."""
    density: float = 1.0
    """Multiplies the number of obstacles."""
    engine: str = "pybullet"
    """Or twin."""
    control_hz: int = 24
    """Decisions a second [Hz]."""
    seed: int = 0
    """Of the training."""
    out: Path | None = None
    """Write the agent there (.zip)."""
    film: Path | None = None
    """Write a film of its last flight there (.gif or .mp4)."""


def main(lesson: Lesson) -> int:
    """Train and report; 2 without stable-baselines3."""
    from sim.env import MissingExtra, env_id
    from sim.env.extras import optional

    try:
        ppo = optional("stable_baselines3", "ppo").PPO
        tools = optional("stable_baselines3.common.env_util", "ppo")
    except MissingExtra as error:
        print(error)
        return 2
    options = {
        "seeds": (0, lesson.worlds),
        "density": lesson.density,
        "engine": lesson.engine,
        "control_hz": lesson.control_hz,
    }
    name = env_id(lesson.family)
    envs = tools.make_vec_env(name, lesson.environments, lesson.seed, env_kwargs=options)
    agent = ppo("MultiInputPolicy", envs, n_steps=512, batch_size=256, seed=lesson.seed)
    returns: list[float] = []
    agent.learn(lesson.steps, callback=lambda seen, _: note(seen["infos"], returns))
    envs.close()
    tell(returns)
    if lesson.out is not None:
        agent.save(lesson.out)
    if lesson.film is not None:
        film(agent, name, options, lesson.film)
    return 0


def tell(returns: Sequence[float]) -> None:
    """How the reward of an episode changed over the training."""
    fifth = len(returns) // 5
    if fifth == 0:
        print(f"{len(returns)} episodes: too few to compare")
        return
    first, last = (sum(some) / fifth for some in (returns[:fifth], returns[-fifth:]))
    print(
        f"{len(returns)} episodes: mean reward {first:.2f} in the first fifth of them, "
        f"{last:.2f} in the last"
    )


def film(agent: Any, name: str, options: dict[str, Any], path: Path) -> None:  # noqa: ANN401
    """Fly once more, for the camera."""
    import gymnasium

    from sim.env import record

    env = gymnasium.make(name, render_mode="rgb_array", **options)
    info = record(env, lambda seen: agent.predict(seen, deterministic=True)[0], path)
    env.close()
    print(f"film: {info['outcome']} after {info['time']:.1f} s")


def note(infos: Sequence[dict], returns: list[float]) -> bool:
    """Keep the reward of each episode that ended; go on learning."""
    returns.extend(info["episode"]["r"] for info in infos if "episode" in info)
    return True


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Lesson)))
