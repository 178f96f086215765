"""The wheel holds the three packages and nothing else, and works where the repository is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

PACKAGES = ("barriernet", "lnn_nav", "sim")
LITTER = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "build", "dist", "runs", "*.egg-info"
)
# The interpreter must see nothing of the shell it runs in.
ISOLATED = ["-I", "-X", "utf8"]


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the tree: builds leave folders behind that the next one would pack.

    In the copy the other folders are packages too, as bait for a build that packs what it finds.
    """
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(repository, place / "tree", ignore=LITTER)
    for bait in ("scripts", "tests", "notebooks"):
        (place / "tree" / bait).mkdir(exist_ok=True)
        (place / "tree" / bait / "__init__.py").touch()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", place / "built"]
    run(*pip, *options, place / "tree", cwd=place)
    (built,) = (place / "built").iterdir()
    return built


@pytest.fixture(scope="module")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment: the wheel installed, its dependencies seen through a .pth file.

    A folder that a .pth file names joins ``sys.path``, but the .pth files inside it are not run:
    the finder of the editable install, which would lead back to the repository, stays asleep.
    """
    environment = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment.parent)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--no-index", "--no-deps", wheel, cwd=environment.parent)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_wheel_holds_exactly_the_three_packages(wheel):
    tops = {Path(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    metadata = {top for top in tops if top.endswith(".dist-info")}
    assert len(metadata) == 1
    assert tops - metadata == set(PACKAGES)


def test_wheel_holds_every_file_of_the_packages(wheel, repository):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(PACKAGES)}
    written = {
        path.relative_to(repository).as_posix()
        for package in PACKAGES
        for path in (repository / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == written | {name for name in packed if ".dist-info/" in name}


def test_wheel_carries_type_marks_licence_and_command(wheel):
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
    assert "lnn-nav = lnn_nav.cli:main" in archive.read(entry_points).decode()


@pytest.mark.parametrize("package", [*PACKAGES, "lnn_nav.cells", "lnn_nav.cli", "sim.twin"])
def test_installed_wheel_imports_outside_the_repository(clean_python, tmp_path, package):
    code = f"import {package}; print({package}.__file__)"
    place = Path(run(clean_python, *ISOLATED, "-c", code, cwd=tmp_path).strip())
    assert place.is_relative_to(clean_python.parents[1])


@pytest.mark.parametrize("module", ["scripts", "tests", "notebooks", "conftest"])
def test_installed_wheel_brings_nothing_else(clean_python, tmp_path, module):
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is not None)"
    run(clean_python, *ISOLATED, "-c", code, cwd=tmp_path)


def test_the_repository_is_out_of_reach(clean_python, repository, tmp_path):
    """Without the wheel's own copy the import fails: nothing leads back to the checkout."""
    code = "import sys; print(*sys.path, *map(repr, sys.meta_path), sep='\\n')"
    seen = run(clean_python, *ISOLATED, "-c", code, cwd=tmp_path).splitlines()
    assert str(repository) not in seen
    assert not [line for line in seen if "editable" in line.lower()]


def test_the_command_answers(clean_python, tmp_path):
    assert "fly" in run(clean_python.parent / "lnn-nav", "--help", cwd=tmp_path)
