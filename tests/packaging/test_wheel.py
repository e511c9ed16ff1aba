"""The wheel brings everything that the program needs, and nothing else."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from orchestrator.store import migrate
from tests.support.program import ROOT, Installed, build, free_port

PACKAGE = "orchestrator/"
# Files that are read at run time rather than imported.
DATA = (
    "orchestrator/py.typed",
    "orchestrator/migrations/env.py",
    "orchestrator/migrations/script.py.mako",
    "orchestrator/migrations/versions/0001_first_tables.py",
    "orchestrator/api/static/app.css",
    "orchestrator/api/templates/base.html",
    "orchestrator/sandbox/data/llm-traffic-sample.csv.gz",
    "orchestrator/providers/sagemaker/prices.json",
    "orchestrator/providers/sagemaker/iam/manage.json",
)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def source_files() -> set[str]:
    files = (path for path in ROOT.joinpath("orchestrator").glob("**/*") if path.is_file())
    linked = [ROOT / name for name in ("api", "migrations")]
    names = {str(path.relative_to(ROOT)) for path in files}
    for folder in linked:
        found = (path for path in folder.glob("**/*") if path.is_file())
        names |= {f"{PACKAGE}{path.relative_to(ROOT)}" for path in found}
    return {name for name in names if "__pycache__" not in name}


def test_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    names = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert names == source_files()
    assert set(DATA) <= names


def test_wheel_names_its_licence_and_its_command(wheel: Path) -> None:
    held = {
        name.split("/", 1)[1]: text for name, text in contents(wheel).items() if "-info/" in name
    }
    metadata = held["METADATA"].decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Version 2.0, January 2004" in held["licenses/LICENSE"].decode()
    assert "ServeGen" in held["licenses/NOTICE"].decode()
    assert "orchestrator = orchestrator.cli.main:main" in held["entry_points.txt"].decode()


def test_source_archive_gives_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    unpacked = next((tmp_path / "source").iterdir())
    again = build(unpacked, "wheel", tmp_path / "again")
    assert contents(again) == contents(wheel)


def test_installed_program_tells_its_version(installed: Installed) -> None:
    done = installed.run("version")
    assert done.returncode == 0, done.stderr
    assert "0.1.0" in done.stdout


def test_installed_program_upgrades_and_checks_a_store(
    installed: Installed, tmp_path: Path
) -> None:
    state = {"ORCHESTRATOR_STATE_DIR": str(tmp_path)}
    before = installed.run("db", "check", environment=state)
    assert before.returncode != 0
    upgraded = installed.run("db", "upgrade", environment=state)
    assert upgraded.returncode == 0, upgraded.stderr
    assert migrate.head_revision() in upgraded.stdout
    after = installed.run("db", "check", environment=state)
    assert after.returncode == 0, after.stderr


def test_installed_program_serves_pages_and_files(installed: Installed, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    state = {"ORCHESTRATOR_STATE_DIR": str(tmp_path / "state")}
    arguments = ("serve", "--port", address.rpartition(":")[2])
    with installed.running(*arguments, log=tmp_path / "log", environment=state) as server:
        for page in ("/healthz", "/readyz", "/login", "/static/app.css"):
            assert server.status(address + page) == 200, page


def test_installed_program_shows_the_demo(installed: Installed, tmp_path: Path) -> None:
    port = str(free_port())
    arguments = ("demo", "--days", "1", "--port", port, "--folder", str(tmp_path / "demo"))
    with installed.running(*arguments, log=tmp_path / "log") as server:
        for page in ("/healthz", "/readyz", "/login"):
            assert server.status(f"http://127.0.0.1:{port}{page}") == 200, page
