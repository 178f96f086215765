"""The pilot: a liquid policy that thinks, behind two BarrierNets that act at every tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.core import Tracer
from jaxtyping import Bool, Float, Int

from barriernet import Outcome
from barriernet.backup import Motion, brake_control, hold_control, motion_of, stop_point
from barriernet.shortcut import NearSolver, answer_at_once, solve_qp_near
from lnn_nav.control import attitude_wrench
from lnn_nav.design import Design
from lnn_nav.detour import aim, no_detour
from lnn_nav.guard import Guard, acceleration_of, blank_guard, estimate, expect, mended
from lnn_nav.mapped import nearest_on_map
from lnn_nav.memory import Memory, Mind, PilotWish, Task, with_points, without_points
from lnn_nav.packing import Packing, Record, pack
from lnn_nav.policy import Goal, Policy
from lnn_nav.safety import barrier_rows, clip_forces, rotor_forces, stay_clear
from lnn_nav.scan import Near, blank_scan, finite, nearest, remember
from lnn_nav.straight import StraightLine
from sim.mission import Mission
from sim.sensors import RayPattern, Sight
from sim.state import AnyArray, State, at_rest, safe_norm

SLOW = 0.3
"""Virtual speed below which the backup holds its anchor instead of braking [m/s]."""


class MapError(ValueError):
    """A map that stands still is no map of a world whose obstacles move."""


class TimeStepError(ValueError):
    """A time step that is not positive and finite."""


class LiquidPilot:
    """A policy with its barriers: `reset`, `think`, `act` (see `sim.flight.Pilot`).

    Pure apart from its compiled functions; works inside `jit` and `vmap`.

    Attributes:
        name: for records.
        design: everything that is not trained.
        rays: the rays that it wants to be cast.
        sight_rate: thoughts a second [Hz].
    """

    def __init__(
        self,
        design: Design,
        policy: Policy | StraightLine,
        name: str = "liquid",
        barrier: bool = True,
        sees: Literal["rays", "map"] = "rays",
    ) -> None:
        """Join a design and a policy.

        Args:
            design: of the pilot.
            policy: what wishes; its parameters are frozen here.
            name: for records.
            barrier: False flies the wish as it is (the rotor limits stay).
            sees: what the barrier knows; `map` is for study.

        Raises:
            ValueError: if `sees` is neither.
        """
        if sees not in ("rays", "map"):
            raise ValueError(f"sees: expected 'rays' or 'map', got {sees!r}")
        self.name, self.design, self.policy = name, design, policy
        self.barrier, self.sees = barrier, sees
        self.rays: RayPattern = design.rays
        self.sight_rate: float = design.sight_rate
        graph, params = nnx.split(policy)
        blank = partial(_blank_mind, design, policy.blank_memory())
        minds = Packing.of(without_points(jax.eval_shape(blank, at_rest(jnp.zeros(3)))))
        self._reset = jax.jit(partial(_reset, design, blank))
        self._think = jax.jit(partial(_think, design, graph, params, minds))
        self._act = jax.jit(partial(_act, design, barrier, minds, solve_qp_near))
        self._act_at_once = jax.jit(partial(_act, design, barrier, minds, answer_at_once))
        self._compiled = False

    def reset(self, mission: Mission) -> Memory:
        """The memory at the start of a mission.

        Raises:
            MapError: the barrier sees the map, and obstacles move.
        """
        if self.sees == "map" and mission.scene.velocities is not None:
            raise MapError("sees: expected 'rays' where obstacles move, got 'map'")
        mind, points, radii, guard = self._reset(mission.start)
        task = Task(
            targets=mission.targets,
            legs=mission.target_count,
            radius=mission.target_radius,
            speed=mission.speed,
            bounds=mission.bounds,
            scene=mission.scene if self.sees == "map" else None,
        )
        return Memory(task, mind, points, radii, guard)

    def think(self, memory: Memory, sight: Sight, dt: float | Array) -> tuple[Memory, PilotWish]:
        """Look at a sight and make a wish for the ticks until the next one.

        Args:
            memory: so far.
            sight: what the rays saw, perhaps with lost or non-finite parts.
            dt: simulation time since the last sight [s].

        Returns:
            The new memory and the wish, always finite.

        Raises:
            TimeStepError: if `dt` is not positive and finite.
        """
        if not isinstance(dt, Tracer) and not (np.isfinite(dt) and dt > 0):
            raise TimeStepError(f"dt: expected a positive finite time [s], got {dt}")
        elapsed = dt if isinstance(dt, Tracer) else np.float32(dt)
        mind, points, radii, wish = self._think(memory, sight, elapsed)
        return Memory(memory.task, mind, points, radii, memory.guard), wish

    def act(
        self, memory: Memory, wish: PilotWish, state: State
    ) -> tuple[Memory, Float[Array, " 4"], Record]:
        """One physics tick: the wish, made safe.

        Args:
            memory: so far.
            wish: of the last thought.
            state: estimate of the drone's state, perhaps not finite.

        Returns:
            The new memory, rotor forces [N] in [0, f_max], and what to record.
        """
        known = (memory.mind, memory.task.bounds, memory.guard, wish, _in_a_row(state))
        guard, forces, record = self._acted(known)
        after = Memory(memory.task, memory.mind, memory.points, memory.radii, guard)
        return after, forces, record

    def _acted(self, known: tuple[Any, ...]) -> tuple[Array, Array, Record]:
        """The control step: at once where nothing has to be solved, else once more in full."""
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(known)):
            return self._act(*known)
        if not self._compiled:
            # No tick of a flight may wait for the compiler because it is the first to solve.
            self._act(*known)
            self._compiled = True
        guard, forces, record = self._act_at_once(*known)
        told = np.asarray(record.vector)
        if told[record.first("outcome_path")] or told[record.first("outcome_rotors")]:
            return self._act(*known)
        return guard, forces, record


def _blank_mind(design: Design, neurons: Float[Array, " neurons"], start: State) -> Mind:
    """Nothing seen, nothing thought."""
    scan = blank_scan(design.scan, start.position)
    still = Motion(jnp.asarray(start.position, jnp.float32), jnp.zeros(3, jnp.float32))
    near = nearest(design.scan, scan, design.safety.braking, still)
    return Mind(neurons, jnp.zeros((), jnp.int32), no_detour(), scan, near)


def _reset(
    design: Design, blank: Callable[[State], Mind], start: State
) -> tuple[Array, Array, Array, Array]:
    """The packed parts of a memory at a start."""
    mind, dtype = blank(start), start.position.dtype
    guard = pack(blank_guard(design.airframe, start, dtype), dtype)
    return pack(without_points(mind), dtype), mind.scan.points, mind.scan.radii, guard


def _think(
    design: Design,
    graph: Any,  # noqa: ANN401 - the static half of an nnx split
    params: Any,  # noqa: ANN401 - the other half
    minds: Packing,
    memory: Memory,
    sight: Sight,
    dt: Array,
) -> tuple[Array, Array, Array, PilotWish]:
    """One thought: mend the sight, ask the policy, put the hit points into the scan."""
    policy = nnx.merge(graph, params)
    sight, _ = finite(sight)
    guard = _unpacked(design, memory.guard)
    _, state, sensed = estimate(guard, _cast(sight.state, guard), design.safety.tick)
    sight = replace(sight, state=state)
    task = memory.task
    mind, whole = _mended(design, minds, memory, policy.blank_memory(), state)
    leg = _next_leg(task, mind.leg, state)
    patience = jax.tree.map(
        lambda own, new: jnp.where(leg == mind.leg, own, new), mind.detour, no_detour()
    )
    detour, target = patience, task.targets[leg]
    if policy.TAKES_DETOURS:
        detour, target = aim(
            design.detour, design.rays, patience, sight, target, task.speed, task.bounds, dt
        )
    goal = Goal(target, task.speed, task.bounds[1, 2])
    neurons, wish = policy(mind.neurons, sight, goal, dt)
    leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves((neurons, wish))]
    sound = sensed & whole & jnp.all(jnp.isfinite(jnp.concatenate(leaves)))
    neurons, wish = jax.tree.map(lambda leaf: jnp.where(sound, leaf, 0), (neurons, wish))
    scan = remember(design.scan, mind.scan, sight, dt)
    motion = _motion(design, guard, state)
    if task.scene is not None:
        near = nearest_on_map(design.scan, task.scene, design.safety.braking, motion)
    else:
        low = jax.tree.map(lambda leaf: leaf.astype(scan.points.dtype), motion)
        near = nearest(design.scan, scan, design.safety.braking, low)
    after = pack(without_points(Mind(neurons, leg, detour, scan, near)), memory.mind.dtype)
    return after, scan.points, scan.radii, PilotWish.of(wish, sound)


def _mended(
    design: Design,
    minds: Packing,
    memory: Memory,
    neurons: Float[Array, " neurons"],
    state: State,
) -> tuple[Mind, Array]:
    """The mind, or a blank one if any part of it is not finite; and whether it was whole."""
    parts = [jnp.ravel(part) for part in (memory.mind, memory.points, memory.radii)]
    whole = jnp.all(jnp.isfinite(jnp.concatenate(parts)))
    mind = with_points(minds.unpack(memory.mind), memory)
    blank = replace(
        mind,
        neurons=neurons,
        leg=jnp.zeros_like(mind.leg),
        detour=no_detour(),
        scan=blank_scan(design.scan, state.position),
    )
    return jax.tree.map(lambda own, new: jnp.where(whole, own, new), mind, blank), whole


def _act(
    design: Design,
    barrier: bool,
    minds: Packing,
    solve: NearSolver,
    mind: Float[Array, " m"],
    bounds: Float[Array, "2 3"],
    packed: Float[Array, " n"],
    wish: PilotWish,
    row: Float[Array, " 13"],
) -> tuple[Float[Array, " n"], Float[Array, " 4"], Record]:
    """The control step: estimate, stopping path, attitude, rotor limits, expectation."""
    airframe, tick = design.airframe, design.safety.tick
    guard, given = _unpacked(design, packed), _out_of_row(row.astype(packed.dtype))
    thought = minds.unpack(mind)
    guard, whole = mended(airframe, guard, given)
    guard, state, sensed = estimate(guard, given, tick)
    guard, acceleration, path = _stopping_path(
        design, barrier, solve, thought.near, bounds, guard, wish, whole & sensed, state
    )
    yaw_rate = jnp.where(path["fallback"] > 0, 0, wish.yaw_rate.astype(acceleration.dtype))
    command = acceleration - guard.disturbance
    wrench = attitude_wrench(airframe, design.attitude, state, command, yaw_rate)
    # Rotors answer at once, the attitude does not: thrust waits for it, as the barriers assume.
    thrust = airframe.mass * guard.thrust
    thrust = thrust + tick / design.safety.lag * (wrench[0] - thrust)
    wrench = wrench.at[0].set(thrust)
    forces, rotors = rotor_forces(design.safety, airframe, state, wrench, solve)
    guard = expect(airframe, guard, state, forces, tick)
    record = {
        **path,
        "outcome_rotors": rotors.outcome,
        "sensed": sensed,
        "disturbance": guard.disturbance,
        "neurons": thought.neurons,
    }
    last = clip_forces(airframe, forces.astype(jnp.float32))
    return pack(guard, packed.dtype), last, Record.of(record, packed.dtype)


def _stopping_path(
    design: Design,
    barrier: bool,
    solve: NearSolver,
    near: Near,
    bounds: Float[Array, "2 3"],
    guard: Guard,
    wish: PilotWish,
    sane: Bool[Array, ""],
    state: State,
) -> tuple[Guard, Float[Array, " 3"], dict[str, Array]]:
    """The acceleration that keeps the stopping path clear, or the backup where there is none."""
    safety, dtype = design.safety, guard.thrust.dtype
    motion = _motion(design, guard, state)
    wished, gains = wish.acceleration.astype(dtype), wish.gains.astype(dtype)
    sound = sane & wish.sound & jnp.all(jnp.isfinite(wish.vector))
    wished, gains = jnp.where(sound, wished, 0), jnp.where(sound, gains, 1)
    gains = jnp.clip(gains, 0, 1 / safety.tick)
    rows = barrier_rows(safety, design.airframe, motion, near, bounds, gains)
    answer = stay_clear(safety, rows, wished, solve)
    # The least bad answer to contradictory rows drives back into the safe set: it counts.
    solved = (answer.outcome == int(Outcome.SOLVED)) | (answer.outcome == int(Outcome.INFEASIBLE))
    safe = answer.x if barrier else wished
    # Nothing scanned yet: nowhere to go.
    fallback = ~sound | (~solved | (near.reach <= 0) if barrier else False)
    anchor = jnp.where(guard.holding, guard.anchor, stop_point(safety.braking, motion))
    slow = safe_norm(motion.velocity) < SLOW
    braking = brake_control(safety.braking, motion)
    backup = jnp.where(slow, hold_control(safety.braking, motion, anchor), braking)
    acceleration = jnp.where(fallback, backup, safe)
    guard = replace(guard, anchor=anchor, holding=fallback)
    return (
        guard,
        acceleration,
        {
            "acceleration_wish": wished,
            "acceleration": acceleration,
            "barrier": jnp.min(rows.barrier),
            "gains": gains,
            "slack": jnp.max(answer.slack),
            "outcome_path": answer.outcome,
            "fallback": fallback,
        },
    )


def _motion(design: Design, guard: Guard, state: State) -> Motion:
    """The virtual point and velocity that the barriers look at."""
    acceleration = acceleration_of(design.airframe, guard, state)
    return motion_of(design.safety.braking, state.position, state.velocity, acceleration)


def _next_leg(task: Task, leg: Int[Array, ""], state: State) -> Int[Array, ""]:
    """Go on to the next point when the present one is reached."""
    gap = safe_norm(state.position - task.targets[leg].astype(state.position.dtype))
    passed = (gap < task.radius) & (leg + 1 < task.legs)
    return leg + passed.astype(jnp.int32)


def _cast(state: State, guard: Guard) -> State:
    """The state in the dtype of the guard."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, guard.thrust.dtype), state)


def _unpacked(design: Design, packed: Float[Array, " n"]) -> Guard:
    """The guard in its vector, all numbers in the vector's dtype."""
    blank = at_rest(np.zeros(3))
    example = jax.eval_shape(lambda: blank_guard(design.airframe, blank, packed.dtype))
    return Packing.of(example).unpack(packed)


def _in_a_row(state: State) -> Float[AnyArray, " 13"]:
    """A state as one array: one conversion instead of four."""
    parts = (state.position, state.velocity, state.quaternion, state.angular_velocity)
    plain = all(isinstance(part, np.ndarray) for part in parts)
    return np.concatenate(parts) if plain else jnp.concatenate(parts)


def _out_of_row(row: Float[Array, " 13"]) -> State:
    """The inverse of `_in_a_row`."""
    return State(row[:3], row[3:6], row[6:10], row[10:])
