"""Workers that are actors of a Ray cluster: `ray.init` finds it, or starts one on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sim.campaign.terms import DIED, MissionName, Result, Terms
from sim.campaign.worker import Worker, environment
from sim.flight import Pilot


class RayWorkers:
    """One processor each; a worker that dies is not started again behind our back."""

    def __init__(self, pilot_factory: Callable[[], Pilot], terms: Terms) -> None:
        """Join the cluster (the environment variable `RAY_ADDRESS` names one).

        Args:
            pilot_factory: makes the pilot; picklable, of a module that every machine has.
            terms: how to fly.

        Raises:
            ImportError: Ray is missing.
        """
        try:
            import ray
        except ImportError as error:
            raise ImportError("Ray is missing: pip install 'lnn-nav[ray]'") from error
        self._ray, self._given = ray, (pilot_factory, terms)
        if not ray.is_initialized():
            ray.init(log_to_driver=False, include_dashboard=False)
        # Modules are found where this process finds them, as by processes of this machine.
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        surroundings = {"env_vars": environment() | path}
        alone = ray.remote(num_cpus=1, max_restarts=0, runtime_env=surroundings)
        self._actor = alone(Worker)

    def hire(self) -> Any:  # noqa: ANN401 - an actor
        """A new actor."""
        return self._actor.remote(*self._given)

    def give(self, worker: Any, mission: MissionName) -> Any:  # noqa: ANN401 - an actor, a promise
        """A call of the actor."""
        return worker.fly.remote(mission)

    def ready(self, tickets: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        """Calls that have come back, or cannot any more."""
        return self._ray.wait(list(tickets), num_returns=1, timeout=timeout)[0]

    def take(self, ticket: Any) -> Result | str:  # noqa: ANN401 - a promise
        """What the call gave back."""
        try:
            return self._ray.get(ticket)
        except self._ray.exceptions.RayActorError as error:
            lines = str(error).strip().splitlines()
            return f"{DIED}: {lines[-1]}" if "creation task" in lines[0] else DIED

    def dismiss(self, worker: Any) -> None:  # noqa: ANN401 - an actor
        """Kill the actor."""
        self._ray.kill(worker)
