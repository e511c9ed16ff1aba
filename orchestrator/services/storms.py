"""Many starts at the same time: which of them will be late, and why, told before they happen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.quotas import quota_book
from orchestrator.domain.schedules.occurrences import intervals
from orchestrator.domain.stagger import Forecast, Start, StartLimits, forecast_starts
from orchestrator.providers.registry import CLOUDS
from orchestrator.services.starting import load_startups
from orchestrator.services.windows import full
from orchestrator.store import observation, quotas, schedules, usage
from orchestrator.store.tables import Account, Endpoint

# "Most used" is by the requests recorded in this time, for the engine too.
USED_WITHIN = timedelta(days=14)
# Starts no further apart than this get into each other's way.
TOGETHER = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class LateStart:
    """A start that will not begin when it is wanted; None where nothing makes room for it."""

    endpoint_id: str
    wanted_at: datetime
    begins_at: datetime | None
    expected_at: datetime | None
    why: str

    @property
    def words(self) -> str:
        """Return when it begins and serves, and why so late."""
        if self.begins_at is None or self.expected_at is None:
            return f"does not start: {self.why}"
        serves = f"{self.expected_at:%H:%M:%S}"
        return f"begins at {self.begins_at:%H:%M:%S} and serves at {serves} UTC: {self.why}"


def zero_holds_quota(account: Account) -> bool:
    """Tell whether endpoints at zero count against the quotas of an account's cloud."""
    cloud = CLOUDS.get(account.provider)
    return cloud is not None and cloud.zero_holds_quota


def late_starts(
    session: Session,
    account: Account,
    starts: Sequence[tuple[str, datetime]],
    now: datetime,
    *,
    but: str | None = None,
    limits: StartLimits | None = None,
) -> list[LateStart]:
    """Return which of the starts (endpoint id, wanted at) of an account will be late, and why.

    What other schedules start then competes too, but for the schedule `but`. Quotas are as they
    are now, without what the starting endpoints hold themselves.
    """
    if not starts:
        return []
    wanted = sorted(starts, key=lambda one: one[1])
    others = _others(session, account, wanted, now, but)
    rows = observation.endpoints_by_id(session, {key for key, _ in (*wanted, *others)})
    desk = _Desk(session, account, rows, now)
    found: list[LateStart] = []
    for group in _groups([*wanted, *others]):
        ours = [one for one in group if one in set(wanted)]
        if ours:
            told = desk.forecast(group, limits or StartLimits())
            found += [_late(one, at, told[one]) for one, at in ours if told[one].why_late]
    return found


class _Desk:
    """What the forecasts of one account are worked out with."""

    def __init__(
        self, session: Session, account: Account, rows: Mapping[str, Endpoint], now: datetime
    ) -> None:
        self._rows, self._now = rows, now
        self._used = usage.totals(session, list(rows), now - USED_WITHIN, now)
        self._start_ups = load_startups(session, account, now)
        self._limits = quotas.limits(session, account.id)
        self._holders = quotas.holders(session, account.id)
        self._zero_counts = zero_holds_quota(account)

    def forecast(
        self, group: Sequence[tuple[str, datetime]], limits: StartLimits
    ) -> dict[str, Forecast]:
        """Return the forecast of starts that come together, by endpoint."""
        ids = [key for key, _ in group if key in self._rows]
        book = quota_book(
            self._limits, self._holders, zero_counts=self._zero_counts, but=frozenset(ids)
        )
        starts = []
        for key, at in group:
            row = self._rows.get(key)
            if row is None:
                continue
            name, takes = book.of(key)
            start_up = self._start_ups.of(key, row.hardware_key, self._now).time
            used = self._used.get(key, 0)
            starts.append(Start(key, at, name, takes, used, row.last_used_at, start_up))
        told = forecast_starts(starts, limits, book.quotas)
        return {one.endpoint_id: one for one in told}


def _others(
    session: Session,
    account: Account,
    starts: Sequence[tuple[str, datetime]],
    now: datetime,
    but: str | None,
) -> list[tuple[str, datetime]]:
    """Return the starts of other schedules near these, of endpoints that are not among them."""
    ours = {key for key, _ in starts}
    bound: defaultdict[str, list[str]] = defaultdict(list)
    for binding in observation.bindings(session, account.id):
        if binding.endpoint_id not in ours:
            bound[binding.rule_id].append(binding.endpoint_id)
    first, last = starts[0][1] - TOGETHER, starts[-1][1] + TOGETHER
    found: dict[tuple[str, datetime], None] = {}
    for row in schedules.in_force(session):
        if row.id == but or row.shadow or not bound[row.id]:
            continue
        for span in intervals(full(session, row, now), first, last):
            if span.start > first:
                found.update(((key, span.start), None) for key in bound[row.id])
    return list(found)


def _groups(
    starts: Collection[tuple[str, datetime]],
) -> Iterator[list[tuple[str, datetime]]]:
    """Yield starts that come together, each endpoint once, by its first."""
    group: dict[str, datetime] = {}
    reached: datetime | None = None
    for key, at in sorted(starts, key=lambda one: one[1]):
        if reached is not None and at - reached > TOGETHER:
            yield list(group.items())
            group = {}
        group.setdefault(key, at)
        reached = at
    if group:
        yield list(group.items())


def _late(endpoint_id: str, at: datetime, told: Forecast) -> LateStart:
    return LateStart(endpoint_id, at, told.begins_at, told.expected_at, told.why_late)
