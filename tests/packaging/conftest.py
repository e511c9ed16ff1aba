"""A wheel built from this tree, and a program installed from it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.program import ROOT, Installed, build

FOREIGN_FOLDERS = ("api", "migrations", "orchestrator", "tests")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this tree."""
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source archive of this tree."""
    return build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return the program installed from the wheel; it sees the dependencies, not this tree.

    It is started from a folder whose own `api`, `migrations` and so on raise when imported.
    """
    folder = tmp_path_factory.mktemp("installed")
    place = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    dependencies = sysconfig.get_path("purelib")
    packages = next(place.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(f"{dependencies}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(place), "--disable-pip-version-check"]
    install = ["install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    hostile = folder / "work"
    for name in FOREIGN_FOLDERS:
        (hostile / name).mkdir(parents=True)
        (hostile / name / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    return Installed(place / "bin" / "orchestrator", hostile)
