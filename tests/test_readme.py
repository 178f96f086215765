"""What the README shows runs."""

from __future__ import annotations

import re


def test_the_barrier_example_runs(repository, capsys):
    text = (repository / "README.md").read_text(encoding="utf-8")
    (example,) = (
        part for part in re.findall(r"```python\n(.*?)```", text, re.S) if "Limits" in part
    )
    assert len(example.strip().splitlines()) <= 12
    exec(compile(example, "README.md", "exec"), {})
    assert "certified: changed by" in capsys.readouterr().out


def test_the_liquid_example_runs(repository, capsys):
    text = (repository / "README.md").read_text(encoding="utf-8")
    (example,) = (
        part for part in re.findall(r"```python\n(.*?)```", text, re.S) if "unroll" in part
    )
    assert len(example.strip().splitlines()) <= 12
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("(2, 50, 3) [")
