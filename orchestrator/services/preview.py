"""What a schedule will do in the coming weeks, and what that costs against today.

An endpoint counts as up while a window is open, at its least number of replicas and at today's
price: an upper bound where it may scale to zero. One that no rule may stop counts as always up.
A month is 730.5 hours; where weeks differ, its hours are those of a year, shared out.
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
from orchestrator.domain.status import AWAKE, Status
from orchestrator.providers.pacing import PaceReport
from orchestrator.services import selectors, storms
from orchestrator.services.preview_hours import MONTH_SECONDS, Hours, together
from orchestrator.services.preview_weeks import Week, coming_weeks, minutes_per_week
from orchestrator.services.rulebook import means_of
from orchestrator.services.schedule_book import CRON
from orchestrator.services.scheduling import Covered, Remark, remarks
from orchestrator.services.selectors import Selector
from orchestrator.services.starting import load_startups, starts_early
from orchestrator.services.windows import named_days_off, united, windows_in_full
from orchestrator.store import accounts, holds, ledger, schedules
from orchestrator.store.tables import Binding, Endpoint, PointFiring

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
    """

    endpoint: Endpoint
    seconds: int
    cost: int | None
    always_on: int | None
    today: int | None
    unpriced: tuple[str, ...] = ()
    start_up: StartUp | None = None


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

    `but` is the id of the saved schedule that it stands for.
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
    bound = {} if wanted.but is None else schedules.bindings_of_rule(session, wanted.but)
    covered = [Covered(row, bound.get(row.id)) for row in rows]
    others = _other_windows(session, rows, now, wanted.but)
    times = _start_ups(session, rows, windows, others, now)
    end = now + weeks * WEEK
    desk = _Desk(
        windows=windows,
        others=others,
        prices=_prices(session, rows),
        times=times,
        hours=Hours(now, end),
        standing=_standing(session, rows, now),
        but=wanted.but,
    )
    effects = tuple(desk.effect(row) for row in rows)
    is_open = state_at(windows, now).inside
    own_times = times if starts_early(windows) else {}
    starts = _starts(rows, windows, own_times, now, end)
    how = storms.Forecasting(wanted.but, paces=paces, open_now=is_open)
    return Preview(
        timezone=windows.timezone,
        tzdata=zone_rules_version(),
        weeks=coming_weeks(windows, weeks, now, off),
        minutes_per_week=minutes_per_week(windows, now),
        effects=effects,
        total=_total(effects),
        starts=_with_late(session, starts, now, how),
        remarks=remarks(windows, covered, now),
    )


@dataclass(slots=True)
class _Desk:
    """What the effects of one preview are worked out with."""

    windows: Windows
    others: Mapping[str, list[Windows]]
    prices: Mapping[tuple[str, str], int]
    times: Mapping[str, StartUp]
    hours: Hours
    standing: Mapping[str, PointFiring]
    but: str | None

    def effect(self, row: Endpoint) -> Effect:
        """Return what the schedule means for one endpoint."""
        start_up, others = self.times.get(row.id), self.others.get(row.id, [])
        early = AT_ONCE if start_up is None else start_up.time
        is_up = Status(row.status) in AWAKE
        seconds, today = MONTH_SECONDS, MONTH_SECONDS if is_up else 0
        if not means_of(row).barrier(Kind.PAUSE):
            acting = together([self.windows, *others], early, up_otherwise=is_up)
            seconds = self.hours.seconds_up(replace(acting, standing=self._stands(row)))
        if others:
            acting = together(others, early, up_otherwise=is_up)
            stands = self._stands(row, without=True)
            today = self.hours.seconds_up(replace(acting, standing=stands))
        rate = replica_rate(row, lambda key: self.prices.get((row.account_id, key)))
        hourly = None if rate.nano is None else rate.nano * max(row.min_replicas or 0, 1)
        return Effect(
            endpoint=row,
            seconds=seconds,
            cost=_cost(hourly, seconds),
            always_on=_cost(hourly, MONTH_SECONDS),
            today=_cost(hourly, today),
            unpriced=rate.unpriced,
            start_up=start_up if starts_early(self.windows) else None,
        )

    def _stands(self, row: Endpoint, *, without: bool = False) -> bool | None:
        """Tell what a cron point that has fired keeps up or down now; None where none does.

        The point of the schedule itself counts while that has it, and never `without` it.
        """
        fired = self.standing.get(row.id)
        if fired is None:
            return None
        own = {(str(one.action), one.expression) for one in self.windows.points}
        if fired.schedule_id == self.but and (
            without or (fired.action, fired.expression) not in own
        ):
            return None
        return fired.action == PointAction.START


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
    others: Mapping[str, Sequence[Windows]],
    now: datetime,
) -> dict[str, StartUp]:
    """Return the start-up times, where a window of any schedule wants it ready by its start."""
    befores: dict[str, datetime] = {}
    openings: dict[Windows, datetime | None] = {}
    for row in rows:
        early = [one for one in (windows, *others.get(row.id, ())) if starts_early(one)]
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


def _other_windows(
    session: Session, rows: Sequence[Endpoint], now: datetime, but: str | None
) -> dict[str, list[Windows]]:
    """Return the windows of the other schedules that act on each endpoint."""
    in_force = {row.id: row for row in schedules.in_force(session) if not row.shadow}
    bound = schedules.bindings_of_endpoints(session, [row.id for row in rows])
    windows = windows_in_full(session, in_force.values(), now)
    found: dict[str, list[Windows]] = defaultdict(list)
    for row in rows:
        for rule_id, binding in bound.get(row.id, {}).items():
            schedule = in_force.get(rule_id)
            if schedule is not None and rule_id != but and _acts(binding, row, now):
                found[row.id].append(windows[rule_id])
    return found


def _standing(session: Session, rows: Sequence[Endpoint], now: datetime) -> dict[str, PointFiring]:
    """Return the cron points whose holds are in force, the latest of each endpoint."""
    active = holds.active_of(session, [row.id for row in rows], now)
    held = [one for several in active.values() for one in several if one.source == CRON]
    fired = schedules.firings_of_holds(session, [hold.id for hold in held])
    return {hold.endpoint_id: fired[hold.id] for hold in held if hold.id in fired}


def _acts(binding: Binding, row: Endpoint, now: datetime) -> bool:
    soon = binding.acts_from is None or binding.acts_from <= now + WEEK
    return row.managed and not row.protected and soon


def _prices(session: Session, rows: Sequence[Endpoint]) -> dict[tuple[str, str], int]:
    return {
        (account_id, key): price.nano_per_hour
        for account_id in {row.account_id for row in rows}
        for key, price in ledger.newest_prices(session, account_id).items()
    }
