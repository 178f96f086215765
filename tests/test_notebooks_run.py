"""The notebooks run from top to bottom, and show what they promise."""

from __future__ import annotations

import os
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import lnn_nav
from lnn_nav.store import SHIPPED, STRAIGHT_LINE
from sim import FAMILIES

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def shipped_or_straight() -> str:
    """The shipped pilot, or the one without a network where a checkout has none yet."""
    folder = Path(lnn_nav.__file__).parent / "pilots" / SHIPPED
    return SHIPPED if folder.is_dir() else STRAIGHT_LINE


def executed(name: str, parameters: str) -> nbformat.NotebookNode:
    """Run a notebook whose cell of parameters is replaced."""
    notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    cell.source = parameters
    client = NotebookClient(notebook, timeout=240, kernel_name="python3")
    # The backend of these tests would hide the figures from the notebook.
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    return client.execute(cwd=str(NOTEBOOKS), env=environment)


@pytest.fixture(scope="module")
def first_flight() -> nbformat.NotebookNode:
    # A short mission: at this set speed the time is up after a few seconds.
    return executed(
        "01_first_flight",
        f'PILOT = "{shipped_or_straight()}"\nFAMILY, SEED = "forest", 1_000_001\n'
        'ENGINE = "twin"\nSPEED = 6.0',
    )


def test_the_first_flight_runs_and_draws_four_figures(first_flight):
    outputs = [output for cell in first_flight.cells for output in cell.get("outputs", [])]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 4
    said = "".join(output.get("text", "") for output in outputs)
    assert "nearest to anything solid" in said
    assert "0 with contact, 0 ticks out of limits" in said


def test_liquid_cells_run_and_draw_their_figures():
    data = os.environ.get("LNN_NAV_TEST_DATA")
    weights = f"{data}/drone_causality" if data else ""
    notebook = executed(
        "02_liquid_cells", f'NEURONS = 16\nLESSONS = 60\nPAST = 40\nWEIGHTS = "{weights}"'
    )
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    # One more where the network that flew can be read.
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) == (7 if data else 6)
    said = "".join(output.get("text", "") for output in outputs)
    assert "there and back: 0.0" in said
    assert "together, masked and alone: the same memories" in said
    (times,) = re.findall(r"constant dt: (\d+) times the error", said)
    assert int(times) >= 3
    kept = dict(re.findall(r"(.+?) +keeps (\S+) of the gradient", said))
    assert float(kept["CfC with an LSTM before it"]) > float(kept["CfC"]) + 0.1


def test_the_barrier_runs_and_draws_three_figures():
    notebook = executed("03_barrier", "RADIUS = 0.8\nHARDEST = 5.0\nSTEPS = 100\nLESSONS = 60")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) == 3
    said = "".join(output.get("text", "") for output in outputs)
    assert "26 of 26 certified" in said
    assert "100 of 100 controls certified" in said
    assert "infeasible: no point" in said


def test_the_worlds_run_and_draw_six_figures():
    notebook = executed(
        "04_worlds",
        f'PILOT = "{SHIPPED}"\nFAMILIES = tuple(sim.FAMILIES)\n'
        'FAMILY, SEED = "mixed", 1_000_003\nSPEED, WIND = None, 1.0',
    )
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) == 6
    said = "".join(output.get("text", "") for output in outputs)
    for name in FAMILIES:
        assert f" {name}: " in said
    (apart,) = re.findall(r"never more than (\S+) mm apart", said)
    assert float(apart) < 1e-3
    assert "refused: obstacles[0].radius: expected" in said
    assert said.count("0 ticks out of limits") == 2


def test_a_notebook_that_fails_is_seen(tmp_path, monkeypatch):
    (tmp_path / "bad.py").write_text('# %% tags=["parameters"]\nA = 1\n\n# %%\nassert A == 1\n')
    monkeypatch.setattr("test_notebooks_run.NOTEBOOKS", tmp_path)
    executed("bad", "A = 1")
    with pytest.raises(CellExecutionError, match="AssertionError"):
        executed("bad", "A = 2")
