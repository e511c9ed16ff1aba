"""Saving schedules: read what was written, warn, bind, and never act before the next edge."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replace_parts
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.plan import Kind
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import CronPoint, DateRule, Window
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import state_at
from orchestrator.domain.schedules.points import next_point
from orchestrator.domain.schedules.zones import UnknownZone
from orchestrator.domain.status import Wish
from orchestrator.services import bindings, calendars, revisions, selectors, shown
from orchestrator.services.bindings import NEVER
from orchestrator.services.errors import invalid
from orchestrator.services.lengths import brief
from orchestrator.services.linting import findings_beside, neighbours_of
from orchestrator.services.named_rules import Register, renewed
from orchestrator.services.requests import Asked
from orchestrator.services.rulebook import means_of
from orchestrator.services.selectors import Selector
from orchestrator.services.windows import date_to_json, full, points_to_json, window_to_json
from orchestrator.store import schedules
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Binding, Endpoint, Schedule

MOST_WINDOWS = 100
MOST_POINTS = 50
MOST_DATES = 400
MOST_CALENDARS = 20
MOST_FINDINGS = 50
# A point that fires more often than this is taken for a mistake.
SHORTEST_GAP = timedelta(minutes=5)
_CANNOT = {
    Kind.PAUSE: (
        "cannot_pause",
        (
            "never paused by it, because that takes deleting them, which their owners have not "
            "allowed, or cannot be done at all"
        ),
    ),
    Kind.SCALE_TO_ZERO: (
        "cannot_scale_to_zero",
        (
            "never sent to zero by it, because no request could wake them from there, or their "
            "least number of replicas is not 0"
        ),
    ),
}
_PACE_FROM = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know before relying on a schedule; `code` is stable."""

    code: str
    message: str
    when: str | None = None
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """An endpoint that a rule covers; `binding` is None where it is not managed."""

    endpoint: Endpoint
    binding: Binding | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A schedule as a person wants it; the days off of `calendars` are not in `windows`."""

    name: str
    windows: Windows
    selector: Selector
    calendars: Sequence[str] = ()
    shadow: bool = False
    enabled: bool = True
    apply_now: Collection[str] = field(default_factory=tuple)
    confirm: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """A schedule with what it covers and what is odd about it; `confirm` stands for all that."""

    schedule: Schedule
    covered: Sequence[Covered]
    remarks: Sequence[Remark]
    wish_now: Wish | None = None
    confirm: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a schedule is made of besides its zone."""

    windows: Sequence[Window] = ()
    points: Sequence[CronPoint] = ()
    dates: Sequence[DateRule] = ()
    drain_minutes: int = 30


def make_windows(timezone: str, windows: Sequence[Window], drain_minutes: int) -> Windows:
    """Return checked windows. Raises ServiceError 422, which names the field."""
    return make(timezone, Parts(windows=windows, drain_minutes=drain_minutes))


def make(timezone: str, parts: Parts) -> Windows:
    """Return a checked schedule. Raises ServiceError 422, which names the field."""
    _check_count("windows", parts.windows, MOST_WINDOWS)
    _check_count("points", parts.points, MOST_POINTS)
    _check_count("dates", parts.dates, MOST_DATES)
    try:
        made = Windows(
            timezone,
            tuple(parts.windows),
            parts.drain_minutes,
            points=tuple(parts.points),
            dates=tuple(parts.dates),
        )
    except (ScheduleError, UnknownZone) as error:
        raise of_schedule_error(error) from error
    for place, point in enumerate(parts.points):
        _check_pace(f"points.{place}", replace_parts(made, points=(point,)))
    return made


def _check_count(field: str, found: Sequence[object], most: int) -> None:
    if len(found) > most:
        raise invalid(field, f"A schedule has at most {most} {field}.")


