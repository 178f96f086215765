"""Workers that are processes of this machine, each at the other end of a pipe."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from typing import Any

from sim.campaign.terms import DIED, MissionName, Result, Terms
from sim.campaign.worker import environment, serve
from sim.flight import Pilot


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Any


class Processes:
    """Started anew, not forked: what a worker computes does not depend on its parent's past."""

    def __init__(self, pilot_factory: Callable[[], Pilot], terms: Terms) -> None:
        """Say what workers fly.

        Args:
            pilot_factory: makes the pilot; picklable.
            terms: how to fly.
        """
        self._given = (pilot_factory, terms)

    def hire(self) -> _Worker:
        """A new process."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, *self._given), daemon=True)
        with _environment(environment()):
            process.start()
        # The only other end is the worker's: when it dies, ours reads the end of the pipe.
        theirs.close()
        return _Worker(process, ours)

    def give(self, worker: _Worker, mission: MissionName) -> Any:  # noqa: ANN401 - a connection
        """Through the pipe; where nobody is at its end any more, that shows when it is read."""
        try:
            worker.pipe.send(mission)
        except OSError:
            pass
        return worker.pipe

    def ready(self, tickets: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        """Pipes with something in them, their end included."""
        return connection.wait(tickets, timeout)

    def take(self, ticket: Any) -> Result | str:  # noqa: ANN401 - a connection
        """What came through the pipe."""
        try:
            return ticket.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            return DIED

    def dismiss(self, worker: _Worker) -> None:
        """Kill it: it holds nothing that needs to be put away."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


@contextmanager
def _environment(values: dict[str, str]) -> Generator[None]:
    """Environment variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
