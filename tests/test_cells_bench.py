"""The bench of the cells: its rows, its ratios, and that a missing peer is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# As it is for a program that is run from there.
sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

import bench_cells

KEYS = {"implementation", "cell", "batch", "steps", "forward_ms", "forward_backward_ms", "step_us"}


@pytest.fixture(scope="module")
def measured():
    return bench_cells.measure(bench_cells.Bench(batch=2, steps=2, inputs=4, rounds=1))


def test_every_cell_has_a_row_of_times(measured):
    rows, _ = measured
    assert {(row["implementation"], row["cell"]) for row in rows} >= {
        ("lnn_nav", "CfC 64"),
        ("lnn_nav", "CfC AutoNCP(32, 4)"),
        ("lnn_nav", "LTC AutoNCP(32, 4)"),
        ("flax", "LSTM 64"),
        ("flax", "GRU 64"),
    }
    for row in rows:
        assert row.keys() >= KEYS
        assert min(row["forward_ms"], row["forward_backward_ms"], row["step_us"]) > 0


def test_a_missing_peer_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ncps.torch", None)
    peers, notes = bench_cells._torch(bench_cells.np.zeros((2, 2, 4), "float32"))
    assert not peers
    assert notes and notes[0].startswith("ncps.torch: missing: ")


def test_ratios_are_of_the_rows_and_say_what_is_asked():
    def row(implementation, cell, milliseconds):
        return {
            "implementation": implementation,
            "cell": cell,
            "forward_ms": milliseconds,
            "forward_backward_ms": 3 * milliseconds,
            "step_us": 10 * milliseconds,
        }

    rows = [row("ncps.torch", "CfC 64", 6.0), row("lnn_nav", "CfC 64", 1.5)]
    lines = bench_cells.ratios(rows)
    assert [line.split("x as")[0] for line in lines] == ["lnn_nav CfC 64: 4.00"] * 3
    assert "forward and backward (asked: 5)" in lines[1]
