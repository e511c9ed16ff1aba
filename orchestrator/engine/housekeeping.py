"""What is done now and then beside the passes: the mark of the store, and what is kept too long."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError

from orchestrator.engine.restored import HighWater
from orchestrator.services import calendar_upkeep, retaining
from orchestrator.services.context import Context

log = structlog.get_logger(__name__)

EVERY_S = 30.0
# Between two transactions of retention others get their turn.
PAUSE_S = 0.1
RETAIN_EVERY = timedelta(hours=1)
CALENDARS_EVERY = timedelta(hours=6)


class Housekeeper:
    """Keeps one process's part of the house; `step` is one round, `start` does them in a thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mark = HighWater(context.settings.state_dir)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._retain_at: datetime | None = None
        self._calendars_at: datetime | None = None

    def start(self) -> None:
        """See whether the store is the one that ran here last; then keep house in a thread."""
        self._mark.check(self._context.database, self._context.clock)
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Write how far the store has come; drop what is kept too long, extend calendars."""
        now = self._context.clock.now()
        self._mark.write(self._context.database)
        if self._retain_at is None or now >= self._retain_at:
            self._retain_at = now + RETAIN_EVERY
            retaining.drop_old(self._context, now, lambda: self._stopping.wait(PAUSE_S))
        if self._calendars_at is None or now >= self._calendars_at:
            self._calendars_at = now + CALENDARS_EVERY
            calendar_upkeep.tend(self._context)

    def stop(self) -> None:
        """End, and write the mark once more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        try:
            self._mark.write(self._context.database)
        except DBAPIError as error:
            log.warning("the mark of the store could not be read", reason=str(error.orig))

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.step()
            except Exception:
                log.exception("housekeeping failed; it is tried again")
