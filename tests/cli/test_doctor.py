from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.doctor import SECTIONS
from orchestrator.cli.errors import ExitCode
from orchestrator.sandbox.fleet import OWNER_TOKEN, VIEWER_TOKEN, demo_world
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from orchestrator.store import restorations
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, NotificationTarget
from tests.cli.conftest import Cli, Result, SteppingClock, StubApi

START = datetime(2026, 3, 20, 12, tzinfo=UTC)
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def world() -> World:
    return demo_world(START)


@pytest.fixture
def cloud(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("ACME_TOKEN", OWNER_TOKEN)
    with SandboxServer(world, lambda: START) as server:
        yield server.url


@pytest.fixture
def store(sqlite_url: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    state_dir.mkdir(mode=0o700)
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("ORCHESTRATOR_SERVER_URL", NOWHERE)
    database = Database(sqlite_url)
    yield database
    database.dispose()


def connect(store: Database, url: str, **changes: Any) -> None:
    with store.write() as session:
        session.add(
            Account(
                **{
                    "id": "acc_1",
                    "name": "acme",
                    "provider": "huggingface",
                    "namespace": "acme",
                    "credential_ref": "env:ACME_TOKEN",
                    "options": {"api_url": f"{url}/v2", "hub_url": url},
                    "created_at": START,
                    "confirmed_at": START,
                    "rates_at": START,
                    **changes,
                }
            )
        )


def tell_people(store: Database, **changes: Any) -> None:
    given = {"id": "tgt_1", "name": "on-call", "kind": "webhook", "address": "https://example.org"}
    more = {"least_severity": "info", "per_minute": 10, "created_by": "ada"}
    times = {"created_at": START, "updated_at": START}
    with store.write() as session:
        session.add(NotificationTarget(**{**given, **more, **times, **changes}))


def examine(cli: Cli, start: datetime = START) -> tuple[Result, dict[str, dict[str, Any]]]:
    result = cli("doctor", "-o", "json", clock=SteppingClock(start=start))
    return result, {check["name"]: check for check in result.json["items"]}


class TestFit:
    def test_a_fit_installation_passes_every_check(
        self, cli: Cli, store: Database, cloud: str, stub: StubApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(store, cloud)
        tell_people(store)
        with store.write() as session:
            restorations.note_backup(session, START, 7)
        monkeypatch.setenv("ORCHESTRATOR_SERVER_URL", stub.url)
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", "orc_x")
        stub.on("GET", "/readyz", {"status": "ok"})
        stub.on("GET", "/v1/me", {"name": "dana", "scope": "admin"})
        result, checks = examine(cli)
        assert result.code == ExitCode.OK
        assert {check["status"] for check in checks.values()} == {"ok"}
        assert result.json["ok"] is True
        assert {check["section"] for check in checks.values()} == set(SECTIONS)
        assert checks["account acme cloud"]["milliseconds"] >= 0
        assert "may admin" in checks["token"]["detail"]

    def test_it_only_looks(self, cli: Cli, store: Database, cloud: str, world: World) -> None:
        connect(store, cloud)
        examine(cli)
        assert world.calls.mutating() == []

    def test_a_fresh_machine_gets_warnings_with_the_next_steps(
        self, cli: Cli, state_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_SERVER_URL", NOWHERE)
        result, checks = examine(cli)
        assert result.code == ExitCode.OK
        warned = {name for name, check in checks.items() if check["status"] == "warn"}
        assert warned == {"database", "accounts", "server"}
        assert all(checks[name]["remedy"] for name in warned)
        lacking = {name for name, check in checks.items() if check["status"] == "unknown"}
        assert lacking == {"workers", "nets", "operations", "notifications", "backup"}
        assert not state_dir.exists()


class TestFindings:
    def test_bad_settings_are_told_and_nothing_else_is_tried(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_PORT", "lots")
        result, checks = examine(cli)
        assert result.code == ExitCode.FAILED
        assert list(checks) == ["settings"]
        assert "ORCHESTRATOR_PORT" in checks["settings"]["detail"]

    def test_an_open_state_dir_and_token_are_found(
        self, cli: Cli, store: Database, state_dir: Path
    ) -> None:
        del store
        state_dir.chmod(0o755)
        (state_dir / "admin-token").write_text("orc_x")
        (state_dir / "admin-token").chmod(0o644)
        result, checks = examine(cli)
        assert checks["state dir"]["status"] == "warn"
        assert "chmod 700" in checks["state dir"]["remedy"]
        assert checks["admin token"]["status"] == "fail"
        assert result.code == ExitCode.FAILED

    def test_a_state_dir_that_is_a_file_is_found(self, cli: Cli, state_dir: Path) -> None:
        state_dir.write_text("")
        result, checks = examine(cli)
        assert checks["state dir"]["status"] == "fail"
        assert result.code == ExitCode.FAILED

    def test_a_store_that_does_not_answer_fails(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = "postgresql://app:correct-horse@127.0.0.1:1/db"
        monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", url)
        result, checks = examine(cli)
        assert checks["database"]["status"] == "fail"
        assert "correct-horse" not in result.out + result.err

    def test_an_old_schema_fails_with_how_to_upgrade(self, cli: Cli, store: Database) -> None:
        with store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
        _, checks = examine(cli)
        assert checks["database"]["status"] == "fail"
        assert checks["database"]["remedy"] == "orchestrator db upgrade"

    def test_missing_credentials_name_the_reference(
        self, cli: Cli, store: Database, cloud: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(store, cloud)
        monkeypatch.delenv("ACME_TOKEN")
        result, checks = examine(cli)
        assert result.code == ExitCode.FAILED
        assert "ACME_TOKEN" in checks["account acme"]["detail"]
        assert "server" in checks["account acme"]["remedy"]
        for what in ("identity", "rights", "cloud", "clock", "prices", "quotas"):
            assert checks[f"account acme {what}"]["status"] == "unknown"

    def test_a_refused_token_fails_and_is_not_shown(
        self, cli: Cli, store: Database, cloud: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(store, cloud)
        wrong = "hf_" + "Wrong" * 7
        monkeypatch.setenv("ACME_TOKEN", wrong)
        result, checks = examine(cli)
        assert checks["account acme"]["status"] == "fail"
        assert wrong not in result.out + result.err

    def test_a_token_that_may_only_read_is_a_warning(
        self, cli: Cli, store: Database, cloud: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(store, cloud)
        monkeypatch.setenv("ACME_TOKEN", VIEWER_TOKEN)
        result, checks = examine(cli)
        assert checks["account acme rights"]["status"] == "warn"
        assert result.code == ExitCode.OK

    def test_an_unreachable_cloud_fails(
        self, cli: Cli, store: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ACME_TOKEN", OWNER_TOKEN)
        connect(store, NOWHERE)
        _, checks = examine(cli)
        assert checks["account acme"]["status"] == "fail"

    @pytest.mark.parametrize(
        ("seconds", "status"),
        [(0, "ok"), (-3, "ok"), (20, "warn"), (-20, "warn"), (300, "fail"), (-300, "fail")],
    )
    def test_the_clock_is_compared_with_the_clouds(
        self, cli: Cli, store: Database, cloud: str, seconds: int, status: str
    ) -> None:
        connect(store, cloud)
        _, checks = examine(cli, START + timedelta(seconds=seconds))
        assert checks["account acme clock"]["status"] == status

    def test_a_server_that_is_not_ready_fails(
        self, cli: Cli, store: Database, stub: StubApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del store
        monkeypatch.setenv("ORCHESTRATOR_SERVER_URL", stub.url)
        stub.refuse("GET", "/readyz", 503, detail="The database does not answer.")
        result, checks = examine(cli)
        assert checks["server"]["status"] == "fail"
        assert result.code == ExitCode.FAILED

    def test_people_see_each_finding_with_its_remedy(self, cli: Cli, store: Database) -> None:
        del store
        result = cli("doctor")
        assert re.search(r"^warn +server +server ", result.out, re.MULTILINE)
        assert "orchestrator serve" in result.err
