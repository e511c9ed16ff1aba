"""Schedules and idle policies: lists with what they cover, and the forms to change them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any

from fastapi import APIRouter, Response
from sqlmodel import Session

from orchestrator.api.pages import charts
from orchestrator.api.pages.shell import Page, PageOf, PageRoute
from orchestrator.api.schemas.quiet import QuietHoursBody, quiet_out
from orchestrator.domain.plan import Kind
from orchestrator.domain.schedules.daytext import format_start_days
from orchestrator.domain.schedules.model import DAY_NAMES, DateRule, PointFiring, Window
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import state_at
from orchestrator.domain.schedules.points import next_point
from orchestrator.domain.schedules.text import describe, format_date_rule
from orchestrator.domain.schedules.zones import zone, zone_names
from orchestrator.services import expiry_policies as expiry_service
from orchestrator.services import policies as policy_service
from orchestrator.services import scheduling
from orchestrator.services.bindings import NEVER
from orchestrator.services.preview_weeks import DayOff, days_off
from orchestrator.services.scheduling import Covered, Remark
from orchestrator.services.windows import full, named_days_off, united, windows_of
from orchestrator.store import accounts, endpoints, expiry, policies, schedules
from orchestrator.store import calendars as calendar_rows
from orchestrator.store.tables import Endpoint, ExpiryPolicy, IdlePolicy, Schedule

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Rule = Schedule | IdlePolicy | ExpiryPolicy
MOST_RULES = 200
MOST_NAMES = 1000
_NEW_WINDOW = Window(frozenset(range(5)), time(8), time(19))


@dataclass(frozen=True, slots=True)
class CoveredText:
    """An endpoint that a rule covers, and what it means for it: `acts`, `soon`, or why not."""

    id: str
    name: str
    says: str
    acts_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScheduleCard:
    """A schedule for the list."""

    row: Schedule
    sentence: str
    grid: charts.WeekGrid
    inside: bool
    next_edge: datetime | None
    next_point: PointFiring | None
    next_off: DayOff | None
    only_points: bool
    covered: Sequence[CoveredText]
    remarks: Sequence[Remark]
    scope: str


@dataclass(frozen=True, slots=True)
class ExpiryCard:
    """An expiry policy for the list."""

    row: ExpiryPolicy
    covers: int
    scope: str


@dataclass(frozen=True, slots=True)
class PolicyCard:
    """A policy for the list."""

    row: IdlePolicy
    covered: Sequence[CoveredText]
    scope: str
    quiet: QuietHoursBody | None


@router.get("/schedules")
def schedules_page(page: PageOf) -> Response:
    """Show all schedules as weeks."""
    with page.context.database.read() as session:
        rows = schedules.page(session, None, MOST_RULES)
        names = _names(session)
        cards = [_schedule_card(session, row, page.now, names) for row in rows]
    return page.render("schedules.html", "/schedules", cards=cards)


@router.get("/schedules/new")
def new_schedule_page(page: PageOf) -> Response:
    """Show an empty form."""
    windows = Windows("UTC", (_NEW_WINDOW,))
    return _schedule_form(page, None, windows, None)


@router.get("/schedules/{ref}")
def schedule_page(page: PageOf, ref: str) -> Response:
    """Show the form of one schedule, with what it covers."""
    with page.context.database.read() as session:
        row = scheduling.find(session, ref)
        card = _schedule_card(session, row, page.now, _names(session))
    return _schedule_form(page, row, windows_of(row), card)


@router.get("/policies")
def policies_page(page: PageOf) -> Response:
    """Show all idle and expiry policies."""
    with page.context.database.read() as session:
        rows = policies.page(session, None, MOST_RULES)
        names = _names(session)
        cards = [_policy_card(session, row, page.now, names) for row in rows]
        ends = [_expiry_card(session, row, names) for row in expiry.page(session, None, MOST_RULES)]
    return page.render("policies.html", "/policies", cards=cards, ends=ends)


@router.get("/policies/new")
def new_policy_page(page: PageOf) -> Response:
    """Show an empty form."""
    return _policy_form(page, None, None)


@router.get("/policies/{ref}")
def policy_page(page: PageOf, ref: str) -> Response:
    """Show the form of one policy, with what it covers."""
    with page.context.database.read() as session:
        row = policy_service.find(session, ref)
        card = _policy_card(session, row, page.now, _names(session))
    return _policy_form(page, row, card)


def _schedule_form(
    page: Page, row: Schedule | None, windows: Windows, card: ScheduleCard | None
) -> Response:
    return page.render(
        "schedule.html",
        "/schedules",
        row=row,
        card=card,
        days=[name.lower() for name in DAY_NAMES],
        windows=[_window_fields(one) for one in windows.windows],
        blank=_window_fields(_NEW_WINDOW),
        points=windows.points,
        dates=[_date_fields(one) for one in windows.dates],
        calendars=picked_calendars(page, () if row is None else row.calendars),
        zones=sorted(zone_names()),
        **selector_fields(page, row),
    )


def _policy_form(page: Page, row: IdlePolicy | None, card: PolicyCard | None) -> Response:
    values = selector_fields(page, row)
    quiet = None if card is None else card.quiet
    return page.render("policy.html", "/policies", row=row, card=card, quiet=quiet, **values)


def selector_fields(page: Page, row: Rule | None) -> dict[str, Any]:
    """Return what a form needs to choose endpoints; ids are shown as names."""
    stored = {} if row is None else row.selector
    with page.context.database.read() as session:
        known = accounts.live(session)
        live = endpoints.all_live(session)
    by_id = {account.id: account.name for account in known}
    names = {one.id: f"{by_id[one.account_id]}/{one.name}" for one in live}
    labels = stored.get("labels") or {}
    return {
        "accounts": known,
        "endpoint_names": sorted(names.values())[:MOST_NAMES],
        "selected_account": by_id.get(stored.get("account", ""), ""),
        "selected_endpoint": names.get(stored.get("endpoint", ""), ""),
        "selected_labels": ", ".join(f"{key}={value}" for key, value in labels.items()),
    }


def _window_fields(window: Window) -> dict[str, Any]:
    return {
        "days": [DAY_NAMES[day].lower() for day in sorted(window.days)],
        "start": f"{window.start:%H:%M}",
        "end": f"{window.end:%H:%M}",
        "keep_running": window.keep_running,
        "ready_by": window.ready_by,
        "also": format_start_days(replace(window, days=frozenset()))
        if not window.is_weekly
        else "",
    }


def _date_fields(rule: DateRule) -> dict[str, str]:
    """The parts of an exception as its row has them."""
    parts = format_date_rule(replace(rule, note="")).split(" ", 2)
    times = parts[2] if len(parts) > 2 else ""
    return {"day": parts[0], "kind": parts[1], "times": times, "note": rule.note}


def picked_calendars(page: Page, picked: Collection[str]) -> list[tuple[str, bool]]:
    """Return the calendars that there are, each with whether it is picked."""
    with page.context.database.read() as session:
        return [(one.name, one.name in picked) for one in calendar_rows.known(session)]


def _next_off(session: Session, row: Schedule, windows: Windows, now: datetime) -> DayOff | None:
    named = united(named_days_off(session, row.calendars, now), row.calendars)
    today = now.astimezone(zone(row.timezone)).date()
    ahead = (one for one in days_off(windows, named) if one.day >= today and one.windows)
    return next(ahead, None)


@dataclass(frozen=True, slots=True)
class _Names:
    """Names by id, to tell what a selector covers."""

    accounts: dict[str, str]


def _names(session: Session) -> _Names:
    return _Names({account.id: account.name for account in accounts.live(session)})


def _schedule_card(session: Session, row: Schedule, now: datetime, names: _Names) -> ScheduleCard:
    windows = full(session, row, now)
    described = scheduling.describe(session, row, now)
    state = state_at(windows, now)
    covered = [_covered(one, row, now) for one in described.covered]
    return ScheduleCard(
        row=row,
        sentence=describe(windows),
        grid=charts.week_grid(windows.windows, now.astimezone(zone(row.timezone))),
        inside=state.inside,
        next_edge=state.next_edge,
        next_point=next_point(windows, now) if windows.points else None,
        next_off=_next_off(session, row, windows, now),
        only_points=windows.only_points,
        covered=covered,
        remarks=described.remarks,
        scope=_scope(session, row, names),
    )


def _policy_card(session: Session, row: IdlePolicy, now: datetime, names: _Names) -> PolicyCard:
    described = policy_service.describe(session, row)
    covered = [_covered(one, row, now) for one in described.covered]
    return PolicyCard(row, covered, _scope(session, row, names), quiet_out(row))


def _expiry_card(session: Session, row: ExpiryPolicy, names: _Names) -> ExpiryCard:
    covered = expiry_service.describe(session, row).covered
    return ExpiryCard(row, len(covered), _scope(session, row, names))


def _scope(session: Session, row: Rule, names: _Names) -> str:
    """What a selector covers, in words."""
    stored, parts = row.selector, []
    if "endpoint" in stored:
        endpoint = endpoints.get(session, stored["endpoint"])
        parts.append(f"endpoint {endpoint.name if endpoint else 'that is gone'}")
    if "account" in stored:
        parts.append(f"account {names.accounts.get(stored['account'], 'that is gone')}")
    parts += [f"{key}={value}" for key, value in (stored.get("labels") or {}).items()]
    return ", ".join(parts) or "nothing"


def _cannot(row: Schedule | IdlePolicy, endpoint: Endpoint) -> bool:
    return isinstance(row, IdlePolicy) and scheduling.cannot(Kind(row.action), endpoint)


def _covered(one: Covered, row: Schedule | IdlePolicy, now: datetime) -> CoveredText:
    endpoint, acts_from = one.endpoint, one.binding.acts_from if one.binding else None
    bars = (
        (not endpoint.managed, "only observed"),
        (not row.enabled, "switched off"),
        (row.shadow, "shadow: only recorded"),
        (endpoint.protected, "protected: only proposes"),
        (acts_from == NEVER, "never acts without apply now"),
        (_cannot(row, endpoint), "cannot be put to sleep by it"),
    )
    for barred, says in bars:
        if barred:
            return CoveredText(endpoint.id, endpoint.name, says)
    if acts_from is not None and acts_from > now:
        return CoveredText(endpoint.id, endpoint.name, "acts from", acts_from)
    return CoveredText(endpoint.id, endpoint.name, "acts")
