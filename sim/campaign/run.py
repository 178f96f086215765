"""A campaign: every mission's result, in order, whatever happens to any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from typing import Any

from sim.campaign.logbook import Logbook
from sim.campaign.processes import Processes
from sim.campaign.schedule import Workplace, fly_all
from sim.campaign.terms import MissionName, Progress, Result, Terms
from sim.flight import Pilot

BACKENDS = ("processes", "ray")


def run_campaign(
    missions: Sequence[MissionName],
    pilot_factory: Callable[[], Pilot],
    terms: Terms = Terms(),  # noqa: B008 - frozen
    *,
    processes: int = 1,
    deadline: float | None = None,
    logbook: Logbook | None = None,
    backend: str = "processes",
    progress: Progress | None = None,
) -> list[Result]:
    """Fly missions in processes of their own; a pilot is made once in each of them.

    The results do not depend on `processes` or `backend`, wall times apart. A mission that raises,
    that takes its process down with it or that is not done in time becomes a result with a reason;
    the others are flown.

    Args:
        missions: what to fly.
        pilot_factory: makes the pilot; picklable (a function of a module, or a `partial` of one).
        terms: how to fly.
        processes: how many work at a time.
        deadline: wall time that a mission may take, what its process compiles included [s].
        logbook: where results are kept; missions that were flown there before are not flown again.
        backend: processes of this machine, or of a Ray cluster (extra `ray`).
        progress: called here, in this process, for what is flown now.

    Returns:
        The results in the order of the missions.

    Raises:
        ValueError: there are no missions, no processes, no such back end or no time.
        LogbookError: the logbook is of another campaign, damaged, or being written.
        ImportError: Ray is missing.
    """
    if processes < 1:
        raise ValueError(f"processes: expected 1 or more, got {processes}")
    if not missions:
        raise ValueError("missions: expected at least one, got none")
    if deadline is not None and not 0 < deadline < float("inf"):
        raise ValueError(f"deadline: expected a finite time above 0 s, got {deadline}")
    workplace = _workplace(backend, pilot_factory, terms)
    results: dict[int, Result] = {}
    with nullcontext() if logbook is None else logbook:
        known = {} if logbook is None else logbook.known()
        results |= {i: known[name] for i, name in enumerate(missions) if name in known}
        places = [place for place in range(len(missions)) if place not in results]
        todo = [missions[place] for place in places]
        with closing(fly_all(workplace, todo, processes, deadline)) as flown:
            for count, (index, result) in enumerate(flown, start=1):
                results[places[index]] = result
                if logbook is not None:
                    logbook.add(result)
                if progress is not None:
                    progress(result, count, len(todo))
    return [results[place] for place in range(len(missions))]


def _workplace(backend: str, pilot_factory: Callable[[], Pilot], terms: Terms) -> Workplace[Any]:
    if backend == "processes":
        return Processes(pilot_factory, terms)
    if backend == "ray":
        from sim.campaign.ray_workers import RayWorkers

        return RayWorkers(pilot_factory, terms)
    raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}")
