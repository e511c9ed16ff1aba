"""Expiry of endpoints: set, extended within what policies allow, and taken off again.

Changing it never stops or deletes anything at once: people are warned first, then it is paused
(`domain.decide`), and deleted after a grace where that was asked for (`engine.expiries`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.expiry import LONGEST, Expiry
from orchestrator.domain.plan import NO_LEAVE, Kind
from orchestrator.domain.status import Status
from orchestrator.providers.registry import CLOUDS
from orchestrator.services import calendars, clicks, deletion, expiry_policies
from orchestrator.services.errors import ServiceError, conflict, invalid
from orchestrator.services.lengths import brief
from orchestrator.services.requests import Asked, check_managed
from orchestrator.services.rulebook import means_of
from orchestrator.store import accounts, events
from orchestrator.store import expiry as rows
from orchestrator.store.tables import Account, Endpoint, ExpiryPolicy, Json, Label, Operation

RULE = "expired"
_ASLEEP = (Status.PAUSED, Status.PAUSING)
DEFAULT_WARNINGS = ("3d", "1d", "1h")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for: when, as a text, read in a zone and with calendars of days off.

    None of these two: an extension takes over what the expiry was set with, else UTC and none.
    `delete_grace` is after how long paused it is deleted: `none` for never, None as before, or as
    the policies say.
    """

    expires: str
    timezone: str | None = None
    calendars: tuple[str, ...] | None = None
    delete_grace: str | None = None


@dataclass(frozen=True, slots=True)
class Extended:
    """An endpoint whose expiry was changed, and what brings it back, where that is needed."""

    endpoint: Endpoint
    before: datetime | None
    operation: Operation | None


def set_expiry(
    session: Session,
    endpoint: Endpoint,
    wanted: Wanted,
    asked: Asked,
) -> Extended:
    """Say when an endpoint expires; later than before counts as an extension of it.

    Raises ServiceError: 422 for what cannot be read or lies in the past; 409 with a remedy beyond
    a policy, and where it could not be paused then.
    """
    check_managed(session, endpoint)
    _refuse_deleting(session, endpoint)
    if endpoint.status not in _ASLEEP and not endpoint.protected:
        clicks.check_means(endpoint, Kind.PAUSE)  # an end that could not come is no promise
    held = rows.read(endpoint)
    at = _end(session, wanted, asked.now, asked.now, "expires")
    policies = expiry_policies.covering(session, endpoint)
    count = rows.extensions(endpoint)
    _check_ttl(session, policies, at, asked.now)
    if held is not None and at > held.at:
        _check_extension(session, policies, held, count=count, at=at, now=asked.now)
        count += 1
    grace = _grace(wanted, held, policies)
    made = Expiry(at, asked.now, asked.actor, asked.why, _warnings(policies), grace=grace)
    made = replace(made, timezone=wanted.timezone or "UTC", calendars=wanted.calendars or ())
    _write(session, endpoint, made, count)
    told = f"{endpoint.name} expires at {_at(at)}, as {asked.actor} set it: {asked.why}"
    _record(session, endpoint, asked, "endpoint.expiry_set", told + _then(grace))
    back = _come_back(session, endpoint, asked, held) if held is not None else None
    return Extended(endpoint, None if held is None else held.at, back)


def extend(session: Session, endpoint: Endpoint, wanted: Wanted, asked: Asked) -> Extended:
    """Put the expiry of an endpoint off; a length counts from its end, or from now if that is over.

    Zone and calendars are those it was set with unless others are named; calendars that are gone
    are left out, and told. What has expired comes back as it was wished for. Raises ServiceError:
    422 for what cannot be read or is no later, 409 where it never expires, or beyond a policy.
    """
    check_managed(session, endpoint)
    _refuse_deleting(session, endpoint)
    held = rows.read(endpoint)
    if held is None:
        raise conflict(
            "never_expires",
            f"{endpoint.name} does not expire.",
            remedy=f"Set when it does: PUT /v1/endpoints/{endpoint.id}/expiry.",
        )
    gone: tuple[str, ...] = ()
    if wanted.calendars is None:
        known = calendars.existing(session, held.calendars)
        gone = tuple(name for name in held.calendars if name not in known)
        wanted = replace(wanted, calendars=known)
    wanted = replace(wanted, timezone=wanted.timezone or held.timezone)
    at = _end(session, wanted, max(held.at, asked.now), asked.now, "for")
    if at <= held.at:
        raise invalid(
            "for",
            f"{endpoint.name} expires at {_at(held.at)}, which is no earlier.",
            remedy="Give a later end, or set an earlier one: PUT /v1/endpoints/{id}/expiry.",
        )
    policies = expiry_policies.covering(session, endpoint)
    count = rows.extensions(endpoint)
    _check_ttl(session, policies, at, asked.now)
    _check_extension(session, policies, held, count=count, at=at, now=asked.now)
    grace = held.grace if wanted.delete_grace is None else _grace(wanted, held, policies)
    made = replace(
        held,
        at=at,
        set_at=asked.now,
        actor=asked.actor,
        reason=asked.reason or held.reason,
        first_warned_at=None,
        warned_at=None,
        grace=grace,
        expired_at=None,
        timezone=wanted.timezone or "UTC",
        calendars=wanted.calendars or (),
    )
    _write(session, endpoint, made, count + 1)
    told = f"{asked.actor} extended {endpoint.name} from {_at(held.at)} to {_at(at)}: {asked.why}"
    told += f"; without the calendar {' and '.join(gone)}, which is gone" if gone else ""
    _record(session, endpoint, asked, "endpoint.expiry_extended", told)
    return Extended(endpoint, held.at, _come_back(session, endpoint, asked, held))


