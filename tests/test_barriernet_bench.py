"""The bench of the solvers: its problems, its judge, its table, and the lock of the peers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from barriernet_oracle import clarabel_answer

from barriernet.verify.problems import Problems, adversarial_problems

# As it is for a program that is run from there.
sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

import plant_bugs
from qp_peers.forms import explicit
from qp_peers.measure import Pace, measure
from qp_peers.ours import Ours
from qp_peers.peer import Answers, Peer
from qp_peers.place import Cell
from qp_peers.qpax_solver import Qpax
from qp_peers.reference import exact_answers, optimality_gap
from qp_peers.report import FIGURES, ratios, remarks, table

KEYS = {"solver", "n", "K", "batch", "dtype", "forward_us", "forward_backward_us", "max_error"}
KEYS |= {"hard_violation", "nonfinite_gradients", "unconverged"}
FAST = Pace(rounds=1, patience=1.0)


class Exact(Peer):
    """A solver made of numpy, which a test may spoil."""

    name = "exact"

    def start(self):
        pass

    def load(self, problems, single):
        return problems, exact_answers(problems)

    def forward(self, inputs):
        return inputs[1].copy(), None

    def forward_backward(self, inputs):
        return inputs[1].copy(), np.zeros_like(inputs[0].A)

    def read(self, result):
        x, gradient = result
        return Answers(x, 0, None if gradient is None else (gradient,))


class Spoilt(Exact):
    """Its third answer leaves the bounds, and two gradients are not finite."""

    name = "spoilt"

    def forward(self, inputs):
        x = inputs[1].copy()
        x[2, 0] = inputs[0].upper[2, 0] + 0.25
        return x, None

    def forward_backward(self, inputs):
        gradient = np.zeros_like(inputs[0].A)
        gradient[1, 0, 0], gradient[3] = np.nan, np.inf
        return inputs[1].copy(), gradient


class Silent(Exact):
    """It answers NaN."""

    name = "silent"
    refuses_gradient = "has no gradient"

    def forward(self, inputs):
        return np.full_like(inputs[1], np.nan), None


class Raising(Exact):
    """It cannot do this shape."""

    name = "raising"

    def forward_backward(self, inputs):
        raise RuntimeError("too small")


CELL = Cell(3, 5, 64, "float64")


def only_row(peer, cell=CELL):
    (row,) = measure([cell], [peer], FAST)
    return row


@pytest.fixture(scope="module")
def measured():
    """One cell with barriernet, a peer that is not installed, and one that fails in between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "qpax", None)
        return measure([Cell(3, 2, 1, "float64")], [Ours(), Raising(), Qpax(), Exact()], FAST)


def test_each_peer_has_a_row_of_the_contract(measured):
    assert [row["solver"] for row in measured] == ["barriernet", "raising", "qpax", "exact"]
    assert all(set(row) == KEYS | {"inside_jit_us", "note"} for row in measured)
    assert json.loads(json.dumps(measured)) == measured


def test_barriernet_is_timed_and_exact(measured):
    ours = measured[0]
    assert ours["forward_us"] > 0 and ours["forward_backward_us"] > 0
    assert ours["max_error"] <= 1e-9
    assert ours["hard_violation"] == ours["nonfinite_gradients"] == ours["unconverged"] == 0


def test_a_missing_peer_is_reported_with_its_reason(measured):
    row = measured[2]
    assert row["note"].startswith("missing: ") and "qpax" in row["note"]
    assert all(row[key] is None for key in KEYS - {"solver", "n", "K", "batch", "dtype"})
    assert next(remarks(measured)).startswith("qpax: missing: ")


def test_a_peer_that_fails_says_so_and_the_others_go_on(measured):
    assert measured[1]["note"] == "failed: RuntimeError: too small"
    assert measured[1]["forward_us"] is None
    assert measured[3]["forward_us"] > 0


