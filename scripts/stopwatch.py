"""How long calls take, for the benches."""

from __future__ import annotations

import time
from collections.abc import Callable


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
