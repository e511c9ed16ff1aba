"""Where the traffic of `backtest` and `advise` comes from: a file, or what a server recorded."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

from orchestrator.cli import formats, options, urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session
from orchestrator.domain.backtest.recorded import Recorded, traffic_of
from orchestrator.domain.backtest.traffic import Fleet, StretchError, TrafficError, read_csv
from orchestrator.domain.money import to_nano
from orchestrator.store.usage import STRETCH_S

Json = dict[str, Any]
# A Monday: a trace without a calendar is taken to start then.
A_MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
# Of what a server recorded: usually, and at most.
DAYS, MOST_DAYS = 14, 31
_DAY_S = 86400
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Trace:
    """Traffic, the instant of its start, and prices of an hour where the server knows them.

    `known` is, by endpoint, the part of the time of which requests are known; else it is all.
    Of `coarse` endpoints only the last use was seen: one request in each stretch. Those of
    `no_zero` cannot go to zero as they are.
    """

    fleet: Fleet
    origin: datetime
    prices: dict[str, int] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)
    coarse: frozenset[str] = frozenset()
    no_zero: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person named: a file with stretches so long, or a span of what the server recorded."""

    file: str | None
    start: str | None
    days: int | None
    account: str | None
    only: tuple[str, ...]
    stretch: str | None = None


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
    if wanted.file and wanted.days is None and fleet.length_s % _DAY_S:
        run.out.note(
            f"the traffic ends with the last row of the file, after {fleet.length_s / 3600:,.1f} "
            "hours; --days says otherwise"
        )
    return replace(found, fleet=fleet)


def known(run: Session, found: Trace, least: float) -> Trace:
    """Leave out endpoints of which less is known, and say so: nothing known is not nothing used.

    Raises CliError where none is left.
    """
    kept = [one for one in found.fleet.endpoints if found.known.get(one.name, 1) >= least]
    for one in found.fleet.endpoints:
        part = found.known.get(one.name, 1.0)
        if part < least:
            run.out.note(f"left out: {one.name}, its requests are known for {part:.0%} of the time")
        elif part < 1:
            run.out.note(
                f"{one.name}: requests are known for {part:.0%} of the time, the rest "
                "counts as none"
            )
    if not kept:
        raise CliError(
            "too little is known of all endpoints",
            ExitCode.REFUSED,
            "wait: use is recorded of managed endpoints, soonest under an idle policy, also one in "
            "shadow; or give --traffic FILE",
        )
    fleet = Fleet(tuple(kept), found.fleet.length_s)
    return replace(found, fleet=fleet)


def priced(run: Session, found: Trace) -> Trace:
    """Leave out endpoints of which an hour costs nothing, and say so: no rule could save anything.

    Raises CliError where none is left.
    """
    free = {name for name, price in found.prices.items() if not price}
    kept = [one for one in found.fleet.endpoints if one.name not in free]
    for one in found.fleet.endpoints:
        if one.name in free:
            run.out.note(f"left out: {one.name}, an hour of it costs nothing")
    if not kept:
        raise CliError(
            "an hour of each endpoint costs nothing, so no rule saves anything",
            ExitCode.REFUSED,
            "see `orchestrator hardware` for the prices known, or give --traffic FILE with --price",
        )
    return replace(found, fleet=Fleet(tuple(kept), found.fleet.length_s))


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
    length_s = None if wanted.days is None else wanted.days * _DAY_S
    try:
        with _lines(wanted.file) as lines:
            return Trace(read_csv(lines, _stretch_s(wanted), length_s), origin)
    except StretchError as error:
        text = f"{wanted.file}: {error}"
        raise CliError(text, ExitCode.USAGE, "--stretch says how long they are") from None
    except TrafficError as error:
        raise CliError(f"{wanted.file}: {error}", ExitCode.USAGE) from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CliError(f"{wanted.file} cannot be read: {error}", ExitCode.USAGE) from None


def _stretch_s(wanted: Wanted) -> int:
    seconds = STRETCH_S
    if wanted.stretch is not None:
        seconds = int(options.length(wanted.stretch).total_seconds())
    if seconds <= 0:
        raise CliError("--stretch: must be above zero", ExitCode.USAGE, "write it like 10m")
    return seconds


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
    if wanted.stretch is not None:
        raise CliError("--stretch is of a file", ExitCode.USAGE, "give --traffic FILE with it")
    if (wanted.days or 0) > MOST_DAYS:
        raise CliError(f"--days: at most {MOST_DAYS} of a server", ExitCode.USAGE)
    span = timedelta(days=wanted.days or DAYS)
    now = run.present().replace(minute=0, second=0, microsecond=0)
    origin = (run.moment(wanted.start) or now - span).astimezone(UTC)
    page: Json = run.api.pages(urls.path("endpoints"), {"account": wanted.account})
    rates = _rates(run, wanted.account)
    endpoints, prices, parts, coarse, no_zero = [], {}, {}, set(), set()
    for one in page["items"]:
        name = f"{one['account']['name']}/{one['name']}"
        if wanted.only and name not in wanted.only:
            continue
        usage = _usage(run, str(one["id"]), origin, origin + span)
        parts[name] = _known(usage["stretches"]) / span.total_seconds()
        stretches = [_recorded(item) for item in usage["stretches"]]
        if any(item["source"] == "last_use" for item in usage["stretches"] if item["requests"]):
            coarse.add(name)
        if not one["stops"]["to_zero"]:
            no_zero.add(name)
        endpoints.append(traffic_of(name, stretches, origin, int(span.total_seconds())))
        price = rates.get((one["account"]["id"], one["hardware"]["key"]))
        if price is not None:
            prices[name] = price
    fleet = Fleet(tuple(endpoints), int(span.total_seconds()))
    return Trace(fleet, origin, prices, parts, frozenset(coarse), frozenset(no_zero))


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


def _known(stretches: Sequence[Json]) -> int:
    """Return of how many seconds it is known whether requests came.

    Of a stretch with a request that is known enough, although others may have come in it too.
    """
    return sum(
        STRETCH_S if item["requests"] else int(item["covered_seconds"]) for item in stretches
    )


def _recorded(item: Json) -> Recorded:
    last = item.get("last_request_at")
    return Recorded(
        datetime.fromisoformat(item["start"]),
        int(item["requests"]),
        STRETCH_S,
        datetime.fromisoformat(last) if last else None,
    )
