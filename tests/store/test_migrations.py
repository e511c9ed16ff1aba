"""The schema: one history for both databases, that agrees with the tables and can be undone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import inspect, text

from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.metadata import metadata
from tests.support.schema import describe_schema

VERSION_TABLE = "alembic_version"
UPGRADE = "import sys; from orchestrator.store import migrate; from orchestrator.store.database "
UPGRADE += "import Database; print(migrate.upgrade(Database(sys.argv[1])))"


def table_names(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def execute(database: Database, *statements: str) -> None:
    with database.write() as session:
        for statement in statements:
            session.connection().execute(text(statement))


def test_upgrade_makes_every_table_from_nothing(empty_database: Database) -> None:
    assert migrate.current_revision(empty_database) is None
    assert migrate.upgrade(empty_database) == migrate.head_revision()
    assert table_names(empty_database) == {*metadata.tables, VERSION_TABLE}
    assert migrate.current_revision(empty_database) == migrate.head_revision()


def test_migrated_schema_and_tables_agree(database: Database) -> None:
    assert migrate.check(database) == []


def test_migrated_schema_is_what_the_tables_alone_would_make(empty_database: Database) -> None:
    metadata.create_all(empty_database.engine)
    expected = describe_schema(empty_database)
    metadata.drop_all(empty_database.engine)
    migrate.upgrade(empty_database)
    migrated = describe_schema(empty_database)
    del migrated[VERSION_TABLE]
    assert set(expected) == set(metadata.tables)
    assert migrated == expected


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE setting ADD COLUMN extra INTEGER", "remove_column setting"),
        ("DROP INDEX ix_endpoint_status", "add_index"),
        ("DROP TABLE idempotent_answer", "add_table"),
        ("CREATE TABLE stranger (id INTEGER PRIMARY KEY)", "remove_table stranger"),
    ],
)
def test_check_tells_what_differs(database: Database, change: str, told: str) -> None:
    execute(database, change)
    differences = migrate.check(database)
    assert any(told in difference for difference in differences), differences


def test_check_tells_of_a_missing_schema(empty_database: Database) -> None:
    differences = migrate.check(empty_database)
    assert len([line for line in differences if "add_table" in line]) == len(metadata.tables)


def test_downgrade_to_base_leaves_nothing(database: Database) -> None:
    migrate.downgrade(database)
    assert table_names(database) == {VERSION_TABLE}
    assert migrate.current_revision(database) is None
    if database.dialect == "postgresql":
        with database.read() as session:
            types = session.connection().execute(
                text(
                    "SELECT typname FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace "
                    "WHERE n.nspname = 'public' AND typtype = 'e'"
                )
            )
            assert types.all() == []


def test_upgrade_after_downgrade_gives_the_same_schema(database: Database) -> None:
    before = describe_schema(database)
    migrate.downgrade(database)
    migrate.upgrade(database)
    assert describe_schema(database) == before


def test_second_upgrade_changes_nothing_and_keeps_the_rows(database: Database) -> None:
    execute(
        database,
        "INSERT INTO setting (key, value, updated_at) VALUES ('k', '{}', '2026-01-01 00:00:00')",
    )
    before = describe_schema(database)
    migrate.upgrade(database)
    assert describe_schema(database) == before
    with database.read() as session:
        assert session.connection().execute(text("SELECT key FROM setting")).scalars().all() == [
            "k"
        ]


def test_upgrade_leaves_foreign_keys_enforced(database: Database) -> None:
    migrate.upgrade(database)
    orphan = (
        "INSERT INTO label (endpoint_id, key, value, source) VALUES ('ep_none', 'k', 'v', 'ours')"
    )
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        execute(database, orphan)


@pytest.mark.parametrize("act", [migrate.upgrade, migrate.downgrade])
def test_store_of_a_newer_version_is_refused_and_left_alone(
    database: Database, act: Callable[[Database], object]
) -> None:
    execute(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrate.SchemaTooNewError, match=r"revision 9999.*newest is 0"):
        act(database)
    assert migrate.current_revision(database) == "9999"
    assert table_names(database) == {*metadata.tables, VERSION_TABLE}


def test_upgrade_refuses_to_leave_rows_that_point_nowhere(sqlite_database: Database) -> None:
    orphan = (
        "INSERT INTO label (endpoint_id, key, value, source) VALUES ('ep_none', 'k', 'v', 'ours')"
    )
    with sqlite_database.engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        cursor = driver.cursor()
        cursor.execute("PRAGMA foreign_keys=OFF")
        cursor.execute(orphan)
        cursor.execute("PRAGMA foreign_keys=ON")
    with pytest.raises(migrate.SchemaError, match="1 rows point to rows that are not there"):
        migrate.upgrade(sqlite_database)


def test_processes_that_start_at_once_migrate_once(empty_database_url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, empty_database_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], answers
    assert {out.strip() for out, _ in answers} == {migrate.head_revision()}
    database = Database(empty_database_url)
    assert migrate.check(database) == []
    database.dispose()


def test_history_is_one_line_of_numbered_files() -> None:
    scripts = list(reversed(migrate.revisions()))
    assert scripts == [f"{number:04}" for number in range(1, len(scripts) + 1)]