def _check_pace(field: str, schedule: Windows) -> None:
    """Refuse a point that fires again and again, as one with `*` for its minute does."""
    first = next_point(schedule, _PACE_FROM)
    second = None if first is None else next_point(schedule, first.at)
    if first is not None and second is not None and second.at - first.at < SHORTEST_GAP:
        raise invalid(
            f"{field}.expression",
            f"{first.expression!r} fires again after {brief(second.at - first.at)}.",
            remedy=f"Leave at least {brief(SHORTEST_GAP)} between two firings.",
        )


def of_schedule_error(error: ScheduleError | UnknownZone, prefix: str = "") -> Exception:
    """Return the service's error for a part of a schedule that cannot be used."""
    own = "" if error.field in ("window", "point", "date") else error.field
    own = re.sub(r"^dates(.*)\.day$", r"dates\1.date", re.sub(r"\[([0-9]+)\]", r".\1", own))
    where = ".".join(part for part in (prefix, own) if part)
    problem, _, remedy = str(error).removeprefix(f"{error.field}: ").partition("; ")
    return invalid(where, f"{problem[:1].upper()}{problem[1:]}.", remedy=remedy or None)


REGISTER = Register(
    *("schedule", "schedule", "/v1/schedules", "schedule"),
    schedules.get,
    schedules.by_name,
    schedules.name_taken,
)
find = REGISTER.find


def create(session: Session, draft: Draft, asked: Asked) -> Described:
    """Store a new schedule. Raises ServiceError 409 for a taken name, 422 for `apply_now`."""
    REGISTER.check_name(session, draft.name, "")
    schedule = Schedule(
        id=new_id("sch", asked.now),
        name=draft.name,
        timezone=draft.windows.timezone,
        effective_from=asked.now,
        created_at=asked.now,
        created_by=asked.actor,
        updated_at=asked.now,
    )
    return _store(session, schedule, draft, asked, before=None)


def replace(session: Session, schedule: Schedule, draft: Draft, asked: Asked) -> Described:
    """Store a schedule in place of its former version.

    Raises ServiceError 409 for a taken name, 422 for `apply_now`.
    """
    REGISTER.check_name(session, draft.name, schedule.id)
    before = full(session, schedule, asked.now)
    renewed(schedule, asked.now)
    return _store(session, schedule, draft, asked, before=before)


def remove(session: Session, schedule: Schedule, asked: Asked) -> None:
    """Remove a schedule; its endpoints then follow what a person last asked for."""
    schedules.unbind(session, schedule.id)
    REGISTER.remove(session, schedule, asked)


def describe(session: Session, schedule: Schedule, now: datetime) -> Described:
    """Return a schedule with what it covers and what is odd about it."""
    bound = schedules.bindings_of_rule(session, schedule.id)
    covered = _covered(session, selectors.from_json(schedule.selector), bound)
    return _described(session, schedule, covered, now)


def remarks(
    session: Session,
    windows: Windows,
    covered: Sequence[Covered],
    now: datetime,
    but: str | None = None,
) -> list[Remark]:
    """Return what a person should know: of the windows, then of what they cover.

    `but` is the saved schedule that it stands for; all others over the same endpoints count.
    """
    ids = [item.endpoint.id for item in covered]
    neighbours = neighbours_of(session, windows, ids, now, but)
    found = [
        Remark(item.code, item.message, item.when.isoformat() if item.when else None, item.window)
        for item in findings_beside(windows, now, neighbours)
    ]
    return [*found[:MOST_FINDINGS], *remarks_on_cover(covered, Kind.PAUSE)]


