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
# # A barrier
#
# A function h(x) >= 0 says where a system may be. `barriernet` turns it into rows A u >= b on the
# control and finds, exactly and differentiably, the control nearest a wish that meets them inside
# hard limits. Here: a point mass, a disc in its way, wishes of every kind, gains that are learnt,
# and somebody else's policy.

# %%
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx
from matplotlib import patches

from barriernet import (
    Barrier,
    BarrierNet,
    ControlAffineSystem,
    Limits,
    SampledData,
    describe,
    filtered_policy,
    join_barriers,
    largest_curvature,
    solve_qp,
)

jax.config.update("jax_enable_x64", True)
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
plt.rcParams["figure.constrained_layout.use"] = True

# %% tags=["parameters"]
RADIUS = 1.0
HARDEST = 4.0
STEPS = 160
LESSONS = 150

# %% [markdown]
# ## From h(x) to rows
#
# A point mass on a plane: state x, y [m] and velocity [m/s], control: acceleration [m/s²], at most
# 4 in each direction. The disc is at the origin. h does not depend on the velocity, so that the
# control shows up in its second derivative only: relative degree 2, which is found by itself, and
# two gains [1/s].

# %%
DT = 0.05


def drift(state):
    return jnp.concatenate([state[2:], jnp.zeros(2, state.dtype)])


def channels(state):
    return jnp.concatenate([jnp.zeros((2, 2), state.dtype), jnp.eye(2, dtype=state.dtype)])


def clearance(state):
    return jnp.sqrt(state[0] ** 2 + state[1] ** 2) - RADIUS


system = ControlAffineSystem(drift, channels, 4, 2)
disc = Barrier(clearance, gains=(1.5, 1.5)).on(system)
limits = Limits.between([-HARDEST] * 2, [HARDEST] * 2)
layer = BarrierNet(system, [disc], limits)
print(f"relative degree {disc.relative_degree}")

state = jnp.array([-2.5, 0.1, 2.0, 0.0])
A, b = join_barriers(system, [disc], state)
print(f"at {state}: {A[0, 0]:.3f} u1 + {A[0, 1]:.3f} u2 >= {b[0]:.3f}")

# %% [markdown]
# ## What the QP does to a wish
#
# Every point of the plane is a control. Inside the square is what the actuators can give, right of
# the line what the barrier forbids. Each wish goes to the nearest point of what is left: the wish
# itself where it is allowed, else a point on the edge.

# %%
answer = jax.jit(layer)
turns = np.linspace(0, 2 * np.pi, 25)[:-1]
wishes = 6 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
wishes = np.concatenate([wishes, [[-2.5, 1.0], [-3.0, -2.0]]])
controls, certificates = answer(jnp.broadcast_to(state, (len(wishes), 4)), jnp.asarray(wishes))

figure, axes = plt.subplots(figsize=(5, 5))
axes.add_patch(patches.Rectangle((-HARDEST,) * 2, 2 * HARDEST, 2 * HARDEST, fill=False, lw=1.2))
edge = np.array([-7.0, 7.0])
axes.plot((float(b[0]) - float(A[0, 1]) * edge) / float(A[0, 0]), edge, color="tab:red", lw=1.2)
for wish, control in zip(wishes, np.asarray(controls), strict=True):
    axes.annotate("", control, wish, arrowprops={"arrowstyle": "->", "color": "0.6"})
axes.scatter(*wishes.T, s=14, label="wish")
axes.scatter(*np.asarray(controls).T, s=14, color="tab:green", label="control")
axes.set(xlim=(-7, 7), ylim=(-7, 7), aspect="equal", xlabel="u1 [m/s²]", ylabel="u2 [m/s²]")
axes.legend()
assert np.all(np.abs(controls) <= HARDEST)
assert np.all(controls @ np.asarray(A[0]) >= float(b[0]) - 1e-12)

# %% [markdown]
# ## The certificate
#
# With every control comes what is known about it. An answer is checked against the conditions of
# optimality each time; nothing is ever raised inside `jit`, and nothing is dropped. Of a batch
# there is a summary.

# %%
print(certificates.summary().sentence())
troubles = {
    "an honest wish": (state, [0.5, 0.5]),
    "no number": (state, [np.nan, 1.0]),
    "no state": (state.at[0].set(np.inf), [0.5, 0.5]),
    "too fast to stop": (jnp.array([-1.2, 0.0, 5.0, 0.0]), [1.0, 0.0]),
}
for name, (where, wish) in troubles.items():
    control, certificate = answer(where, jnp.array(wish))
    print(f"{name}: {np.asarray(control)} - {certificate.sentence()}")
    assert np.all(np.abs(control) <= HARDEST)

# %% [markdown]
# ## In closed loop
#
# The policy wants to be at (3, 0) and knows nothing of the disc. Left: what becomes of it with the
# layer and without, from nine starts. Right: h over time. The plain barrier holds at the moments of
# the commands only; between two of them h may dip a little. `sampled` and `largest_curvature` are
# for that, see `barriernet.sampled`.


# %%
def policy(state):
    """To the target, as a spring and a damper would go."""
    return 1.5 * (jnp.array([3.0, 0.0]) - state[..., :2]) - 2.0 * state[..., 2:]


def fly(start, filtered):
    def step(state, _):
        wish = policy(state)
        control = layer(state, wish)[0] if filtered else jnp.clip(wish, -HARDEST, HARDEST)
        position, velocity = state[:2], state[2:]
        moved = position + velocity * DT + control * DT**2 / 2
        return jnp.concatenate([moved, velocity + control * DT]), state

    return jax.lax.scan(step, start, None, STEPS)[1]


