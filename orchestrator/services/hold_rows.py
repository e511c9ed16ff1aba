"""Holds and leases as rows: begun, ended, and written down with their cost and their event."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.costs.rates import replica_rate
from orchestrator.domain.asked import HoldFact
from orchestrator.domain.money import amount_for
from orchestrator.domain.status import Wish
from orchestrator.services.errors import ServiceError, conflict, invalid
from orchestrator.services.requests import Asked
from orchestrator.services.starting import kept_startups
from orchestrator.store import events, holds, ledger
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint, Hold

LONGEST_HOLD = timedelta(days=30)
SHORTEST_HOLD = timedelta(minutes=1)
TOO_SHORT = "A hold lasts a minute at least."
CLICK = "click"
PERSON = "hold"
LEASE = holds.LEASE


def is_persons(hold: Hold) -> bool:
    """Tell whether a person made it, and not a program or a cron point."""
    return hold.source in (CLICK, PERSON)


def check_end(until: datetime | None, now: datetime, longest: timedelta = LONGEST_HOLD) -> None:
    """Refuse an end that is past, too soon or too far ahead. Raises ServiceError 422."""
    if until is None:
        return
    if until <= now:
        raise invalid("until", "The end lies in the past.", remedy="Give a later instant.")
    if until - now < SHORTEST_HOLD:
        raise invalid(
            "until",
            TOO_SHORT,
            remedy="Give a later end, such as 1h from now.",
        )
    if until - now > longest:
        raise invalid(
            "until",
            f"A hold may last {_length(longest)} at most.",
            remedy="Give an earlier end, or change the schedule.",
        )


def _length(longest: timedelta) -> str:
    days, rest = divmod(longest, timedelta(days=1))
    return f"{days} days" if not rest else f"{longest.total_seconds() / 3600:g} hours"


def start(
    session: Session, endpoint: Endpoint, fact: HoldFact, asked: Asked, source: str = CLICK
) -> Hold:
    """Write down a hold or a lease with its cost, and its event."""
    hold = Hold(
        id=new_id("lse" if source == LEASE else "hld", asked.now),
        endpoint_id=endpoint.id,
        wish=fact.wish,
        starts_at=asked.now,
        until=fact.until,
        actor=asked.actor,
        source=source,
        reason=asked.why,
        cost_nano=cost(session, endpoint, fact.wish, asked.now, fact.until),
    )
    session.add(hold)
    verb = "leases" if source == LEASE else "holds"
    record(
        session,
        endpoint,
        hold,
        asked,
        kind="lease.acquired" if source == LEASE else "hold.started",
        message=f"{asked.actor} {verb} {endpoint.name} {fact.wish} until "
        f"{fact.until:%Y-%m-%d %H:%M} UTC: {asked.why}",
    )
    return hold


def cost(
    session: Session, endpoint: Endpoint, wish: Wish, begin: datetime, end: datetime
) -> int | None:
    """Return nano-dollars for keeping it so: rate x replicas x time.

    What is asleep is billed from its start on, so for as long as it usually takes to start at
    least. None where the price of its hardware, or of what is billed beside it, is not known.
    """
    if wish is Wish.PAUSED:
        return 0

    def price_of(key: str) -> int | None:
        price = ledger.price_at(session, endpoint.account_id, key, begin)
        return None if price is None else price.nano_per_hour

    rate = replica_rate(endpoint, price_of)
    if rate.nano is None or rate.unpriced:
        return None
    replicas = max(endpoint.min_replicas or 0, 1)
    billed_to = end if endpoint.billed_high else max(end, _served_at(session, endpoint, begin))
    return amount_for(rate.nano * replicas, int((billed_to - begin).total_seconds()))


def _served_at(session: Session, endpoint: Endpoint, begin: datetime) -> datetime:
    account = session.get_one(Account, endpoint.account_id)
    usual = kept_startups(session, account, begin)
    return begin + usual.of(endpoint.id, endpoint.hardware_key, begin).time


def end_all(session: Session, endpoint: Endpoint, asked: Asked, *, leases: bool) -> list[str]:
    """End the holds of an endpoint, and its leases where asked for; returns their ids."""
    active = holds.active_of(session, [endpoint.id], asked.now).get(endpoint.id, [])
    gone = [hold for hold in active if leases or hold.source != LEASE]
    for hold in gone:
        end(session, endpoint, hold, actor=asked.actor, now=asked.now)
    return [hold.id for hold in gone]


def end(session: Session, endpoint: Endpoint, hold: Hold, *, actor: str, now: datetime) -> None:
    """End a hold or a lease before its time, with its event."""
    hold.ended_at, hold.ended_by = now, actor
    session.add(hold)
    kind, message = "hold.ended", f"{actor} ended the hold of {endpoint.name} ({hold.wish})"
    if hold.source == LEASE and actor == hold.actor:
        kind, message = "lease.released", f"{actor} released its lease on {endpoint.name}"
    elif hold.source == LEASE:
        kind, message = "lease.revoked", f"{actor} ended {hold.actor}'s lease on {endpoint.name}"
    message += times_renewed(hold)
    record(session, endpoint, hold, Asked(actor, now), kind=kind, message=message)


def times_renewed(hold: Hold) -> str:
    """Return how often a lease was renewed, as the end of a sentence."""
    times = f"{hold.renewals} time{'' if hold.renewals == 1 else 's'}"
    return f"; it was renewed {times}" if hold.renewals else ""


def record(
    session: Session, endpoint: Endpoint, hold: Hold, asked: Asked, *, kind: str, message: str
) -> None:
    """Record an event about a hold or a lease."""
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=message,
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data={
            hold.source if hold.source == LEASE else "hold": hold.id,
            "wish": hold.wish,
            "until": hold.until.isoformat(),
            "cost_nano": hold.cost_nano,
        }
        | ({"renewals": hold.renewals} if hold.source == LEASE else {}),
    )


def held_by_person(endpoint: Endpoint, hold: Hold, wanted: str) -> ServiceError:
    """Return the refusal of what another person's hold stands against: who, why, until when."""
    return conflict(
        "held_by_person",
        f"{hold.actor} holds {endpoint.name} {hold.wish} until "
        f"{hold.until:%Y-%m-%d %H:%M} UTC: {hold.reason}. So it cannot be {wanted}.",
        remedy=f"Wait until then, ask {hold.actor}, or end that hold: DELETE /v1/holds/{hold.id}, "
        f"or `orchestrator holds end {hold.id}`.",
    )
