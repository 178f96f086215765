"""Missions handed to workers, wherever these are: one loop for all of them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Hashable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from sim.campaign.terms import OVERDUE, MissionName, Result

WorkerT = TypeVar("WorkerT")


@runtime_checkable
class Workplace(Protocol[WorkerT]):
    """Where workers are hired, one mission at a time is given to each, and results come from."""

    def hire(self) -> WorkerT:
        """A new worker."""
        ...

    def give(self, worker: WorkerT, mission: MissionName) -> Hashable:
        """Let a worker fly a mission; what its result will be asked for with."""
        ...

    def ready(self, tickets: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        """Those tickets that have a result, or never will; none after `timeout` [s]."""
        ...

    def take(self, ticket: Any) -> Result | str:  # noqa: ANN401 - the workplace's own
        """The result of a ticket that is ready, or why its worker died over it."""
        ...

    def dismiss(self, worker: WorkerT) -> None:
        """End a worker at once, whatever it is doing. Ending it twice is fine."""
        ...


def fly_all(
    workplace: Workplace[Any],
    missions: Sequence[MissionName],
    width: int,
    deadline: float | None = None,
) -> Generator[tuple[int, Result]]:
    """Fly missions, `width` at a time, and tell each result with its mission's place as it comes.

    A worker that dies, or that is not done in time and is ended, costs its own mission and no
    other; a new one takes its place.

    Args:
        workplace: where.
        missions: what.
        width: how many at a time.
        deadline: wall time that a mission may take, what its worker compiles included [s].
    """
    todo, idle = deque(enumerate(missions)), list[Any]()
    flying: dict[Any, tuple[Any, int, float]] = {}
    try:
        while todo or flying:
            while todo and len(flying) < width:
                index, mission = todo.popleft()
                worker = idle.pop() if idle else workplace.hire()
                due = math.inf if deadline is None else time.monotonic() + deadline
                flying[workplace.give(worker, mission)] = (worker, index, due)
            next_due = min(due for _, _, due in flying.values())
            wait = None if next_due == math.inf else max(0.0, next_due - time.monotonic())
            for ticket in workplace.ready(list(flying), wait):
                worker, index, _ = flying.pop(ticket)
                result = workplace.take(ticket)
                if isinstance(result, str):
                    workplace.dismiss(worker)
                    result = Result(*missions[index], None, result)
                else:
                    idle.append(worker)
                yield index, result
            for ticket in [t for t, (_, _, due) in flying.items() if due <= time.monotonic()]:
                worker, index, _ = flying.pop(ticket)
                workplace.dismiss(worker)
                reason = f"{OVERDUE} of {deadline:g} s"
                yield index, Result(*missions[index], None, reason, wall_s=deadline or 0.0)
    finally:
        for worker in [*idle, *(worker for worker, _, _ in flying.values())]:
            workplace.dismiss(worker)
