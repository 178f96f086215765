"""How long calls take, for the benches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def repeats_of(call: Callable[[], object]) -> int:
    """How often a call fits into 20 ms, after the first one, which compiles."""
    call()
    return max(1, int(0.02 / max(spent(call, 3), 1e-6)))


def spent(call: Callable[[], object], repeats: int) -> float:
    """Seconds of the processor that a call takes, on average of so many."""
    began = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - began) / repeats


def least_seconds(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Least seconds of each call, in rounds, so that a slow moment of the machine meets all."""
    repeats = [repeats_of(call) for call in calls]
    least = [float("inf")] * len(calls)
    for _ in range(rounds):
        for index, call in enumerate(calls):
            least[index] = min(least[index], spent(call, repeats[index]))
    return least
