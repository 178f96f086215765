"""Random bits at the last stage of a pilot: no number may get a rotor out of its limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, UInt32

from lnn_nav.control import attitude_wrench
from lnn_nav.design import Design
from lnn_nav.safety import clip_forces, rotor_forces
from sim.state import AnyArray, State

CHUNK = 10_000
"""Vectors that are computed at once."""

_WORDS = 21
"""Numbers in a vector: state (13), acceleration (3), yaw rate (1), wrench (4)."""


@dataclass(frozen=True)
class BitsReport:
    """What came of random bits.

    Attributes:
        vectors: forces of four rotors that were computed.
        outside: of these, with any force out of [0, f_max].
        nonfinite: of these, with any force that is not finite.
        max_force: largest force [N].
    """

    vectors: int
    outside: int
    nonfinite: int
    max_force: float

    @property
    def passed(self) -> bool:
        """Whether every force was in its range."""
        return not (self.outside or self.nonfinite)


def fly_bits(design: Design, vectors: int = 100_000, seed: int = 0) -> BitsReport:
    """Random float32 bit patterns as state, wish and wrench, to forces as an engine gets them.

    One half of the vectors come from random wishes by way of the attitude control, one half from
    random wrenches; every second state is a sound one, whatever the wish.

    Args:
        design: whose last stage is asked.
        vectors: how many, at least.
        seed: of the bits.

    Raises:
        ValueError: if there is nothing to compute.
    """
    if vectors < 1:
        raise ValueError(f"vectors: expected 1 or more, got {vectors}")
    draws, most = np.random.default_rng(seed), design.airframe.max_force
    done, outside, nonfinite, largest = 0, 0, 0, 0.0
    while done < vectors:
        bits = draws.integers(0, 1 << 32, (CHUNK // 2, _WORDS), dtype=np.uint32)
        forces = np.asarray(_last_stage(design, jnp.asarray(bits), jnp.asarray(_sound(draws))))
        finite = np.isfinite(forces).all(axis=-1)
        inside = ((forces >= 0) & (forces <= np.float32(most))).all(axis=-1)
        done += finite.size
        outside += int((~inside).sum())
        nonfinite += int((~finite).sum())
        largest = max(largest, float(np.nan_to_num(forces, nan=np.inf).max()))
    return BitsReport(done, outside, nonfinite, largest)


def _sound(draws: np.random.Generator) -> np.ndarray:
    """States that a flight could have; NaN where the random bits are to stay."""
    states = draws.normal(0, 3, (CHUNK // 2, 13)).astype(np.float32)
    states[:, 6:10] /= np.linalg.norm(states[:, 6:10], axis=1, keepdims=True)
    states[::2] = np.nan
    return states


@partial(jax.jit, static_argnums=0)
def _last_stage(
    design: Design, bits: UInt32[AnyArray, "n words"], sound: Float[AnyArray, "n 13"]
) -> Float[Array, "n 2 4"]:
    """From bits to forces, as `lnn_nav.pilot` does it."""
    numbers = jax.lax.bitcast_convert_type(bits, jnp.float32)
    states = jnp.where(jnp.isnan(sound), numbers[:, :13], sound)
    return jax.vmap(partial(_forces, design))(states, numbers[:, 13:])


def _forces(design: Design, state: Array, asked: Array) -> Array:
    """Forces for one state, by a wish and by a wrench."""
    airframe = design.airframe
    dtype = jax.dtypes.canonicalize_dtype(np.float64)
    state, asked = state.astype(dtype), asked.astype(dtype)
    body = State(state[:3], state[3:6], state[6:10], state[10:])
    wrench = attitude_wrench(airframe, design.attitude, body, asked[:3], asked[3])
    both = [rotor_forces(design.safety, airframe, body, w)[0] for w in (wrench, asked[4:])]
    return clip_forces(airframe, jnp.stack(both).astype(jnp.float32))
