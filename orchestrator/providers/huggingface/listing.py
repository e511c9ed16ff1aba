"""Reads every page of an account and says whether that was all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.clock import Clock
from orchestrator.domain.endpoints import Snapshot
from orchestrator.providers.base import Listing, ProviderError, Sighting, UnavailableError
from orchestrator.providers.huggingface.fields import count_of, instant_of
from orchestrator.providers.huggingface.session import Call, Session, Tally
from orchestrator.providers.huggingface.snapshot import Mapper

PAGE_LIMIT = 100
MOST_PAGES = 1000
_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def digest_of(raw: Mapping[str, Any]) -> str:
    """Return the digest of an endpoint; its last use and the order of its tags do not count."""
    status, tags = raw.get("status"), raw.get("tags")
    item = dict(raw)
    if isinstance(status, dict) and "lastUsedAt" in status:
        item["status"] = {key: value for key, value in status.items() if key != "lastUsedAt"}
    if isinstance(tags, list):
        item["tags"] = sorted(map(str, tags))
    return hashlib.blake2b(_ENCODE(item).encode(), digest_size=16).hexdigest()


@dataclass(slots=True, repr=False)
class _Row:
    """Makes the snapshot of a row when it is asked for; never shows the row, which has secrets."""

    _raw: Mapping[str, Any]
    _mapper: Mapper

    def __call__(self) -> Snapshot:
        return self._mapper.snapshot(self._raw)


@dataclass(slots=True)
class _Reading:
    """What the pages gave so far."""

    seen: dict[str, Sighting] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    cursors: set[str] = field(default_factory=set)
    totals: list[int] = field(default_factory=list)
    repeated: int = 0
    nameless: int = 0


def read_listing(url: str, session: Session, mapper: Mapper, clock: Clock) -> Listing:
    """Return every endpoint at `url`, page by page; a failure ends it as not complete."""
    reading, tally = _Reading(), Tally()
    asked_at = clock.now()
    error: ProviderError | None = None
    try:
        _read_pages(url, session, mapper, reading, tally)
    except ProviderError as failed:
        error = failed
        reading.problems.append(str(failed))
    else:
        _check_totals(reading)
    if reading.nameless:
        reading.problems.append(f"{reading.nameless} items of the list have no name")
    return Listing(
        sightings=tuple(reading.seen.values()),
        complete=not reading.problems,
        asked_at=asked_at,
        answered_at=clock.now(),
        calls=tally.calls,
        problem="; ".join(reading.problems),
        error=error,
        cloud_time=tally.cloud_time,
    )


def _read_pages(
    url: str, session: Session, mapper: Mapper, reading: _Reading, tally: Tally
) -> None:
    cursor: str | None = None
    for number in range(1, MOST_PAGES + 1):
        params: dict[str, str | int] = {"limit": PAGE_LIMIT}
        if cursor is not None:
            params["cursor"] = cursor
        doing = f"list endpoints (page {number})"
        page = session.read(Call("GET", url, doing, params=params), tally)
        _take_page(page, number, mapper, reading)
        cursor = _next_cursor(page, reading)
        if cursor is None:
            return
    reading.problems.append(f"the list did not end within {MOST_PAGES} pages")


def _take_page(page: Mapping[str, Any], number: int, mapper: Mapper, reading: _Reading) -> None:
    items = page.get("items")
    if not isinstance(items, list):
        raise UnavailableError(f"page {number} of the endpoints has no list of items")
    total = count_of(page.get("totalItems"))
    if total is not None:
        reading.totals.append(total)
    for item in items:
        _take_item(item, mapper, reading)
    if total is None and "nextCursor" not in page and len(items) >= PAGE_LIMIT:
        reading.problems.append(f"page {number} is full and does not say whether there are more")


def _take_item(item: object, mapper: Mapper, reading: _Reading) -> None:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(name, str) or not name:
        reading.nameless += 1
        return
    status = item.get("status")
    used = status.get("lastUsedAt") if isinstance(status, dict) else None
    reading.repeated += name in reading.seen
    reading.seen[name] = Sighting(
        name, digest_of(item), instant_of(used) if used else None, _Row(item, mapper)
    )


def _next_cursor(page: Mapping[str, Any], reading: _Reading) -> str | None:
    value = page.get("nextCursor")
    if value is None or value == "":
        return None
    cursor = str(value)
    if cursor in reading.cursors:
        reading.problems.append("the cursor of the pages came back to an earlier page")
        return None
    reading.cursors.add(cursor)
    return cursor


def _check_totals(reading: _Reading) -> None:
    """Compare with the cloud's own count: endpoints that come or go meanwhile shift the pages."""
    found, totals = len(reading.seen) + reading.nameless, set(reading.totals)
    if len(totals) > 1:
        reading.problems.append("the number of endpoints changed while the pages were read")
    elif totals and totals != {found}:
        reading.problems.append(f"{found} endpoints were listed of {totals.pop()}")
    elif not totals and reading.repeated:
        reading.problems.append(f"{reading.repeated} endpoints were listed twice")
