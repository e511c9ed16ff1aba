"""A note from one process to the engine in another: "look now". Losing one costs a delay only."""

from __future__ import annotations

import threading
from datetime import datetime

from sqlalchemy import text

from orchestrator.store.database import Database
from orchestrator.store.tables import Setting

KEY = "nudge"
# On Postgres a notice of this name and content goes with the note, for those who listen.
CHANNEL, NUDGE = "orchestrator", "nudge"


def leave(database: Database, now: datetime) -> None:
    """Ask the engine, wherever it runs, for a step."""
    with database.write() as session:
        row = session.get(Setting, KEY) or Setting(key=KEY, value={"count": 0}, updated_at=now)
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
