"""The schema of the store, for `db` and `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from orchestrator import __version__
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.engine import exclusive
from orchestrator.engine.restored import HighWater
from orchestrator.logs import redact_text
from orchestrator.services import exporting, restores
from orchestrator.services.restores import Report
from orchestrator.settings import Settings
from orchestrator.store import backup, migrate, restorations
from orchestrator.store.backup import Manifest
from orchestrator.store.database import Database
from orchestrator.store.tables import Restoration


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


def name_of(url: str) -> str:
    """Return the name by which a person confirms that a store is replaced."""
    return Path(make_url(url).database or "").name


def back_up(settings: Settings, target: Path, now: datetime) -> Manifest:
    """Write a backup and note it in the store. Raises CliError."""
    if is_absent(settings.database_url):
        raise CliError("there is no database yet", ExitCode.NOT_FOUND, "nothing is to be saved")
    with opened(settings) as database, _told():
        if migrate.current_revision(database) == migrate.head_revision():
            with database.write() as session:
                restorations.ensure_name(session, now)
        manifest = backup.write(database, target, program=__version__, now=now)
        if manifest.revision == migrate.head_revision():
            with database.write() as session:
                restores.note_backup(session, manifest.rows, now)
    return manifest


def verify(file: Path) -> Manifest:
    """Read a whole backup and check it. Raises CliError."""
    with _told():
        return backup.verify(file)


def restore(settings: Settings, file: Path, now: datetime, *, replace: bool) -> Restoration:
    """Load a backup, and leave everything frozen. Raises CliError."""
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with opened(settings) as database, _told(), _alone(database):
        manifest = backup.verify(file)
        if not replace and not backup.is_unused(database):
            raise CliError(
                f"the database {database.url_redacted} holds data",
                ExitCode.REFUSED,
                "restore into an empty one, or add --replace",
            )
        with backup.restored(database, file) as connection, Session(connection) as session:
            found = restores.mark_store(session, "restore", manifest.taken_at, now)
            session.flush()
            session.expunge(found)
        HighWater(settings.state_dir).write(database)  # what ran here before is no news any more
    return found


def reports(settings: Settings, now: datetime) -> list[Report]:
    """Return what is known of the last restores, newest first. Raises CliError."""
    with opened(settings) as database, database.read() as session:
        return restores.reports(session, now)


def export(
    settings: Settings, folder: Path, form: exporting.Format, now: datetime
) -> dict[str, int]:
    """Write what people analyse to a folder; return the rows by file. Raises CliError."""
    state = check(settings)
    if not state.current:
        raise CliError(state.sentence, ExitCode.FAILED, "run `orchestrator db upgrade`")
    with opened(settings) as database, _told():
        return exporting.export(database, folder, form, now)


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep engines away from the store meanwhile. Raises CliError when one works on it."""
    if database.dialect == "postgresql" and backup.is_worked_on(database):
        raise CliError(
            f"a server or worker is on {database.url_redacted}",
            ExitCode.REFUSED,
            "stop every server and worker first",
        )
    try:
        lock = exclusive.acquire(database)
    except exclusive.EngineBusyError as error:
        raise CliError(str(error), ExitCode.REFUSED, "stop it first") from None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


@contextmanager
def _told() -> Iterator[None]:
    """Tell in one line what is wrong with a backup, its file, or the schema."""
    try:
        yield
    except (backup.BackupError, migrate.SchemaError) as error:
        raise CliError(str(error), ExitCode.FAILED) from None
    except FileNotFoundError as error:
        raise CliError(f"there is no {error.filename}", ExitCode.NOT_FOUND) from None
    except OSError as error:
        raise CliError(f"{error.filename}: {error.strerror}", ExitCode.FAILED) from None


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
