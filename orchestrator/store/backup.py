"""Backups: one file, the same for SQLite and Postgres, with every row as a line of JSON.

The file is a ZIP: `tables/<name>.jsonl`, rows in the order of their key, each a list of values in
the order of the columns, and `manifest.json`, written last. Instants are ISO 8601 in UTC. It is
written under a temporary name first, so that there is no half of a backup under its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

from sqlalchemy import Connection, DateTime, MetaData, Table, func, inspect, select, text

from orchestrator.store import migrate
from orchestrator.store.database import LASTING, Database
from orchestrator.store.metadata import metadata

FORMAT = "orchestrator-backup"
VERSION = 1
MANIFEST = "manifest.json"
VERSION_TABLE = "alembic_version"
# Who works on a store and who is signed in is of the moment; none of it is true after a restore.
LEFT_OUT = frozenset({VERSION_TABLE, "claim", "worker", "web_session"})
# What a store has although nobody has used it yet.
UNUSED = frozenset({*LEFT_OUT, "setting"})
BATCH = 1_000
LONGEST_MANIFEST = 1_000_000

_OTHERS_LOCKS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND pid <> pg_backend_pid()"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# Servers without an engine name their connections so: see `cli.runtime.service`.
_SERVERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'orchestrator:%' AND pid <> pg_backend_pid()"
)
_SEEN_WORKERS = (
    "SELECT count(*) FROM worker WHERE NOT stopping"
    " AND seen_at > clock_timestamp() - interval '30 seconds'"
)

Row = Sequence[Any]


class BackupError(ValueError):
    """A file is no backup, is damaged, or does not fit the store."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a backup; `sha256` is of its lines."""

    name: str
    columns: tuple[str, ...]
    rows: int
    sha256: str

    @property
    def member(self) -> str:
        """Return the name of its file within the backup."""
        return f"tables/{self.name}.jsonl"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself; `store` is empty where the store had no name yet."""

    program: str
    revision: str
    database: str
    store: str
    taken_at: datetime
    newest_event: int
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """Return the number of rows of all tables."""
        return sum(part.rows for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """Return the manifest as it is written."""
        parts = [asdict(part) | {"columns": list(part.columns)} for part in self.parts]
        return {
            "format": FORMAT,
            "version": VERSION,
            "program": self.program,
            "revision": self.revision,
            "database": self.database,
            "store": self.store,
            "taken_at": self.taken_at.isoformat(),
            "newest_event": self.newest_event,
            "tables": parts,
        }


def write(database: Database, target: Path, *, program: str, now: datetime) -> Manifest:
    """Write one consistent snapshot of the store to a file that only its owner may read.

    The service may run meanwhile. Raises BackupError for a store without a schema, OSError.
    """
    with _temporary(target) as partial:
        with _snapshot(database, target.parent) as connection, partial.open("wb") as file:
            manifest = _dump(connection, file, database.dialect, program, now)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    return manifest


def read_manifest(file: Path) -> Manifest:
    """Return what a backup says of itself. Raises BackupError, OSError."""
    with _opened(file) as archive:
        return _manifest(archive)


def verify(file: Path) -> Manifest:
    """Read the whole backup and compare it with its manifest. Raises BackupError, OSError."""
    with _opened(file) as archive:
        manifest = _manifest(archive)
        for part in manifest.parts:
            for _ in _rows(archive, part):
                pass
    return manifest


@contextmanager
def restored(database: Database, file: Path) -> Iterator[Connection]:
    """Replace all that the store holds, and yield its connection before that is committed.

    The rows are loaded at the backup's own revision and upgraded from there, in one transaction:
    a failure leaves the store as it was. Raises BackupError, SchemaError, OSError.
    """
    with _opened(file) as archive:
        manifest = _manifest(archive)
        if manifest.revision not in migrate.revisions():
            raise BackupError(
                f"{file.name} is at revision {manifest.revision}, which this version does not know "
                f"(its newest is {migrate.head_revision()}): restore it with the version that made "
                f"it, {manifest.program}, or a newer one"
            )
        with migrate.rebuilding(database) as connection:
            migrate.upgrade_within(connection, manifest.revision)
            _load(connection, archive, manifest)
            if manifest.revision != migrate.head_revision():
                migrate.upgrade_within(connection)
            yield connection


def is_unused(database: Database) -> bool:
    """Tell whether a store holds nothing that a restore would destroy."""
    with database.engine.connect() as connection:
        present = set(inspect(connection).get_table_names())
        used = present & metadata.tables.keys() - UNUSED
        return not any(_holds_rows(connection, name) for name in used)


def is_worked_on(database: Database) -> bool:
    """Tell whether a server or worker is on a Postgres store: connected, or seen just now."""
    with database.engine.connect() as connection:
        locks = connection.execute(text(_OTHERS_LOCKS)).scalar_one()
        locks = locks or connection.execute(text(_SERVERS)).scalar_one()
        known = inspect(connection).has_table("worker")
        return bool(locks or (known and connection.execute(text(_SEEN_WORKERS)).scalar_one()))


def _holds_rows(connection: Connection, name: str) -> bool:
    table = Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
    return connection.execute(select(text("1")).select_from(table).limit(1)).first() is not None


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """Yield a new file beside `target` that only its owner may read; gone unless it was moved."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _snapshot(database: Database, folder: Path) -> Iterator[Connection]:
    """Yield a connection that sees one instant of the store, and keeps no writer waiting."""
    if database.dialect == "sqlite":
        with _copied(database, folder) as copy, copy.engine.connect() as connection:
            yield connection
        return
    options: dict[str, Any] = {
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
        LASTING: True,
    }
    with database.engine.connect() as raw:
        yield raw.execution_options(**options)


