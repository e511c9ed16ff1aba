"""From what a person asks to the rules and endpoints that a span of the past is run again with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.services import (
    edges,
    expiry_policies,
    policies,
    scheduling,
    selectors,
    whatif,
    whatif_expiry,
)
from orchestrator.services.errors import ServiceError, invalid
from orchestrator.services.other_rules import Others, Rule
from orchestrator.services.selectors import Selector
from orchestrator.services.whatif_expiry import DraftExpiry
from orchestrator.services.windows import (
    full,
    named_days_off,
    points_to_json,
    united,
    window_to_json,
)
from orchestrator.store.tables import Endpoint, ExpiryPolicy, IdlePolicy, Schedule

LONGEST = timedelta(days=400)
MOST_ENDPOINTS = 200
# Some 3 ms of a processor for each day of an endpoint, and 1 ms for each firing of a point.
MOST_DAYS, MOST_FIRINGS = 3_000, 10_000
BY_ITS_SELECTOR = (
    "a saved rule acts on the endpoints that its own selector covers now, as it is now"
)
_DRAFT_SCHEDULE, _DRAFT_POLICY = "draft:schedule", "draft:policy"


@dataclass(frozen=True, slots=True)
class DraftSchedule:
    """A schedule that is not saved, with the calendars whose days are off."""

    name: str
    windows: Windows
    calendars: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DraftPolicy:
    """An idle policy that is not saved."""

    name: str
    timeout_minutes: int
    min_awake_minutes: int
    action: str
    quiet: policies.QuietHours | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks: drafts, saved rules by name or id, and those that would not have been."""

    start: datetime
    end: datetime
    selector: Selector | None = None
    schedule: DraftSchedule | None = None
    policy: DraftPolicy | None = None
    expiry: DraftExpiry | None = None
    rules: Sequence[str] = ()
    without: Sequence[str] = ()
    instead: bool = False


def prepared(session: Session, wanted: Wanted, now: datetime) -> tuple[Others, list[Endpoint]]:
    """Return the other rules, and the endpoints that they are asked for.

    Raises ServiceError 422, which names the field.
    """
    check_span(wanted.start, wanted.end, now)
    saved, saved_ends = _rules(session, "rules", wanted.rules)
    gone, gone_ends = _rules(session, "without", wanted.without)
    drafts = _drafts(wanted)
    terms = whatif_expiry.drafts_of(session, wanted.expiry, saved_ends)
    if not (saved or gone or drafts or terms or gone_ends or wanted.instead):
        raise invalid(
            "schedule",
            "Nothing is different: no draft, no saved rule, none left out.",
            remedy="Give `schedule`, `policy`, `expiry`, `rules`, `without`, or `instead`.",
        )
    windows = {row.id: full(session, row, now) for row in saved if isinstance(row, Schedule)}
    if wanted.schedule is not None:
        windows[_DRAFT_SCHEDULE] = _with_days_off(session, wanted.schedule, now)
    rows = _endpoints(session, wanted, [*saved, *gone, *saved_ends, *gone_ends])
    check_work(rows, wanted.start, wanted.end)
    _check_firings(windows, len(rows), wanted)
    others = Others(
        since=wanted.start,
        added=(*(_in_force(row, wanted.start) for row in saved), *drafts),
        windows=windows,
        covers=_covers(session, saved),
        without=frozenset(row.id for row in gone),
        instead=wanted.instead,
        ends=whatif_expiry.ends(session, terms, rows, now),
        unended=frozenset(f"policy {row.name}" for row in gone_ends),
    )
    return others, rows


def assumptions(others: Others) -> tuple[str, ...]:
    """Return what a comparison takes for granted."""
    saved = (BY_ITS_SELECTOR,) if others.covers else ()
    return (*whatif.ASSUMPTIONS, *saved, *((whatif_expiry.ASSUMPTION,) if others.ends else ()))


def _covers(session: Session, saved: Sequence[Rule]) -> dict[str, frozenset[str]]:
    """Return the endpoints that saved rules cover now, by rule."""
    found = {}
    for rule in saved:
        rows = selectors.covered(session, selectors.from_json(rule.selector))
        found[rule.id] = frozenset(row.id for row in rows)
    return found


def check_span(start: datetime, end: datetime, now: datetime) -> None:
    """Raise ServiceError 422 for a span that is empty, ahead, or very long."""
    if start >= end:
        raise invalid("from", "The span is empty.", remedy="`from` comes before `to`.")
    if start >= now:
        raise invalid("from", "That lies ahead.", remedy="Ask of the past; see schedule previews.")
    if end - start > LONGEST:
        raise invalid("from", f"A span is at most {LONGEST.days} days long.")


