"""The engine's timer: one coalescing APScheduler job at `next_at`, earlier when nudged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from orchestrator.clock import Clock, SystemClock
from orchestrator.engine.engine import Engine
from orchestrator.engine.exclusive import Exclusive

log = structlog.get_logger(__name__)

RETRY_AFTER_FAULT = timedelta(seconds=10)
OVERDUE_AFTER = timedelta(minutes=5)
LOST_AFTER = timedelta(seconds=10)
WATCH = "watch"


class EngineTimer:
    """Calls `engine.step` when it is due; a missed call is made late, never dropped.

    `speed` maps virtual to real time for the demo. `watch` is asked every two seconds whether
    another process wants attention.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        lock: Exclusive,
        *,
        speed: float = 1.0,
        watch: Callable[[], bool] | None = None,
    ) -> None:
        self._engine, self._clock, self._lock = engine, clock, lock
        self._speed, self._watch = speed, watch
        self._wall = SystemClock()
        self._running = threading.Lock()
        self._arming = threading.Lock()
        self._nudged = threading.Event()
        self._due_at: datetime | None = None
        self._worked_at: datetime | None = None
        self._job: Job | None = None
        self._failing = False
        self._stopping = False
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None}
        )

    def start(self) -> None:
        """Begin; the first step is made at once."""
        self._worked_at = self._wall.now()
        self._scheduler.start()
        self._arm(timedelta(0))
        self._scheduler.add_job(self._look, IntervalTrigger(seconds=2), id=WATCH)

    def nudge(self) -> None:
        """Ask for a step now; many nudges make one step."""
        self._nudged.set()
        if not self._running.locked():
            self._arm(timedelta(0))

    def punctual(self) -> bool:
        """Tell whether the engine works: its last good step is not long overdue for a next one."""
        worked, due = self._worked_at, self._due_at
        if worked is None or due is None:
            return False
        return self._wall.now() < max(due, worked) + OVERDUE_AFTER and not self._failing

    def stop(self) -> None:
        """End after the step that is under way, and give the lock back."""
        with self._arming:
            self._stopping = True
        with self._running:
            self._scheduler.remove_all_jobs()
        self._scheduler.shutdown(wait=True)
        self._lock.release()

    def _arm(self, delay: timedelta) -> None:
        """Make one job for the next step; each is a new one, so that none is skipped as running."""
        with self._arming:
            if self._stopping:
                return
            if self._job is not None:
                with suppress(JobLookupError):  # it has begun already
                    self._job.remove()
            self._due_at = self._wall.now() + delay
            self._job = self._scheduler.add_job(self._step, DateTrigger(self._due_at))

    def _look(self) -> None:
        """Look every two seconds whether somebody wants attention, or a step was lost."""
        if self._watch is not None and self._watch():
            self.nudge()
        due = self._due_at
        lost = due is not None and self._wall.now() > due + LOST_AFTER
        if lost and not self._running.locked():
            self._arm(timedelta(0))

    def _step(self) -> None:
        if not self._running.acquire(blocking=False):
            self._nudged.set()
            return
        try:
            delay = self._step_once()
        finally:
            self._running.release()
        self._arm(timedelta(0) if self._nudged.is_set() else delay)

    def _step_once(self) -> timedelta:
        if self._nudged.is_set():
            self._nudged.clear()
            self._engine.nudge()
        try:
            self._lock.verify()
            now = self._clock.now()
            next_at = self._engine.step(now)
        except Exception:
            log.exception("a step of the engine failed; it is tried again")
            self._failing = True
            return RETRY_AFTER_FAULT
        self._failing, self._worked_at = False, self._wall.now()
        return max(next_at - self._clock.now(), timedelta(0)) / self._speed
