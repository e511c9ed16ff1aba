"""The starts that rules will make in the coming days, with those that will be late, and why."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter

from sqlmodel import Session

from orchestrator.domain.rerun import Course
from orchestrator.domain.status import Status
from orchestrator.providers.pacing import PaceReport
from orchestrator.services import reruns, storms
from orchestrator.services.remembered import Remembered
from orchestrator.services.rulebook import Rulebook
from orchestrator.services.starting import default_start_up
from orchestrator.services.storms import ComingStart, Forecasting
from orchestrator.store import accounts, observation
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Account

# More than so many days of endpoints are not told ahead at once.
MOST_DAYS = 3000
ASSUMPTION = (
    "the rules and holds of today, no click; quotas of today, with what the rules have up by then; "
    "calls as fast as now; starts by requests are not foreseen"
)
_ASIDE = frozenset({Status.FAILED, Status.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Asked:
    """An endpoint that is to start, by which rule, and what is told of it."""

    name: str
    rule: str
    reason: str
    told: ComingStart

    @property
    def late_by(self) -> timedelta | None:
        """Return how long after it is wanted it begins; None where it does not."""
        begins_at = self.told.begins_at
        return None if begins_at is None else begins_at - self.told.wanted_at


@dataclass(frozen=True, slots=True)
class Morning:
    """The starts of one account that come together, so that each may get into another's way.

    `starts` are in order of the instant at which they are wanted, then of name.
    """

    account: Account
    starts: tuple[Asked, ...]

    @property
    def first(self) -> datetime:
        """Return when the first of them is wanted."""
        return self.starts[0].told.wanted_at

    @property
    def last(self) -> datetime:
        """Return when the last of them is wanted."""
        return self.starts[-1].told.wanted_at

    @property
    def late(self) -> tuple[Asked, ...]:
        """Return those that begin, and later than they are wanted."""
        return tuple(one for one in self.starts if one.told.why and one.told.begins_at is not None)

    @property
    def never(self) -> tuple[Asked, ...]:
        """Return those for which nothing makes room."""
        return tuple(one for one in self.starts if one.told.begins_at is None)

    @property
    def yielding(self) -> tuple[str, ...]:
        """Return the names of what is at zero and will be paused to make room."""
        return tuple(sorted({name for one in self.starts for name in one.told.yielding}))


@dataclass(frozen=True, slots=True)
class Mornings:
    """What starts in `[now, until)`; `until` is earlier than asked for where there is too much."""

    until: datetime
    items: tuple[Morning, ...]


def mornings(
    session: Session,
    now: datetime,
    until: datetime,
    *,
    account: Account | None = None,
    paces: Sequence[PaceReport] = (),
) -> Mornings:
    """Return the starts by rules up to `until`, of all accounts or of one, in order of time.

    `decide` is run forward for each endpoint, so holds, expiries and days off count. `paces` are
    those of the calls to the clouds now: throttling makes starts late.
    """
    asked = accounts.live(session) if account is None else [account]
    known = [(one, observation.managed(session, one.id)) for one in asked]
    count = sum(len(rows) for _, rows in known)
    until = min(until, now + timedelta(days=MOST_DAYS) / max(count, 1))
    found = [
        morning
        for one, rows in known
        for morning in _of_account(session, one, rows, (now, until), paces)
    ]
    return Mornings(until, tuple(sorted(found, key=lambda one: (one.first, one.account.name))))


def _of_account(
    session: Session,
    account: Account,
    rows: Sequence[ManagedRow],
    span: tuple[datetime, datetime],
    paces: Sequence[PaceReport],
) -> Iterator[Morning]:
    now, until = span
    book = Rulebook.load(session, account, now)
    startup = default_start_up(account)
    wanted: dict[tuple[str, datetime], tuple[str, str, str]] = {}
    courses: dict[str, Course] = {}
    for row in rows:
        if row.status not in _ASIDE:
            course = courses[row.id] = reruns.expected(Remembered(now, row, book), until, startup)
            for at, (rule, reason) in _starts(course).items():
                wanted[row.id, at] = (row.name, rule, reason)
    how = Forecasting(paces=paces, open_now=True, then=partial(_then, courses))
    told = storms.coming_starts(session, account, list(wanted), now, how)
    by_start = {(one.endpoint_id, one.wanted_at): one for one in told}
    for group in storms.groups(list(wanted)):
        asked = [Asked(*wanted[key], by_start[key]) for key in group if key in by_start]
        asked.sort(key=lambda one: (one.told.wanted_at, one.name))
        if asked:
            yield Morning(account, tuple(asked))


def _then(courses: Mapping[str, Course], at: datetime) -> dict[str, Status]:
    """Return what each endpoint is about to be at an instant, before it starts then."""
    found = {}
    for key, course in courses.items():
        place = bisect_left(course.legs, at, key=attrgetter("start")) - 1
        found[key] = course.legs[max(place, 0)].status
    return found


def _starts(course: Course) -> dict[datetime, tuple[str, str]]:
    """Return rule and reason of the starts by rules, by when they are wanted."""
    by_rule = {one.at for one in course.starts if not one.by_request}
    return {
        leg.start: (str(leg.decision.rule), leg.decision.reason)
        for leg in course.legs
        if leg.start in by_rule
    }
