"""What a command can see of the house rules: sizes, addresses, the locked set, silent faults."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

LONGEST_FILE = 400
LONGEST_FUNCTION = 80
CODE = ("barriernet", "sim", "lnn_nav", "scripts")

# Spelt in parts, so that this file holds none of what it looks for.
HOSTS = "|".join(
    [
        r"pypi" + r"\.org",
        r"python" + r"hosted",
        r"registry\." + r"npmjs",
        r"npmjs" + r"\.com",
        r"download\." + r"pytorch",
        r"conda" + r"\.anaconda",
    ]
)
MACHINE = "|".join(rf"(?<![\w.])/{name}/" for name in ("wo" + "rk", "fa" + "rm", "ro" + "ot"))
ADDRESS = re.compile(rf"{HOSTS}|{MACHINE}", re.IGNORECASE)

SILENCE = re.compile(
    "|".join(
        [
            r"type: " + r"ignore",
            r"except " + r"Exception\b",
            r"except" + r"\s*:",
            r"\bTO" + r"DO\b",
            r"\bFIX" + r"ME\b",
            r"raise NotImplemented" + r"Error",
            r"\bx" + r"fail\b",
            r"assert " + r"True\b",
        ]
    )
)


def text_of(path: Path) -> str | None:
    """Content of a text file; None for a binary one."""
    content = path.read_bytes()
    return None if b"\0" in content else content.decode("utf-8", errors="replace")


def lines_matching(files: list[Path], pattern: re.Pattern[str], root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}:{number}: {line.strip()[:100]}"
        for path in files
        if (text := text_of(path)) is not None
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def python_files(tracked_files: tuple[Path, ...]) -> list[Path]:
    return [path for path in tracked_files if path.suffix == ".py"]


def test_no_file_is_long(repository, tracked_files):
    long = {
        str(path.relative_to(repository)): count
        for path in python_files(tracked_files)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert not long


def test_no_function_is_long(repository, tracked_files):
    long = {
        f"{path.relative_to(repository)}:{node.name}": length
        for path in python_files(tracked_files)
        if path.relative_to(repository).parts[0] in CODE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not long


@pytest.mark.parametrize(
    "line",
    [
        "https://" + "pypi" + ".org/simple",
        "--find-links /" + "wo" + "rk/main",
        "https://files.python" + "hosted.org/x.whl",
    ],
)
def test_an_address_is_seen(line, tmp_path):
    (tmp_path / "planted.txt").write_text(line)
    assert lines_matching([tmp_path / "planted.txt"], ADDRESS, tmp_path)


def test_no_tracked_file_holds_an_address(repository, tracked_files):
    assert not lines_matching(list(tracked_files), ADDRESS, repository)


def test_nothing_is_silenced_or_left_for_later(repository, tracked_files):
    assert not lines_matching(python_files(tracked_files), SILENCE, repository)


@pytest.mark.parametrize(
    "line", ["x = 1  # type: " + "ignore[call]", "except " + "Exception:", "# TO" + "DO: later"]
)
def test_a_silenced_fault_is_seen(line):
    assert SILENCE.search(line)


def locked(repository: Path) -> dict[str, str]:
    """The lock, by canonical name: each entry's full text."""
    text = (repository / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {re.split(r"[=<>@; ]", entry, maxsplit=1)[0]: entry for entry in entries}


def test_the_locked_set_is_pinned_and_hashed(repository):
    for entry in locked(repository).values():
        assert re.match(r"[a-z0-9.-]+==[\w.]+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_locked_set_names_no_place(repository):
    text = (repository / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|/|--(extra-)?index|--find-links|@", text)


def test_the_locked_set_is_for_a_cpu(repository):
    heavy = re.compile(r"torch|nvidia|cuda|rocm|tensorflow|jax-.*-plugin")
    assert not [name for name in locked(repository) if heavy.search(name)]


def test_the_locked_set_holds_all_that_is_declared(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"]]
    lines += [line for extra in ("sim", "dev") for line in project["optional-dependencies"][extra]]
    names = {re.split(r"[<>=!~\[; ]", line, maxsplit=1)[0] for line in lines}
    assert names <= set(locked(repository))
