# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Worlds
#
# `sim` is where drones fly: families of worlds, sensors, disturbances, and two engines that agree.
# It takes any pilot; here the trained one flies.

# %%
import os
import tempfile
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patches
from matplotlib.collections import PatchCollection

import sim
from lnn_nav.store import load_pilot
from sim import Box, Cylinder, Disturbance, Sphere, World
from sim.difficulty import difficulty
from sim.sensors.camera import Camera, CameraRig

jax.config.update("jax_enable_x64", True)
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
plt.rcParams["figure.constrained_layout.use"] = True

# %% tags=["parameters"]
PILOT = "default"
FAMILIES = tuple(sim.FAMILIES)
FAMILY, SEED = "mixed", 1_000_003
SPEED = None
WIND = 1.0

# %% [markdown]
# ## Families
#
# A family makes a world of every seed, the same on every machine; `sim.world_hash` proves it. From
# above: what is solid, the start (a dot) and the target (a ring). An arrow is an obstacle's
# velocity. Density and speed can be set; there is always a way through.


# %%
def outline(item):
    """What an obstacle covers on the ground."""
    x, y, _ = item.center
    if isinstance(item, Box):
        half_x, half_y, _ = item.half_extents
        turn = {"angle": np.degrees(item.yaw), "rotation_point": "center"}
        return patches.Rectangle((x - half_x, y - half_y), 2 * half_x, 2 * half_y, **turn)
    if isinstance(item, Cylinder) and item.axis != "z":
        long, wide = item.height, 2 * item.radius
        size = (long, wide) if item.axis == "x" else (wide, long)
        return patches.Rectangle((x - size[0] / 2, y - size[1] / 2), *size)
    return patches.Circle((x, y), item.radius)


def draw_map(axes, world):
    """The world from above."""
    outlines = [outline(item) for item in world.obstacles]
    axes.add_collection(PatchCollection(outlines, fc="0.8", ec="0.55", lw=0.4))
    moving = [item for item in world.obstacles if any(item.velocity)]
    if moving:
        x, y, _ = np.array([item.center for item in moving]).T
        u, v, _ = np.array([item.velocity for item in moving]).T
        axes.quiver(x, y, u, v, angles="xy", scale_units="xy", scale=1, width=3e-3, color="tab:red")
    axes.plot(*world.start_position[:2], "k.", ms=4)
    for point in (*world.via, world.target):
        ring = patches.Circle(point[:2], world.target_radius, fill=False, ec="tab:green", lw=1.2)
        axes.add_patch(ring)
    (low_x, low_y, _), (high_x, high_y, _) = world.bounds
    axes.set(aspect="equal", xlim=(low_x, high_x), ylim=(low_y, high_y), xticks=[], yticks=[])