@contextmanager
def _copied(database: Database, folder: Path) -> Iterator[Database]:
    """Yield a copy of a SQLite store, made by its online backup."""
    with _temporary(folder / ".orchestrator-copy.db") as path:
        with database.engine.connect() as connection:
            source: Any = connection.connection.dbapi_connection
            target = sqlite3.connect(path)
            try:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
            finally:
                target.close()
        copy = Database(f"sqlite:///{path}", durable=False)
        try:
            yield copy
        finally:
            copy.dispose()


def _dump(
    connection: Connection, file: IO[bytes], dialect: str, program: str, now: datetime
) -> Manifest:
    tables = _reflected(connection)
    if VERSION_TABLE not in tables.tables:
        raise BackupError("the database has no schema yet: there is nothing to back up")
    revision = connection.scalar(select(tables.tables[VERSION_TABLE].c.version_num))
    wanted = [table for table in tables.sorted_tables if table.name not in LEFT_OUT]
    with ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        parts = [_write_part(connection, archive, table) for table in wanted]
        manifest = Manifest(
            program=program,
            revision=str(revision),
            database=dialect,
            store=_store_name(connection, tables),
            taken_at=now,
            newest_event=_newest_event(connection, tables),
            parts=tuple(parts),
        )
        archive.writestr(MANIFEST, json.dumps(manifest.as_json(), indent=1))
    return manifest


def _reflected(connection: Connection) -> MetaData:
    """Return the tables as they are there, which may be those of an older version."""
    ours = {*metadata.tables, VERSION_TABLE}
    tables = MetaData()
    tables.reflect(connection, only=lambda name, _: name in ours)
    return tables


def _store_name(connection: Connection, tables: MetaData) -> str:
    setting = tables.tables["setting"]
    value = connection.scalar(select(setting.c.value).where(setting.c.key == "store"))
    return str(value["id"]) if value else ""


def _newest_event(connection: Connection, tables: MetaData) -> int:
    return int(connection.scalar(select(func.max(tables.tables["event"].c.id))) or 0)


def _write_part(connection: Connection, archive: ZipFile, table: Table) -> Part:
    columns = tuple(column.name for column in table.columns)
    digest, count = hashlib.sha256(), 0
    part = Part(table.name, columns, 0, "")
    query = select(table).order_by(*table.primary_key.columns)
    found = connection.execution_options(stream_results=True, yield_per=BATCH).execute(query)
    with archive.open(part.member, "w", force_zip64=True) as out:
        for rows in found.partitions():
            lines = b"".join(_line(row) for row in rows)
            digest.update(lines)
            out.write(lines)
            count += len(rows)
    return Part(table.name, columns, count, digest.hexdigest())


def _line(row: Iterable[Any]) -> bytes:
    values = [_instant(value) if isinstance(value, datetime) else value for value in row]
    return json.dumps(values, separators=(",", ":"), default=_refuse).encode() + b"\n"


def _instant(value: datetime) -> str:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat()