def test_the_table_shows_who_has_figures(measured):
    text = "\n".join(table(measured))
    assert "n=3 K=2 B=1 float64" in text
    assert "barriernet" in text and "exact" in text
    assert "qpax" not in text


def test_exact_answers_have_no_error():
    row = only_row(Exact())
    assert row["max_error"] == row["hard_violation"] == row["nonfinite_gradients"] == 0


def test_an_error_a_violation_and_a_bad_gradient_are_seen():
    row = only_row(Spoilt())
    assert row["hard_violation"] == pytest.approx(0.25, abs=1e-12)
    assert row["max_error"] >= 0.25
    # Two of each batch; 256 problems make four.
    assert row["nonfinite_gradients"] == 8


def test_nan_counts_as_infinitely_wrong():
    row = only_row(Silent())
    assert row["max_error"] == row["hard_violation"] == np.inf
    assert row["forward_backward_us"] is None
    assert row["note"] == "has no gradient"


def test_a_slow_peer_is_timed_on_less_and_says_so():
    cells = [Cell(3, 5, 64, "float64"), Cell(3, 5, 1024, "float64")]
    small, large = measure(cells, [Exact()], Pace(rounds=1, patience=1e-9))
    assert small["note"] == ""
    assert large["note"] == "timed on a batch of 64"


def test_a_type_that_a_peer_does_not_have_is_told():
    peer = Exact()
    peer.refuses_float32 = "computes in float64 only"
    row = only_row(peer, Cell(3, 5, 64, "float32"))
    assert row["note"] == "computes in float64 only"
    assert row["forward_us"] is None


def test_the_ratios_are_theirs_over_ours():
    figure = FIGURES[0]
    where = {"n": figure.n, "K": figure.rows, "batch": figure.batch, "dtype": "float64"}
    pair = [
        {"solver": name, **where, figure.time: value}
        for name, value in (("barriernet", 2.0), (figure.peer, 150.0))
    ]
    (line,) = ratios(pair)
    assert f"75.0 x faster than {figure.peer} (asked: 60)" in line
    assert not list(ratios([pair[0]]))


@pytest.mark.parametrize(("variables", "rows"), [(3, 0), (4, 16)])
def test_the_reference_agrees_with_an_interior_point(variables, rows):
    problems = adversarial_problems(20, variables, rows)
    answers = exact_answers(problems)
    for i, x in enumerate(answers):
        assert clarabel_answer([part[i] for part in problems]) == pytest.approx(x, abs=1e-6)


def test_the_reference_is_checked_by_the_conditions_of_optimality():
    problems = adversarial_problems(10, 4, 16)
    for i, x in enumerate(exact_answers(problems)):
        one = problems.part(i, i + 1)
        assert optimality_gap(one, x) <= 1e-10
        assert optimality_gap(one, np.clip(x + 1e-6, one.lower[0], one.upper[0])) > 1e-9


def test_slacks_spelled_out_are_the_same_problem():
    """At any point inside: equal cost at the cheapest slack, and rows that hold just then."""
    problems = adversarial_problems(5, 4, 8)
    form, x = explicit(np, problems), np.full((5, 4), 0.4)
    slack = np.maximum(problems.b - np.einsum("bkn,bn->bk", problems.A, x), 0)
    z = np.concatenate([x, slack], 1)
    room = form.h - np.einsum("bij,bj->bi", form.G, z)
    assert np.all(room >= -1e-12)
    assert np.all(np.min(room[:, :8], axis=1) <= 1e-12)
    cost = np.einsum("bi,bij,bj->b", z, form.Q, z) / 2 + np.sum(form.c * z, 1)
    direct = np.einsum("bi,bij,bj->b", x, problems.P, x) / 2 + np.sum(problems.q * x, 1)
    assert cost == pytest.approx(direct + np.sum(problems.weight * slack**2, 1) / 2)


