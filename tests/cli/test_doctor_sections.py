"""What `doctor` reads from the configuration, the store and the server, section by section."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from orchestrator import __version__
from orchestrator.cli import doctor_state
from orchestrator.cli.doctor import SECTIONS
from orchestrator.cli.errors import ExitCode
from orchestrator.store import freeze, restorations
from orchestrator.store.database import Database
from orchestrator.store.tables import Binding, Notice, NotificationTarget, Schedule
from tests.cli.conftest import Cli, Result, SteppingClock, StubApi
from tests.support import rows

START = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
Checks = dict[str, dict[str, Any]]
Examine = Callable[..., Checks]


@pytest.fixture
def examine(cli: Cli, sqlite_url: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Run some sections over a store and return the checks by name."""
    state_dir.mkdir(mode=0o700)
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", sqlite_url)

    def run(only: str, *stored: SQLModel, code: int = ExitCode.OK) -> Checks:
        store = Database(sqlite_url, durable=False)
        with store.write() as session:
            for row in stored:
                session.add(row)
                session.flush()
        store.dispose()
        result = cli("doctor", "--only", only, "-o", "json", clock=SteppingClock(start=START))
        assert result.code == code, result.out
        return named(result)

    return run


def named(result: Result) -> Checks:
    return {check["name"]: check for check in result.json["items"]}


