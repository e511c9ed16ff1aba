"""What `doctor` says of an account whose cloud stops endpoints by deleting them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.errors import ExitCode
from orchestrator.sandbox.aws.cloud import AwsCloud
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint
from tests.cli.conftest import Cli, Result, SteppingClock

START = datetime(2026, 9, 20, 12, tzinfo=UTC)
NUMBER, REGION, KEY = "123456789012", "us-east-1", "AKIAEXAMPLEDOCTOR"
INF2 = f"sagemaker/{REGION}/ml.inf2.xlarge/x1"
Checks = dict[str, dict[str, Any]]


class Clinic:
    """An installation with one SageMaker account, and what doctor says of it."""

    def __init__(self, cli: Cli, store: Database, aws: AwsCloud) -> None:
        self.cli = cli
        self.store = store
        self.aws = aws

    def account(self, **changes: Any) -> None:
        with self.store.write() as session:
            row = session.get_one(Account, "acc_1")
            for name, value in changes.items():
                setattr(row, name, value)
            session.add(row)

    def endpoint(self, name: str = "chat", *, there: bool = True, **changes: Any) -> None:
        """An endpoint as the engine knows it, and in the cloud."""
        if there:
            self.aws.add_endpoint(NUMBER, REGION, name, created_at=START - timedelta(days=3))
        values = {
            "id": f"ep_{name}",
            "account_id": "acc_1",
            "name": name,
            "status": "running",
            "status_since": START,
            "first_seen_at": START,
            "confirmed_at": START,
            "hardware_key": INF2,
            "stop": "recreate",
            "allow_recreate": True,
        }
        with self.store.write() as session:
            session.add(Endpoint(**{**values, **changes}))

    def examine(self) -> tuple[Result, Checks]:
        asked = ("doctor", "--only", "clouds", "-o", "json")
        result = self.cli(*asked, clock=SteppingClock(start=START))
        return result, {check["name"]: check for check in result.json["items"]}


@pytest.fixture
def world() -> World:
    world = World(start=START)
    world.aws.add_account(NUMBER, name="acme", access_keys={KEY: ""})
    return world


@pytest.fixture
def clinic(
    cli: Cli, world: World, sqlite_url: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Clinic]:
    state_dir.mkdir(mode=0o700)
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("ORCHESTRATOR_SERVER_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ACME_KEYS", f"{KEY}:secret-of-the-sandbox")
    database = Database(sqlite_url)
    with SandboxServer(world, lambda: START) as server:
        with database.write() as session:
            session.add(
                Account(
                    id="acc_1",
                    name="acme",
                    provider="sagemaker",
                    namespace=NUMBER,
                    region=REGION,
                    credential_ref="env:ACME_KEYS",
                    options={"endpoint_url": server.url},
                    created_at=START,
                    confirmed_at=START,
                    rates_at=START,
                )
            )
        yield Clinic(cli, database, world.aws)
    database.dispose()


def test_a_fit_account_passes_and_nothing_is_changed(clinic: Clinic, world: World) -> None:
    clinic.endpoint(managed=True)
    result, checks = clinic.examine()
    assert result.code == ExitCode.OK
    mine = {name: check["status"] for name, check in checks.items() if "acme" in name}
    assert set(mine.values()) == {"ok"}
    assert NUMBER in checks["account acme identity"]["detail"]
    assert REGION in checks["account acme identity"]["detail"]
    assert "told for" in checks["account acme quotas"]["detail"]
    assert world.calls.mutating(committed=True) == []


def test_without_credentials_nothing_of_the_account_is_called_good(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.endpoint(managed=True)
    monkeypatch.delenv("ACME_KEYS")
    result, checks = clinic.examine()
    assert result.code == ExitCode.FAILED
    assert "ACME_KEYS" in checks["account acme"]["detail"]
    for what in ("identity", "rights", "cloud", "clock", "prices", "quotas", "calls"):
        assert checks[f"account acme {what}"]["status"] == "unknown"
    assert checks["pause of acme/chat"]["status"] == "unknown"


@pytest.mark.parametrize(("managed", "status"), [(False, "warn"), (True, "fail")])
def test_a_missing_right_is_named_with_what_needs_it(
    clinic: Clinic, managed: bool, status: str
) -> None:
    clinic.endpoint(managed=managed, allow_recreate=False)
    clinic.aws.deny(NUMBER, "sagemaker:DeleteEndpoint")
    result, checks = clinic.examine()
    (name,) = [name for name in checks if name.startswith("account acme rights: ")]
    assert "pausing" in name
    assert checks[name]["detail"] == "missing: sagemaker:DeleteEndpoint"
    assert checks[name]["status"] == checks["account acme rights"]["status"] == status
    assert (result.code == ExitCode.FAILED) is managed


def test_rights_that_cannot_be_told_are_no_fault(clinic: Clinic) -> None:
    _, checks = clinic.examine()
    assert checks["account acme rights"]["status"] == "ok"
    assert "iam:PassRole cannot be told" in checks["account acme rights"]["detail"].replace(
        ", cloudwatch:PutMetricAlarm", ""
    )


def test_prices_of_a_copy_are_a_warning_with_their_date(clinic: Clinic) -> None:
    clinic.aws.deny(NUMBER, "pricing:GetProducts", "servicequotas:ListServiceQuotas")
    _, checks = clinic.examine()
    assert checks["account acme prices"]["status"] == "warn"
    assert "as of 2026-" in checks["account acme prices"]["detail"]
    assert checks["account acme quotas"]["status"] == "warn"


def test_hardware_in_use_without_a_price_is_named(clinic: Clinic) -> None:
    clinic.endpoint(there=False, hardware_key="sagemaker/us-east-1/ml.x9.large/x1", stop="pause")
    _, checks = clinic.examine()
    assert "ml.x9.large" in checks["account acme prices"]["detail"]


def test_what_looking_and_counting_take_is_told(clinic: Clinic) -> None:
    _, checks = clinic.examine()
    assert "no rule needs counts" in checks["account acme usage"]["detail"]
    clinic.account(
        call_counts={"sagemaker:DescribeEndpoint": 90, "sts:GetCallerIdentity": 30},
        calls_since=START - timedelta(hours=2),
        usage_watch={
            "endpoints": 12,
            "every_seconds": 300,
            "month_nano": 3_150_000_000,
            "cap_nano": 5_000_000_000,
        },
    )
    _, checks = clinic.examine()
    detail = checks["account acme usage"]["detail"]
    assert "12 endpoints every 5 min cost $3.15 a month, at most $5.00" in detail
    detail = checks["account acme calls"]["detail"]
    assert "120 so far, 60 an hour, most: sagemaker:DescribeEndpoint 90" in detail


class TestContracts:
    NAME = "pause of acme/chat"

    def test_an_obstacle_to_a_pause_by_deletion_is_found_beforehand(
        self, clinic: Clinic, world: World
    ) -> None:
        clinic.endpoint()
        clinic.aws.call(NUMBER, REGION, "DeleteModel", ModelName="chat")
        result, checks = clinic.examine()
        assert checks[self.NAME]["status"] == "fail"
        assert "model" in checks[self.NAME]["detail"]
        assert result.code == ExitCode.FAILED
        assert "chat" in clinic.aws.place(NUMBER, REGION).endpoints
        assert world.calls.mutating(committed=True) == []

    def test_another_tool_is_a_warning(self, clinic: Clinic) -> None:
        clinic.endpoint()
        stamp = {"aws:cloudformation:stack-name": "models"}
        clinic.aws.stamp(NUMBER, REGION, "chat", stamp)
        _, checks = clinic.examine()
        assert checks[self.NAME]["status"] == "warn"
        assert "models" in checks[self.NAME]["detail"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"allow_recreate": False},
            {"stop": "pause"},
            {"stop_sent_at": START, "status": "paused", "there": False},
        ],
    )
    def test_only_what_may_be_deleted_is_read(
        self, clinic: Clinic, changes: dict[str, Any]
    ) -> None:
        clinic.endpoint(**changes)
        _, checks = clinic.examine()
        assert self.NAME not in checks

    def test_one_that_is_not_there_fails(self, clinic: Clinic) -> None:
        clinic.endpoint(there=False)
        _, checks = clinic.examine()
        assert checks[self.NAME]["status"] == "fail"


def test_credentials_of_another_account_fail(clinic: Clinic) -> None:
    clinic.account(namespace="999999999999")
    result, checks = clinic.examine()
    assert result.code == ExitCode.FAILED
    assert "999999999999" in checks["account acme identity"]["detail"]