def test_the_set_is_adversarial():
    problems = adversarial_problems(2000, 4, 16)
    wish = -np.linalg.solve(problems.P, problems.q[..., None])[..., 0]
    outside = np.any((wish < problems.lower) | (wish > problems.upper), axis=1)
    assert np.mean(outside) > 0.9
    opposed = np.all(problems.A[:, 1] == -problems.A[:, 0], axis=1)
    assert np.mean(opposed) == pytest.approx(0.3, abs=0.03)
    gap = problems.b[opposed, 0] + problems.b[opposed, 1]
    assert np.all((gap >= 0.1 - 1e-12) & (gap <= 1 + 1e-12))


def test_every_other_problem_has_a_point_that_meets_all_rows():
    problems = adversarial_problems(40, 3, 8, contradictory=0.0)
    x = exact_answers(problems)
    lacking = np.max(problems.b - np.einsum("bkn,bn->bk", problems.A, x), axis=1)
    # What a soft row lacks is its force over its weight; a contradiction lacks half its gap.
    assert np.all(lacking[::2] < 0.01)
    assert np.mean(lacking[1::2] > 0.05) > 0.5


def test_the_set_is_the_same_each_time_and_another_for_another_seed():
    first, again = adversarial_problems(7, 3, 4), adversarial_problems(7, 3, 4)
    assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first.b, adversarial_problems(7, 3, 4, seed=1).b)
    assert isinstance(first.as_type(np.float32), Problems)
    assert all(part.dtype == np.float32 for part in first.as_type(np.float32))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [((0, 3, 4), "count"), ((1, 0, 4), "variables"), ((1, 3, -1), "rows")],
)
def test_a_set_that_cannot_be_is_refused(arguments, field):
    with pytest.raises(ValueError, match=field):
        adversarial_problems(*arguments)
    with pytest.raises(ValueError, match="contradictory"):
        adversarial_problems(1, 3, 4, contradictory=1.5)


def test_an_unknown_peer_is_refused(repository):
    program = repository / "scripts" / "bench_qp.py"
    command = [sys.executable, program, "--solvers", "nobody"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "nobody" in result.stdout and "barriernet" in result.stdout


def pins(path: Path) -> dict[str, str]:
    """Each locked package's whole entry, by its name."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {entry.partition("==")[0]: entry for entry in entries}


def test_the_peers_are_locked_by_hashes_and_name_no_place(repository):
    locked = pins(repository / "requirements-bench.txt")
    for entry in locked.values():
        assert re.match(r"[a-z0-9.-]+==[\w.+]+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
        assert not re.search(r"://|/|--(extra-)?index|--find-links|@", entry), entry
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["bench"]
    assert {re.split(r"[<>=!~\[; ]", line, maxsplit=1)[0] for line in extra} <= set(locked)


def test_the_two_locks_agree(repository):
    """Else adding the peers would change what the tests ran with."""

    def version(entry: str) -> str:
        return entry.split()[0]

    base = pins(repository / "requirements.txt")
    peers = pins(repository / "requirements-bench.txt")
    shared = set(base) & set(peers)
    assert "jax" in shared
    assert {name for name in shared if version(base[name]) != version(peers[name])} == set()


def test_every_bug_that_is_planted_has_its_place_and_its_tests():
    """Code moves on; a bug that no longer fits would be planted nowhere."""
    assert len(plant_bugs.BUGS) >= 12
    for bug in plant_bugs.BUGS:
        assert (plant_bugs.ROOT / bug.file).read_text(encoding="utf-8").count(bug.before) == 1, bug
        assert bug.after != bug.before
        assert all((plant_bugs.ROOT / test).is_file() for test in bug.tests), bug


def test_every_bench_can_be_quick(repository):
    """`make bench ARGS=--quick` hands its argument to all of them."""
    scripts = sorted((repository / "scripts").glob("bench_*.py"))
    assert len(scripts) >= 3
    for script in scripts:
        shown = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0 and "--quick" in shown.stdout, script