class TestChoosing:
    def test_only_what_was_asked_for_is_checked(self, examine: Examine) -> None:
        checks = examine("nets,backup")
        assert {check["section"] for check in checks.values()} == {"nets", "backup"}

    def test_an_unknown_section_is_refused_with_the_nearest(self, cli: Cli) -> None:
        result = cli("doctor", "--only", "databse")
        assert result.code == ExitCode.USAGE
        assert "'database'" in result.err

    def test_what_could_not_be_checked_is_unknown_and_never_ok(
        self, examine: Examine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OperationalError("SELECT", {}, Exception("the disk is gone"))

        monkeypatch.setattr("orchestrator.store.metrics.netless", refuse)
        assert examine("nets")["nets"]["status"] == "unknown"

    def test_the_help_names_every_section(self, cli: Cli) -> None:
        told = " ".join(cli("doctor", "--help").out.split())
        assert all(name in told for name in SECTIONS)


class TestConfiguration:
    def test_it_says_where_each_setting_is_from(
        self, examine: Examine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_OBSERVE_INTERVAL_S", "30")
        told = examine("configuration")["settings set"]["detail"]
        assert "observe_interval_s (env ORCHESTRATOR_OBSERVE_INTERVAL_S)" in told

    @pytest.mark.parametrize(
        ("name", "status", "settings"),
        [
            ("host", "fail", {"HOST": "0.0.0.0"}),
            ("public_url", "fail", {"PUBLIC_URL": "http://o.example.org"}),
            ("server_url", "fail", {"SERVER_URL": "http://o.example.org"}),
            (
                "metrics",
                "warn",
                {"METRICS_PUBLIC": "1", "HOST": "0.0.0.0", "PUBLIC_URL": "https://o.example.org"},
            ),
            ("metrics_host", "warn", {"METRICS_PORT": "9464", "METRICS_HOST": "0.0.0.0"}),
            ("allow_private_webhooks", "warn", {"ALLOW_PRIVATE_WEBHOOKS": "1"}),
            ("claim_lease_s", "warn", {"CLAIM_LEASE_S": "20"}),
            ("transition_interval_s", "warn", {"TRANSITION_INTERVAL_S": "90"}),
            ("database_url", "warn", {"DATABASE_URL": "postgresql://app@db.example.org/o"}),
        ],
    )
    def test_what_is_unsafe_together_is_found(
        self,
        examine: Examine,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        status: str,
        settings: dict[str, str],
    ) -> None:
        assert name not in examine("configuration")
        for key, text in settings.items():
            monkeypatch.setenv(f"ORCHESTRATOR_{key}", text)
        code = ExitCode.FAILED if status == "fail" else ExitCode.OK
        found = examine("configuration", code=code)[name]
        assert found["status"] == status
        assert found["remedy"]

    def test_a_file_with_secrets_that_others_may_read_fails(
        self, examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "config.toml"
        file.write_text('token = "orc_x"\n')
        monkeypatch.setenv("ORCHESTRATOR_CONFIG", str(file))
        file.chmod(0o644)
        assert "token" in examine("configuration", code=ExitCode.FAILED)["settings file"]["detail"]
        file.chmod(0o600)
        assert "settings file" not in examine("configuration")


class TestStore:
    def test_sqlite_is_looked_at_whole(self, examine: Examine) -> None:
        checks = examine("database")
        assert set(checks) == {
            "database",
            "database speed",
            "database journal",
            "database disk",
            "database lock",
        }
        assert {check["status"] for check in checks.values()} <= {"ok", "warn"}

    def test_a_lock_that_another_process_keeps_fails(
        self, examine: Examine, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orchestrator.cli.doctor_store._LOCK_PATIENCE_S", 0.0)
        other = Database(sqlite_url)
        with other.engine.connect() as raw:
            raw.execution_options(orchestrator_writes=True).exec_driver_sql("SELECT 1")
            checks = examine("database", code=ExitCode.FAILED)
        other.dispose()
        assert checks["database lock"]["status"] == "fail"

    @pytest.mark.parametrize(
        ("age", "status"), [(None, "unknown"), (HOUR, "ok"), (timedelta(days=8), "warn")]
    )
    def test_the_age_of_the_backup(
        self, examine: Examine, sqlite_url: str, age: timedelta | None, status: str
    ) -> None:
        if age is not None:
            store = Database(sqlite_url)
            with store.write() as session:
                restorations.note_backup(session, START - age, 7)
            store.dispose()
        assert examine("backup")["backup"]["status"] == status

    def test_postgres_its_version_its_clock_and_its_workers(
        self, cli: Cli, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", postgres_url)
        store = Database(postgres_url)
        with store.write() as session:
            for name in ("lab", "acme"):
                session.add(rows.account(name, created_at=START, confirmed_at=START))
        with store.engine.begin() as connection:
            for worker, version in (("w1", __version__), ("w2", "0.0.1")):
                connection.exec_driver_sql(
                    f"INSERT INTO worker VALUES ('{worker}', 'h', 1, '{version}', now(), now(),"  # noqa: S608 - made here
                    " false)"
                )
            connection.exec_driver_sql(
                "INSERT INTO claim (account_id, owner, epoch, taken_at, expires_at)"
                " VALUES ('acc_lab', 'w1', 7, now(), now() + interval '1 hour')"
            )
        store.dispose()
        clock = SteppingClock(start=START)
        result = cli("doctor", "--only", "database,workers", "-o", "json", clock=clock)
        checks = named(result)
        assert checks["database version"]["detail"].startswith("Postgres ")
        assert checks["database address"]["status"] == "ok"
        assert checks["database clock"]["status"] == "unknown"
        assert checks["worker w1"]["status"] == "ok"
        assert checks["worker w2"]["status"] == "warn"
        assert "epoch 7" in checks["owner of lab"]["detail"]
        assert checks["owner of acme"]["status"] == "fail"
        assert result.code == ExitCode.FAILED


class TestState:
    @pytest.mark.parametrize(
        ("status", "changes"),
        [
            ("ok", {"confirmed_at": START}),
            ("ok", {"confirmed_at": None, "created_at": START}),
            ("ok", {"confirmed_at": START + timedelta(seconds=3)}),
            ("warn", {"confirmed_at": START + HOUR}),
            ("fail", {"confirmed_at": START - HOUR}),
            ("fail", {"confirmed_at": START, "health": "no_access", "health_detail": "refused"}),
        ],
    )
    def test_whether_an_account_is_looked_at(
        self, examine: Examine, status: str, changes: dict[str, Any]
    ) -> None:
        code = ExitCode.FAILED if status == "fail" else ExitCode.OK
        checks = examine("workers", rows.account(**changes), code=code)
        assert checks["look at lab"]["status"] == status

    def test_a_look_ahead_of_this_clock_is_told_as_such(self, examine: Examine) -> None:
        ahead = START + 2 * HOUR + timedelta(minutes=5)
        found = examine("workers", rows.account(confirmed_at=ahead))["look at lab"]
        assert found["detail"] == "last whole look lies 2 h 5 min ahead of this clock"
        assert "NTP" in found["remedy"]

    def test_what_nothing_would_stop_is_listed_dearest_first_with_its_burn(
        self, examine: Examine
    ) -> None:
        stored: list[SQLModel] = [rows.account()]
        for name, burn in (("cheap", 500_000_000), ("dear", 7_000_000_000), ("odd", None)):
            stored += [
                rows.endpoint(name, billed_high=1),
                rows.interval(endpoint_id=f"ep_{name}", burn_low=burn, burn=burn, burn_high=burn),
            ]
        stored.append(rows.endpoint("asleep", billed_high=0))
        stored.append(
            rows.endpoint("timed", billed_high=1, min_replicas=0, scale_to_zero_minutes=15)
        )
        checks = examine("nets", *stored)
        found = [name for name in checks if name.startswith("no net: ")]
        assert found == ["no net: lab/dear", "no net: lab/cheap", "no net: lab/odd"]
        assert checks["no net: lab/dear"]["detail"].startswith("$7.00/h")
        assert checks["no net: lab/odd"]["detail"].startswith("unpriced")
        assert "adopt" in checks["no net: lab/dear"]["remedy"]

    def test_what_only_our_rules_stop_is_told(self, examine: Examine) -> None:
        schedule = Schedule(
            id="sch_1",
            name="office",
            timezone="UTC",
            effective_from=START,
            created_at=START,
            created_by="ada",
            updated_at=START,
        )
        bound = Binding(
            rule_id="sch_1", endpoint_id="ep_search", rule_kind="schedule", matched_at=START
        )
        checks = examine(
            "nets",
            rows.account(),
            rows.endpoint(managed=True, billed_high=1),
            rows.interval(burn_low=1, burn=2_000_000_000, burn_high=1),
            schedule,
            bound,
        )
        assert "1 billed endpoints ($2.00/h)" in checks["endpoints on our net"]["detail"]
        assert checks["endpoints without a net"]["status"] == "ok"

    def test_long_lists_are_cut_and_added_up(
        self, examine: Examine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor_state, "MOST", 2)
        stored = [rows.endpoint(f"e{number}", billed_high=1) for number in range(5)]
        checks = examine("nets", rows.account(), *stored)
        assert "3 more" in checks["endpoints without a net"]["detail"]

    def test_what_is_frozen_stuck_and_late(self, examine: Examine, sqlite_url: str) -> None:
        store = Database(sqlite_url)
        with store.write() as session:
            freeze.set_everywhere(session, freeze.Freeze(START, "ada", "maintenance"))
        store.dispose()
        checks = examine(
            "operations",
            rows.account(frozen_at=START, frozen_by="engine", frozen_reason="clock"),
            rows.endpoint(managed=True, next_edge_at=START - HOUR, delete_after=START - HOUR),
            rows.operation(
                created_at=START - 2 * HOUR,
                stuck_since=START - HOUR,
                cloud_state="Updating",
                cloud_message="waits",
            ),
            code=ExitCode.FAILED,
        )
        assert "maintenance" in checks["frozen"]["detail"]
        assert "clock" in checks["frozen lab"]["detail"]
        assert (
            "stuck for 1 h; its cloud says Updating waits"
            in (checks["pause of lab/search"]["detail"])
        )
        assert checks["decisions of lab"]["status"] == "fail"
        assert checks["deletions of lab"]["status"] == "warn"

    def test_targets_that_fail_and_notices_that_wait(self, examine: Examine) -> None:
        target = NotificationTarget(
            id="tgt_1",
            name="on-call",
            kind="webhook",
            address="https://example.org",
            least_severity="info",
            per_minute=10,
            created_at=START,
            created_by="ada",
            updated_at=START,
            failing_since=START - HOUR,
            last_error="it answered 500",
        )
        notice = Notice(
            id="ntc_1", at=START - HOUR, kind="x", severity="info", actor="ada", message="m"
        )
        assert examine("notifications")["notifications"]["status"] == "warn"
        checks = examine("notifications", target, notice, code=ExitCode.FAILED)
        assert "it answered 500" in checks["target on-call"]["detail"]
        assert checks["outbox"]["status"] == "fail"


def test_another_server_is_asked_instead_of_this_store(
    cli: Cli, stub: StubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_TOKEN", "orc_x")
    stub.on("GET", "/readyz", {"ready": True})
    stub.on("GET", "/v1/me", {"name": "dana", "scope": "read"})
    accounts = [
        {"name": "lab", "health": "ok", "observed_at": None, "frozen": None},
        {"name": "acme", "health": "no_access", "health_detail": "refused", "frozen": None},
    ]
    stub.on("GET", "/v1/accounts", {"items": accounts, "next_cursor": None})
    stub.on("GET", "/v1/freeze", {"everywhere": {"by": "ada", "reason": "tests"}, "accounts": []})
    stub.on("GET", "/v1/operations", {"items": [], "next_cursor": None})
    result = cli("doctor", "--server", stub.url, "-o", "json")
    checks = named(result)
    assert result.code == ExitCode.FAILED
    assert {check["section"] for check in checks.values()} == {"configuration", "server"}
    assert checks["account lab"]["status"] == "ok"
    assert checks["account acme"]["status"] == "fail"
    assert "tests" in checks["frozen"]["detail"]
