"""Where the traffic of `backtest` and `advise` comes from: a file, or what a server recorded."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

from orchestrator.cli import formats, urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session
from orchestrator.domain.backtest.recorded import Recorded, traffic_of
from orchestrator.domain.backtest.traffic import Fleet, TrafficError, read_csv
from orchestrator.domain.money import to_nano
from orchestrator.store.usage import STRETCH_S

Json = dict[str, Any]
# A Monday: a trace without a calendar is taken to start then.
A_MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Trace:
    """Traffic, the instant of its start, and prices of an hour where the server knows them.

    `coverage` is the part of the time of which requests are known.
    """

    fleet: Fleet
    origin: datetime
    prices: dict[str, int] = field(default_factory=dict)
    coverage: float = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person named: a file, or a span of what the server recorded."""

    file: str | None
    start: str | None
    days: int
    account: str | None
    only: tuple[str, ...]


def read(run: Session, wanted: Wanted) -> Trace:
    """Return the traffic. Raises CliError."""
    found = _from_file(run, wanted) if wanted.file else _from_server(run, wanted)
    names = {one.name for one in found.fleet.endpoints}
    for name in wanted.only:
        if name not in names:
            raise CliError(f"there is no traffic of {name!r}", ExitCode.NOT_FOUND)
    kept = [one for one in found.fleet.endpoints if not wanted.only or one.name in wanted.only]
    if not kept:
        raise CliError("no endpoint to look at", ExitCode.NOT_FOUND, "give --traffic FILE")
    fleet = Fleet(tuple(kept), found.fleet.length_s)
    return Trace(fleet, found.origin, found.prices, found.coverage)


def dollars(text: str, option: str) -> int:
    """Return an amount in nano-dollars. Raises CliError unless it is zero or more."""
    try:
        nano = to_nano(Decimal(text))
    except (InvalidOperation, ValueError):
        nano = -1
    if nano < 0:
        raise CliError(f"{option}: {text!r} is no amount", ExitCode.USAGE, "write it like 0.80")
    return nano


def _from_file(run: Session, wanted: Wanted) -> Trace:
    assert wanted.file is not None  # noqa: S101 - the only caller has looked
    origin = run.moment(wanted.start) or A_MONDAY
    try:
        with _lines(wanted.file) as lines:
            return Trace(read_csv(lines), origin)
    except TrafficError as error:
        raise CliError(f"{wanted.file}: {error}", ExitCode.USAGE) from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CliError(f"{wanted.file} cannot be read: {error}", ExitCode.USAGE) from None


@contextmanager
def _lines(file: str) -> Iterator[IO[str]]:
    """Open a file, gzip or plain; `-` is standard input."""
    if file == "-":
        yield sys.stdin
        return
    with Path(file).open("rb") as raw:
        packed = raw.peek(len(_GZIP))[: len(_GZIP)] == _GZIP
        stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        yield io.TextIOWrapper(stream, encoding="utf-8")


def _from_server(run: Session, wanted: Wanted) -> Trace:
    """Read what the server recorded of whole days until now, or from the given start."""
    span = timedelta(days=wanted.days)
    now = run.present().replace(minute=0, second=0, microsecond=0)
    origin = (run.moment(wanted.start) or now - span).astimezone(UTC)
    page: Json = run.api.pages(urls.path("endpoints"), {"account": wanted.account})
    rates = _rates(run, wanted.account)
    endpoints, prices, known = [], {}, 0.0
    for one in page["items"]:
        name = f"{one['account']['name']}/{one['name']}"
        if wanted.only and name not in wanted.only:
            continue
        usage = _usage(run, str(one["id"]), origin, origin + span)
        known += float(usage["coverage"])
        stretches = [_recorded(item) for item in usage["stretches"]]
        endpoints.append(traffic_of(name, stretches, origin, int(span.total_seconds())))
        price = rates.get((one["account"]["id"], one["hardware"]["key"]))
        if price is not None:
            prices[name] = price
    fleet = Fleet(tuple(endpoints), int(span.total_seconds()))
    return Trace(fleet, origin, prices, known / max(len(endpoints), 1))


def _rates(run: Session, account: str | None) -> dict[tuple[str, str], int]:
    page: Json = run.api.pages(urls.path("hardware"), {"account": account})
    return {
        (offer["account"]["id"], offer["key"]): to_nano(Decimal(offer["price_per_hour"]["amount"]))
        for offer in page["items"]
        if offer.get("price_per_hour")
    }


def _usage(run: Session, endpoint: str, start: datetime, end: datetime) -> Json:
    query = {"from": formats.rfc3339(start), "to": formats.rfc3339(end)}
    found: Json = run.api.get(urls.path("endpoints", endpoint, "usage"), query)
    return found


def _recorded(item: Json) -> Recorded:
    last = item.get("last_request_at")
    return Recorded(
        datetime.fromisoformat(item["start"]),
        int(item["requests"]),
        STRETCH_S,
        datetime.fromisoformat(last) if last else None,
    )
