"""A note from one process to the engine in another: "look now". Losing one costs a delay only."""

from __future__ import annotations

import threading
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from orchestrator.store import locks
from orchestrator.store.database import Database
from orchestrator.store.tables import Setting

KEY = "nudge"
# On Postgres a notice of this name and content goes with the note, for those who listen.
CHANNEL, NUDGE = "orchestrator", "nudge"


def leave(database: Database, now: datetime) -> None:
    """Ask the engine, wherever it runs, for a step; waits for others who do, twice at most."""
    try:
        _leave(database, now)
    except DBAPIError as error:
        if not locks.is_contention(error):
            raise
        _leave(database, now)


def _leave(database: Database, now: datetime) -> None:
    insert = postgresql.insert if database.dialect == "postgresql" else sqlite.insert
    seed = insert(Setting).values(key=KEY, value={"count": 0}, updated_at=now)
    with database.write() as session:
        session.connection().execute(seed.on_conflict_do_nothing())
        row = session.exec(select(Setting).where(Setting.key == KEY).with_for_update()).one()
        row.value = {"count": int(row.value["count"]) + 1}
        row.updated_at = now
        session.add(row)
        if database.dialect == "postgresql":
            notify = text("SELECT pg_notify(:channel, :what)")
            session.connection().execute(notify, {"channel": CHANNEL, "what": NUDGE})


class Bell:
    """Tells whether a note was left since it was last asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking = threading.Lock()
        self._count: int | None = None

    def rung(self) -> bool:
        """Return True once for any number of notes left meanwhile."""
        with self._asking:
            with self._database.read() as session:
                row = session.get(Setting, KEY)
                count = 0 if row is None else int(row.value["count"])
            news = self._count is not None and count != self._count
            self._count = count
            return news
