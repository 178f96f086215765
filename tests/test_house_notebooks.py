"""Each notebook is a pair, a script to read and an .ipynb to run, and the two say the same."""

from __future__ import annotations

from pathlib import Path

import jupytext


def cells(path: Path) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def out_of_step(folder: Path) -> list[str]:
    """Names of notebooks whose other half is missing or says something else."""
    names = {path.stem for path in folder.glob("*.py")} | {p.stem for p in folder.glob("*.ipynb")}
    return [
        name
        for name in sorted(names)
        if not (folder / f"{name}.py").is_file()
        or not (folder / f"{name}.ipynb").is_file()
        or cells(folder / f"{name}.py") != cells(folder / f"{name}.ipynb")
    ]


def test_notebooks_are_in_step(repository):
    assert not out_of_step(repository / "notebooks"), "bring them in step with jupytext --sync"


def test_a_notebook_out_of_step_is_seen(tmp_path):
    script = tmp_path / "one.py"
    script.write_text("# %% [markdown]\n# A word.\n\n# %%\nanswer = 42\n")
    assert out_of_step(tmp_path) == ["one"]
    jupytext.write(jupytext.read(script), tmp_path / "one.ipynb")
    assert out_of_step(tmp_path) == []
    script.write_text(script.read_text().replace("42", "43"))
    assert out_of_step(tmp_path) == ["one"]
