"""What `doctor` says of the database."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from sqlmodel import Session

from orchestrator.cli import formats
from orchestrator.cli.checks import Check, fail, ok, unknown, warn
from orchestrator.cli.doctor_clouds import SKEW_FAILS, SKEW_WARNS
from orchestrator.cli.doctor_exam import Exam, since
from orchestrator.clock import SystemClock
from orchestrator.store import probes, restorations
from orchestrator.store.database import Database

_LOCK_PATIENCE_S = 3.0
_LEAST_FREE, _LITTLE_FREE = 100 * 2**20, 2**30
_OLDEST_POSTGRES = 14
_OLD_BACKUP = timedelta(days=7)
_SLOW_MS = 250


def check_store(exam: Exam) -> Iterator[Check]:
    """Check the schema, and how the database keeps and locks what it is given."""
    yield exam.opened.check
    if exam.opened.store is None:
        return
    store = exam.store
    with store.read() as session:
        yield from _latency(session)
        if store.dialect == "sqlite":
            yield _journal(session)
        else:
            yield _version(session)
            yield _clock(session, exam)
    if store.dialect == "sqlite":
        yield from _file(Path(store.url.database or ""))
    else:
        yield from _addresses(exam, store)


def check_backup(exam: Exam) -> Iterator[Check]:
    """Check when the last backup was taken."""
    with exam.store.read() as session:
        last = restorations.last_backup(session)
    remedy = "orchestrator db backup FILE, regularly and to another machine"
    if last is None:
        detail = "none was taken by `orchestrator db backup`; others are not known here"
        yield unknown("backup", detail, remedy)
        return
    age = exam.now - last
    told = f"the last one was taken {formats.duration(max(age.total_seconds(), 0))} ago"
    yield warn("backup", told, remedy) if age > _OLD_BACKUP else ok("backup", told)


def _latency(session: Session) -> Iterator[Check]:
    began = perf_counter()
    probes.database_answers(session)
    took = since(began)
    size = f"{probes.database_bytes(session) / 2**20:,.1f} MiB"
    if took > _SLOW_MS:
        yield warn("database speed", f"an answer takes {took} ms; {size}", "look at its load")
    else:
        yield ok("database speed", f"it answers at once; {size}", took)


def _journal(session: Session) -> Check:
    mode = probes.pragma(session, "journal_mode")
    if mode != "wal":
        detail = f"the journal is {mode}, not wal: readers and the writer block each other"
        return fail(
            "database journal", detail, "keep the file on a local disk, not a network share"
        )
    return ok("database journal", "write-ahead log")


def _file(file: Path) -> Iterator[Check]:
    free = shutil.disk_usage(file.parent).free
    told = f"{free / 2**30:,.1f} GiB are free at {file.parent}"
    if free < _LEAST_FREE:
        yield fail("database disk", told, "free some space: nothing can be written without")
    elif free < _LITTLE_FREE:
        yield warn("database disk", told, "free some space soon")
    else:
        yield ok("database disk", told)
    if file.stat().st_mode & 0o077 and file.parent.stat().st_mode & 0o077:
        yield warn("database file", f"{file} may be read by others", f"chmod 600 {file}")
    yield _lock(file)


def _lock(file: Path) -> Check:
    """Take the write lock for a moment; nothing is written."""
    began = perf_counter()
    try:
        with closing(sqlite3.connect(file, timeout=_LOCK_PATIENCE_S, isolation_level=None)) as one:
            one.execute("BEGIN IMMEDIATE")
            one.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return fail("database lock", f"nothing can be written: {error}", "see which process has it")
    return ok("database lock", "it can be written to", since(began))


def _version(session: Session) -> Check:
    version = probes.postgres_version(session)
    if int(version.split(".", 1)[0].split(" ")[0]) < _OLDEST_POSTGRES:
        detail = f"Postgres {version} gets no corrections any more"
        return warn("database version", detail, f"upgrade it to {_OLDEST_POSTGRES} or newer")
    return ok("database version", f"Postgres {version}")


def _clock(session: Session, exam: Exam) -> Check:
    told = restorations.database_now(session)
    if told is None or not isinstance(exam.run.clock, SystemClock):
        return unknown("database clock", "it was not compared: this clock is not the machine's")
    by = abs(told - exam.now)
    detail = f"this clock and the database's differ by {by.total_seconds():.0f} s"
    if by > SKEW_FAILS:
        return fail("database clock", detail, "set the clocks (NTP); until then all is frozen")
    if by > SKEW_WARNS:
        return warn("database clock", detail, "set the clocks (NTP)")
    return ok("database clock", "agrees with this one")


def _addresses(exam: Exam, store: Database) -> Iterator[Check]:
    """Try whether workers can lock and listen, and whether a pooler is in between."""
    # Its driver is installed only where Postgres is used.
    from orchestrator.store.claims import direct_fault, pooler_fault  # noqa: PLC0415

    settings = exam.settings
    direct = settings.database_direct_url
    pooled = pooler_fault(settings.database_url)
    remedy = "set database_direct_url to the same database without a pooler"
    if direct is None:
        yield (
            fail("database address", f"database_url: {pooled}", remedy)
            if pooled
            else ok("database address", "direct: workers can lock and listen")
        )
        return
    fault = direct_fault(store, direct)
    if fault:
        yield fail("database direct address", f"database_direct_url: {fault}", remedy)
    else:
        told = "a pooler is in database_url, which is well" if pooled else "neither has a pooler"
        yield ok("database direct address", f"workers can lock and listen; {told}")