rows = -(-len(FAMILIES) // 3)
figure, panels = plt.subplots(rows, 3, figsize=(10, 2.2 * rows), squeeze=False)
for axes in panels.flat:
    axes.set_axis_off()
for axes, name in zip(panels.flat, FAMILIES, strict=False):
    axes.set_axis_on()
    draw_map(axes, sim.generate(name, SEED))
    axes.set_title(name, fontsize=9)
    print(f"{name:>14}: {sim.FAMILIES[name].summary}")

# %% [markdown]
# How hard is a world? Three measures of the flight-benchmark literature, along the guiding path:
# how narrow it is, how much of the sight is hidden, how much it turns.

# %%
world = sim.generate(FAMILY, SEED, speed=SPEED)
measured = difficulty(world)
print(f"{FAMILY} {SEED}, {len(world.obstacles)} obstacles, hash {sim.world_hash(world)[:12]}")
for name, value in vars(measured).items():
    print(f"{name:>15}: {value:.3f}")

# %% [markdown]
# ## Sensors
#
# Rays in any pattern, exact and differentiable: a ring and a lidar (both drawn from above), the
# five beams of a Crazyflie's multiranger, a depth camera's one ray a pixel. The colour picture is
# PyBullet's. Everything that spoils them (noise, bias, steps, losses, age) is in `Disturbance`.

# %%
mission = sim.mission_of(world)
look = jax.jit(sim.look, static_argnums=(0, 3))
place = np.array(world.start_position) + [1.5, 0.0, 0.0]
state = sim.at_rest(place, world.start_yaw)
fans = {
    "ring of 16": sim.RayPattern(((0.0, 16),)),
    "lidar": sim.lidar_ring(180),
    "multiranger": sim.multiranger(),
}
figure, panels = plt.subplots(1, 3, figsize=(10, 3.4))
for axes, (name, fan) in zip(panels, fans.items(), strict=True):
    sight = look(fan, mission.scene, state.as_jax(np.float32), sim.CALM, None)
    ends = place + np.asarray(sight.ranges)[:, None] * sim.rotate(state.quaternion, fan.directions)
    draw_map(axes, world)
    x, y, _ = np.stack([np.broadcast_to(place, ends.shape), ends]).T
    axes.plot(x.T, y.T, "tab:blue", lw=0.5)
    axes.set(xlim=place[0] + np.array([-6, 6]), ylim=place[1] + np.array([-6, 6]), title=name)

# The same, and a picture, of what is ahead.
pixels = sim.DepthPattern(64, 48, fov=60.0)
sight = look(pixels, mission.scene, state.as_jax(np.float32), sim.CALM, None)
with CameraRig(Camera(160, 120, renderer="tiny"), world) as rig:
    picture = rig.look(state)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
shown = left.imshow(pixels.picture(np.asarray(sight.ranges)), cmap="viridis_r")
figure.colorbar(shown, label="range [m]")
left.set(title="depth pattern", xticks=[], yticks=[])
right.imshow(picture.rgb)
right.set(title="camera", xticks=[], yticks=[])

# %% [markdown]
# ## Disturbances
#
# The same mission in calm air and in wind with gusts, a body that is 5 % off, noisy rays and late
# sights. All of it is drawn from the mission's seed: the same seed is the same flight, bit by bit.

# %%
pilot = load_pilot(PILOT)
rough = Disturbance(wind=WIND, gust=2.0, mass_error=0.05, range_noise=0.02, delay=0.01)
calm, windy = (
    sim.fly(world, pilot, "pybullet", disturbance=disturbance, family=FAMILY, seed=SEED)
    for disturbance in (sim.CALM, rough)
)
figure, axes = plt.subplots(figsize=(10, 4.5))
draw_map(axes, world)
for name, flight in (("calm", calm), ("windy", windy)):
    judged = sim.verdict(flight)
    print(
        f"{name}: {judged.outcome} after {judged.time_s:.1f} s, {judged.min_clearance_m:.2f} m "
        f"from the nearest solid, {judged.limit_violations} ticks out of limits"
    )
    axes.plot(*flight.position[:, :2].T, lw=1.2, label=name)
axes.legend()

# %% [markdown]
# ## The same flight in both engines
#
# The twin is PyBullet's step written in jax: pure, batched, differentiable. The difference is what
# is left of it after the whole closed loop, pilot and barrier included.

# %%
twin = sim.fly(world, pilot, "twin", family=FAMILY, seed=SEED)
ticks = min(len(calm.times), len(twin.times))
apart = 1e3 * np.linalg.norm(calm.position[:ticks] - twin.position[:ticks], axis=1)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), width_ratios=(2, 1))
draw_map(left, world)
left.plot(*calm.position[:, :2].T, lw=3, color="0.5", label="PyBullet")
left.plot(*twin.position[:, :2].T, lw=1, color="tab:orange", label="twin")
left.legend()
right.semilogy(calm.times[:ticks], np.maximum(apart, 1e-12))
right.set(xlabel="time [s]", ylabel="apart [mm]")
print(f"{twin.outcome} and {calm.outcome}, never more than {apart.max():.1e} mm apart")

# %% [markdown]
# ## A world of your own
#
# A world is a value: bounds, obstacles, start, target. It is written as JSON and read again, by
# `scripts/fly.py --world-file` too. What cannot be flown is refused, by the name of the field.

# %%
own = World(
    bounds=((-1.0, -3.0, 0.0), (9.0, 3.0, 3.0)),
    obstacles=(
        Cylinder((2.5, 0.3, 1.5), 0.3, 3.0),
        Sphere((4.5, -0.7, 1.4), 0.5),
        Box((6.0, 0.8, 1.5), (0.2, 0.8, 1.5), 0.4),
    ),
    start_position=(0.0, 0.0, 1.5),
    start_yaw=0.0,
    target=(8.0, 0.0, 1.5),
    target_radius=0.5,
    via=(),
    speed=1.5 if SPEED is None else SPEED,
    time_limit=20.0,
)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "own.json"
    sim.save_world(path, own)
    text = path.read_text(encoding="utf-8")
    assert sim.load_world(path) == own
    path.write_text(text.replace('"radius": 0.3', '"radius": -0.3'), encoding="utf-8")
    try:
        sim.load_world(path)
    except sim.WorldError as error:
        print(f"refused: {error}")
flight = sim.fly(own, pilot, "pybullet", family="own")
figure, axes = plt.subplots(figsize=(8, 4))
draw_map(axes, own)
axes.plot(*flight.position[:, :2].T, lw=1.2)
print(text[:180], "...")
print(f"{flight.outcome} after {flight.times[-1]:.1f} s")
