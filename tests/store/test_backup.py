"""Backups: whole, portable between SQLite and Postgres, and nothing is lost by a bad one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from orchestrator.store import backup, events, migrate
from orchestrator.store.backup import BackupError, Manifest
from orchestrator.store.database import Database
from orchestrator.store.tables import Event, Setting
from tests.support.rows import NOON, account, endpoint, interval, operation

ODD = {"text": 'ü "x"\n\t\u2028', "none": None, "deep": [1, {"a": [0.5, True]}], "big": 2**60}


def fill(database: Database) -> None:
    with database.write() as session:
        session.add(account(options={"api_url": "x"}))
        session.flush()
        session.add(endpoint(spec=ODD, deleted_at=NOON + timedelta(microseconds=1)))
        session.flush()
        session.add(operation(steps=[ODD], status="succeeded", finished_at=NOON))
        session.add(interval(burn=9_000_000_000_000))
        for number in range(3):
            record(session, f"event {number}", data=ODD)


def record(session: Any, message: str, **values: Any) -> None:
    events.record(session, at=NOON, kind="test.happened", actor="ada", message=message, **values)


def save(database: Database, file: Path) -> Manifest:
    return backup.write(database, file, program="1.2.3", now=NOON)


def load(database: Database, file: Path) -> None:
    with backup.restored(database, file):
        pass


def messages(database: Database) -> list[str]:
    with database.read() as session:
        return [row.message for row in session.exec(select(Event).order_by(text("id")))]


@pytest.fixture
def filled(database: Database) -> Database:
    fill(database)
    return database


@pytest.fixture
def other(filled: Database, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return an empty store of the other kind."""
    if filled.dialect == "postgresql":
        url = f"sqlite:///{tmp_path}/other.db"
    else:
        url = request.getfixturevalue("empty_postgres_url")
    database = Database(url, durable=False)
    yield database
    database.dispose()


def test_a_backup_goes_into_the_other_kind_of_database_and_back(
    filled: Database, other: Database, tmp_path: Path
) -> None:
    first = save(filled, tmp_path / "first.zip")
    assert backup.verify(tmp_path / "first.zip") == first
    assert (first.program, first.newest_event) == ("1.2.3", 3)
    load(other, tmp_path / "first.zip")
    assert migrate.check(other) == []
    second = save(other, tmp_path / "second.zip")
    assert second.parts == first.parts
    load(filled, tmp_path / "second.zip")
    assert save(filled, tmp_path / "third.zip").parts == first.parts
    for database in (filled, other):
        with database.write() as session:
            record(session, "the next one")
        assert messages(database)[3:] == ["the next one"]


def test_a_writer_neither_waits_for_a_backup_nor_shows_in_it(
    filled: Database, tmp_path: Path
) -> None:
    with filled.write() as session:
        record(session, "not yet")
        session.flush()
        assert save(filled, tmp_path / "b.zip").newest_event == 3
    assert messages(filled)[-1] == "not yet"


