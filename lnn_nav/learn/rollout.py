"""A window of training flight through the differentiable twin.

One thought lasts several physics steps. Rays are cast without gradient, everything else carries
one: wish, barrier, attitude, rotors, twin. The gradient through the state decays a little at each
thought (Metz et al., "Gradients are not all you need", 2021; Zhang et al., Nature Machine
Intelligence 2025), and each thought is recomputed in the backward pass, only its rays are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, no_type_check

import jax
import jax.numpy as jnp
from flax import nnx, struct
from jax import Array
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Bool, Float, Int

from barriernet.backup import motion_of
from lnn_nav.control import AttitudeGains, attitude_wrench, drag
from lnn_nav.design import POLICY_RINGS
from lnn_nav.learn.courses import Course, of_kind
from lnn_nav.learn.guide import GuideGrid, way
from lnn_nav.learn.losses import LossWeights, window_loss
from lnn_nav.policy import Goal, Policy
from lnn_nav.safety import SafetyShape, barrier_rows, clip_forces, stay_clear
from lnn_nav.scan import Scan, ScanShape, blank_scan, nearest, remember
from sim.airframe import CF2X, Airframe
from sim.scene import Scene, ray_distance, signed_distance
from sim.sensors import RayPattern, Sight
from sim.state import State, rotate, safe_norm, up_of
from sim.twin import TwinState, step

T = TypeVar("T")


@dataclass(frozen=True)
class FlightShape:
    """How a training flight runs.

    Attributes:
        airframe: the drone.
        rays: those that the policy sees (training casts no others).
        steps: thoughts in a window.
        substeps: physics steps in a thought (10: 24 Hz).
        decay: factor on the gradient through the state at each thought.
        barrier: fly behind the stopping-path barrier.
        attitude: gains of the attitude loop.
        safety: of the barrier.
        guide: grid of the privileged guide.
        weights: of the loss.
    """

    airframe: Airframe = CF2X
    rays: RayPattern = RayPattern(POLICY_RINGS)
    steps: int = 72
    substeps: int = 10
    decay: float = 0.98
    barrier: bool = False
    attitude: AttitudeGains = AttitudeGains()
    safety: SafetyShape = SafetyShape()
    guide: GuideGrid = GuideGrid()
    weights: LossWeights = LossWeights()

    @property
    def scan(self) -> ScanShape:
        """What training remembers of its few rays."""
        return ScanShape(self.rays, sights=2, patches=32, gap_share=0.6)


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Flyer:
    """A training flight between two windows.

    Attributes:
        twin: physics.
        neurons: memory of the policy.
        course: index of its course.
        speed: set speed [m/s].
        thrust: specific thrust of the last tick [m/s^2].
        done: reached or failed: begin anew.
        age: thoughts flown.
    """

    twin: TwinState
    neurons: Float[Array, "*batch neurons"]
    course: Int[Array, "*batch"]
    speed: Float[Array, "*batch"]
    thrust: Float[Array, "*batch"]
    done: Bool[Array, "*batch"]
    age: Int[Array, "*batch"]


def fly_window(
    shape: FlightShape, policy: Policy, kind: Int[Array, ""], courses: Course, flyers: Flyer
) -> tuple[Flyer, dict[str, Array]]:
    """Fly a batch of flyers for a window.

    Args:
        shape: how.
        policy: the pilot to be.
        kind: of the obstacles of all courses (not batched).
        courses: one a flyer, stacked.
        flyers: stacked.

    Returns:
        The flyers after the window and, by thought: velocity, wished velocity, clearance, edge,
        wish, corrected, distance to the target.
    """
    scans = jax.vmap(lambda place: blank_scan(shape.scan, place))(flyers.twin.body.position)

    def think(carry: tuple[Flyer, Scan], _: None) -> tuple[tuple[Flyer, Scan], dict[str, Array]]:
        flyers, scans = carry
        twin, thrust = _decayed((flyers.twin, flyers.thrust), shape.decay)
        flyers = replace(flyers, twin=twin, thrust=thrust)
        sight, goal = sense(shape, kind, courses, flyers)
        neurons, wish = policy(flyers.neurons, sight, goal, shape.substeps / 240)
        wished = wish.acceleration
        if shape.barrier:
            scans = jax.vmap(partial(_remembered, shape))(scans, sight)
            wished = jax.vmap(partial(_behind_barrier, shape))(courses.scene, scans, flyers, wish)
        flyers = replace(fly_thought(shape, flyers, wished, wish.yaw_rate), neurons=neurons)
        flown = {
            **measure(shape, kind, courses, flyers),
            "wish": wish.acceleration,
            "corrected": jnp.sum((wished - wish.acceleration) ** 2, axis=-1),
        }
        return (flyers, scans), flown

    policy_saves = jax.checkpoint_policies.save_only_these_names("rays")
    body = jax.checkpoint(think, policy=policy_saves, prevent_cse=False)
    (flyers, _), flown = jax.lax.scan(body, (flyers, scans), None, length=shape.steps)
    return flyers, flown


def loss_of(
    shape: FlightShape,
    graph: Any,  # noqa: ANN401 - the static half of an nnx split
    params: Any,  # noqa: ANN401 - the other half
    kind: Int[Array, ""],
    courses: Course,
    flyers: Flyer,
) -> tuple[Array, tuple[Flyer, dict[str, Array]]]:
    """Loss of one window of a batch of flights of the same kind of world.

    Args:
        shape: how they fly.
        graph: static half of the policy (`nnx.split`).
        params: its parameters.
        kind: of the obstacles of all courses.
        courses: one a flyer, stacked.
        flyers: stacked.

    Returns:
        The loss, and the flyers after the window with the figures of the window.
    """
    policy = nnx.merge(graph, params)
    flyers, flown = fly_window(shape, policy, kind, courses, flyers)
    reached = jnp.cumsum(flown.pop("distance") < 0.4, axis=0) > 0
    alive = 1.0 - reached.astype(jnp.float32)
    loss, parts = window_loss(shape.weights, alive=alive, **flown)
    touched = jnp.any((flown["clearance"] < 0) & ~reached, axis=0)
    lost = jnp.any((flown["edge"] < -0.3) & ~reached, axis=0)
    arrived = reached[-1] & ~touched
    flyers = replace(flyers, done=reached[-1] | touched | lost, age=flyers.age + shape.steps)
    figures = {
        **parts,
        "arrived": jnp.sum(arrived),
        "touched": jnp.sum(touched),
        "lost": jnp.sum(lost & ~touched),
        "pace": jnp.mean(safe_norm(flown["velocity"]) / flyers.speed),
    }
    return loss, (jax.lax.stop_gradient(flyers), figures)


def sense(
    shape: FlightShape, kind: Int[Array, ""], courses: Course, flyers: Flyer
) -> tuple[Sight, Goal]:
    """What a batch of flyers sees, without gradient, and where each has to go.

    The ranges are named for checkpointing.
    """
    pattern = shape.rays

    def cast(scene: Scene, body: State) -> Array:
        directions = rotate(body.quaternion, jnp.asarray(pattern.directions, jnp.float32))
        reach = pattern.max_range
        return of_kind(scene, kind, lambda s: ray_distance(s, body.position, directions, reach))

    body = flyers.twin.body
    ranges = jax.vmap(cast)(courses.scene, jax.lax.stop_gradient(body))
    ranges = checkpoint_name(jax.lax.stop_gradient(ranges), "rays")
    goal = Goal(courses.target, flyers.speed, courses.scene.bounds[:, 1, 2])
    return Sight(body, ranges, jnp.ones(ranges.shape, bool)), goal


def fly_thought(
    shape: FlightShape,
    flyers: Flyer,
    acceleration: Float[Array, "batch 3"],
    yaw_rate: Float[Array, " batch"],
) -> Flyer:
    """The flyers after the physics steps of one thought, under one wish each."""
    twin, thrust = jax.vmap(partial(_physics, shape))(flyers, acceleration, yaw_rate)
    return replace(flyers, twin=twin, thrust=thrust)


def measure(
    shape: FlightShape, kind: Int[Array, ""], courses: Course, flyers: Flyer
) -> dict[str, Array]:
    """What flyers are judged by: velocity, wished velocity, clearance, edge, distance."""

    def one(course: Course, body: State, speed: Array) -> dict[str, Array]:
        where = jax.lax.stop_gradient(body.position)
        direction = way(shape.guide, course.guide, where, course.target)
        low, high = course.scene.bounds
        inside = jnp.minimum(body.position - low, high - body.position)
        distance = of_kind(course.scene, kind, lambda scene: signed_distance(scene, body.position))
        return {
            "velocity": jnp.asarray(body.velocity),
            "wished_velocity": jax.lax.stop_gradient(direction * speed),
            "clearance": distance - shape.airframe.collision_radius,
            "edge": jnp.min(inside, axis=-1),
            "distance": jnp.linalg.norm(where - course.target),
        }

    return jax.vmap(one)(courses, flyers.twin.body, flyers.speed)


def _remembered(shape: FlightShape, scan: Scan, sight: Sight) -> Scan:
    """The scan with one more sight, without gradient."""
    return jax.lax.stop_gradient(remember(shape.scan, scan, sight, shape.substeps / 240))


def _behind_barrier(
    shape: FlightShape,
    scene: Scene,
    scan: Scan,
    flyer: Flyer,
    wish: Any,  # noqa: ANN401
) -> Array:
    """The wish after the stopping-path filter, with its gradient."""
    body = flyer.twin.body
    gravity = jnp.asarray([0.0, 0.0, shape.airframe.gravity], jnp.float32)
    acceleration = up_of(body.quaternion) * flyer.thrust - gravity - drag(body.velocity)
    motion = motion_of(shape.safety.braking, body.position, body.velocity, acceleration)
    near = nearest(shape.scan, scan, shape.safety.braking, jax.lax.stop_gradient(motion))
    rows = barrier_rows(shape.safety, shape.airframe, motion, near, scene.bounds, wish.gains)
    return stay_clear(shape.safety, rows, wish.acceleration).x


def _physics(
    shape: FlightShape, flyer: Flyer, acceleration: Array, yaw_rate: Array
) -> tuple[TwinState, Array]:
    """All physics steps of a thought, under one wished acceleration; thrust waits as in flight."""
    airframe, lag = shape.airframe, shape.safety.lag
    inverse = jnp.asarray(airframe.mixer_inverse.T, jnp.float32)

    def tick(carry: tuple[TwinState, Array], _: None) -> tuple[tuple[TwinState, Array], None]:
        twin, thrust = carry
        wrench = attitude_wrench(airframe, shape.attitude, twin.body, acceleration, yaw_rate)
        pull = airframe.mass * thrust
        pull = pull + shape.safety.tick / lag * (wrench[0] - pull)
        forces = clip_forces(airframe, wrench.at[0].set(pull) @ inverse)
        return (step(airframe, twin, forces), jnp.sum(forces) / airframe.mass), None

    (twin, thrust), _ = jax.lax.scan(tick, (flyer.twin, flyer.thrust), None, length=shape.substeps)
    return twin, thrust


def _decayed(tree: T, decay: float) -> T:
    """The same arrays with a smaller gradient."""
    return jax.tree.map(lambda leaf: decay * leaf + (1 - decay) * jax.lax.stop_gradient(leaf), tree)
