"""A wheel built from this tree, and a program installed from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 600  # tenths of a second that a slow machine may take to start
FOREIGN_FOLDERS = ("api", "migrations", "orchestrator", "tests")


@dataclass(frozen=True, slots=True)
class Server:
    """The program while it serves."""

    process: subprocess.Popen[bytes]
    log: Path

    def status(self, url: str) -> int:
        """Return the status of a page, once something listens there."""
        for _ in range(PATIENCE):
            try:
                return httpx2.get(url, timeout=30).status_code
            except httpx2.ConnectError:
                if self.process.poll() is not None:
                    break
                Event().wait(0.1)
        raise AssertionError(f"nothing listens at {url}: {self.log.read_text()[-2000:]}")


@dataclass(frozen=True, slots=True)
class Installed:
    """The program as a user has it, and a folder to start it from."""

    program: Path
    folder: Path

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @contextmanager
    def running(self, *arguments: str, log: Path, **environment: str) -> Iterator[Server]:
        """Run the program in the background until the block ends, then as Ctrl+C would end it."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self.program, *arguments],
                cwd=self.folder,
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Server(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=60)
        assert code in (0, 130), f"ended with {code}: {log.read_text()[-2000:]}"


def build(source: Path, target: str, folder: Path) -> Path:
    """Build a wheel or sdist of `source` without network and return its file."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder],
        cwd=source,
        check=True,
        capture_output=True,
    )
    return next(path for path in folder.iterdir() if path.suffix in (".whl", ".gz"))


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
