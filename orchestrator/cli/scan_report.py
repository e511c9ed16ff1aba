"""What a scan found, in order of how forgotten it looks, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.cli import formats
from orchestrator.cli.output import Column, status_style
from orchestrator.cli.session import Session
from orchestrator.costs.scan import AUTO_PAUSE, IdleTail, ScanFacts, idle_saving, most_this_month
from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.money import to_dollars
from orchestrator.providers.base import ProviderError

FORGOTTEN_AFTER = timedelta(hours=24)
_UPPER_BOUND = (
    "'month, most' is an upper bound since {since} UTC: as if all replicas had run all the "
    "time since then, or since creation. One look cannot see when an endpoint slept, or what it "
    "ran on before; `orchestrator serve` meters from now on."
)
_SAVINGS = (
    "'pause saves' is the most that a pause after {minutes} minutes without use would have saved "
    "this month. It counts only the time since the last request or change: earlier idle stretches "
    "are not visible."
)
_NEVER_USED = (
    "last use is not told for {count}: the cloud is silent, or there was none; nothing is counted "
    "as saved there."
)
_NO_PRICE = "{count} unpriced: the hardware is not in the price list; missing from the totals."
_NO_BOUND = "{count} without known most replicas; missing from 'month, most'."
_FAR_PAST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """One endpoint; money in nano-dollars, None where it is not known."""

    namespace: str
    snapshot: Snapshot
    rate: int | None
    burn: int | None
    most: int | None
    tail: IdleTail | None
    forgotten: bool
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamespaceScan:
    """One namespace; `error` is set when nothing of it could be read."""

    namespace: str
    found: tuple[Found, ...]
    complete: bool
    problem: str
    rates_problem: str
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """All namespaces at one instant."""

    at: datetime
    month_start: datetime
    namespaces: tuple[NamespaceScan, ...]

    @property
    def found(self) -> list[Found]:
        """Return all endpoints: forgotten-looking first, then by what they cost now."""
        return sorted(
            (each for namespace in self.namespaces for each in namespace.found), key=_order
        )


def found(namespace: str, snapshot: Snapshot, rate: int | None, now: datetime) -> Found:
    """Return what one look says of an endpoint at a price per replica-hour in nano-dollars."""
    month_start = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    facts = ScanFacts(
        status=snapshot.status,
        billed_high=snapshot.billed.high,
        max_replicas=snapshot.scaling.max_replicas if snapshot.scaling else None,
        nano_per_hour=rate,
        created_at=snapshot.created_at,
        updated_at=snapshot.updated_at,
        last_used_at=snapshot.last_used_at,
    )
    return Found(
        namespace=namespace,
        snapshot=snapshot,
        rate=rate,
        burn=_burn(snapshot, rate),
        most=most_this_month(facts, month_start=month_start, now=now),
        tail=idle_saving(facts, month_start=month_start, now=now),
        forgotten=_forgotten(snapshot, now),
        unknown=tuple(_unknown(snapshot, rate)),
    )


def show(run: Session, scan: Scan) -> None:
    """Print a scan."""
    everything = scan.found
    run.out.items(
        as_json(scan),
        _columns(scan.at),
        rows=[
            {"each": each, "id": _full_name(each), "status": each.snapshot.status}
            for each in everything
        ],
        empty="no endpoints",
    )
    if run.out.form == "table" and not run.quiet and everything:
        run.out.lines(["", *_totals(everything)])
    if run.out.form == "table":
        for text in notes(scan):
            run.out.note(f"note: {text}")
    for text in _problems(scan):
        run.out.warn(text)


def as_json(scan: Scan) -> dict[str, Any]:
    """Return a scan for programs; amounts are decimal dollars, null where unknown."""
    everything = scan.found
    return {
        "at": formats.rfc3339(scan.at),
        "month_start": formats.rfc3339(scan.month_start),
        "namespaces": [
            {
                "namespace": each.namespace,
                "endpoints": len(each.found),
                "complete": each.complete,
                "problem": each.problem or each.rates_problem or None,
            }
            for each in scan.namespaces
        ],
        "items": [_item(each) for each in everything],
        "totals": {
            "burn_per_hour": _price(_sum([each.burn for each in everything])),
            "most_this_month": _price(_sum([each.most for each in everything])),
            "auto_pause_saves_at_most": _price(_saved(everything)),
            "unpriced": sum(each.most is None for each in everything),
        },
        "notes": notes(scan),
    }


def notes(scan: Scan) -> list[str]:
    """Return what the figures leave open, and why."""
    everything = scan.found
    if not everything:
        return []
    never = sum(each.snapshot.last_used_at is None for each in everything)
    unpriced = sum(each.rate is None for each in everything)
    unbounded = sum(each.rate is not None and each.most is None for each in everything)
    counted = [
        (never, _NEVER_USED),
        (unpriced, _NO_PRICE),
        (unbounded, _NO_BOUND),
    ]
    return [
        _UPPER_BOUND.format(since=f"{scan.month_start:%Y-%m-%d}"),
        _SAVINGS.format(minutes=int(AUTO_PAUSE.total_seconds()) // 60),
        *(text.format(count=count) for count, text in counted if count),
    ]


def _problems(scan: Scan) -> Iterator[str]:
    for each in scan.namespaces:
        if each.problem:
            kind = "could not be read" if each.error else "is incomplete"
            yield f"{each.namespace} {kind}: {each.problem}"
        if each.rates_problem:
            yield f"{each.namespace} has no prices: {each.rates_problem}"


def _columns(now: datetime) -> Sequence[Column]:
    return (
        Column("endpoint", lambda row: _full_name(row["each"])),
        Column(
            "state", lambda row: str(row["each"].snapshot.status), style=status_style, optional=True
        ),
        Column("hardware", lambda row: _hardware(row["each"].snapshot), optional=True),
        Column("replicas", lambda row: _replicas(row["each"].snapshot), right=True, optional=True),
        Column("now", lambda row: _hourly(row["each"].burn), right=True),
        Column("last used", lambda row: _used(row["each"], now), right=True),
        Column("month, most", lambda row: _amount(row["each"].most), right=True),
        Column("pause saves", lambda row: _saves(row["each"]), right=True),
        Column("", lambda row: "!" if row["each"].forgotten else "", style=lambda _: "bold red"),
    )


def _totals(everything: list[Found]) -> list[str]:
    unpriced = sum(each.most is None for each in everything)
    more = f", and {unpriced} unpriced" if unpriced else ""
    forgotten = sum(each.forgotten for each in everything)
    return [
        f"{len(everything)} endpoints, {forgotten} look forgotten (!)",
        f"now          {_hourly(_sum([each.burn for each in everything]))}{more}",
        f"month, most  {_amount(_sum([each.most for each in everything]))}{more}",
        f"pause saves  {_amount(_saved(everything))} at most, of this month so far",
    ]


def _burn(snapshot: Snapshot, rate: int | None) -> int | None:
    if snapshot.billed.high == 0:
        return 0
    return None if rate is None else snapshot.billed.expected * rate


def _forgotten(snapshot: Snapshot, now: datetime) -> bool:
    """Tell whether it is billed, and nobody has used, made or changed it for a day."""
    touched = (snapshot.last_used_at, snapshot.created_at, snapshot.updated_at)
    latest = max((moment for moment in touched if moment is not None), default=None)
    return snapshot.billed.expected > 0 and latest is not None and now - latest >= FORGOTTEN_AFTER


def _unknown(snapshot: Snapshot, rate: int | None) -> Iterator[str]:
    if rate is None:
        yield "price"
    if snapshot.last_used_at is None:
        yield "last use"
    if snapshot.scaling is None:
        yield "replicas"


def _order(each: Found) -> tuple[bool, int, int, datetime, str]:
    saved = each.tail.nano_at_most if each.tail else 0
    used = each.snapshot.last_used_at or _FAR_PAST
    # An endpoint without a price may be the dearest, so it comes before the asleep ones.
    burn = each.burn if each.burn is not None else 1
    return not each.forgotten, -saved, -burn, used, _full_name(each)


def _sum(amounts: list[int | None]) -> int | None:
    """Return the sum of the known amounts; None when none is known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _saved(everything: list[Found]) -> int:
    return sum(each.tail.nano_at_most for each in everything if each.tail)