def _endpoints(
    session: Session, wanted: Wanted, rules: Sequence[Rule | ExpiryPolicy]
) -> list[Endpoint]:
    selector = wanted.selector
    if selector is None:
        if len(rules) != 1:
            raise invalid(
                "selector",
                "It is not said which endpoints are meant.",
                remedy='Give a selector, such as {"labels": {"team": "search"}}.',
            )
        selector = selectors.from_json(rules[0].selector)
    covered = selectors.covered(session, selector)
    found = [row for row in covered if row.managed]
    if not found:
        raise _nothing_managed(len(covered))
    if len(found) > MOST_ENDPOINTS:
        raise invalid(
            "selector",
            f"That covers {len(found)} managed endpoints; at most {MOST_ENDPOINTS} are compared.",
            remedy="Ask for one account or label after the other.",
        )
    return found


def check_work(rows: Sequence[Endpoint], start: datetime, end: datetime) -> None:
    """Raise ServiceError 422 for more days of endpoints than are run again at a time."""
    spans = [end - max(start, row.first_seen_at) for row in rows]
    days = round(sum(max(span.total_seconds(), 0.0) for span in spans) / 86400)
    if days > MOST_DAYS:
        raise invalid(
            "from",
            f"That is {days} days of endpoints ({len(rows)} endpoints); at most {MOST_DAYS} are "
            "run again at a time.",
            remedy=f"Ask for a shorter span, such as {max(MOST_DAYS // len(rows), 1)} days, or for "
            "fewer endpoints, such as one account or label.",
        )


def _check_firings(windows: Mapping[str, Windows], rows: int, wanted: Wanted) -> None:
    """Raise ServiceError 422 for cron points of a draft that fire too often for the span."""
    most = MOST_FIRINGS // rows + 1
    each = sum(
        edges.firings_between(one, wanted.start, wanted.end, most) for one in windows.values()
    )
    if each * rows > MOST_FIRINGS:
        raise invalid(
            "schedule.points" if wanted.schedule is not None else "rules",
            f"Its points fire {each} times or more in that span at each of {rows} endpoints; "
            f"at most {MOST_FIRINGS} firings are run again at a time.",
            remedy="Ask for a shorter span or for fewer endpoints, or draft windows instead.",
        )


def _nothing_managed(covered: int) -> ServiceError:
    if not covered:
        return invalid(
            "selector", "It matches no endpoint.", remedy="See GET /v1/endpoints for labels."
        )
    return invalid(
        "selector",
        f"It matches {covered} endpoints and none is managed: nothing is kept of those.",
        remedy="Adopt them first; from then on what was known of them is kept.",
    )


def _rules(
    session: Session, name: str, refs: Sequence[str]
) -> tuple[list[Rule], list[ExpiryPolicy]]:
    found = [_rule(session, name, ref) for ref in refs]
    ends = [row for row in found if isinstance(row, ExpiryPolicy)]
    return [row for row in found if not isinstance(row, ExpiryPolicy)], ends


def _rule(session: Session, name: str, ref: str) -> Rule | ExpiryPolicy:
    for find in (scheduling.find, policies.find, expiry_policies.find):
        try:
            return find(session, ref)
        except ServiceError:
            continue  # a rule of another kind may bear that name
    raise invalid(
        name,
        f"There is no schedule and no policy {ref!r}.",
        remedy="List them with GET /v1/schedules, /v1/policies and /v1/expiry-policies.",
    )


def _in_force(row: Rule, since: datetime) -> Rule:
    """Return a saved rule as it would have been had it acted from the start of the span."""
    values = {**row.model_dump(), "shadow": False, "enabled": True, "effective_from": since}
    return Schedule(**values) if isinstance(row, Schedule) else IdlePolicy(**values)


def _drafts(wanted: Wanted) -> list[Rule]:
    drafts: list[Rule] = []
    if wanted.schedule is not None:
        drafts.append(_schedule(wanted.schedule, wanted.start))
    if wanted.policy is not None:
        drafts.append(_policy(wanted.policy, wanted.start))
    return drafts


def _schedule(draft: DraftSchedule, since: datetime) -> Schedule:
    return Schedule(
        id=_DRAFT_SCHEDULE,
        name=draft.name,
        timezone=draft.windows.timezone,
        windows=[window_to_json(window) for window in draft.windows.windows],
        points=points_to_json(draft.windows.points, (), since),
        calendars=list(draft.calendars),
        drain_minutes=draft.windows.drain_minutes,
        effective_from=since,
        created_at=since,
        created_by="",
        updated_at=since,
    )


def _policy(draft: DraftPolicy, since: datetime) -> IdlePolicy:
    zone, windows = policies.quiet_fields(draft.quiet)
    return IdlePolicy(
        id=_DRAFT_POLICY,
        name=draft.name,
        timeout_minutes=draft.timeout_minutes,
        min_awake_minutes=draft.min_awake_minutes,
        action=draft.action,
        quiet_timezone=zone,
        quiet_windows=windows,
        effective_from=since,
        created_at=since,
        created_by="",
        updated_at=since,
    )


def _with_days_off(session: Session, draft: DraftSchedule, now: datetime) -> Windows:
    named = named_days_off(session, draft.calendars, now)
    days: frozenset[date] = frozenset(united(named, list(draft.calendars)))
    plain = draft.windows
    return Windows(
        plain.timezone, plain.windows, plain.drain_minutes, plain.points, days, plain.dates
    )
