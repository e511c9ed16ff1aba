"""The schema of the store, for `db` and `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.logs import redact_text
from orchestrator.settings import Settings
from orchestrator.store import migrate
from orchestrator.store.database import Database


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where the schema of the store is, and where this version wants it."""

    present: str | None
    wanted: str
    differences: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Tell whether the schema is what this version needs."""
        return self.present == self.wanted and not self.differences

    @property
    def sentence(self) -> str:
        """Return the state in words."""
        if self.present is None:
            return "the database has no schema yet"
        if self.present != self.wanted:
            return f"the schema is at {self.present}, this version needs {self.wanted}"
        if self.differences:
            return f"the schema differs from this version: {'; '.join(self.differences)}"
        return f"the schema is current ({self.present})"

    def as_json(self) -> dict[str, object]:
        """Return the state for programs."""
        return {
            "current": self.current,
            "revision": self.present,
            "wanted": self.wanted,
            "differences": list(self.differences),
        }


def upgrade(settings: Settings) -> str:
    """Bring the schema to the newest revision and return it. Raises CliError."""
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with opened(settings) as database:
        try:
            return migrate.upgrade(database)
        except migrate.SchemaError as error:
            raise CliError(str(error), ExitCode.FAILED) from None


def check(settings: Settings) -> SchemaState:
    """Compare the schema with what this version needs, changing nothing. Raises CliError."""
    wanted = migrate.head_revision()
    if is_absent(settings.database_url):
        return SchemaState(None, wanted, ())
    with opened(settings) as database:
        present = migrate.current_revision(database)
        differences = migrate.check(database) if present == wanted else []
    return SchemaState(present, wanted, tuple(differences))


def is_absent(url: str) -> bool:
    """Tell whether a SQLite file does not exist yet; connecting would create it."""
    parsed = make_url(url)
    file = parsed.database if parsed.get_backend_name() == "sqlite" else None
    return bool(file) and file != ":memory:" and not Path(str(file)).exists()


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """Yield the store. Raises CliError when it does not answer."""
    database = Database(settings.database_url)
    try:
        yield database
    except DBAPIError as error:
        reason = redact_text(str(error.orig)).strip().splitlines()[0]
        raise CliError(
            f"the database {database.url_redacted} does not answer: {reason}",
            ExitCode.UNREACHABLE,
            "check ORCHESTRATOR_DATABASE_URL, and that the server runs",
        ) from None
    finally:
        database.dispose()
