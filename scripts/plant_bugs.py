#!/usr/bin/env python3
"""Plant bugs in a copy of the repository, one at a time, and see whether the tests catch them.

`scripts/plant_bugs.py` takes some minutes a bug. Exit code 1: one went unnoticed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("barriernet", "sim", "lnn_nav", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Bug:
    """A change of one line, and the tests that have to notice."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


QP = ("tests/test_barriernet_qp.py", "tests/test_barriernet_qp_degenerate.py")
SLOPES = ("tests/test_barriernet_qp_gradient.py",)
FAST = ("tests/test_barriernet_qp_fast.py",)
ANSWERS = ("tests/test_barriernet_answers.py",)
LAYER = ("tests/test_barriernet_layer.py",)
BACKUP = ("tests/test_backup_rows.py", "tests/test_backup_adversary.py")

BUGS = (
    Bug(
        "wrong sign of the lower bounds' multipliers",
        "barriernet/_qp/settle.py",
        "lower = [jnp.where(state.at_lower[j], jax.nn.relu(slope[j]), 0) for j in range(size)]",
        "lower = [jnp.where(state.at_lower[j], jax.nn.relu(-slope[j]), 0) for j in range(size)]",
        FAST,
    ),
    Bug(
        "last row dropped from the cost matrix",
        "barriernet/_qp/soft.py",
        "inner = gram(lanes.A, weight)",
        "inner = gram(lanes.A[:, :-1], weight[:-1])",
        FAST,
    ),
    Bug(
        "clip at the upper bounds removed",
        "barriernet/_qp/bounds.py",
        "return jnp.where(jnp.isfinite(upper) & _below(upper, x), upper, x)",
        "return x",
        QP + LAYER,
    ),
    Bug(
        "clip removed from the rounded answer",
        "barriernet/_qp/solve.py",
        "return replace(answer, x=inside(answer.x, lanes.lower, lanes.upper))",
        "return answer",
        ANSWERS,
    ),
    Bug(
        "stale active set: no correction of the guess",
        "barriernet/_qp/correct.py",
        "same = jnp.all(same, axis=0) & jnp.all(rows == state.rows, axis=0)",
        "same = jnp.ones_like(jnp.all(same, axis=0))",
        FAST,
    ),
    Bug(
        "every answer passes the conditions of optimality",
        "barriernet/_qp/settle.py",
        "solved = state.settled & (residual <= ROUNDING * float(jnp.finfo(x.dtype).eps))",
        "solved = jnp.ones_like(state.settled)",
        QP,
    ),
    Bug(
        "unsound problems are not told apart",
        "barriernet/_qp/lanes.py",
        "return fine & jnp.all(bounds, axis=0) & _convex(lanes.P)",
        "return jnp.ones_like(fine)",
        QP,
    ),
    Bug(
        "cost that is not convex goes unnoticed",
        "barriernet/_qp/lanes.py",
        "return fine & jnp.all(bounds, axis=0) & _convex(lanes.P)",
        "return fine & jnp.all(bounds, axis=0)",
        QP,
    ),
    Bug(
        "bases of an older active set",
        "barriernet/_qp/active_set.py",
        "return replace(moved, candidate=following, bases=factors)",
        "return replace(moved, candidate=following, bases=state.bases)",
        QP,
    ),
    Bug(
        "infeasible called solved",
        "barriernet/_qp/careful.py",
        "return jnp.where(infeasible, int(Outcome.INFEASIBLE), solved), residual",
        "return jnp.where(infeasible, int(Outcome.SOLVED), solved), residual",
        QP,
    ),
    Bug(
        "answers of a group put back in the wrong lanes",
        "barriernet/_qp/compact.py",
        'return old.at[..., lanes].set(new, mode="drop")',
        'return old.at[..., lanes[::-1]].set(new, mode="drop")',
        ANSWERS,
    ),
    Bug(
        "gradient of the rows without what the multipliers add",
        "barriernet/_qp/derivative.py",
        "force = row_multiplier @ change.A + pressed @ asked.A",
        "force = pressed @ asked.A",
        SLOPES,
    ),
    Bug(
        "gradient of the weights forgotten",
        "barriernet/_qp/derivative.py",
        "jnp.where(soft, change.weight * answer.slack, 0)",
        "0 * jnp.where(soft, change.weight * answer.slack, 0)",
        SLOPES,
    ),
    Bug(
        "wrong sign of the upper bounds' derivative",
        "barriernet/_qp/derivative.py",
        "jnp.concatenate([shortened, change.lower, -change.upper])",
        "jnp.concatenate([shortened, change.lower, change.upper])",
        SLOPES,
    ),
    Bug(
        "wrong sign of how bounds move the free variables",
        "barriernet/_qp/soft.py",
        "sign[:, None] * (own - along)",
        "sign[:, None] * (own + along)",
        SLOPES,
    ),
    Bug(
        "the guess does not look at its bounds",
        "barriernet/_qp/guess.py",
        "lanes.wall * (jax.nn.relu(short[j]) - jax.nn.relu(over[j]))",
        "0 * lanes.wall",
        FAST,
    ),
    Bug(
        "derivatives of what was not accepted",
        "barriernet/_qp/derivative.py",
        "change = jax.tree.map(lambda part: jnp.where(good, part, 0), change)",
        "change = jax.tree.map(lambda part: jnp.where(True, part, 0), change)",
        SLOPES,
    ),
    Bug(
        "the wish instead of the fallback",
        "barriernet/filter.py",
        "control = jnp.where(solved, answer.x, jnp.where(jnp.isfinite(safe), safe, answer.x))",
        "control = jnp.where(solved, answer.x, jnp.where(jnp.isfinite(wish), wish, answer.x))",
        LAYER,
    ),
    Bug(
        "rows of a chain without the gain of its last link",
        "barriernet/chain.py",
        "return rate + gain * value",
        "return rate + value",
        ("tests/test_barriernet_barrier.py",),
    ),
    Bug(
        "a path that forgets a tick of braking",
        "barriernet/backup/braking.py",
        "a * braking.tick",
        "0 * braking.tick",
        BACKUP,
    ),
)


@dataclass(frozen=True)
class Plant:
    """Plant bugs and run the tests."""

    only: str = ""
    """Only bugs whose name holds this."""
    json: Path | None = None
    """Write what was seen to this file too."""


@dataclass(frozen=True)
class Seen:
    """What the tests said of one bug."""

    name: str
    caught: bool
    by: str
    seconds: float


def main(config: Plant) -> int:
    """Plant each bug and tell which test caught it."""
    rows = []
    for bug in BUGS:
        if config.only in bug.name:
            rows.append(seen := plant(bug))
            print(f"{'caught' if seen.caught else 'MISSED'}  {bug.name:<52} {seen.by}", flush=True)
    if config.json:
        plain = [asdict(row) for row in rows]
        config.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return 0 if rows and all(row.caught for row in rows) else 1


def plant(bug: Bug) -> Seen:
    """Run the tests on a copy with the bug in it; they stop at the first failure."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        place = copy / bug.file
        text = place.read_text(encoding="utf-8")
        if text.count(bug.before) != 1:
            raise SystemExit(f"{bug.name}: {bug.file} holds {text.count(bug.before)} such lines")
        place.write_text(text.replace(bug.before, bug.after), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *bug.tests],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
        )
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    by = failed[0].split(" - ")[0].removeprefix("FAILED ").removeprefix("ERROR ") if failed else ""
    return Seen(bug.name, done.returncode == 1 and bool(failed), by, time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Plant)))
