"""The engine's timer: one coalescing APScheduler job that hands due accounts to a few threads.

Each account is worked by one thread at a time, so that a slow or throttled one delays no other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from orchestrator.clock import Clock, SystemClock
from orchestrator.engine.claims import Claims
from orchestrator.engine.engine import Engine

log = structlog.get_logger(__name__)

RETRY_AFTER_FAULT = timedelta(seconds=10)
OVERDUE_AFTER = timedelta(minutes=5)
LOST_AFTER = timedelta(seconds=10)
WATCH, HEARD = "watch", "heard"
# Threads mostly wait: for answers, and for the pace that a cloud allows.
THREADS = 32


class EngineTimer:
    """Works accounts when they are due; what was missed is done late, never dropped.

    `speed` maps virtual to real time for the demo. `watch` is asked every two seconds whether
    another process wants attention.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        claims: Claims,
        *,
        threads: int = THREADS,
        speed: float = 1.0,
        watch: Callable[[], bool] | None = None,
    ) -> None:
        self._engine, self._clock, self._claims = engine, clock, claims
        self._speed, self._watch = speed, watch
        self._wall = SystemClock()
        self._dispatching = threading.Lock()
        self._arming = threading.Lock()
        self._busy: dict[str, Future[None]] = {}
        self._due_at: datetime | None = None
        self._worked_at: datetime | None = None
        self._job: Job | None = None
        self._failing = False
        self._stopping = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pass")
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None}
        )

    def start(self) -> None:
        """Begin; what is due is worked at once."""
        self._worked_at = self._wall.now()
        self._scheduler.start()
        self._arm(timedelta(0))
        self._scheduler.add_job(self._look, IntervalTrigger(seconds=2), id=WATCH)

    def nudge(self) -> None:
        """Ask for a pass of every account now; many nudges make one."""
        self._engine.nudge()
        self._arm(timedelta(0))

    def heard(self) -> None:
        """Look at every account now, because a notice said that somebody wants it."""
        with self._arming:
            if not self._stopping:
                self._scheduler.add_job(self._obey, id=HEARD, replace_existing=True)

    def _obey(self) -> None:
        try:
            if self._watch is not None:
                self._watch()  # the note that came with the notice is no further news
        finally:
            self.nudge()

    def look(self) -> None:
        """Look at what is due now, because other accounts are ours than before."""
        self._arm(timedelta(0))

    def punctual(self) -> bool:
        """Tell whether the engine works: its last good work is not long overdue for a next one."""
        worked, due = self._worked_at, self._due_at
        if worked is None or due is None:
            return False
        late = self._wall.now() >= max(due, worked) + OVERDUE_AFTER
        return not late and not self._failing and self._claims.well()

    def quiesce(self) -> None:
        """Begin no further pass; those under way break off at their next call."""
        with self._arming:
            self._stopping = True
        self._claims.stop()

    def stop(self, within: timedelta = timedelta(seconds=40)) -> bool:
        """End, and give the accounts back. False if a pass outlived `within`: it goes on."""
        self.quiesce()
        deadline = time.monotonic() + within.total_seconds()
        # A job of the timer may hang on the store, so that nobody waits for it without end.
        ending = threading.Thread(target=self._end_scheduler, name="timer-end", daemon=True)
        ending.start()
        ending.join(within.total_seconds())
        self._pool.shutdown(wait=False, cancel_futures=True)
        under_way = [one for one in list(self._busy.values()) if not one.cancelled()]
        _, late = wait(under_way, timeout=max(deadline - time.monotonic(), 0))
        if late or ending.is_alive():
            log.error("passes under way did not end in time", number=len(late))
        self._claims.release()
        return not late and not ending.is_alive()

    def _end_scheduler(self) -> None:
        # Its thread trips over a shutdown while it hands jobs out, so that this ends first.
        self._scheduler.pause()
        self._scheduler.get_jobs()
        self._scheduler.shutdown(wait=True)

    def _arm(self, delay: timedelta) -> None:
        """Make one job for the next look; each is a new one, so that none is skipped as running."""
        with self._arming:
            if self._stopping:
                return
            if self._job is not None:
                with suppress(JobLookupError):  # it has begun already
                    self._job.remove()
            self._due_at = self._wall.now() + delay
            self._job = self._scheduler.add_job(self._dispatch, DateTrigger(self._due_at))

    def _look(self) -> None:
        """Look every two seconds whether somebody wants attention, or a job was lost."""
        if self._watch is not None and self._watch():
            self.nudge()
        due = self._due_at
        if due is not None and self._wall.now() > due + LOST_AFTER:
            self._arm(timedelta(0))

    def _dispatch(self) -> None:
        with self._dispatching:
            try:
                delay = self._hand_out()
            except Exception:
                log.exception("the engine could not look at what is due; it is tried again")
                self._failing = True
                delay = RETRY_AFTER_FAULT
            else:
                self._failing, self._worked_at = False, self._wall.now()
        self._arm(delay)

    def _hand_out(self) -> timedelta:
        """Give every due account to a thread; return how long to wait for the next one."""
        now = self._clock.now()
        if self._stopping:
            return timedelta(0)
        for account_id in self._engine.due(now):
            if account_id not in self._busy:
                self._busy[account_id] = self._pool.submit(self._work, account_id)
        next_at = self._engine.next_at(now, without=tuple(self._busy))
        return max(next_at - self._clock.now(), timedelta(0)) / self._speed

    def _work(self, account_id: str) -> None:
        try:
            self._engine.work(account_id, self._clock.now())
        except Exception:
            log.exception("a pass failed; it is tried again", account_id=account_id)
        finally:
            with self._dispatching:
                self._busy.pop(account_id, None)
            self._arm(timedelta(0))
