"""Imports point down, the base install stands alone, and each library stays on its own floor."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("barriernet", "sim", "lnn_nav")
IMPORT_NAMES = {"pillow": "PIL", "import-linter": "importlinter", "scikit-learn": "sklearn"}
# Met where the user has it: the adapter's other side, never installed by us.
GUESTS = {"gym_pybullet_drones": Path("sim/adapters")}


def sources(repository: Path, package: str) -> list[Path]:
    return sorted((repository / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every absolute module name that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def declared(repository: Path, extra: str | None) -> set[str]:
    """Import names of the base dependencies, or of one extra."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = [re.split(r"[<>=!~\[; ]", line, maxsplit=1)[0] for line in lines]
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_point_down(repository):
    result = lint_imports(repository)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("barriernet", "import sim"),
        ("barriernet", "import lnn_nav"),
        ("sim", "import barriernet"),
        ("sim", "def late():\n    import lnn_nav"),
        ("sim", "import pybullet"),
        ("lnn_nav", "import gymnasium"),
        ("barriernet", "import cvxpy"),
    ],
)
def test_an_import_that_points_up_is_seen(repository, tmp_path, package, line):
    shutil.copy(repository / "pyproject.toml", tmp_path)
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    assert lint_imports(tmp_path).returncode == 0

    (tmp_path / package / "planted.py").write_text(line + "\n")

    assert lint_imports(tmp_path).returncode != 0


def test_everything_imported_is_declared(repository):
    known = set(sys.stdlib_module_names) | set(PACKAGES)
    known |= declared(repository, None)
    for extra in ("sim", "liquid", "ray"):
        known |= declared(repository, extra)
    undeclared = {
        f"{path.relative_to(repository)}: {name}"
        for package in PACKAGES
        for path in sources(repository, package)
        for name in imports(path)
        if (root := name.partition(".")[0]) not in known
        and not (root in GUESTS and path.is_relative_to(repository / GUESTS[root]))
    }
    assert not undeclared


def test_barriernet_speaks_of_no_drone(repository):
    guilty = [
        str(path.relative_to(repository))
        for path in sources(repository, "barriernet")
        if "drone" in path.read_text(encoding="utf-8").lower()
    ]
    assert not guilty


def test_sim_takes_from_flax_its_dataclasses_only(repository):
    taken = {
        name
        for path in sources(repository, "sim")
        for name in imports(path)
        if name.partition(".")[0] == "flax"
    }
    assert all(name in ("flax", "flax.struct") or name.startswith("flax.struct.") for name in taken)


def test_libraries_leave_the_settings_of_jax_alone(repository):
    """All but the verbs of the installed command, which are programs like those in scripts/."""
    setting = re.compile(r"jax\.config\.(update\(|\w+\s*=[^=])")
    assert setting.search('jax.config.update("jax_enable_x64", True)')
    guilty = [
        f"{path.relative_to(repository)}:{number}"
        for package in PACKAGES
        for path in sources(repository, package)
        if not path.is_relative_to(repository / "lnn_nav" / "commands") and path.name != "cli.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if setting.search(line)
    ]
    assert not guilty


@pytest.mark.parametrize(
    "module", ["barriernet", "lnn_nav", "lnn_nav.cells", "sim", "sim.twin", "lnn_nav.cli"]
)
def test_base_install_imports(repository, module, tmp_path):
    """With every package of the extras blocked, not only PyBullet."""
    extras = declared(repository, "sim") | declared(repository, "dev") | {"pybullet_data"}
    extras |= declared(repository, "liquid")
    blocked = sorted(extras - declared(repository, None) - {"setuptools", "pip"})
    assert {"pybullet", "gymnasium", "matplotlib", "PIL", "networkx", "beartype"} <= set(blocked)
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); import {module}"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_names_that_are_blocked_are_real(repository):
    """A misspelt import name would block nothing, so each must belong to something installed."""
    installed = set(importlib.metadata.packages_distributions())
    assert declared(repository, "sim") | declared(repository, None) <= installed
