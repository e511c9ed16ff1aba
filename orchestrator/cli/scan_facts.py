"""What a scan found: endpoints with their money, places, and the whole; values without I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orchestrator.cli.scan_sources import Absent, Place, Source
from orchestrator.costs.scan import IdleTail, ScanFacts, idle_saving, most_this_month
from orchestrator.domain.endpoints import HardwareOffer, Snapshot, Stop, Usage
from orchestrator.providers.base import ProviderError

FORGOTTEN_AFTER = timedelta(hours=24)
_FAR_PAST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rate:
    """What an hour of one replica costs in nano-dollars, None where its hardware has no price.

    `nano` holds what is billed beside the replica too, as far as it has a price; `unpriced` are
    the components that have none. `sources` tell where prices are from that are not of now.
    """

    compute: int | None
    nano: int | None
    unpriced: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prices:
    """The price list of a place by key, or why it is not known."""

    offers: Mapping[str, HardwareOffer] = field(default_factory=dict)
    problem: str = ""

    def rate(self, snapshot: Snapshot) -> Rate:
        """Return the price of one replica of an endpoint."""
        compute = self._nano(snapshot.hardware.key)
        nano, unpriced, keys = compute, [], [snapshot.hardware.key]
        for extra in snapshot.extras:
            price = self._nano(extra.hardware_key)
            keys.append(extra.hardware_key)
            if price is None:
                unpriced.append(extra.component)
            elif nano is not None:
                nano += price * extra.units
        offers = [self.offers[key] for key in keys if key in self.offers]
        sources = dict.fromkeys(each.source for each in offers if each.source)
        return Rate(compute, nano, tuple(dict.fromkeys(unpriced)), tuple(sources))

    def _nano(self, key: str) -> int | None:
        return self.offers[key].nano_per_hour if key in self.offers else None


@dataclass(frozen=True, slots=True)
class Counted:
    """Requests of the last day by endpoint, as far as they were counted.

    `nano_each` is what one count costs at this cloud: where it is nothing, listings tell the last
    use. `readings` counts were asked for.
    """

    usage: Mapping[str, Usage | None] = field(default_factory=dict)
    nano_each: int = 0
    readings: int = 0
    problem: str = ""

    def last_used(self, snapshot: Snapshot) -> datetime | None:
        """Return the last request that is known of."""
        usage = self.usage.get(snapshot.name)
        counted = usage.last_request_at if usage is not None else None
        return max(filter(None, (snapshot.last_used_at, counted)), default=None)

    def unused_since(self, snapshot: Snapshot) -> datetime | None:
        """Return since when certainly no request was counted; None where that is not known."""
        usage = self.usage.get(snapshot.name)
        if usage is None or usage.requests or usage.in_flight:
            return None
        whole = usage.covered_seconds >= int((usage.end - usage.start).total_seconds())
        return usage.start if whole else None


@dataclass(frozen=True, slots=True)
class Found:
    """One endpoint; money in nano-dollars, None where it is not known."""

    place: Place
    snapshot: Snapshot
    rate: Rate
    burn: int | None
    most: int | None
    tail: IdleTail | None
    forgotten: bool
    unknown: tuple[str, ...]
    last_used_at: datetime | None = None
    unused_since: datetime | None = None

    @property
    def full_name(self) -> str:
        """Return its place and name."""
        return f"{self.place.label}/{self.snapshot.name}"


@dataclass(frozen=True, slots=True)
class PlaceScan:
    """One place; `error` is set when nothing of it could be read, `calls` counts its calls."""

    place: Place
    found: tuple[Found, ...] = ()
    complete: bool = True
    problem: str = ""
    rates_problem: str = ""
    counted: Counted = field(default_factory=Counted)
    calls: int = 0
    error: ProviderError | None = None

    @property
    def title(self) -> str:
        """Return how people tell it from others."""
        return self.place.label or self.place.source.cloud.title


@dataclass(frozen=True, slots=True)
class Scan:
    """All places at one instant.

    `missing` are kinds of clouds that a person asked for without credentials, `skipped` those
    that nobody asked for.
    """

    at: datetime
    month_start: datetime
    places: tuple[PlaceScan, ...]
    sources: tuple[Source, ...] = ()
    missing: tuple[Absent, ...] = ()
    skipped: tuple[Absent, ...] = ()

    @property
    def found(self) -> list[Found]:
        """Return all endpoints: forgotten-looking first, then by what they cost now."""
        return sorted((each for place in self.places for each in place.found), key=_order)

    @property
    def calls(self) -> int:
        """Return how many calls all of this took."""
        asking = sum(each.calls for each in self.sources)
        return asking + sum(each.calls for each in self.places)


def found(
    place: Place, snapshot: Snapshot, prices: Prices, counted: Counted, now: datetime
) -> Found:
    """Return what one look says of an endpoint."""
    month_start = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    rate = prices.rate(snapshot)
    used, unused = counted.last_used(snapshot), counted.unused_since(snapshot)
    facts = ScanFacts(
        status=snapshot.status,
        billed_high=snapshot.billed.high,
        max_replicas=snapshot.scaling.max_replicas if snapshot.scaling else None,
        nano_per_hour=rate.nano,
        created_at=snapshot.created_at,
        updated_at=snapshot.updated_at,
        last_used_at=used or unused,
    )
    stoppable = snapshot.stop is not Stop.NONE
    return Found(
        place=place,
        snapshot=snapshot,
        rate=rate,
        burn=_burn(snapshot, rate),
        most=most_this_month(facts, month_start=month_start, now=now),
        tail=idle_saving(facts, month_start=month_start, now=now) if stoppable else None,
        forgotten=_forgotten(snapshot, used or unused, counted, now),
        unknown=tuple(_unknown(snapshot, rate, used or unused)),
        last_used_at=used,
        unused_since=unused,
    )


def _burn(snapshot: Snapshot, rate: Rate) -> int | None:
    if snapshot.billed.high == 0:
        return 0
    return None if rate.nano is None else snapshot.billed.expected * rate.nano


def _forgotten(snapshot: Snapshot, used: datetime | None, counted: Counted, now: datetime) -> bool:
    """Tell whether it is billed, and nobody has used, made or changed it for a day.

    Where listings never tell the last use, silence says nothing.
    """
    if used is None and counted.nano_each:
        return False
    touched = (used, snapshot.created_at, snapshot.updated_at)
    latest = max((moment for moment in touched if moment is not None), default=None)
    return snapshot.billed.expected > 0 and latest is not None and now - latest >= FORGOTTEN_AFTER


def _unknown(snapshot: Snapshot, rate: Rate, used: datetime | None) -> Iterator[str]:
    if rate.nano is None:
        yield "price"
    yield from (f"price of {component}" for component in rate.unpriced)
    if used is None:
        yield "last use"
    if snapshot.scaling is None:
        yield "replicas"


def _order(each: Found) -> tuple[bool, int, int, datetime, str]:
    saved = each.tail.nano_at_most if each.tail else 0
    used = each.last_used_at or each.unused_since or _FAR_PAST
    # An endpoint without a price may be the dearest, so it comes before the asleep ones.
    burn = each.burn if each.burn is not None else 1
    return not each.forgotten, -saved, -burn, used, each.full_name