def test_the_file_is_its_owners_alone_and_nothing_else_is_left(
    filled: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    save(filled, folder / "b.zip")
    assert [path.name for path in folder.iterdir()] == ["b.zip"]
    assert oct((folder / "b.zip").stat().st_mode)[-3:] == "600"


def test_what_is_of_the_moment_is_left_out(filled: Database, tmp_path: Path) -> None:
    names = {part.name for part in save(filled, tmp_path / "b.zip").parts}
    assert "event" in names
    assert names.isdisjoint({"claim", "worker", "web_session"})


def test_a_backup_of_an_older_version_is_upgraded_on_its_way_in(
    empty_database: Database, tmp_path: Path
) -> None:
    with migrate.rebuilding(empty_database) as connection:
        migrate.upgrade_within(connection, "0001")
        connection.execute(
            text(
                "INSERT INTO account (id, name, provider, namespace, region, credential_ref,"
                " options, created_at, frozen_by, frozen_reason, health, health_detail, failures,"
                " endpoint_count, calls) VALUES ('acc_old', 'old', 'huggingface', 'old', '',"
                " 'env:X', '{}', '2026-01-01 00:00:00', '', '', 'new', '', 0, 0, 0)"
            )
        )
    manifest = save(empty_database, tmp_path / "old.zip")
    assert manifest.revision == "0001"
    load(empty_database, tmp_path / "old.zip")
    assert migrate.current_revision(empty_database) == migrate.head_revision()
    assert migrate.check(empty_database) == []
    with empty_database.read() as session:
        row = session.connection().execute(text("SELECT name, call_counts FROM account")).one()
    assert row[0] == "old"


def rewritten(change: Callable[[str, bytes], bytes | None]) -> Callable[[Path, Path], None]:
    """Return what copies a backup with its members changed; None leaves one out."""

    def copy(source: Path, target: Path) -> None:
        with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
            for name in before.namelist():
                content = change(name, before.read(name))
                if content is not None:
                    after.writestr(name, content)

    return copy


def manifest_with(**values: Any) -> Callable[[Path, Path], None]:
    def change(name: str, content: bytes) -> bytes:
        return (
            json.dumps(json.loads(content) | values).encode()
            if name == "manifest.json"
            else content
        )

    return rewritten(change)


def cut(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes()[:-200])


BAD = {
    "changed": (
        rewritten(lambda _, content: content.replace(b"event 1", b"event 9")),
        "SHA-256 is not",
    ),
    "row missing": (
        rewritten(lambda name, c: c[: c.index(b"\n") + 1] if "event.jsonl" in name else c),
        "1 rows, and its manifest says 3",
    ),
    "table missing": (
        rewritten(lambda name, c: None if "event" in name else c),
        "event is damaged",
    ),
    "cut": (cut, "damaged or no backup"),
    "newer schema": (manifest_with(revision="9999"), "revision 9999, which this version"),
    "newer format": (manifest_with(version=2), "format 2 is newer"),
    "another thing": (manifest_with(format="holiday"), "a holiday, not a"),
    "no manifest": (rewritten(lambda name, c: None if name == "manifest.json" else c), "manifest"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_backup_is_refused_and_the_store_stays_as_it_was(
    sqlite_database: Database, tmp_path: Path, name: str
) -> None:
    spoil, told = BAD[name]
    fill(sqlite_database)
    save(sqlite_database, tmp_path / "good.zip")
    with sqlite_database.write() as session:
        session.add(Setting(key="later", value={}, updated_at=NOON))
    spoil(tmp_path / "good.zip", tmp_path / "bad.zip")
    with pytest.raises(BackupError, match=told):
        load(sqlite_database, tmp_path / "bad.zip")
    with sqlite_database.read() as session:
        assert session.get(Setting, "later") is not None
    assert len(messages(sqlite_database)) == 3


def test_rows_that_point_nowhere_are_refused(sqlite_database: Database, tmp_path: Path) -> None:
    fill(sqlite_database)
    save(sqlite_database, tmp_path / "good.zip")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    def change(name: str, content: bytes) -> bytes:
        if name == "tables/account.jsonl":
            return b""
        if name != "manifest.json":
            return content
        found = json.loads(content)
        for one in found["tables"]:
            if one["name"] == "account":
                one |= {"rows": 0, "sha256": empty}
        return json.dumps(found).encode()

    rewritten(change)(tmp_path / "good.zip", tmp_path / "bad.zip")
    with pytest.raises(migrate.SchemaError, match="point to rows that are not there"):
        load(sqlite_database, tmp_path / "bad.zip")
    assert len(messages(sqlite_database)) == 3


def test_a_store_is_unused_until_somebody_uses_it(database: Database) -> None:
    with database.write() as session:
        session.add(Setting(key="store", value={"id": "x"}, updated_at=NOON))
    assert backup.is_unused(database)
    fill(database)
    assert not backup.is_unused(database)


def test_a_database_without_a_schema_has_nothing_to_back_up(
    empty_database: Database, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="no schema"):
        save(empty_database, tmp_path / "b.zip")
    assert not list(tmp_path.glob("*.zip"))