starts = jnp.stack([jnp.array([-3.0, y, 0.0, 0.0]) for y in np.linspace(-0.8, 0.8, 9)])
figure, (plane, course) = plt.subplots(1, 2, figsize=(10, 4))
plane.add_patch(patches.Circle((0, 0), RADIUS, color="0.85"))
for filtered, colour in ((False, "tab:red"), (True, "tab:green")):
    paths = jax.jit(jax.vmap(lambda start, on=filtered: fly(start, on)))(starts)
    h = jax.vmap(jax.vmap(clearance))(paths)
    label = "with the layer" if filtered else "without"
    print(f"{label}: smallest h {float(h.min()):.4f} m")
    plane.plot(*np.asarray(paths[..., :2]).transpose(2, 1, 0), color=colour, lw=0.8)
    course.plot(DT * np.arange(STEPS), h.T, color=colour, lw=0.8)
    course.plot([], [], color=colour, label=label)
course.axhline(0, color="k", lw=0.8)
course.set(xlabel="time [s]", ylabel="h [m]")
course.legend()
plane.set(aspect="equal", xlabel="x [m]", ylabel="y [m]")
assert h.min() > -1e-3

# %% [markdown]
# Looking closer: `sampled=SampledData(period, curvature)` reserves what may happen until the next
# command; `largest_curvature` measures how much that is, at states from everywhere the system may
# be.

# %%
fall = largest_curvature(system, disc, limits, paths.reshape(-1, 4))
careful = Barrier(clearance, gains=(1.5, 1.5), sampled=SampledData(DT, fall)).on(system)
A_careful, b_careful = join_barriers(system, [careful], state)
print(f"the chain's last link falls by at most {fall:.1f} a second")
print(f"between commands the row asks for {float(b_careful[0]):.3f} in place of {float(b[0]):.3f}")

# %% [markdown]
# ## Gains that are learnt
#
# Gains decide how early the layer steps in. The layer is differentiable, so they are parameters
# like any other: here a demonstrator drives with gains that we do not know, and 150 steps of Adam
# on the difference between his controls and ours find them.

# %%
secret = jnp.array([2.5, 0.8])
rng = np.random.default_rng(0)
angle, away = rng.uniform(0, 2 * np.pi, 256), rng.uniform(1.3, 2.5, 256)
seen = np.stack([-away * np.cos(angle), -away * np.sin(angle)], axis=1)
inward = -seen / away[:, None] * rng.uniform(0, 1.2, (256, 1))
seen = jnp.asarray(np.concatenate([seen, inward], axis=1))
shown = answer(seen, policy(seen), secret)[0]

learner = BarrierNet(system, [Barrier(clearance, gains=(1.0, 1.5))], limits, gains=True)
optimiser = nnx.Optimizer(learner, optax.adam(0.05), wrt=nnx.Param)


@nnx.jit
def learn(learner, optimiser):
    def loss(learner):
        return jnp.mean((learner(seen, policy(seen))[0] - shown) ** 2)

    value, slope = nnx.value_and_grad(loss)(learner)
    optimiser.update(learner, slope)
    return value


course = []
for _ in range(LESSONS):
    course.append((float(learn(learner, optimiser)), *np.asarray(learner.gains())))
losses, *gains = np.array(course).T
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
left.semilogy(losses)
left.set(xlabel="step", ylabel="mean square error")
for gain, true in zip(gains, secret, strict=True):
    right.plot(gain)
    right.axhline(float(true), color="k", lw=0.8, ls="--")
right.set(xlabel="step", ylabel="gains [1/s]")
print(f"gains {gains[0][-1]:.3f} and {gains[1][-1]:.3f}, in either order {np.asarray(secret)}")

# %% [markdown]
# ## The QP alone
#
# Under all this is one function for small dense problems, with a weight for each row (inf makes it
# hard), exact derivatives, and an outcome in place of an exception.

# %%
rows, sides = jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([0.5, 0.5])
box = -jnp.ones(2), jnp.ones(2)
for weight in (1e3, jnp.inf):
    solution = solve_qp(jnp.eye(2), jnp.zeros(2), rows, sides, *box, weight=jnp.full(2, weight))
    print(f"weight {weight}: x = {np.asarray(solution.x)}; {describe(int(solution.outcome))}")

# %% [markdown]
# ## Around somebody else's policy
#
# `filtered_policy` takes any callable from observations to actions, a torch module, or an object
# with stable-baselines3's `predict`; none of their libraries is imported. Here a flax network that
# nobody has trained.

# %%
network = nnx.Sequential(
    nnx.Linear(4, 32, rngs=nnx.Rngs(0)), nnx.tanh, nnx.Linear(32, 2, rngs=nnx.Rngs(1))
)
stranger = filtered_policy(lambda state: 20 * network(jnp.asarray(state)), layer)
place, closest, trusted = np.array([-2.0, 0.3, 0.5, 0.0]), np.inf, 0
for _ in range(STEPS):
    control, certificate = stranger(place)
    trusted += bool(certificate.certified)
    place[:2] += place[2:] * DT + control * DT**2 / 2
    place[2:] += control * DT
    closest = min(closest, float(clearance(jnp.asarray(place))))
print(f"{trusted} of {STEPS} controls certified; nearest to the disc: {closest:.3f} m")