def _item(each: Found) -> dict[str, Any]:
    snapshot = each.snapshot
    tail = each.tail
    return {
        "namespace": each.namespace,
        "name": snapshot.name,
        "status": str(snapshot.status),
        "cloud_state": snapshot.cloud_state,
        "hardware": snapshot.hardware.key,
        "replicas": {
            "ready": snapshot.ready_replicas,
            "target": snapshot.target_replicas,
            "max": snapshot.scaling.max_replicas if snapshot.scaling else None,
            "billed": {
                "low": snapshot.billed.low,
                "expected": snapshot.billed.expected,
                "high": snapshot.billed.high,
            },
        },
        "price_per_hour": _price(each.rate),
        "burn_per_hour": _price(each.burn),
        "created_at": _instant(snapshot.created_at),
        "last_used_at": _instant(snapshot.last_used_at),
        "most_this_month": _price(each.most),
        "idle": {
            "since": formats.rfc3339(tail.since),
            "seconds": tail.seconds,
            "auto_pause_saves_at_most": _price(tail.nano_at_most),
        }
        if tail
        else None,
        "forgotten": each.forgotten,
        "unknown": list(each.unknown),
    }


def _price(nano: int | None) -> dict[str, str] | None:
    return None if nano is None else {"amount": f"{to_dollars(nano):.9f}", "currency": "USD"}


def _instant(moment: datetime | None) -> str | None:
    return formats.rfc3339(moment) if moment else None


def _hourly(nano: int | None) -> str:
    return formats.price(_price(nano))


def _amount(nano: int | None) -> str:
    return formats.amount(_price(nano))


def _full_name(each: Found) -> str:
    return f"{each.namespace}/{each.snapshot.name}"


def _hardware(snapshot: Snapshot) -> str:
    hardware = snapshot.hardware
    return f"{hardware.vendor} {hardware.instance_type} {hardware.instance_size}"


def _replicas(snapshot: Snapshot) -> str:
    billed = snapshot.billed
    return str(billed.expected) if billed.low == billed.high else f"{billed.low}-{billed.high}"


def _used(each: Found, now: datetime) -> str:
    used = each.snapshot.last_used_at
    return formats.ago(_instant(used), now) if used else "not told"


def _saves(each: Found) -> str:
    if each.tail:
        return f"<= {_amount(each.tail.nano_at_most)}"
    asleep = each.snapshot.billed.high == 0
    return formats.NOTHING if asleep or each.snapshot.last_used_at else "unknown"
