"""Backup, restore and export as a person runs them."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from orchestrator.cli.errors import ExitCode
from orchestrator.engine.exclusive import acquire
from orchestrator.services.exporting import SHEETS, columns_text
from orchestrator.services.restores import mark_store
from orchestrator.store import freeze, restorations
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Operation
from tests.cli.conftest import Cli
from tests.support.rows import NOON, account, endpoint, interval, operation

DOCS = Path(__file__).parents[2] / "docs" / "backup.md"
FORMULA = "=cmd|' /C calc'!A0"


@pytest.fixture
def store(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return the store of the settings, with something in it."""
    url = sqlite_database.url.render_as_string()
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", url)
    with sqlite_database.write() as session:
        session.add(account())
        session.flush()
        session.add(endpoint(owner=FORMULA))
        session.flush()
        session.add(operation())
        session.add(interval(burn=1_000_000_001, ended_at=NOON + timedelta(minutes=30)))
        session.add(interval(started_at=NOON + timedelta(minutes=30), hardware_key="other"))
    return sqlite_database


def test_a_backup_is_taken_checked_and_put_back(cli: Cli, store: Database, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    taken = cli("db", "backup", str(file))
    assert taken.code == ExitCode.OK
    assert "rows of" in taken.out
    with store.read() as session:
        assert restorations.last_backup(session) is not None
    assert "is whole" in cli("db", "verify", str(file)).out
    again = cli("db", "backup", str(file))
    assert (again.code, "exists already" in again.err) == (ExitCode.REFUSED, True)

    refused = cli("db", "restore", str(file))
    assert (refused.code, "--replace" in refused.err) == (ExitCode.REFUSED, True)
    unnamed = cli("db", "restore", "--replace", str(file))
    assert (unnamed.code, "--confirm store.db" in unnamed.err) == (ExitCode.USAGE, True)
    misnamed = cli("db", "restore", "--replace", "--confirm", "other.db", str(file))
    assert (misnamed.code, "'store.db'" in misnamed.err) == (ExitCode.REFUSED, True)
    with store.read() as session:
        assert freeze.everywhere(session) is None

    done = cli("db", "restore", "--replace", "--confirm", "store.db", str(file))
    assert (done.code, done.err) == (ExitCode.OK, "")
    with store.read() as session:
        found = freeze.everywhere(session)
    assert found is not None
    assert "restored from a backup of" in found.reason
    shown = cli("db", "restored")
    assert "not looked at since: lab" in shown.err
    assert "pause was pending" in shown.out
    assert "nothing was" not in shown.err
    listed = cli("db", "restored", "-o", "json").json["items"]
    assert [(one["source"], one["thawed_at"]) for one in listed] == [("restore", None)]


def test_nothing_is_told_of_what_was_not_looked_at(cli: Cli, store: Database) -> None:
    with store.write() as session:
        session.delete(session.get_one(Operation, "op_1"))
        replaced = NOON + timedelta(hours=1)
        mark_store(session, "mark", replaced - timedelta(minutes=5), replaced)
        session.add(account("dev"))
    shown = cli("db", "restored")
    assert "nothing was looked at yet" in shown.err
    assert "not looked at since: dev, lab" in shown.err
    looked(store, "acc_lab")
    shown = cli("db", "restored")
    assert "nothing was seen to have changed in lab" in shown.err
    assert "not looked at since: dev" in shown.err
    looked(store, "acc_dev")
    shown = cli("db", "restored")
    assert "nothing was seen to have changed\n" in shown.err
    (found,) = cli("db", "restored", "-o", "json").json["items"]
    assert (found["unseen"], found["seen"]) == ([], ["dev", "lab"])


def looked(store: Database, account_id: str) -> None:
    with store.write() as session:
        row = session.get_one(Account, account_id)
        row.confirmed_at = NOON + timedelta(hours=2)
        session.add(row)


def test_a_store_at_work_is_not_replaced(cli: Cli, store: Database, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    cli("db", "backup", str(file))
    lock = acquire(store)
    assert lock is not None
    refused = cli("db", "restore", "--replace", "--confirm", "store.db", str(file))
    lock.release()
    assert (refused.code, "works on" in refused.err) == (ExitCode.REFUSED, True)


def test_a_file_that_is_no_backup_is_told_in_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("no")
    for name, code in (("x.zip", ExitCode.FAILED), ("none.zip", ExitCode.NOT_FOUND)):
        result = cli("db", "verify", str(tmp_path / name))
        assert result.code == code
        assert result.err.count("\n") == 1
    nothing = cli("db", "backup", str(tmp_path / "new.zip"))
    assert (nothing.code, "no database yet" in nothing.err) == (ExitCode.NOT_FOUND, True)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_has_exact_money_and_all_documented_files(
    cli: Cli, store: Database, tmp_path: Path, form: str
) -> None:
    del store
    folder = tmp_path / "export"
    assert cli("db", "export", str(folder), "--format", form).code == ExitCode.OK
    assert {path.name for path in folder.iterdir()} == {f"{sheet.name}.{form}" for sheet in SHEETS}
    assert {oct(path.stat().st_mode)[-3:] for path in folder.iterdir()} == {"600"}
    with (folder / f"meter_intervals.{form}").open(newline="") as file:
        rows = list(csv.DictReader(file)) if form == "csv" else [json.loads(x) for x in file]
    assert [row["endpoint"] for row in rows] == ["search", "search"]
    assert int(rows[0]["cost_nano"]) == 500_000_000  # half of an odd number, to even
    assert Decimal(rows[0]["cost_usd"]) == Decimal("0.5")
    assert Decimal(rows[0]["burn_usd"]) == Decimal("1.000000001")
    assert rows[1]["cost_usd"] in (None, "")
    text = (folder / f"endpoints.{form}").read_text()
    assert (f"'{FORMULA}" in text) is (form == "csv")
    again = cli("db", "export", str(folder))
    assert (again.code, "not an empty folder" in again.err) == (ExitCode.REFUSED, True)


def test_every_column_is_documented() -> None:
    assert "\n".join(columns_text()).rstrip() in DOCS.read_text(encoding="utf-8")
