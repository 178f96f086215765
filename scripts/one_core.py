"""One core and one thread, so that times can be compared."""

from __future__ import annotations

import os


def keep_to_one_core() -> None:
    """One core and one thread for all that is imported later."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for library in ("OMP", "OPENBLAS", "MKL", "RAYON"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["NPROC"] = "1"
