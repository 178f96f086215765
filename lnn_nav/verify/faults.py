"""Faults in mid flight: a pilot whose senses, wishes or memory turn bad for a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sim.flight import Pilot
from sim.mission import Mission
from sim.sensors import RayFan, Sight
from sim.state import AnyArray, State


def _same(value: Any) -> Any:  # noqa: ANN401 - whatever it is
    return value


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when. Each function turns a sound value into a bad one.

    Attributes:
        name: in words.
        sight: of a sight, before the pilot thinks.
        memory: of the pilot's memory, before it thinks.
        wish: of the wish, after it thought.
        state: of the state estimate, before it acts.
        first: tick at which the fault begins.
        ticks: how long it lasts.
    """

    name: str
    sight: Callable[[Sight], Sight] = _same
    memory: Callable[[Any], Any] = _same
    wish: Callable[[Any], Any] = _same
    state: Callable[[State], State] = _same
    first: int = 240
    ticks: int = 60

    def at(self, tick: int) -> bool:
        """Whether it is on."""
        return self.first <= tick < self.first + self.ticks


class _Memory(NamedTuple):
    """The pilot's memory, and the ticks flown."""

    own: Any
    tick: int


class Faulty:
    """A pilot with a fault.

    Attributes:
        name: of the pilot, and the fault.
        rays: of the pilot.
        sight_rate: of the pilot [Hz].
    """

    def __init__(self, pilot: Pilot, fault: Fault) -> None:
        """Plant the fault."""
        self.pilot, self.fault = pilot, fault
        self.name = f"{pilot.name}, {fault.name}"
        self.rays: RayFan = pilot.rays
        self.sight_rate: float = pilot.sight_rate

    def reset(self, mission: Mission) -> _Memory:
        """As the pilot."""
        return _Memory(self.pilot.reset(mission), 0)

    def think(self, memory: _Memory, sight: Sight, dt: float | Array) -> tuple[_Memory, Any]:
        """As the pilot; sight, memory and wish perhaps spoilt."""
        fault, own = self.fault, memory.own
        bad = fault.at(memory.tick)
        if bad:
            sight, own = fault.sight(sight), fault.memory(own)
        own, wish = self.pilot.think(own, sight, dt)
        return _Memory(own, memory.tick), fault.wish(wish) if bad else wish

    def act(
        self,
        memory: _Memory,
        wish: Any,  # noqa: ANN401 - the pilot's own
        state: State,
    ) -> tuple[_Memory, Float[AnyArray, " 4"], Mapping[str, Any]]:
        """As the pilot; the state estimate perhaps spoilt."""
        if self.fault.at(memory.tick):
            state = self.fault.state(state)
        own, forces, record = self.pilot.act(memory.own, wish, state)
        return _Memory(own, memory.tick + 1), forces, record


def spoilt(tree: Any, value: float) -> Any:  # noqa: ANN401 - any pytree
    """A pytree whose floats all are `value`."""
    return jax.tree.map(
        lambda leaf: (
            jnp.full_like(leaf, value)
            if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
            else leaf
        ),
        tree,
    )


def _mind(memory: Any, value: float) -> Any:  # noqa: ANN401 - any memory
    """A memory whose `mind` (or `neurons`) all is `value`, if it has one."""
    for name in ("mind", "neurons"):
        if hasattr(memory, name):
            return replace(memory, **{name: spoilt(getattr(memory, name), value)})
    return memory


def _state(state: State, value: float) -> State:
    return spoilt(state, value).as_numpy()


def _ranges(sight: Sight, value: float) -> Sight:
    return replace(sight, ranges=spoilt(sight.ranges, value))


_NAN, _INF = float("nan"), float("inf")

FAULTS = (
    Fault("ranges NaN", sight=lambda sight: _ranges(sight, _NAN)),
    Fault("ranges infinite", sight=lambda sight: _ranges(sight, _INF)),
    Fault("ranges negative", sight=lambda sight: _ranges(sight, -1.0)),
    Fault(
        "no returns for good",
        sight=lambda sight: replace(sight, valid=jnp.zeros_like(sight.valid)),
        ticks=1 << 30,
    ),
    Fault("state in the sight NaN", sight=lambda s: replace(s, state=_state(s.state, _NAN))),
    Fault("memory NaN", memory=lambda memory: _mind(memory, _NAN)),
    Fault("memory infinite", memory=lambda memory: _mind(memory, _INF)),
    Fault("wish NaN", wish=lambda wish: spoilt(wish, _NAN)),
    Fault("wish infinite", wish=lambda wish: spoilt(wish, _INF)),
    Fault("wish 1e30", wish=lambda wish: spoilt(wish, 1e30)),
    Fault("state NaN", state=lambda state: _state(state, _NAN)),
    Fault("state infinite", state=lambda state: _state(state, -_INF)),
    Fault("attitude zero", state=lambda s: replace(s, quaternion=0 * s.quaternion)),
    Fault("state NaN for a tick", state=lambda state: _state(state, _NAN), ticks=1),
)
"""What every pilot should live through; a quarter of a second each, after a second of flight."""
