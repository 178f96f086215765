"""The verb `verify`: verdict, exit code, file, complaints."""

from __future__ import annotations

import json

import pytest

from lnn_nav.commands import verify as command
from lnn_nav.verify import checks
from lnn_nav.verify.checks import Check


@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 1)])
def test_exit_code_and_file_tell_the_verdict(good, code, monkeypatch, tmp_path, capsys):
    def planted(pilot, suite, **terms):
        yield Check("first", True, "0 of 9")
        yield Check("second", good, "1 of 9", "" if good else "mixed, seed 7: contact")

    monkeypatch.setattr(checks, "run_checks", planted)
    path = tmp_path / "checks.json"
    arguments = ["--pilot", "straight-line", "--engine", "twin", "--json", str(path)]
    assert command.main(arguments) == code
    shown = capsys.readouterr().out
    assert ("not safe: 1 checks failed" in shown) == (not good)
    assert ("mixed, seed 7: contact" in shown) == (not good)
    written = json.loads(path.read_text())
    assert written["passed"] is good
    assert [check["name"] for check in written["checks"]] == ["first", "second"]


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--worlds", "jungle"], "--worlds"),
        (["--worlds", "forest,forest"], "--worlds"),
        (["--missions", "0"], "--missions"),
        (["--first-seed", "-1"], "--first-seed"),
        (["--reach", "1.5"], "--reach"),
        (["--vectors", "0"], "--vectors"),
        (["--pilot", "nobody"], "--pilot nobody"),
        (["--speed", "-1"], "--speed"),
        (["--json", "."], "--json"),
    ],
)
def test_bad_input_is_named_and_answered_with_2(arguments, option, capsys):
    assert command.main(["--pilot", "straight-line", "--engine", "twin", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"lnn-nav verify: {option}")
    assert complaint.count("\n") == 1