def clear(session: Session, endpoint: Endpoint, asked: Asked) -> Extended:
    """Let an endpoint never expire. Raises ServiceError 409 where a policy wants that it does."""
    check_managed(session, endpoint)
    _refuse_deleting(session, endpoint)
    held = rows.read(endpoint)
    if held is None:
        raise conflict("never_expires", f"{endpoint.name} does not expire.")
    for policy in expiry_policies.limiting(session, endpoint):
        raise conflict(
            "expiry_limited",
            f"The expiry policy {policy.name} wants that {endpoint.name} expires.",
            remedy=f"Extend it: POST /v1/endpoints/{endpoint.id}/extend, or have the policy "
            "changed.",
        )
    rows.clear(endpoint)
    session.add(endpoint)
    told = f"{asked.actor} took the expiry of {endpoint.name} off: {asked.why}"
    _record(session, endpoint, asked, "endpoint.expiry_cleared", told)
    return Extended(endpoint, held.at, _come_back(session, endpoint, asked, held))


def at_creation(
    session: Session,
    account_id: str,
    labels: Mapping[str, str],
    wanted: Wanted | None,
    asked: Asked,
) -> Json:
    """Return what a create has to remember of the expiry that is asked for with it.

    Raises ServiceError: 422 for what cannot be read, 409 beyond a policy.
    """
    if wanted is None:
        return {}
    at = _end(session, wanted, asked.now, asked.now, "expires")
    unborn = Endpoint(id="", account_id=account_id, name="", status="")
    borne = [Label(endpoint_id="", key=key, value=value) for key, value in labels.items()]
    policies = expiry_policies.covering(session, unborn, borne)
    _check_ttl(session, policies, at, asked.now)
    grace = _grace(wanted, None, policies)
    seconds = None if grace is None else int(grace.total_seconds())
    zone, named = wanted.timezone or "UTC", list(wanted.calendars or ())
    return {"expires_at": at.isoformat(), "grace_s": seconds, "timezone": zone, "calendars": named}


def warnings_at_creation(account: Account, name: str, lives: Json) -> tuple[str, ...]:
    """Return what stands against the expiry that is asked for with a create."""
    cloud = CLOUDS.get(account.provider)
    if not lives or cloud is None or not cloud.asks_leave:
        return ()
    return (f"it expires, and cannot be paused then as it is: {NO_LEAVE}; {_allow(name)}",)


def obstacle(endpoint: Endpoint) -> str:
    """Return what stands against pausing it when it expires, with the remedy; empty if nothing."""
    barrier = means_of(endpoint).barrier(Kind.PAUSE)
    if not barrier or endpoint.status in _ASLEEP:
        return ""
    remedy = f"; {_allow(endpoint.name)}" if barrier == NO_LEAVE else ""
    return f"as it is, it cannot be paused then: {barrier}{remedy}"


def _allow(name: str) -> str:
    return f"allow it: `orchestrator endpoints allow-recreate {name}`"


def give_at_birth(session: Session, endpoint: Endpoint, order: Json, asked: Asked) -> None:
    """Let a new endpoint of ours expire as its create asked, else as the policies over it say."""
    policies = expiry_policies.covering(session, endpoint)
    if order:
        at = datetime.fromisoformat(order["expires_at"])
        seconds = order["grace_s"]
        grace = None if seconds is None else timedelta(seconds=seconds)
        zone, named = order.get("timezone", "UTC"), order.get("calendars", ())
    else:
        named = [policy for policy in policies if policy.default_ttl or policy.max_ttl]
        try:
            ends = [(_default_end(session, policy, asked.now), policy) for policy in named]
        except ServiceError as error:
            told = f"{endpoint.name} got no expiry by policy: {error.detail}"
            _record(session, endpoint, asked, "endpoint.expiry_refused", told)
            return
        if not ends:
            return
        at, policy = min(ends, key=lambda pair: pair[0])
        grace = expiry_policies.grace_of(policy.delete_grace, "delete_grace")
        zone, named = policy.timezone, policy.calendars
        asked = replace(asked, actor=f"policy {policy.name}", reason="its time to live is over")
    # What was late to come into being lives for a little at least.
    at = max(at, asked.now + timedelta(minutes=1))
    made = Expiry(at, asked.now, asked.actor, asked.why, _warnings(policies), grace=grace)
    _write(session, endpoint, replace(made, timezone=zone, calendars=tuple(named)), 0)
    told = f"{endpoint.name} expires at {_at(at)}, as {asked.actor} set it: {asked.why}"
    told += f"; {against}" if (against := obstacle(endpoint)) else _then(grace)
    _record(session, endpoint, asked, "endpoint.expiry_set", told)


