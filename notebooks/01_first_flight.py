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
# # First flight
#
# A liquid pilot flies a drone through a world that it has never seen, sensing it by rays alone.
# We fly one mission in PyBullet and look at four things: the path, the neurons, the rotors, and
# the barrier that stands between the pilot's wishes and the walls.

# %%
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patches

from lnn_nav.store import load_pilot
from lnn_nav.verify import Suite, assert_no_contact, assert_within_limits
from sim import Box, Cylinder, generate, verdict
from sim.flight import fly
from sim.judge import interventions

# Barriers are computed in 64 bits, the network in 32.
jax.config.update("jax_enable_x64", True)
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
plt.rcParams["figure.constrained_layout.use"] = True

# %% [markdown]
# Change these and run again. `PILOT` is `default` (the trained pilot that comes with the package),
# `straight-line` (no network at all), or the folder of a pilot that you trained.

# %% tags=["parameters"]
PILOT = "default"
FAMILY, SEED = "mixed", 1_000_003
ENGINE = "pybullet"
SPEED = None

# %% [markdown]
# ## The pilot and the mission
#
# `think` runs 24 times a second: rays in, a wished acceleration out. `act` runs at each of the 240
# physics ticks a second: it corrects the wish so that the drone can always still stop, and turns
# it into four rotor forces. Training never saw a seed above 1,000,000, nor this family of worlds.

# %%
pilot = load_pilot(PILOT)
world = generate(FAMILY, SEED, speed=SPEED)
print(f"{pilot.name}: {pilot.rays.count} rays, {pilot.sight_rate:g} thoughts a second")
print(f"{FAMILY} {SEED}: {len(world.obstacles)} obstacles, {world.length:.1f} m to the target")

flight = fly(world, pilot, ENGINE, family=FAMILY, seed=SEED)
judged = verdict(flight)
print(f"{judged.outcome} after {judged.time_s:.1f} s and {judged.path_m:.1f} m")
print(f"nearest to anything solid: {judged.min_clearance_m:.3f} m")

# %% [markdown]
# ## The path
#
# From above, coloured by speed. The circle is the target.

# %%
figure, axes = plt.subplots(figsize=(10, 5))
for item in world.obstacles:
    x, y, _ = item.center
    if isinstance(item, Box):
        half_x, half_y, _ = item.half_extents
        corner = (x - half_x, y - half_y)
        turn = {"angle": np.degrees(item.yaw), "rotation_point": "center"}
        patch = patches.Rectangle(corner, 2 * half_x, 2 * half_y, **turn)
    elif isinstance(item, Cylinder) and item.axis != "z":
        long, wide = item.height, 2 * item.radius
        size = (long, wide) if item.axis == "x" else (wide, long)
        patch = patches.Rectangle((x - size[0] / 2, y - size[1] / 2), *size)
    else:
        patch = patches.Circle((x, y), item.radius)
    patch.set(color="0.8", ec="0.6")
    axes.add_patch(patch)
axes.add_patch(patches.Circle(world.target[:2], world.target_radius, fill=False, ec="tab:green"))
speed = np.linalg.norm(flight.velocity, axis=1)
x, y, _ = flight.position[::10].T
dots = axes.scatter(x, y, c=speed[::10], s=6, cmap="viridis")
figure.colorbar(dots, label="speed [m/s]")
axes.set(aspect="equal", xlabel="x [m]", ylabel="y [m]")
axes.autoscale_view()

# %% [markdown]
# ## The neurons
#
# Each row is one neuron of the recurrent cell over time. Its state is what the pilot remembers; in
# a CfC cell it stays between -1 and 1 whatever it sees.

# %%
neurons = flight.records["neurons"]
figure, axes = plt.subplots(figsize=(10, 3))
extent = (0, flight.times[-1], neurons.shape[1], 0)
picture = axes.imshow(
    neurons.T, aspect="auto", extent=extent, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest"
)
figure.colorbar(picture, label="state")
axes.set(xlabel="time [s]", ylabel="neuron")

# %% [markdown]
# ## The rotors
#
# Four forces, and the limits that they never cross: the last operation of every tick cuts each of
# them, bit for bit, to what the rotor can give.

# %%
figure, axes = plt.subplots(figsize=(10, 3))
axes.plot(flight.times, 1e3 * flight.forces, lw=0.6)
for limit in (0, 1e3 * flight.airframe.max_force):
    axes.axhline(limit, color="k", lw=0.8, ls="--")
axes.set(xlabel="time [s]", ylabel="force of each rotor [mN]")
assert 0 <= flight.forces.min() <= flight.forces.max() <= flight.airframe.max_force

# %% [markdown]
# ## The barrier
#
# Above: the barrier value h, the distance of the path on which the drone could still stop from
# everything the rays have seen. Below: what the pilot wished for and what was flown; they differ
# where the barrier stepped in (shaded).

# %%
stepped_in = interventions(flight)
figure, (above, below) = plt.subplots(2, 1, figsize=(10, 5), sharex=True)
above.plot(flight.times, flight.records["barrier"], color="tab:purple", lw=0.8)
above.axhline(0, color="k", lw=0.8)
above.set(ylabel="h [m]")
for name, label in (("acceleration_wish", "wished"), ("acceleration", "flown")):
    size = np.linalg.norm(flight.records[name], axis=1)
    below.plot(flight.times, size, lw=0.8, label=label)
below.legend()
below.set(xlabel="time [s]", ylabel="acceleration [m/s²]")
for panel in (above, below):
    low, high = panel.get_ylim()
    panel.fill_between(flight.times, low, high, where=stepped_in, color="0.9", zorder=0)
    panel.set_ylim(low, high)
print(f"the barrier stepped in on {100 * stepped_in.mean():.1f} % of the ticks")

# %% [markdown]
# ## The same as a test
#
# Nothing above needs our pilot: anything with `reset`, `think` and `act` flies. These assertions
# belong into your own tests of your own controller; on failure they say which mission, which tick,
# which value, and how to fly it again.

# %%
suite = Suite(FAMILY, first_seed=SEED, missions=1, engine=ENGINE, speed=SPEED)
assert_within_limits(pilot, suite)
print(assert_no_contact(pilot, suite))
