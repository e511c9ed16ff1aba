"""The engine's timer: one coalescing APScheduler job at `next_at`, earlier when nudged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from orchestrator.clock import Clock, SystemClock
from orchestrator.engine.engine import Engine
from orchestrator.engine.exclusive import Exclusive

log = structlog.get_logger(__name__)

RETRY_AFTER_FAULT = timedelta(seconds=10)
OVERDUE_AFTER = timedelta(minutes=5)
JOB = "step"
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
        self._nudged = threading.Event()
        self._due_at: datetime | None = None
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        """Begin; the first step is made at once."""
        self._scheduler.start()
        self._arm(timedelta(0))
        if self._watch is not None:
            self._scheduler.add_job(self._look, IntervalTrigger(seconds=2), id=WATCH)

    def nudge(self) -> None:
        """Ask for a step now; many nudges make one step."""
        self._nudged.set()
        if not self._running.locked():
            self._arm(timedelta(0))

    def punctual(self) -> bool:
        """Tell whether the engine works: the step that is due is not long overdue."""
        due = self._due_at
        return due is not None and self._wall.now() < due + OVERDUE_AFTER

    def stop(self) -> None:
        """End after the step that is under way, and give the lock back."""
        self._scheduler.shutdown(wait=True)
        self._lock.release()

    def _arm(self, delay: timedelta) -> None:
        when = self._due_at = self._wall.now() + delay
        self._scheduler.add_job(self._step, DateTrigger(when), id=JOB, replace_existing=True)

    def _look(self) -> None:
        if self._watch is not None and self._watch():
            self.nudge()

    def _step(self) -> None:
        with self._running:
            delay = self._step_once()
        if self._scheduler.running:
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
            return RETRY_AFTER_FAULT
        return max(next_at - self._clock.now(), timedelta(0)) / self._speed
