"""Calls the courier every few seconds; each target has a thread, so that none delays another."""

from __future__ import annotations

import threading
from datetime import UTC, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from orchestrator.clock import Clock
from orchestrator.engine.courier import Courier

log = structlog.get_logger(__name__)

EVERY = timedelta(seconds=2)
THREADS = 8
LEAVE_AFTER_S = 5.0


class CourierTimer:
    """Sends what is due until it is stopped."""

    def __init__(self, courier: Courier, clock: Clock, every: timedelta = EVERY) -> None:
        self._courier, self._clock = courier, clock
        self._busy: dict[str, threading.Thread] = {}
        self._failing = False
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._scheduler.add_job(
            self._tick,
            IntervalTrigger(seconds=every.total_seconds(), timezone=UTC),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """Let nothing further begin, and wait a few seconds for what is being sent.

        What takes longer is left: another process, or the next start, sends it again.
        """
        self._courier.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        for thread in list(self._busy.values()):
            thread.join(LEAVE_AFTER_S)

    def _tick(self) -> None:
        try:
            self._begin()
        except Exception:
            if not self._failing:
                log.exception("notifications cannot be sent now")
            self._failing = True
        else:
            self._failing = False

    def _begin(self) -> None:
        now = self._clock.now()
        self._courier.expand(now)
        self._busy = {key: one for key, one in self._busy.items() if one.is_alive()}
        for target_id in self._courier.due(now):
            if target_id not in self._busy and len(self._busy) < THREADS:
                self._start(target_id)

    def _start(self, target_id: str) -> None:
        def work() -> None:
            try:
                self._courier.work(target_id, self._clock.now())
            except Exception:
                log.exception("notifications could not be sent", target=target_id)

        thread = threading.Thread(target=work, name=f"courier {target_id}", daemon=True)
        self._busy[target_id] = thread
        thread.start()
