"""The rules that the tests themselves are held to."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from orchestrator.store.database import Database
from orchestrator.store.tables import Setting
from tests.support.isolation import NetworkRefusedError

ROOT = Path(__file__).parents[1]
SKIPPING = """
import pytest

def test_plain():
    pass

@pytest.mark.skip(reason="no such machine")
def test_marked():
    pass

def test_inside():
    pytest.skip("no such program")

@pytest.fixture
def absent():
    pytest.skip("no such server")

def test_fixture(absent):
    pass

@pytest.mark.xfail(reason="known")
def test_expected():
    raise ValueError
"""


def run_pytest(folder: Path, environment: dict[str, str]) -> str:
    (folder / "pytest.ini").write_text("[pytest]")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.no_skips"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_skips_are_failures_in_ci_and_stay_skips_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    assert "1 failed, 1 passed, 1 xfailed, 2 errors" in run_pytest(tmp_path, {"CI": "1"})
    assert "1 passed, 3 skipped, 1 xfailed" in run_pytest(tmp_path, {"CI": ""})


def test_a_file_that_skips_itself_fails_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_absent.py").write_text("import pytest\npytest.importorskip('no_such_module')")
    assert "which CI forbids" in run_pytest(tmp_path, {"CI": "1"})


def test_names_off_this_machine_are_not_looked_up() -> None:
    with pytest.raises(NetworkRefusedError, match="huggingface"):
        socket.getaddrinfo("huggingface.co", 443)


@pytest.mark.parametrize("address", [("192.0.2.1", 443), ("2001:db8::1", 443, 0, 0)])
def test_addresses_off_this_machine_are_not_connected_to(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    for connect in ("connect", "connect_ex"):
        with socket.socket(family) as plug, pytest.raises(NetworkRefusedError):
            getattr(plug, connect)(address)


def test_http_clients_are_held_back_too() -> None:
    with pytest.raises(NetworkRefusedError):
        httpx2.get("https://api.endpoints.huggingface.cloud/v2/provider")


def test_this_machine_can_be_reached() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as accepted,
    ):
        client.sendall(b"x")
        assert accepted.recv(1) == b"x"


def test_neither_the_home_nor_a_setting_of_the_caller_is_seen() -> None:
    assert Path.home() != Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert not [name for name in os.environ if name.startswith(("ORCHESTRATOR_", "HF_", "AWS_"))]
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_its_own_store(database: Database, turn: int) -> None:
    del turn
    with database.write() as session:
        assert session.get(Setting, "harness") is None
        session.add(Setting(key="harness", updated_at=datetime(2026, 1, 1, tzinfo=UTC)))