def _end(session: Session, wanted: Wanted, start: datetime, now: datetime, field: str) -> datetime:
    zone, names = wanted.timezone or "UTC", wanted.calendars or ()
    calendars.check_names(session, names)
    at = expiry_policies.end_of(session, wanted.expires, start, field, timezone=zone, names=names)
    if at <= now:
        raise invalid(field, "That lies in the past.", remedy="Give a later end; pause it for now.")
    if at > now + LONGEST:
        raise invalid(field, f"That lies more than {LONGEST.days} days ahead.")
    return at


def _default_end(session: Session, policy: ExpiryPolicy, now: datetime) -> datetime:
    text = policy.default_ttl or policy.max_ttl
    return expiry_policies.end_of(
        session, text, now, "default_ttl", timezone=policy.timezone, names=policy.calendars
    )


def _check_ttl(
    session: Session, policies: Sequence[ExpiryPolicy], at: datetime, now: datetime
) -> None:
    for policy in policies:
        if policy.max_ttl:
            _check_latest(session, policy, "max_ttl", now, at)


def _check_extension(
    session: Session,
    policies: Sequence[ExpiryPolicy],
    held: Expiry,
    *,
    count: int,
    at: datetime,
    now: datetime,
) -> None:
    for policy in policies:
        if policy.max_extensions is not None and count >= policy.max_extensions:
            raise conflict(
                "expiry_limited",
                f"{count} extensions is as many as the expiry policy {policy.name} allows.",
                remedy="Ask who answers for that policy to change it, or create the endpoint anew.",
            )
        if policy.max_extension:
            _check_latest(session, policy, "max_extension", max(held.at, now), at)


def _check_latest(
    session: Session, policy: ExpiryPolicy, limit: str, start: datetime, at: datetime
) -> None:
    text = getattr(policy, limit)
    latest = expiry_policies.end_of(
        session, text, start, limit, timezone=policy.timezone, names=policy.calendars
    )
    if at > latest:
        what = "one extension may be" if limit == "max_extension" else "an endpoint may live"
        raise conflict(
            "expiry_limited",
            f"That is longer than {what} by the expiry policy {policy.name}: {text}.",
            remedy=f"Give an end no later than {_at(latest)}.",
        )


def _grace(
    wanted: Wanted, held: Expiry | None, policies: Sequence[ExpiryPolicy]
) -> timedelta | None:
    if wanted.delete_grace is not None:
        return expiry_policies.grace_of(wanted.delete_grace, "delete_grace")
    if held is not None:
        return held.grace
    graces = [expiry_policies.grace_of(one.delete_grace, "delete_grace") for one in policies]
    return max((grace for grace in graces if grace is not None), default=None)


def _warnings(policies: Sequence[ExpiryPolicy]) -> tuple[timedelta, ...]:
    asked = [text for policy in policies for text in policy.warn_before]
    return expiry_policies.warnings_of(asked or DEFAULT_WARNINGS, "warn_before")


def _refuse_deleting(session: Session, endpoint: Endpoint) -> None:
    """A deletion that a person asked for is not touched; one by expiry is called off instead."""
    by_expiry = endpoint.delete_after is not None and endpoint.tombstone.get("rule") == RULE
    if (endpoint.delete_after is not None and not by_expiry) or endpoint.wish == "deleted":
        raise clicks.deleting(session, endpoint)


def _come_back(
    session: Session, endpoint: Endpoint, asked: Asked, held: Expiry
) -> Operation | None:
    """Bring back at once what had expired, also from its grace; None where it never left."""
    if endpoint.delete_after is not None:
        kept = endpoint.expiry
        operation = deletion.undelete(session, endpoint, asked).operation
        endpoint.expiry = kept
        session.add(endpoint)
        return operation
    if held.at > asked.now:
        return None
    endpoint.not_before = None
    session.add(endpoint)
    session.flush()
    account = accounts.by_ids(session, [endpoint.account_id])[endpoint.account_id]
    return deletion.begin_return(session, account, endpoint, asked)


def _write(session: Session, endpoint: Endpoint, made: Expiry, count: int) -> None:
    rows.write(endpoint, made, extensions=count)
    session.add(endpoint)
    session.flush()


def _then(grace: timedelta | None) -> str:
    if grace is None:
        return "; it is paused then"
    return f"; it is paused then, and deleted {brief(grace)} after that"


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _record(session: Session, endpoint: Endpoint, asked: Asked, kind: str, message: str) -> None:
    at = endpoint.expires_at
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=message,
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={"expires_at": None if at is None else at.isoformat()},
    )
