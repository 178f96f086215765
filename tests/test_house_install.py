"""The install in a world of stand-ins: which tool it takes, what it says, when it starts again."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TOOLS = ("sh", "cat", "cp", "dirname", "mkdir", "mktemp", "rm", "sed", "touch")
WRITE_DOWN = '#!/bin/sh\nprintf "%s\\n" "${0##*/} $*" >> "$CALLS"\n'
# Stands for python3.11 and, copied, for the environment's python.
PYTHON = WRITE_DOWN + (
    'case "$1 $2" in "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;; esac\n'
)
UV = WRITE_DOWN + (
    'case "$1" in venv) for last; do :; done; mkdir -p "$last/bin"; '
    'cp "$STAND_IN" "$last/bin/python" ;; esac\n'
)
FAILING = WRITE_DOWN + "echo no luck at all; exit 1\n"


@dataclass(frozen=True)
class Outcome:
    """How one install ended, and the commands it gave."""

    code: int
    said: str
    complained: str
    calls: list[str]


@dataclass(frozen=True)
class Machine:
    """A folder with a copy of the install script, and a PATH of its own."""

    root: Path

    @property
    def environment(self) -> Path:
        return self.root / "project" / ".venv"

    @property
    def stamp(self) -> Path:
        return self.environment / ".installed"

    def add(self, name: str, script: str) -> None:
        path = self.root / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def install(self) -> Outcome:
        calls = self.root / "calls"
        calls.write_text("")
        result = subprocess.run(
            [self.root / "bin" / "sh", self.root / "project" / "scripts" / "install.sh"],
            env={
                "PATH": str(self.root / "bin"),
                "CALLS": str(calls),
                "STAND_IN": str(self.root / "stand-in"),
                "TMPDIR": str(self.root),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        lines = calls.read_text().splitlines()
        return Outcome(result.returncode, result.stdout, result.stderr, lines)


@pytest.fixture
def machine(repository: Path, tmp_path: Path) -> Machine:
    """Linux x86_64 with neither uv nor Python."""
    (tmp_path / "project" / "scripts").mkdir(parents=True)
    shutil.copy(repository / "scripts" / "install.sh", tmp_path / "project" / "scripts")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        place = shutil.which(tool)
        assert place, tool
        os.symlink(place, tmp_path / "bin" / tool)
    made = Machine(tmp_path)
    made.add("uname", '#!/bin/sh\ncase "$1" in -s) echo Linux ;; -m) echo x86_64 ;; esac\n')
    (tmp_path / "stand-in").write_text(PYTHON)
    (tmp_path / "stand-in").chmod(0o755)
    return made


def refused_in_one_sentence(machine: Machine, *words: str) -> None:
    outcome = machine.install()
    assert outcome.code != 0
    assert outcome.complained.count("\n") == 1
    assert outcome.complained.endswith(".\n")
    for word in words:
        assert word in outcome.complained
    assert not machine.stamp.exists()


def test_without_any_python_one_sentence_says_so(machine):
    refused_in_one_sentence(machine, "Python 3.11", "uv", "PYTHON=")


def test_another_python_is_refused(machine):
    machine.add("python3.11", '#!/bin/sh\ncase "$2" in *version_info*) exit 1 ;; esac\n')
    refused_in_one_sentence(machine, "not Python 3.11", "PYTHON=")


def test_a_python_without_venv_is_refused(machine):
    machine.add("python3.11", '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n')
    refused_in_one_sentence(machine, "venv module", "python3.11-venv")


def test_a_platform_without_pybullet_is_refused(machine):
    machine.add("python3.11", PYTHON)
    machine.add("uname", '#!/bin/sh\ncase "$1" in -s) echo Darwin ;; -m) echo arm64 ;; esac\n')
    refused_in_one_sentence(machine, "PyBullet", "Darwin arm64")


def test_pip_installs_wheels_by_their_hashes_then_the_project(machine):
    machine.add("python3.11", PYTHON)
    outcome = machine.install()
    assert outcome.code == 0, outcome.complained
    packages, project = (call for call in outcome.calls if "pip install" in call)
    assert "--require-hashes" in packages
    assert "--only-binary :all:" in packages
    assert {"--no-deps", "--no-index", "--no-build-isolation"} <= set(project.split())
    assert machine.stamp.exists()


def test_uv_goes_first(machine):
    machine.add("python3.11", PYTHON)
    machine.add("uv", UV)
    outcome = machine.install()
    assert outcome.code == 0, outcome.complained
    assert not [call for call in outcome.calls if call.startswith("python3.11")]
    (packages,) = (call for call in outcome.calls if call.startswith("uv pip install"))
    assert "--require-hashes" in packages
    assert "--only-binary :all:" in packages
    assert machine.stamp.exists()


def test_pip_steps_in_where_uv_fails(machine):
    machine.add("python3.11", PYTHON)
    machine.add("uv", FAILING)
    outcome = machine.install()
    assert outcome.code == 0, outcome.complained
    assert "no luck at all" in outcome.complained
    assert machine.stamp.exists()


def test_a_failed_install_shows_why_and_leaves_no_stamp(machine):
    machine.add("python3.11", PYTHON.replace('cp "$0"', 'cp "$STAND_IN"'))
    (machine.root / "stand-in").write_text(FAILING)
    outcome = machine.install()
    assert outcome.code != 0
    assert "no luck at all" in outcome.complained
    assert not machine.stamp.exists()


def test_an_interrupted_install_starts_again(machine):
    machine.add("python3.11", PYTHON)
    (machine.environment / "bin").mkdir(parents=True)
    half = machine.environment / "half-written"
    half.touch()
    outcome = machine.install()
    assert outcome.code == 0, outcome.complained
    assert not half.exists()
    assert "starting again" in outcome.said


def test_a_finished_install_is_brought_up_to_date_in_place(machine):
    machine.add("python3.11", PYTHON)
    assert machine.install().code == 0
    kept = machine.environment / "kept"
    kept.touch()
    outcome = machine.install()
    assert outcome.code == 0, outcome.complained
    assert kept.exists()
    assert not [call for call in outcome.calls if "-m venv" in call]


def test_an_update_that_is_cut_short_has_no_stamp(machine):
    """Else the next install would take the half-updated environment for a whole one."""
    machine.add("python3.11", PYTHON)
    assert machine.install().code == 0
    (machine.environment / "bin" / "python").write_text(FAILING)
    assert machine.install().code != 0
    assert not machine.stamp.exists()
