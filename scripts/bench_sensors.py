#!/usr/bin/env python3
"""What it costs to look: our rays and pictures beside PyBullet's own, `scripts/bench_sensors.py`.

Best of interleaved rounds, on one core and one thread, everything in one run. `ours` casts the
rays of many drones, each in its own world, in one compiled call; PyBullet casts those of one drone
in one call of `rayTestBatch`, in a server that holds what our engine would put there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from one_core import keep_to_one_core

if TYPE_CHECKING:
    from sim.world import World

BATCHED = "ours, batched"
WITHIN = 10.0
"""What 64 rays among 50 obstacles may cost a drone, in a batch of 64 [us]."""


@dataclass(frozen=True)
class Bench:
    """Time looks at a world: rays of a batch of drones, and pictures."""

    rays: int = 64
    """Rays of each drone."""
    obstacles: int = 50
    """Obstacles of each world."""
    drones: int = 64
    """Drones in one call."""
    rounds: int = 60
    """Rounds; the best counts."""
    quick: bool = False
    """At most ten rounds."""
    json: Path | None = None
    """Write the rows to this file too."""


def main(config: Bench) -> int:
    """Print a table, and whether the batch costs a drone what it may."""
    keep_to_one_core()
    rows = measure(config)
    for row in rows:
        print(f"{row['name']:58} {row['us_per_drone']:9.1f} us a drone")
    if config.json:
        config.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if (config.rays, config.obstacles, config.drones) == (64, 50, 64):
        most = max(row["us_per_drone"] for row in rows if row["name"].startswith(BATCHED))
        verdict = "within" if most <= WITHIN else "beyond"
        print(f"batched, at most {most:.1f} us a drone: {verdict} {WITHIN:g} us")
    return 0


def measure(config: Bench) -> list[dict[str, Any]]:
    """Rows `name, rays, obstacles, drones, us_per_drone`."""
    from sim.bullet import connect, pybullet

    client = connect()
    try:
        calls = _calls(config, client)
        for _, call in calls.values():
            call()
        best = dict.fromkeys(calls, float("inf"))
        for _ in range(min(config.rounds, 10) if config.quick else config.rounds):
            for name, (_, call) in calls.items():
                began = time.perf_counter()
                call()
                best[name] = min(best[name], time.perf_counter() - began)
    finally:
        pybullet.disconnect(client)
    return [
        {
            "name": name,
            "rays": config.rays,
            "obstacles": config.obstacles,
            "drones": drones,
            "us_per_drone": best[name] / drones * 1e6,
        }
        for name, (drones, _) in calls.items()
    ]


def _calls(config: Bench, client: int) -> dict[str, tuple[int, Callable[[], object]]]:
    """What is timed, by name: how many drones look at a time, and the call."""
    from sim.sensors import Rays, depth_pattern
    from sim.sensors.camera import Camera, photograph
    from sim.sensors.fan import sphere_points

    fan = Rays.along(sphere_points(config.rays), 10.0)
    mixed = [crowd(config.obstacles, seed) for seed in range(config.drones)]
    poles = [crowd(config.obstacles, seed, ("cylinder",)) for seed in range(config.drones)]
    state, bullet_rays = _bullet(client, mixed[0], fan.directions, fan.max_range)
    camera, count = Camera(renderer="tiny"), config.drones
    return {
        f"{BATCHED}, all kinds": (count, _ours(fan, mixed)),
        f"{BATCHED}, cylinders only": (count, _ours(fan, poles)),
        "ours, one drone a call": (1, _ours(fan, mixed[:1])),
        "rayTestBatch, one drone a call": (1, bullet_rays),
        "ours, 64 x 48 depth, one drone a call": (1, _ours(depth_pattern(64, 48), mixed[:1])),
        "TinyRenderer, 64 x 48 depth and colour, one drone a call": (
            1,
            lambda: photograph(camera, client, state),
        ),
    }


def _ours(fan: Any, worlds: list[World]) -> Callable[[], object]:  # noqa: ANN401 - any fan
    """Look once in every world, in one call."""
    import jax
    import numpy as np

    from sim.scene import scene_of, stack_scenes
    from sim.sensors import CALM, look
    from sim.state import at_rest

    kinds = [kind.__name__ for kind in map(type, worlds[0].obstacles)]
    pad = (kinds.count("Cylinder"), kinds.count("Sphere"), kinds.count("Box"))
    scenes = stack_scenes([scene_of(world, pad) for world in worlds])
    places = np.tile(np.array([0, 0, 1.5], np.float32), (len(worlds), 1))
    states = at_rest(places).as_jax()
    cast = jax.jit(jax.vmap(lambda scene, state: look(fan, scene, state, CALM, None).ranges))
    return lambda: jax.block_until_ready(cast(scenes, states))


def _bullet(
    client: int,
    world: World,
    directions: Any,  # noqa: ANN401 - an array
    reach: float,
) -> tuple[Any, Callable[[], object]]:
    """A server that holds the world; a state to look from, and a call that casts the rays."""
    import numpy as np

    from sim.airframe import CF2X
    from sim.bullet import build, pybullet
    from sim.state import at_rest

    pybullet.removeBody(build(client, CF2X, world, visual=True), physicsClientId=client)
    state = at_rest(np.array([0.0, 0.0, 1.5]))
    starts = np.tile(state.position, (len(directions), 1)).tolist()
    ends = (np.asarray(state.position) + reach * directions).tolist()
    return state, lambda: pybullet.rayTestBatch(starts, ends, physicsClientId=client)


def crowd(count: int, seed: int, kinds: tuple[str, ...] = ("cylinder", "sphere", "box")) -> World:
    """Obstacles of some kinds in turn, all over a hall, none at its middle."""
    import numpy as np

    from sim.world import Box, Cylinder, Sphere, World

    random, obstacles = np.random.default_rng(seed), []
    for index in range(count):
        center = random.uniform([-8, -8, 0.3], [8, 8, 3.7])
        center[:2] += np.sign(center[:2]) * 1.2
        size = tuple(random.uniform(0.15, 0.8, 3).tolist())
        place = tuple(center.tolist())
        obstacles.append(
            {
                "cylinder": lambda place=place, size=size: Cylinder(place, size[0], 2 * size[1]),
                "sphere": lambda place=place, size=size: Sphere(place, size[0]),
                "box": lambda place=place, size=size: Box(place, size, 4 * size[0]),
            }[kinds[index % len(kinds)]]()
        )
    return World(
        bounds=((-10.0, -10.0, 0.0), (10.0, 10.0, 4.0)),
        obstacles=tuple(obstacles),
        start_position=(0.0, 0.0, 1.5),
        start_yaw=0.0,
        target=(0.3, 0.0, 1.5),
        target_radius=0.2,
        via=(),
        speed=1.0,
        time_limit=10.0,
    )


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Bench)))
