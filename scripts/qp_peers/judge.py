"""How good answers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from barriernet.verify.problems import Problems
from qp_peers.peer import Answers


def judged(answers: Sequence[Answers], problems: Problems, truth: np.ndarray) -> dict[str, Any]:
    """Errors of forward calls; what is not finite is infinitely wrong.

    Args:
        answers: of one call each, together as many as there are problems.
        problems: what was asked.
        truth: exact x `[B n]`.

    Returns:
        Of the table's row: `max_error` (largest difference of an entry of x), `hard_violation`
        (how far x leaves [lower, upper], at most) and `unconverged` (None where unsaid).
    """
    x = np.concatenate([one.x for one in answers]).astype(np.float64)
    outside = np.maximum(problems.lower - x, x - problems.upper)
    unsaid = any(one.unconverged is None for one in answers)
    return {
        "max_error": float(np.max(np.nan_to_num(np.abs(x - truth), nan=np.inf))),
        "hard_violation": float(np.max(np.maximum(np.nan_to_num(outside, nan=np.inf), 0))),
        "unconverged": None if unsaid else sum(one.unconverged or 0 for one in answers),
    }


def nonfinite(answers: Answers) -> int:
    """How many problems have a gradient that holds a number that is not finite."""
    finite = np.ones(len(answers.x), bool)
    for part in answers.gradients or ():
        finite &= np.all(np.isfinite(part.reshape(len(part), -1)), axis=1)
    return int(np.sum(~finite))
