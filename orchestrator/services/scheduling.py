"""Saving schedules: read what was written, warn, bind, and never act before the next edge."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.plan import Kind
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.lint import lint
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.model import Window
from orchestrator.domain.schedules.zones import UnknownZone
from orchestrator.services import bindings, selectors
from orchestrator.services.bindings import NEVER
from orchestrator.services.errors import conflict, invalid, not_found
from orchestrator.services.requests import Asked
from orchestrator.services.rulebook import means_of
from orchestrator.services.selectors import Selector
from orchestrator.services.windows import window_to_json, windows_of
from orchestrator.store import events, schedules
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Binding, Endpoint, Schedule

MOST_WINDOWS = 100
MOST_FINDINGS = 50


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
    """A schedule as a person wants it."""

    name: str
    windows: Windows
    selector: Selector
    shadow: bool = False
    enabled: bool = True
    apply_now: Collection[str] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Described:
    """A schedule with what it covers and what is odd about it."""

    schedule: Schedule
    covered: Sequence[Covered]
    remarks: Sequence[Remark]


def make_windows(timezone: str, windows: Sequence[Window], drain_minutes: int) -> Windows:
    """Return checked windows. Raises ServiceError 422, which names the field."""
    if len(windows) > MOST_WINDOWS:
        raise invalid("windows", f"A schedule has at most {MOST_WINDOWS} windows.")
    try:
        return Windows(timezone, tuple(windows), drain_minutes)
    except (ScheduleError, UnknownZone) as error:
        raise of_schedule_error(error) from error


def of_schedule_error(error: ScheduleError | UnknownZone, prefix: str = "") -> Exception:
    """Return the service's error for a part of a schedule that cannot be used."""
    own = "" if error.field == "window" else error.field
    where = ".".join(part for part in (prefix, own) if part)
    problem, _, remedy = str(error).removeprefix(f"{error.field}: ").partition("; ")
    return invalid(where, f"{problem[:1].upper()}{problem[1:]}.", remedy=remedy or None)


def find(session: Session, ref: str) -> Schedule:
    """Return a schedule by id or name. Raises ServiceError 404."""
    found = schedules.get(session, ref) or schedules.by_name(session, ref)
    if found is None:
        raise not_found("schedule", ref, "List them with GET /v1/schedules.")
    return found


def create(session: Session, draft: Draft, asked: Asked) -> Described:
    """Store a new schedule. Raises ServiceError 409 for a taken name, 422 for `apply_now`."""
    _check_name(session, draft.name, None)
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
    _check_name(session, draft.name, schedule.id)
    before = windows_of(schedule)
    schedule.version += 1
    schedule.updated_at = asked.now
    return _store(session, schedule, draft, asked, before=before)


def remove(session: Session, schedule: Schedule, asked: Asked) -> None:
    """Remove a schedule; its endpoints then follow what a person last asked for."""
    schedules.unbind(session, schedule.id)
    schedule.removed_at, schedule.enabled = asked.now, False
    _record(session, schedule, "schedule.removed", asked, "removed")
    schedule.name = f"{schedule.name} ({schedule.id})"
    session.add(schedule)


def describe(session: Session, schedule: Schedule, now: datetime) -> Described:
    """Return a schedule with what it covers and what is odd about it."""
    bound = schedules.bindings_of_rule(session, schedule.id)
    covered = _covered(session, selectors.from_json(schedule.selector), bound)
    return Described(schedule, covered, remarks(windows_of(schedule), covered, now))


def remarks(windows: Windows, covered: Sequence[Covered], now: datetime) -> list[Remark]:
    """Return what a person should know: of the windows, then of what they cover."""
    found = [
        Remark(item.code, item.message, item.when.isoformat() if item.when else None, item.window)
        for item in lint(windows, now)
    ]
    return [*found[:MOST_FINDINGS], *_remarks_on_cover(covered)]


def _remarks_on_cover(covered: Sequence[Covered]) -> list[Remark]:
    if not covered:
        return [Remark("covers_nothing", "it covers no endpoint now")]
    found = []
    observed = [item.endpoint.name for item in covered if not item.endpoint.managed]
    if observed:
        found.append(Remark("not_managed", f"only observed, so nothing is done: {_few(observed)}"))
    shielded = [item.endpoint.name for item in covered if item.endpoint.protected]
    if shielded:
        found.append(Remark("protected", f"protected, so it only proposes: {_few(shielded)}"))
    barred = [row.name for row in (item.endpoint for item in covered) if _cannot_stop(row)]
    if barred:
        found.append(
            Remark(
                "cannot_pause",
                "never paused by it, because that takes deleting them, which their owners have "
                f"not allowed, or cannot be done at all: {_few(barred)}",
            )
        )
    idle = [item.endpoint.name for item in covered if item.binding and _never(item.binding)]
    if idle:
        message = f"it has no next edge; without apply_now it never acts on: {_few(idle)}"
        found.append(Remark("never_acts", message))
    return found


def _cannot_stop(row: Endpoint) -> bool:
    return row.managed and bool(means_of(row).barrier(Kind.PAUSE))


def _never(binding: Binding) -> bool:
    return binding.acts_from == NEVER


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _store(
    session: Session, schedule: Schedule, draft: Draft, asked: Asked, *, before: Windows | None
) -> Described:
    schedule.name = draft.name
    schedule.timezone = draft.windows.timezone
    schedule.windows = [window_to_json(window) for window in draft.windows.windows]
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
    _record(session, schedule, "schedule.saved", asked, f"saved, version {schedule.version}")
    return Described(schedule, covered, remarks(draft.windows, covered, asked.now))


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


def _check_name(session: Session, name: str, but: str | None) -> None:
    if schedules.name_taken(session, name, but):
        raise conflict(
            "name_taken",
            f"A schedule named {name!r} exists.",
            remedy="Choose another name, or change that one.",
            field="name",
        )


def _record(session: Session, schedule: Schedule, kind: str, asked: Asked, what: str) -> None:
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=f"the schedule {schedule.name} was {what} by {asked.actor}",
        data={"schedule": schedule.id, "shadow": schedule.shadow, "enabled": schedule.enabled},
    )
