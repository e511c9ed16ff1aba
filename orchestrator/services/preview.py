"""What a schedule will do in the coming weeks, and what that costs against today.

An endpoint counts as up while a window is open, at its least number of replicas and at today's
price: an upper bound where it may scale to zero. One that no rule may stop counts as always up.
A month is 730.5 hours; its hours are those of a year, shared out. "Today" is what the schedules
in force cost, that one too which the previewed one stands for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.costs.rates import replica_rate
from orchestrator.domain.money import amount_for
from orchestrator.domain.plan import Kind
from orchestrator.domain.schedules.model import PointAction
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import AT_ONCE, intervals, state_at
from orchestrator.domain.schedules.points import points
from orchestrator.domain.schedules.zones import zone_rules_version
from orchestrator.domain.startup import StartUp, StartUps, settled_before
from orchestrator.domain.status import AWAKE, Status, Wish
from orchestrator.providers.pacing import PaceReport
from orchestrator.services import selectors, storms
from orchestrator.services.bindings import NEVER
from orchestrator.services.preview_hours import MONTH_SECONDS, Hours, together
from orchestrator.services.preview_weeks import Week, coming_weeks, minutes_per_week
from orchestrator.services.rulebook import means_of
from orchestrator.services.scheduling import Covered, Remark, remarks
from orchestrator.services.selectors import Selector
from orchestrator.services.starting import load_startups, starts_early
from orchestrator.services.windows import (
    named_days_off,
    united,
    windows_in_full,
    windows_of,
)
from orchestrator.store import accounts, endpoints, ledger, schedules
from orchestrator.store.tables import Binding, Endpoint

WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Start:
    """One endpoint asked to start at `at`; `opens_at` is when its window itself opens.

    The difference is its start-up time, where the window wants it ready by then. `remarks` say
    what else may come of it, such as that it will be late and why.
    """

    at: datetime
    endpoint: Endpoint
    opens_at: datetime
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """What it means for one endpoint, per month; amounts in nano-dollars, None without a price.

    `unpriced` are what is billed beside its replicas at an unknown price, in none of the amounts.
    One that is `let_go` is covered by the schedule that is changed, and no more then.
    """

    endpoint: Endpoint
    seconds: int
    cost: int | None
    always_on: int | None
    today: int | None
    unpriced: tuple[str, ...] = ()
    start_up: StartUp | None = None
    let_go: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """What it means for all endpoints with a price, per month; `without` have none."""

    seconds: int
    cost: int
    always_on: int
    today: int
    without: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The coming weeks of a schedule; `starts` are in order of time, then of name."""

    timezone: str
    tzdata: str
    weeks: tuple[Week, ...]
    minutes_per_week: int
    effects: tuple[Effect, ...]
    total: Total
    starts: tuple[Start, ...]
    remarks: Sequence[Remark]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is previewed: a schedule, the names of its calendars, and what it shall cover.

    `but` is the id of the saved schedule that it stands for: that acts today, and no more then.
    """

    windows: Windows
    selector: Selector | None = None
    calendars: Sequence[str] = ()
    but: str | None = None


def preview(
    session: Session,
    wanted: Wanted,
    *,
    weeks: int,
    now: datetime,
    paces: Sequence[PaceReport] = (),
) -> Preview:
    """Return what a schedule would do in the coming weeks; nothing is written.

    `paces` are those of the calls to the clouds now: throttling makes starts late.
    """
    off = united(named_days_off(session, wanted.calendars, now), wanted.calendars)
    windows = replace(wanted.windows, days_off=frozenset(off))
    rows = [] if wanted.selector is None else selectors.covered(session, wanted.selector)
    bound = _bound(session, wanted)
    covered = [Covered(row, bound.get(row.id)) for row in rows]
    former = _let_go(session, rows, wanted.but)
    today = _windows_today(session, [*rows, *former], now)
    times = _start_ups(session, [*rows, *former], windows, today, now)
    end = now + weeks * WEEK
    desk = _Desk(
        windows=windows,
        today=today,
        prices=_prices(session, [*rows, *former]),
        times=times,
        hours=Hours(now),
        but=wanted.but,
    )
    effects = [desk.effect(row) for row in rows]
    effects += [
        desk.effect(row, let_go=True) for row in former if wanted.but in today.get(row.id, {})
    ]
    is_open = state_at(windows, now).inside
    own_times = times if starts_early(windows) else {}
    starts = _starts(rows, windows, own_times, now, end)
    how = storms.Forecasting(wanted.but, paces=paces, open_now=is_open)
    return Preview(
        timezone=windows.timezone,
        tzdata=zone_rules_version(),
        weeks=coming_weeks(windows, weeks, now, off),
        minutes_per_week=minutes_per_week(windows, now),
        effects=tuple(effects),
        total=_total(effects),
        starts=_with_late(session, starts, now, how),
        remarks=remarks(session, windows, covered, now, wanted.but),
    )


@dataclass(slots=True)
class _Desk:
    """What the effects of one preview are worked out with."""

    windows: Windows
    today: Mapping[str, Mapping[str, Windows]]
    prices: Mapping[tuple[str, str], int]
    times: Mapping[str, StartUp]
    hours: Hours
    but: str | None

    def effect(self, row: Endpoint, *, let_go: bool = False) -> Effect:
        """Return what the schedule means for one endpoint, or that it covers it no more."""
        start_up, acting = self.times.get(row.id), self.today.get(row.id, {})
        others = [acting[key] for key in acting if key != self.but]
        seconds = self._seconds(row, others if let_go else [self.windows, *others])
        today = self._seconds(row, list(acting.values()))
        rate = replica_rate(row, lambda key: self.prices.get((row.account_id, key)))
        hourly = None if rate.nano is None else rate.nano * max(row.min_replicas or 0, 1)
        return Effect(
            endpoint=row,
            seconds=seconds,
            cost=_cost(hourly, seconds),
            always_on=_cost(hourly, MONTH_SECONDS),
            today=_cost(hourly, today),
            unpriced=rate.unpriced,
            start_up=start_up if starts_early(self.windows) and not let_go else None,
            let_go=let_go,
        )

    def _seconds(self, row: Endpoint, acting: Sequence[Windows]) -> int:
        """Return for how long of a month it is up under schedules; as it is now, without any."""
        is_up = Status(row.status) in AWAKE
        if row.wish and self.today.get(row.id):
            # A schedule may have it asleep now: without one it is as a person left it.
            is_up = row.wish != Wish.PAUSED
        if not acting:
            return MONTH_SECONDS if is_up else 0
        if means_of(row).barrier(Kind.PAUSE):
            return MONTH_SECONDS
        early = self.times[row.id].time if row.id in self.times else AT_ONCE
        return self.hours.seconds_up(together(acting, early, up_otherwise=is_up))


def _total(effects: Sequence[Effect]) -> Total:
    priced = [one for one in effects if one.cost is not None]
    return Total(
        seconds=sum(one.seconds for one in effects),
        cost=sum(one.cost or 0 for one in priced),
        always_on=sum(one.always_on or 0 for one in priced),
        today=sum(one.today or 0 for one in priced),
        without=len(effects) - len(priced),
    )


def _start_ups(
    session: Session,
    rows: Sequence[Endpoint],
    windows: Windows,
    today: Mapping[str, Mapping[str, Windows]],
    now: datetime,
) -> dict[str, StartUp]:
    """Return the start-up times, where a window of any schedule wants it ready by its start."""
    befores: dict[str, datetime] = {}
    openings: dict[Windows, datetime | None] = {}
    for row in rows:
        early = [one for one in (windows, *today.get(row.id, {}).values()) if starts_early(one)]
        for one in early:
            if one not in openings:
                openings[one] = state_at(one, now).next_start
        if early:
            befores[row.id] = min(settled_before(now, openings[one]) for one in early)
    return _known_start_ups(session, rows, befores, now) if befores else {}


def _known_start_ups(
    session: Session, rows: Sequence[Endpoint], befores: Mapping[str, datetime], now: datetime
) -> dict[str, StartUp]:
    """Return what was measured by the instant of each endpoint that has one."""
    known: dict[str, StartUps] = {}
    providers = {}
    for account in accounts.live(session):
        providers[account.id] = account.provider
        if account.provider not in known:
            known[account.provider] = load_startups(session, account, now)
    return {
        row.id: known[providers[row.account_id]].of(row.id, row.hardware_key, befores[row.id])
        for row in rows
        if row.account_id in providers and row.id in befores
    }


def _starts(
    rows: Sequence[Endpoint],
    windows: Windows,
    times: Mapping[str, StartUp],
    start: datetime,
    end: datetime,
) -> tuple[Start, ...]:
    """Return which endpoints the schedule starts when; those that are only observed are not."""
    by_early: dict[timedelta, list[tuple[datetime, datetime]]] = {}
    found = []
    for row in rows:
        if not row.managed or row.protected:
            continue
        early = times[row.id].time if row.id in times else AT_ONCE
        if early not in by_early:
            by_early[early] = _openings(windows, start, end, early)
        found += [Start(at, row, opens_at) for at, opens_at in by_early[early]]
    return tuple(sorted(found, key=lambda one: (one.at, one.endpoint.name)))


def _with_late(
    session: Session, starts: tuple[Start, ...], now: datetime, how: storms.Forecasting
) -> tuple[Start, ...]:
    """Return the starts with what makes some of them late."""
    told: dict[tuple[str, datetime], str] = {}
    for account in accounts.live(session):
        ours = [(s.endpoint.id, s.at) for s in starts if s.endpoint.account_id == account.id]
        for late in storms.late_starts(session, account, ours, now, how):
            told[late.endpoint_id, late.wanted_at] = late.words
    return tuple(
        replace(one, remarks=(*one.remarks, told[key])) if key in told else one
        for one in starts
        for key in [(one.endpoint.id, one.at)]
    )


def _openings(
    windows: Windows, start: datetime, end: datetime, early: timedelta
) -> list[tuple[datetime, datetime]]:
    """Return when windows begin and when they open, and the start points; neighbours are one."""
    found, reached = {}, None
    for span in intervals(windows, start, end, early):
        if span.start != reached and span.start > start:
            found[span.start] = span.opens_at or span.start
        reached = span.end
    for firing in points(windows, start, end):
        if firing.action is PointAction.START and firing.at > start:
            found.setdefault(firing.at, firing.at)
    return sorted(found.items())


def _cost(hourly: int | None, seconds: int) -> int | None:
    return None if hourly is None else amount_for(hourly, seconds)


def _bound(session: Session, wanted: Wanted) -> dict[str, Binding]:
    """Return what a saved schedule binds; a change of it binds anew."""
    saved = None if wanted.but is None else schedules.get(session, wanted.but)
    if saved is None or windows_of(saved) != wanted.windows:
        return {}
    return schedules.bindings_of_rule(session, saved.id)


def _let_go(session: Session, rows: Sequence[Endpoint], but: str | None) -> list[Endpoint]:
    """Return what the schedule that is changed binds, and is not among the rows, by name."""
    bound = {} if but is None else schedules.bindings_of_rule(session, but)
    return list(endpoints.managed(session, set(bound) - {row.id for row in rows}))


def _windows_today(
    session: Session, rows: Sequence[Endpoint], now: datetime
) -> dict[str, dict[str, Windows]]:
    """Return the windows of the saved schedules that act on each endpoint, by schedule."""
    in_force = {row.id: row for row in schedules.in_force(session) if not row.shadow}
    bound = schedules.bindings_of_endpoints(session, [row.id for row in rows])
    windows = windows_in_full(session, in_force.values(), now)
    found: dict[str, dict[str, Windows]] = defaultdict(dict)
    for row in rows:
        for rule_id, binding in bound.get(row.id, {}).items():
            if rule_id in in_force and _acts(binding, row):
                found[row.id][rule_id] = windows[rule_id]
    return found


def _acts(binding: Binding, row: Endpoint) -> bool:
    return row.managed and not row.protected and binding.acts_from != NEVER


def _prices(session: Session, rows: Sequence[Endpoint]) -> dict[tuple[str, str], int]:
    return {
        (account_id, key): price.nano_per_hour
        for account_id in {row.account_id for row in rows}
        for key, price in ledger.newest_prices(session, account_id).items()
    }
