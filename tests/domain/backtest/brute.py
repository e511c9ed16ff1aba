"""The plainest way to play a policy: request by request, and by asking `decide` at each instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchestrator.domain.asked import Standing
from orchestrator.domain.backtest.policies import MICROSECOND, Policy
from orchestrator.domain.decide import Decision, Facts, ScheduleFact, decide
from orchestrator.domain.idle import Activity, IdleRule
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.occurrences import intervals, state_at
from orchestrator.domain.status import Status, Wish


@dataclass(frozen=True, slots=True)
class Counted:
    """Figures of an idle timeout, counted request by request."""

    billed: int
    starts: int
    delayed: int
    waiting: int


def one_by_one(requests: list[int], timeout: int, startup: int, length: int) -> Counted:
    """Play an idle timeout; microseconds."""
    billed = starts = delayed = waiting = sleep = ready = 0
    since = -1
    for at in requests:
        if since >= 0 and at >= sleep:
            billed += sleep - since
            since = -1
        if since < 0:
            since, ready, starts = at, at + startup, starts + 1
        if at < ready:
            delayed += 1
            waiting += ready - at
        sleep = max(at, ready) + timeout
    if since >= 0:
        billed += min(sleep, length) - since
    return Counted(billed, starts, delayed, waiting)


@dataclass(slots=True)
class Stage:
    """One endpoint that does at once what `decide` says; start-ups take their time."""

    policy: Policy
    schedule: Schedule | None
    startup: timedelta
    origin: datetime
    now: datetime
    status: Status = Status.SCALED_TO_ZERO
    ready: datetime | None = None
    since: datetime | None = None
    last: datetime | None = None
    refused: int = 0
    awake: list[tuple[datetime, datetime]] = field(default_factory=list)
    starts: list[datetime] = field(default_factory=list)

    def facts(self) -> Facts:
        return Facts(
            status=self.status,
            managed=True,
            standing=Standing(Wish.AVAILABLE, "owner", "test", self.origin),
            schedules=self._schedules(),
            idle_rules=self._idle_rules(),
            activity=Activity(
                last_request_at=self.last,
                covered_to=self.now,
                started_at=self.ready,
                source="test",
            ),
        )

    def _idle_rules(self) -> tuple[IdleRule, ...]:
        if self.policy.timeout is None:
            return ()
        timeout = self.policy.timeout * MICROSECOND
        return (IdleRule("pol", "idle", timeout, timedelta(0), self.origin - timedelta(days=99)),)

    def _schedules(self) -> tuple[ScheduleFact, ...]:
        if self.schedule is None:
            return ()
        drain = timedelta(minutes=self.schedule.drain_minutes)
        state = state_at(self.schedule, self.now, self.startup)
        past = intervals(self.schedule, self.now - drain, self.now, self.startup)
        ended = max((one.end for one in past if one.end <= self.now), default=None)
        return (ScheduleFact("sch", "windows", state, drain, ended),)

    def settle(self) -> Decision:
        """Become ready if it is time, and do what is decided."""
        if self.status is Status.INITIALIZING and self.ready is not None and self.ready <= self.now:
            self.status = Status.RUNNING
        decision = decide(self.facts(), self.now)
        asleep = self.status in (Status.SCALED_TO_ZERO, Status.PAUSED)
        if decision.wish is Wish.RUNNING and asleep:
            self.start()
        elif decision.wish is Wish.PAUSED:
            self.stop(Status.PAUSED)
        elif decision.wish is Wish.AVAILABLE and decision.to_zero:
            self.stop(Status.SCALED_TO_ZERO)
        elif decision.wish is Wish.AVAILABLE and self.status is Status.PAUSED:
            self.status = Status.SCALED_TO_ZERO
        return decision

    def start(self) -> None:
        self.status, self.since = Status.INITIALIZING, self.now
        self.ready = self.now + self.startup
        self.starts.append(self.now)

    def stop(self, status: Status) -> None:
        if self.since is not None:
            self.awake.append((self.since, self.now))
        self.status, self.since, self.ready = status, None, None

    def request(self) -> None:
        """A request comes: it wakes what is at zero; what is paused refuses it."""
        if self.status is Status.PAUSED:
            self.refused += 1
            return
        if self.status is Status.SCALED_TO_ZERO:
            self.start()
        self.last = self.now


def by_decide(
    policy: Policy,
    schedule: Schedule | None,
    requests: list[datetime],
    terms: tuple[datetime, timedelta, timedelta],
) -> Stage:
    """Play requests by asking `decide` at each request, edge and readiness; returns the end."""
    origin, length, startup = terms
    stage = Stage(policy, schedule, startup, origin, origin)
    ahead = sorted(requests, reverse=True)
    while stage.now < origin + length:
        decision = stage.settle()
        if ahead and ahead[-1] == stage.now:
            while ahead and ahead[-1] == stage.now:
                ahead.pop()
                stage.request()
            decision = stage.settle()
        moments = [decision.next_edge, ahead[-1] if ahead else None, origin + length]
        if stage.status is Status.INITIALIZING:
            moments.append(stage.ready)
        stage.now = min(moment for moment in moments if moment is not None and moment > stage.now)
    stage.stop(Status.PAUSED)
    return stage
