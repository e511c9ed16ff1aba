"""From what is kept of an endpoint to a course that can be run again, with its rules or others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from sqlmodel import Session

from orchestrator.domain.decide import Facts
from orchestrator.domain.demand import Assume, Demand, demand_of
from orchestrator.domain.endpoints import Stop, Stretch
from orchestrator.domain.idle import Activity
from orchestrator.domain.plan import Means
from orchestrator.domain.rerun import Course, Delays, Mind, Regime, Witness, rerun
from orchestrator.domain.startup import ENOUGH, SHORTEST
from orchestrator.domain.status import Status
from orchestrator.services.lengths import brief
from orchestrator.services.remembered import Library, Remembered
from orchestrator.services.starting import HISTORY, default_start_up
from orchestrator.services.use_then import FARTHEST
from orchestrator.store import retrospect, startups
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Account, Endpoint

_STARTING = (Status.PENDING, Status.INITIALIZING)


@dataclass(frozen=True, slots=True)
class StartUpTime:
    """How long a start takes: the middle of what was measured, else what its cloud usually takes.

    Its own starts are resumes and, where it goes to zero, starts by request.

    `measured` counts the starts that it rests on.
    """

    time: timedelta
    measured: int
    alike: bool = False

    @property
    def words(self) -> str:
        """Return how long a start takes and what that rests on, in words."""
        takes = f"a start takes {brief(self.time)}"
        if not self.measured:
            return f"{takes}, as it usually does at its cloud: none was measured here"
        whose = "others on its hardware" if self.alike else "its own"
        return f"{takes}, the middle of {self.measured} measured ({whose})"


@dataclass(frozen=True, slots=True)
class Courses:
    """The course of an endpoint when what is unknown was idle, stays unknown, or was busy."""

    low: Course
    expected: Course
    high: Course
    demand: Demand
    startup: StartUpTime


def run(
    known: Sequence[Remembered],
    demand: Demand,
    startup: StartUpTime,
    witness: Witness | None = None,
    *,
    ahead: bool = False,
    delays: Delays | None = None,
) -> Courses:
    """Run what is known again; where nothing is unknown, once for all three.

    `witness` is what happened whatever the rules were. Looking `ahead` it is expected that what is
    awake stays in use, so that the cloud's own timer does not run out; at the least starts take no
    time, as none says how short the next will be. `delays` are of starts that will be late.
    """
    regimes = regimes_of(known)
    first = known[0]
    at = max(demand.start, first.at)

    def course(assume: Assume) -> Course:
        used = ahead and assume is Assume.UNKNOWN
        taken = [replace(one, timer=None) for one in regimes] if used else regimes
        takes = SHORTEST if ahead and assume is Assume.IDLE else startup.time
        mind = _mind(first.row, at, takes)
        return rerun(taken, demand, mind, takes, assume, witness=witness, delays=delays)

    expected = course(Assume.UNKNOWN)
    if not demand.unknown:
        return Courses(expected, expected, expected, demand, startup)
    return Courses(course(Assume.IDLE), expected, course(Assume.BUSY), demand, startup)


def expected(known: Remembered, until: datetime, startup: timedelta) -> Course:
    """Return the likely course alone of an endpoint ahead: what is awake stays in use."""
    regimes = [replace(_regime(known), timer=None)]
    demand = Demand(known.at, until, (), ((known.at, until),))
    mind = _mind(known.row, known.at, startup)
    return rerun(regimes, demand, mind, startup, Assume.UNKNOWN)


def end_to_end(parts: Sequence[Courses], demand: Demand) -> Courses:
    """Return courses of several parts of a span as one; `demand` is that of the whole span."""

    def course(several: Sequence[Course]) -> Course:
        legs = tuple(leg for one in several for leg in one.legs)
        starts = tuple(start for one in several for start in one.starts)
        return Course(several[0].assume, legs, starts)

    return Courses(
        low=course([one.low for one in parts]),
        expected=course([one.expected for one in parts]),
        high=course([one.high for one in parts]),
        demand=demand,
        startup=parts[0].startup,
    )


def regimes_of(known: Sequence[Remembered]) -> list[Regime]:
    """Return what was known, as it is run again."""
    return [_regime(one) for one in known]


def demand_between(session: Session, endpoint_id: str, start: datetime, end: datetime) -> Demand:
    """Return the requests that were recorded in `[start, end)`, and what is unknown of them.

    What came shortly before is known too, so that idleness may begin before `start`.
    """
    since = start - FARTHEST
    rows = retrospect.usage_rows(session, endpoint_id, since, end)
    whole = demand_of([Stretch(*row) for row in rows], since, end)
    return replace(whole, start=start)


def start_up_of(
    session: Session, endpoint: Endpoint, now: datetime, library: Library | None = None
) -> StartUpTime:
    """Return how long a start of an endpoint takes, as far as that was measured by `now`."""
    account = session.get_one(Account, endpoint.account_id)
    rows = (library or Library()).resumes(session, account.provider, now - HISTORY, now)
    lengths = [(row[0], row[1], row[3] - row[2]) for row in rows if row[3] - row[2] >= SHORTEST]
    own = [length for key, _, length in lengths if key == endpoint.id]
    own += wakes(startups.statuses(session, endpoint.id, now - HISTORY, now))
    if own:
        return StartUpTime(_middle(own), len(own))
    alike = [length for _, hardware, length in lengths if hardware == endpoint.hardware_key]
    if len(alike) >= ENOUGH:
        return StartUpTime(_middle(alike), len(alike), alike=True)
    return StartUpTime(default_start_up(account), 0)


def wakes(seen: Sequence[tuple[datetime, str]]) -> list[timedelta]:
    """Return how long starts by request took, from the statuses that were seen, oldest first.

    From leaving zero until it ran; what went another way in between, or was not seen, says nothing.
    """
    found: list[timedelta] = []
    left_at: datetime | None = None
    before = ""
    for at, status in seen:
        if status in _STARTING:
            left_at = at if before == Status.SCALED_TO_ZERO else left_at
        elif status == Status.RUNNING and left_at is not None and at - left_at >= SHORTEST:
            found.append(at - left_at)
        left_at = left_at if status in _STARTING else None
        before = status
    return found


def _middle(lengths: Sequence[timedelta]) -> timedelta:
    return timedelta(seconds=median(length.total_seconds() for length in lengths))


def _regime(known: Remembered) -> Regime:
    row = known.row
    minutes = row.scale_to_zero_minutes
    timed = row.min_replicas == 0 and minutes is not None and row.to_zero
    return Regime(
        at=known.at,
        facts=lambda mind, activity, now: _facts(known, mind, activity, now),
        means=Means(Stop(row.stop), row.to_zero, row.allow_recreate),
        timer=timedelta(minutes=minutes) if timed and minutes is not None else None,
    )


def _facts(known: Remembered, mind: Mind, activity: Activity, now: datetime) -> Facts:
    found = known.book.facts(known.row, activity, now)
    coming = None if known.drafted is None else known.drafted.coming_hold(*_of(known.row), now)
    return replace(
        found,
        status=mind.status,
        managed=known.managed,
        holds=found.holds if coming is None else (*found.holds, coming),
        asleep_rule=mind.asleep_rule,
        asleep_since=mind.asleep_since,
    )


def _of(row: ManagedRow) -> tuple[str, str]:
    return row.id, row.hardware_key


def _mind(row: ManagedRow, at: datetime, startup: timedelta) -> Mind:
    """Return its state at the start; what had failed is up but for the outages that were seen."""
    status = Status(row.status)
    started = max(
        (t for t in (row.ready_at, row.managed_since, row.resumed_at) if t is not None),
        default=at,
    )
    if status in (Status.PAUSED, Status.PAUSING, Status.SCALED_TO_ZERO):
        zero = status is Status.SCALED_TO_ZERO
        asleep = Status.SCALED_TO_ZERO if zero else Status.PAUSED
        return Mind(asleep, at, min(started, at), row.asleep_rule, row.asleep_since or at)
    if status in _STARTING or status is Status.WAITING_FOR_CAPACITY:
        return Mind(Status.INITIALIZING, at, at + startup, serves_at=at + startup)
    return Mind(Status.RUNNING, at, min(started, at))
