"""What the database tells of itself."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session


def database_answers(session: Session) -> None:
    """Raise the driver's error where the store does not answer."""
    session.connection().execute(text("SELECT 1"))


def revision(session: Session) -> str:
    """Return the revision of the schema."""
    found = session.connection().execute(text("SELECT version_num FROM alembic_version")).first()
    return "" if found is None else str(found[0])


def database_bytes(session: Session) -> int:
    """Return the size of the store."""
    if session.get_bind().dialect.name == "postgresql":
        size = "SELECT pg_database_size(current_database())"
    else:
        size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(session.connection().execute(text(size)).scalar_one())


def postgres_version(session: Session) -> str:
    """Return the version of the Postgres that answers."""
    return str(session.connection().execute(text("SHOW server_version")).scalar_one())


def pragma(session: Session, name: str) -> str:
    """Return a setting of SQLite."""
    return str(session.connection().exec_driver_sql(f"PRAGMA {name}").scalar_one())
