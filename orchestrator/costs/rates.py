"""Rates: what an hour of a replica or of a unit costs, since when, and who said so.

A new price takes effect when it was read. Between the last reading and this one either price may
have been in force, so the bounds of what ran then are widened to hold for both; the likely figure
keeps the old one. What ran before a hardware's first known price stays unpriced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from sqlmodel import Session

from orchestrator.costs.stretch import (
    SECOND,
    Evidence,
    burn_of,
    cut,
    next_second,
    repriced,
    settled,
    whole_second,
)
from orchestrator.domain.endpoints import HardwareOffer
from orchestrator.domain.money import amount_for
from orchestrator.store import ledger
from orchestrator.store.ledger import Price, Revision, Stretch
from orchestrator.store.tables import Endpoint, Offer


@dataclass(frozen=True, slots=True)
class ReplicaRate:
    """What an hour of one replica costs with all that is billed beside it, in nano-dollars.

    None where the hardware has no known price; `unpriced` are components left out for want of one.
    """

    nano: int | None
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RateChange:
    """A price that is new or changed, in nano-dollars per replica-hour; `before` None: unknown.

    `endpoints` counts those whose intervals were split or widened for it.
    """

    account_id: str
    hardware_key: str
    before: int | None
    after: int
    at: datetime
    endpoints: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceNews:
    """A new price of one hardware: the old one was last read at `since`, this one at `until`."""

    hardware_key: str
    price: Price
    since: datetime
    until: datetime
    granularity_s: int = 60


def record_offers(
    session: Session,
    account_id: str,
    offers: Sequence[HardwareOffer],
    at: datetime,
    source: str,
    *,
    asked_at: datetime | None = None,
    granularity_s: int = 60,
) -> list[RateChange]:
    """Store a price list that was answered at `at`; return the prices that are new or changed.

    An offer without a price, or missing from the list, leaves its last known rate in effect; so
    does a price of another source where the cloud's own list has told one.
    `asked_at` is when the list was asked for, where the caller knows.
    """
    session.flush()
    known = ledger.newest_prices(session, account_id)
    listed = ledger.offers(session, account_id)
    read_at = at if asked_at is None else asked_at
    unique = {each.hardware.key: each for each in offers}
    rows = [_row(account_id, each, read_at, listed.get(key)) for key, each in unique.items()]
    changes = []
    for key, offer in unique.items():
        old = known.get(key)
        if _stands(listed.get(key), offer):
            continue
        if offer.nano_per_hour is None or (old and old.nano_per_hour == offer.nano_per_hour):
            continue
        new = _new_rate(
            session,
            account_id,
            key,
            old,
            nano=offer.nano_per_hour,
            at=at,
            source=offer.source or source,
        )
        news = PriceNews(
            hardware_key=key,
            price=new,
            since=whole_second(listed[key].read_at) if old and key in listed else next_second(at),
            until=next_second(at),
            granularity_s=granularity_s,
        )
        count = _reprice(session, account_id, news)
        before = None if old is None else old.nano_per_hour
        changes.append(RateChange(account_id, key, before, new.nano_per_hour, at, count))
    ledger.save_offers(session, rows)
    return changes


def _stands(listed: Offer | None, offer: HardwareOffer) -> bool:
    """Tell whether a price of the cloud's own list stays: the offer's is only a stand-in for it."""
    return bool(offer.source and listed and not listed.source and listed.nano_per_hour is not None)


def replica_rate(endpoint: Endpoint, price_of: Callable[[str], int | None]) -> ReplicaRate:
    """Return the rate of one replica of an endpoint; `price_of` a hardware key in nano-dollars."""
    nano = price_of(endpoint.hardware_key)
    if nano is None:
        return ReplicaRate(None)
    unpriced = []
    for extra in endpoint.extras:
        price = price_of(extra["key"])
        if price is None:
            unpriced.append(str(extra["component"]))
        else:
            nano += price * int(extra["units"])
    return ReplicaRate(nano, tuple(unpriced))


def rate_at(
    session: Session, account_id: str, hardware_key: str, instant: datetime
) -> Price | None:
    """Return the rate in effect at `instant`, or None where none was known then."""
    return ledger.price_at(session, account_id, hardware_key, instant)


def _new_rate(
    session: Session,
    account_id: str,
    key: str,
    old: Price | None,
    *,
    nano: int,
    at: datetime,
    source: str,
) -> Price:
    """A rate never takes effect before the one it follows, even where the clock was set back."""
    effective = next_second(at)
    if old is not None:
        effective = max(effective, old.effective_at + SECOND)
    return ledger.add_rate(
        session,
        account_id=account_id,
        hardware_key=key,
        nano=nano,
        at=effective,
        source=source,
    )


def _row(account_id: str, offer: HardwareOffer, read_at: datetime, listed: Offer | None) -> Offer:
    row = _as_told(account_id, offer, read_at)
    if listed is not None and _stands(listed, offer):
        row.nano_per_hour, row.status = listed.nano_per_hour, listed.status
        row.source, row.read_at = listed.source, listed.read_at
    if listed is not None and not offer.quota_told:
        row.quota_max, row.quota_used = listed.quota_max, listed.quota_used
    return row


def _as_told(account_id: str, offer: HardwareOffer, read_at: datetime) -> Offer:
    return Offer(
        account_id=account_id,
        hardware_key=offer.hardware.key,
        accelerator=offer.hardware.accelerator,
        accelerators=offer.accelerators,
        memory_gb=offer.memory_gb,
        accelerator_memory_gb=offer.accelerator_memory_gb,
        architecture=offer.architecture,
        status=offer.status,
        nano_per_hour=offer.nano_per_hour,
        quota_max=offer.quota_max,
        quota_used=offer.quota_used,
        quota_each=offer.quota_each,
        source=offer.source,
        component=offer.component,
        read_at=read_at,
    )


def _reprice(session: Session, account_id: str, news: PriceNews) -> int:
    found = set(ledger.streams_on(session, account_id, news.hardware_key, news.since))
    ids, components = {each[0] for each in found}, {each[1] for each in found}
    revisions = [
        Revision(endpoint_id, tail, reprice(tail, news), component)
        for endpoint_id, streams in ledger.tails(session, ids, news.since, components).items()
        for component, tail in streams.items()
        if (endpoint_id, component) in found
    ]
    ledger.save(session, account_id, revisions)
    return len(ids)


def reprice(tail: Sequence[Stretch], news: PriceNews) -> list[Stretch]:
    """Return a tail of the ledger after news of a price; pure.

    Stretches between two looks are widened on any hardware, because the endpoint may have run on
    this one in them.
    """
    out: list[Stretch] = []
    touched: list[Stretch] = []
    for each in tail:
        if each.hardware_key != news.hardware_key and each.evidence == Evidence.OBSERVED:
            out.append(each)
            continue
        end = max(news.until, each.started_at)
        before, within = cut([each], min(news.since, end), end)
        touched += within
        out += [*before, *within]
        if each.ended_at is None:
            out.append(_successor(each, news, end))
    return settled(_dearer(out, touched, news))


def _dearer(tail: Sequence[Stretch], touched: Sequence[Stretch], news: PriceNews) -> list[Stretch]:
    """Widen what the price touched; a run that ended in it was rounded at either price."""
    nano = news.price.nano_per_hour
    out = []
    for each, following in zip_longest(tail, tail[1:]):
        if each not in touched:
            out.append(each)
            continue
        goes_on = following.replicas_low if following in touched else 0
        ended = max(0, each.replicas_high - goes_on)
        known = nano if each.nano_per_hour is None else each.nano_per_hour
        more = max(0, nano - known)
        rounding = each.rounding_nano + amount_for(ended * more, news.granularity_s)
        out.append(replace(repriced(each, nano), rounding_nano=rounding))
    return out


def _successor(old: Stretch, news: PriceNews, at: datetime) -> Stretch:
    nano = news.price.nano_per_hour
    first = old.replicas_high * nano if old.nano_per_hour is None else 0
    return replace(
        old,
        id=None,
        started_at=at,
        rate_id=news.price.rate_id,
        nano_per_hour=nano,
        burn_low=burn_of(old.replicas_low, nano),
        burn=burn_of(old.replicas, nano),
        burn_high=burn_of(old.replicas_high, nano),
        rounding_nano=amount_for(first, news.granularity_s),
    )