def remarks_on_cover(covered: Sequence[Covered], stop: Kind) -> list[Remark]:
    """Return what a person should know of what a rule covers that stops it in such a way."""
    if not covered:
        return [Remark("covers_nothing", "it covers no endpoint now")]
    found = []
    observed = [item.endpoint.name for item in covered if not item.endpoint.managed]
    if observed:
        found.append(Remark("not_managed", f"only observed, so nothing is done: {_few(observed)}"))
    shielded = [item.endpoint.name for item in covered if item.endpoint.protected]
    if shielded:
        found.append(Remark("protected", f"protected, so it only proposes: {_few(shielded)}"))
    names = [item.endpoint.name for item in covered if cannot(stop, item.endpoint)]
    if names:
        code, told = _CANNOT[stop]
        found.append(Remark(code, f"{told}: {_few(names)}"))
    idle = [item.endpoint.name for item in covered if item.binding and _never(item.binding)]
    if idle:
        message = f"it has no next edge; without apply_now it never acts on: {_few(idle)}"
        found.append(Remark("never_acts", message))
    return found


def cannot(stop: Kind, row: Endpoint) -> bool:
    """Tell whether a managed endpoint cannot or may not be stopped so."""
    return row.managed and bool(means_of(row).barrier(stop))


def _never(binding: Binding) -> bool:
    return binding.acts_from == NEVER


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _store(
    session: Session, schedule: Schedule, draft: Draft, asked: Asked, *, before: Windows | None
) -> Described:
    _check_count("calendars", draft.calendars, MOST_CALENDARS)
    calendars.use(session, draft.calendars)
    schedule.name = draft.name
    schedule.windows = [window_to_json(window) for window in draft.windows.windows]
    stood = schedule.points if schedule.timezone == draft.windows.timezone else []
    schedule.points = points_to_json(draft.windows.points, stood or [], asked.now)
    schedule.dates = [date_to_json(rule) for rule in draft.windows.dates]
    schedule.calendars = list(dict.fromkeys(draft.calendars))
    schedule.timezone = draft.windows.timezone
    schedule.drain_minutes = draft.windows.drain_minutes
    schedule.selector = draft.selector.to_json()
    schedule.shadow, schedule.enabled = draft.shadow, draft.enabled
    schedule.applied_now = sorted(draft.apply_now)
    session.add(schedule)
    session.flush()
    bound = bindings.sync_rule(
        session, schedule, asked.now, apply_now=draft.apply_now, before=before
    )
    by_endpoint = {binding.endpoint_id: binding for binding in bound}
    covered = _covered(session, draft.selector, by_endpoint)
    check_apply_now(draft.apply_now, by_endpoint)
    described = _described(session, schedule, covered, asked.now)
    shown.check(draft.confirm, described.confirm)
    REGISTER.saved(session, schedule, asked)
    revisions.keep(session, schedule, asked.now)
    return described


def _described(
    session: Session, schedule: Schedule, covered: Sequence[Covered], now: datetime
) -> Described:
    windows, ahead = full(session, schedule, now), now + calendars.LOOK_AHEAD
    unknown = calendars.uncovered(session, schedule.calendars, now.date(), ahead.date())
    state, wish = state_at(windows, now), Wish.PAUSED
    if state.inside:
        wish = Wish.RUNNING if state.keep_running else Wish.AVAILABLE
    wish_now = None if windows.only_points else wish
    return Described(
        schedule,
        covered,
        [
            *remarks(session, windows, covered, now, schedule.id),
            *(Remark("calendar_ends", text) for text in unknown),
        ],
        wish_now,
        shown.digest(schedule, windows, [one.endpoint for one in covered], wish_now),
    )


def check_apply_now(apply_now: Collection[str], bound: Collection[str]) -> None:
    """Raise ServiceError 422 when "apply now" names what the rule does not act on."""
    strangers = sorted(set(apply_now) - set(bound))
    if strangers:
        raise invalid(
            "apply_now",
            f"{strangers[0]} is no managed endpoint that this rule covers.",
            remedy="Name ids from `endpoints` of a dry run.",
        )


def _covered(session: Session, selector: Selector, bound: dict[str, Binding]) -> list[Covered]:
    return [Covered(row, bound.get(row.id)) for row in selectors.covered(session, selector)]
