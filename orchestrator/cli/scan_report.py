"""What a scan found, in order of how forgotten it looks, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from orchestrator.cli import formats
from orchestrator.cli.output import Column, status_style
from orchestrator.cli.scan_facts import Found, PlaceScan, Scan
from orchestrator.cli.scan_notes import notes
from orchestrator.cli.session import Session
from orchestrator.domain.endpoints import Snapshot, Stop
from orchestrator.domain.money import to_dollars

_UNTOLD = "unknown"
_STOPS = {Stop.PAUSE: "pause", Stop.RECREATE: "deletion", Stop.NONE: "not from here"}


def show(run: Session, scan: Scan) -> None:
    """Print a scan."""
    everything = scan.found
    run.out.items(
        as_json(scan),
        _columns(scan, everything),
        rows=[
            {"each": each, "id": each.full_name, "status": each.snapshot.status}
            for each in everything
        ],
        empty="no endpoints" if all(each.complete for each in scan.places) else "none was seen",
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
        "places": [_place(each) for each in scan.places],
        "without_credentials": [
            {"provider": each.kind, "reasons": list(each.reasons)}
            for each in (*scan.missing, *scan.skipped)
        ],
        "items": [_item(each) for each in everything],
        "totals": {
            "burn_per_hour": _price(_sum([each.burn for each in everything])),
            "most_this_month": _price(_sum([each.most for each in everything])),
            "auto_pause_saves_at_most": _price(_saved(everything)),
            "unpriced": sum(each.most is None for each in everything),
        },
        "calls": scan.calls,
        "notes": notes(scan),
    }


def _place(each: PlaceScan) -> dict[str, Any]:
    return {
        "provider": each.place.source.kind,
        "namespace": each.place.namespace or None,
        "region": each.place.region or None,
        "endpoints": len(each.found),
        "complete": each.complete,
        "problem": each.problem or each.rates_problem or each.counted.problem or None,
        "calls": each.calls,
    }


def _problems(scan: Scan) -> Iterator[str]:
    for absent in scan.missing:
        yield absent.sentence
    for each in scan.places:
        if each.problem:
            kind = "could not be read" if each.error else "is incomplete"
            yield f"{each.title} {kind}: {each.problem}"
        if each.rates_problem:
            yield f"{each.title} has no prices: {each.rates_problem}"
        if each.counted.problem:
            yield f"{each.title}: requests could not be counted: {each.counted.problem}"


def _columns(scan: Scan, everything: Sequence[Found]) -> Sequence[Column]:
    now = scan.at
    columns = [
        Column("endpoint", lambda row: row["each"].full_name),
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
    ]
    if any(each.snapshot.stop is not Stop.PAUSE for each in everything):
        stops = Column("stops by", lambda row: _STOPS[row["each"].snapshot.stop], optional=True)
        columns.insert(-1, stops)
    if len({each.place.source.kind for each in everything}) > 1:
        cloud = Column("cloud", lambda row: row["each"].place.source.cloud.title, optional=True)
        columns.insert(1, cloud)
    return columns


def _totals(everything: list[Found]) -> list[str]:
    unpriced = sum(each.most is None for each in everything)
    more = f", and {unpriced} unpriced" if unpriced else ""
    forgotten = sum(each.forgotten for each in everything)
    untold = sum(_saves(each) == _UNTOLD for each in everything)
    blind = f", and unknown for {untold}" if untold else ""
    return [
        f"{len(everything)} endpoints, {forgotten} look forgotten (!)",
        f"now          {_hourly(_sum([each.burn for each in everything]))}{more}",
        f"month, most  {_amount(_sum([each.most for each in everything]))}{more}",
        f"pause saves  {_amount(_saved(everything))} at most, of this month so far{blind}",
    ]


def _sum(amounts: list[int | None]) -> int | None:
    """Return the sum of the known amounts; None when none is known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _saved(everything: list[Found]) -> int:
    return sum(each.tail.nano_at_most for each in everything if each.tail)


def _item(each: Found) -> dict[str, Any]:
    snapshot, tail, rate = each.snapshot, each.tail, each.rate
    return {
        "provider": each.place.source.kind,
        "namespace": each.place.namespace,
        "region": each.place.region or None,
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
        "price_per_hour": _price(rate.nano),
        "compute_per_hour": _price(rate.compute),
        "price_sources": list(rate.sources),
        "burn_per_hour": _price(each.burn),
        "created_at": _instant(snapshot.created_at),
        "last_used_at": _instant(each.last_used_at),
        "unused_since": _instant(each.unused_since),
        "most_this_month": _price(each.most),
        "idle": {
            "since": formats.rfc3339(tail.since),
            "seconds": tail.seconds,
            "auto_pause_saves_at_most": _price(tail.nano_at_most),
        }
        if tail
        else None,
        "stop": str(snapshot.stop),
        "observe_only": snapshot.observe_only,
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


def _hardware(snapshot: Snapshot) -> str:
    hardware = snapshot.hardware
    return f"{hardware.vendor} {hardware.instance_type} {hardware.instance_size}"


def _replicas(snapshot: Snapshot) -> str:
    billed = snapshot.billed
    return str(billed.expected) if billed.low == billed.high else f"{billed.low}-{billed.high}"


def _used(each: Found, now: datetime) -> str:
    if each.last_used_at is not None:
        return formats.ago(_instant(each.last_used_at), now)
    if each.unused_since is not None:
        return f"none in {formats.duration((now - each.unused_since).total_seconds())}"
    return "not told"


def _saves(each: Found) -> str:
    if each.tail:
        return f"<= {_amount(each.tail.nano_at_most)}"
    asleep = each.snapshot.billed.high == 0
    told = asleep or "last use" not in each.unknown or each.snapshot.stop is Stop.NONE
    return formats.NOTHING if told else _UNTOLD
