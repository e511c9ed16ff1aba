"""Expiry policies: how long endpoints may live, saved by selector, and what they allow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.expiry import TtlError, parse_span, parse_ttl
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.zones import zone
from orchestrator.services import calendars, selectors
from orchestrator.services.errors import invalid
from orchestrator.services.named_rules import Register, renewed
from orchestrator.services.requests import Asked
from orchestrator.services.selectors import Selector
from orchestrator.store import endpoints
from orchestrator.store import expiry as rows
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Endpoint, ExpiryPolicy, Label

SHORTEST_GRACE = timedelta(hours=1)
LONGEST_GRACE = timedelta(days=90)
LONGEST_WARNING = timedelta(days=90)
MOST_EXTENSIONS = 1000


@dataclass(frozen=True, slots=True)
class Draft:
    """An expiry policy as a person wants it; an empty length is no limit, or no deletion."""

    name: str
    selector: Selector
    default_ttl: str = ""
    max_ttl: str = ""
    max_extension: str = ""
    max_extensions: int | None = None
    warn_before: tuple[str, ...] = ()
    delete_grace: str = ""
    timezone: str = "UTC"
    calendars: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Described:
    """A policy with the endpoints that it covers."""

    policy: ExpiryPolicy
    covered: Sequence[Endpoint]


REGISTER = Register(
    *("expiry policy", "expiry policy", "/v1/expiry-policies", "policy"),
    rows.policy,
    rows.policy_by_name,
    rows.name_taken,
)
find = REGISTER.find


def create(session: Session, draft: Draft, asked: Asked) -> Described:
    """Store a new policy; it changes no expiry that is set already.

    Raises ServiceError: 409 for a taken name, 422 for a length, zone or calendar.
    """
    policy = ExpiryPolicy(
        id=new_id("exp", asked.now),
        name=draft.name,
        created_at=asked.now,
        created_by=asked.actor,
        updated_at=asked.now,
    )
    return _store(session, policy, draft, asked)


def replace(session: Session, policy: ExpiryPolicy, draft: Draft, asked: Asked) -> Described:
    """Store a policy in place of its former version; it changes no expiry that is set already.

    Raises ServiceError: 409 for a taken name, 422 for a length, zone or calendar.
    """
    renewed(policy, asked.now)
    return _store(session, policy, draft, asked)


def remove(session: Session, policy: ExpiryPolicy, asked: Asked) -> None:
    """Remove a policy; what was set by it stays set."""
    REGISTER.remove(session, policy, asked)


def describe(session: Session, policy: ExpiryPolicy) -> Described:
    """Return a policy with what it covers."""
    return Described(policy, selectors.covered(session, selectors.from_json(policy.selector)))


def covering(
    session: Session, endpoint: Endpoint, labels: Collection[Label] | None = None
) -> list[ExpiryPolicy]:
    """Return the policies in force that cover an endpoint; `labels` where it has no row yet."""
    if labels is None:
        labels = endpoints.labels_of(session, [endpoint.id]).get(endpoint.id, ())
    return [
        policy
        for policy in rows.policies_in_force(session)
        if selectors.from_json(policy.selector).matches(endpoint, labels)
    ]


def limiting(session: Session, endpoint: Endpoint) -> list[ExpiryPolicy]:
    """Return those that want that an endpoint expires: they limit its life or its extensions."""
    return [
        policy
        for policy in covering(session, endpoint)
        if policy.max_ttl or policy.max_extensions is not None or policy.max_extension
    ]


def end_of(
    session: Session,
    text: str,
    start: datetime,
    field: str,
    *,
    timezone: str,
    names: Sequence[str],
) -> datetime:
    """Return when a time to live that begins at `start` is over. Raises ServiceError 422."""

    def days_off(first: date, after: date) -> Collection[date]:
        return calendars.days_off(session, names, first, after)

    try:
        return parse_ttl(text).end(start, zone(timezone), days_off)
    except ScheduleError as error:
        raise invalid("timezone", str(error)) from error
    except TtlError as error:
        problem, _, remedy = str(error).partition("; ")
        told = f"{remedy[:1].upper()}{remedy[1:]}." if remedy else None
        raise invalid(field, f"{problem}.", remedy=told) from error


def grace_of(text: str, field: str) -> timedelta | None:
    """Read after how long paused it is deleted; None for never. Raises ServiceError 422."""
    if text in ("", "none", "never"):
        return None
    grace = _span(text, field)
    if not SHORTEST_GRACE <= grace <= LONGEST_GRACE:
        raise invalid(
            field,
            "What has expired is deleted after 1 hour to 90 days, never at once.",
            remedy="Write 7d, or none.",
        )
    return grace


def warnings_of(texts: Sequence[str], field: str) -> tuple[timedelta, ...]:
    """Read how long before they are told. Raises ServiceError 422."""
    found = tuple(_span(text, f"{field}.{place}") for place, text in enumerate(texts))
    for place, before in enumerate(found):
        if before > LONGEST_WARNING:
            raise invalid(
                f"{field}.{place}", f"People are warned {LONGEST_WARNING.days} days ahead at most."
            )
    return tuple(sorted(set(found), reverse=True))


def _span(text: str, field: str) -> timedelta:
    try:
        return parse_span(text)
    except TtlError:
        raise invalid(
            field, f"{text[:40]!r} is no length of time.", remedy="Write 3d, 12h or 1w."
        ) from None


def _store(session: Session, policy: ExpiryPolicy, draft: Draft, asked: Asked) -> Described:
    REGISTER.check_name(session, draft.name, policy.id)
    _check(session, draft, asked.now)
    for name in ("name", "default_ttl", "max_ttl", "max_extension", "max_extensions"):
        setattr(policy, name, getattr(draft, name))
    policy.warn_before, policy.delete_grace = list(draft.warn_before), draft.delete_grace
    policy.timezone, policy.calendars = draft.timezone, list(draft.calendars)
    policy.selector, policy.enabled = draft.selector.to_json(), draft.enabled
    session.add(policy)
    session.flush()
    REGISTER.saved(session, policy, asked)
    return describe(session, policy)


def _check(session: Session, draft: Draft, now: datetime) -> None:
    calendars.use(session, draft.calendars)
    for field in ("default_ttl", "max_ttl", "max_extension"):
        text = getattr(draft, field)
        if text:
            end_of(session, text, now, field, timezone=draft.timezone, names=draft.calendars)
            _check_relative(text, field)
    if draft.default_ttl and draft.max_ttl:
        usual, most = (
            end_of(
                session, text, now, "default_ttl", timezone=draft.timezone, names=draft.calendars
            )
            for text in (draft.default_ttl, draft.max_ttl)
        )
        if usual > most:
            raise invalid(
                "default_ttl",
                f"New endpoints would live for {draft.default_ttl}, longer than max_ttl allows.",
                remedy=f"Give at most {draft.max_ttl}.",
            )
    warnings_of(draft.warn_before, "warn_before")
    grace_of(draft.delete_grace, "delete_grace")


def _check_relative(text: str, field: str) -> None:
    found = parse_ttl(text)
    if found.day is not None or found.instant is not None:
        raise invalid(
            field,
            "A policy says how long, not until which day.",
            remedy="Write 14d, 2w, or 10wd for working days.",
        )
