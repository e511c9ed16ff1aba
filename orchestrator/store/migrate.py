"""Brings the schema of a store to what this code needs, from the one tree in `migrations/`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlmodel.sql.sqltypes import AutoString

from orchestrator.store.database import LASTING, Database
from orchestrator.store.metadata import metadata
from orchestrator.store.types import BIG_ID, UtcDateTime

BASE = "base"
HEAD = "head"
# Any constant will do, as long as all processes use the same one.
_LOCK_KEY = 0x6F72_6368_6573


class SchemaError(RuntimeError):
    """The schema of the store cannot be brought to where it should be."""


class SchemaTooNewError(SchemaError):
    """The store was last upgraded by a newer version of this program."""


def upgrade(database: Database) -> str:
    """Bring the schema to the newest revision and return it; nothing is done if it is there.

    Safe to call from several processes at once: one migrates, the others wait for it.
    Raises SchemaTooNewError when the store is ahead of this code.
    """
    with _exclusive(database) as connection:
        command.upgrade(_config(connection), HEAD)
    return head_revision()


@contextmanager
def rebuilding(database: Database) -> Iterator[Connection]:
    """Yield a connection to the store without its tables; what is made of it is committed whole.

    Raises SchemaTooNewError when the store is ahead of this code.
    """
    with _exclusive(database) as connection:
        tables = MetaData()
        ours = {*metadata.tables, "alembic_version"}
        tables.reflect(connection, only=lambda name, _: name in ours)
        tables.drop_all(connection)
        yield connection


def upgrade_within(connection: Connection, revision: str = HEAD) -> None:
    """Bring the schema to a revision in the transaction of `rebuilding`."""
    command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str = BASE) -> None:
    """Take the schema back to a revision; `base` drops every table with all that it holds.

    Raises SchemaTooNewError when the store is ahead of this code.
    """
    with _exclusive(database) as connection:
        command.downgrade(_config(connection), revision)


def head_revision() -> str:
    """Return the newest revision that this code knows."""
    return str(_scripts().get_current_head())


def revisions() -> list[str]:
    """Return every revision that this code knows, newest first."""
    return [script.revision for script in _scripts().walk_revisions()]


def current_revision(database: Database) -> str | None:
    """Return the revision of the store; None before the first upgrade."""
    with database.engine.connect() as connection:
        return _current(connection)


def check(database: Database) -> list[str]:
    """Return in which ways the schema of the store differs from the tables of this code."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"target_metadata": metadata, **comparison()}
        )
        return [_sentence(difference) for difference in compare_metadata(context, metadata)]


def revise(database: Database, message: str) -> Path:
    """Write the next migration from the tables and return its file; for developers.

    `database` is an empty one: it is upgraded first, then compared.
    """
    with _exclusive(database) as connection:
        config = _config(connection)
        command.upgrade(config, HEAD)
        number = len(revisions()) + 1
        script = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
    if not isinstance(script, Script):
        raise SchemaError("no migration was written")
    return Path(script.path)


def comparison() -> dict[str, Any]:
    """Return how tables and schema are compared, for `env.py` and for `check`."""
    return {"compare_type": True, "compare_server_default": True, "render_item": _render_type}


@contextmanager
def _exclusive(database: Database) -> Iterator[Connection]:
    """Yield a connection in one transaction that no other process can migrate beside."""
    with database.engine.connect() as raw:
        connection = raw.execution_options(orchestrator_writes=True, **{LASTING: True})
        with _unenforced_keys(connection), connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            _refuse_newer(connection)
            yield connection
            _refuse_broken_keys(connection)


@contextmanager
def _unenforced_keys(connection: Connection) -> Iterator[None]:
    """Let SQLite rebuild a table that others point to; only outside a transaction can it be set."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _refuse_newer(connection: Connection) -> None:
    current = _current(connection)
    if current is not None and current not in revisions():
        raise SchemaTooNewError(
            f"the database is at revision {current}, which this version does not know (its newest "
            f"is {head_revision()}): run the version that upgraded it, or restore an older backup"
        )


def _refuse_broken_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise SchemaError(f"{len(broken)} rows point to rows that are not there: {broken[:3]}")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    """Return what an alembic.ini would say; the folder is found wherever the package lies."""
    config = Config(attributes={"connection": connection})
    folder = Path(str(files("orchestrator").joinpath("migrations")))
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _render_type(kind: str, item: Any, context: Any) -> str | Literal[False]:
    """Return a type as a migration writes it, or False where Alembic's own way is right."""
    del context
    if kind != "type":
        return False
    if item is BIG_ID:
        return "BIG_ID"
    if isinstance(item, UtcDateTime):
        return "UtcDateTime()"
    return "sa.String()" if isinstance(item, AutoString) else False


def _sentence(difference: Any) -> str:
    """Return one difference, such as `add_column endpoint: Column('owner', …)`."""
    if isinstance(difference, list):
        return "; ".join(_sentence(part) for part in difference)
    action, *parts = difference
    return f"{action} {' '.join(str(part) for part in parts if part is not None)}"