def _refuse(value: object) -> Any:
    raise TypeError(f"a {type(value).__name__} cannot be backed up")


@contextmanager
def _opened(file: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(file) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise BackupError(f"{file.name} is damaged or no backup: {error}") from None


def _manifest(archive: ZipFile) -> Manifest:
    try:
        if archive.getinfo(MANIFEST).file_size > LONGEST_MANIFEST:
            raise BackupError("the manifest is too long to be one")
        found = json.loads(archive.read(MANIFEST))
        if found["format"] != FORMAT:
            raise BackupError(f"it is a {found['format']}, not a {FORMAT}")
        if found["version"] > VERSION:
            raise BackupError(f"its format {found['version']} is newer than this version knows")
        return _parsed(found)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BackupError):
            raise
        raise BackupError(f"its manifest cannot be read: {error}") from None


def _parsed(found: Any) -> Manifest:
    parts = [
        Part(str(one["name"]), tuple(one["columns"]), int(one["rows"]), str(one["sha256"]))
        for one in found["tables"]
    ]
    return Manifest(
        program=str(found["program"]),
        revision=str(found["revision"]),
        database=str(found["database"]),
        store=str(found["store"]),
        taken_at=datetime.fromisoformat(found["taken_at"]).astimezone(UTC),
        newest_event=int(found["newest_event"]),
        parts=tuple(parts),
    )


def _rows(archive: ZipFile, part: Part) -> Iterator[Row]:
    """Yield the rows of a table, and compare them with the manifest at the end."""
    digest, count = hashlib.sha256(), 0
    try:
        with archive.open(part.member) as lines:
            for line in lines:
                digest.update(line)
                count += 1
                row = json.loads(line)
                if not isinstance(row, list) or len(row) != len(part.columns):
                    raise BackupError(f"row {count} of {part.name} has not its columns")
                yield row
    except (KeyError, json.JSONDecodeError, zipfile.BadZipFile) as error:
        raise BackupError(f"the table {part.name} is damaged: {error}") from None
    if (count, digest.hexdigest()) != (part.rows, part.sha256):
        raise BackupError(
            f"the table {part.name} is damaged: {count} rows, and its manifest says {part.rows}"
            if count != part.rows
            else f"the table {part.name} is damaged: its SHA-256 is not the manifest's"
        )


def _load(connection: Connection, archive: ZipFile, manifest: Manifest) -> None:
    tables = _reflected(connection)
    parts = {part.name: part for part in manifest.parts}
    unknown = parts.keys() - tables.tables.keys()
    if unknown:
        raise BackupError(f"it has tables that its revision does not: {', '.join(sorted(unknown))}")
    for table in tables.sorted_tables:
        if table.name in parts:
            _load_part(connection, archive, table, parts[table.name])
            _go_on_counting(connection, table)


def _load_part(connection: Connection, archive: ZipFile, table: Table, part: Part) -> None:
    unknown = set(part.columns) - {column.name for column in table.columns}
    if unknown:
        raise BackupError(f"{part.name} has unknown columns: {', '.join(sorted(unknown))}")
    aware = connection.dialect.name == "postgresql"
    instants = [isinstance(table.c[name].type, DateTime) for name in part.columns]
    batch: list[dict[str, Any]] = []
    for row in _rows(archive, part):
        values = [
            _stored(value, aware=aware) if is_instant else value
            for value, is_instant in zip(row, instants, strict=True)
        ]
        batch.append(dict(zip(part.columns, values, strict=True)))
        if len(batch) == BATCH:
            connection.execute(table.insert(), batch)
            batch = []
    if batch:
        connection.execute(table.insert(), batch)


def _stored(value: str | None, *, aware: bool) -> date | None:
    if value is None:
        return None
    instant = datetime.fromisoformat(value).astimezone(UTC)
    return instant if aware else instant.replace(tzinfo=None)


def _go_on_counting(connection: Connection, table: Table) -> None:
    """Let Postgres number new rows after the loaded ones; SQLite does so by itself."""
    counted = table.autoincrement_column
    if connection.dialect.name != "postgresql" or counted is None:
        return
    sequence = func.pg_get_serial_sequence(table.name, counted.name)
    newest = select(func.max(counted)).scalar_subquery()
    connection.execute(select(func.setval(sequence, func.coalesce(newest, 1), newest.is_not(None))))
