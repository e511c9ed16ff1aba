"""Lists every endpoint of an account and region, a page of 100 at a time.

AWS tells no total, and whether its page tokens hold a position or a name is not documented. With
the oldest first, an endpoint that is made meanwhile comes last and shifts nothing; with tokens
that hold a position one that goes meanwhile would shift a row out of sight. Such a row is not
lost: absence from a listing is only a reason to read that endpoint directly. A name that comes
twice, or an order that goes back from one page to the next, tells that the pages did shift, and is
admitted. An order that goes back within a page tells only that a cloud does not sort.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.clock import Clock
from orchestrator.domain.endpoints import Snapshot
from orchestrator.providers.base import (
    CredentialsError,
    Listing,
    NotFoundError,
    ProviderError,
    Sighting,
    UnavailableError,
)
from orchestrator.providers.sagemaker.reading import Reader, utc
from orchestrator.providers.sagemaker.session import AwsSession
from orchestrator.providers.sagemaker.snapshot import Mapper, row_digest
from orchestrator.providers.sagemaker.states import CHANGING
from orchestrator.providers.sagemaker.sweep import Sweep

PAGE_LIMIT = 100

Row = Mapping[str, Any]


@dataclass(slots=True)
class _Rows:
    """What the pages gave so far."""

    seen: dict[str, Row] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    calls: int = 0
    repeated: int = 0
    nameless: int = 0
    newest: datetime | None = None
    back: bool = False
    unsorted: bool = False
    accounts: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Look:
    """Reads one endpoint of a listing when it is asked for, with what the others share."""

    name: str
    reader: Reader
    sweep: Sweep
    mapper: Mapper

    def __call__(self) -> Snapshot:
        facts = self.reader.read(self.name, self.sweep)
        if facts is None:
            raise NotFoundError(f"endpoint {self.name} was listed and is gone")
        return self.mapper.snapshot(facts)


def read_listing(session: AwsSession, reader: Reader, mapper: Mapper, clock: Clock) -> Listing:
    """Return all endpoints; a failure ends the listing as not complete."""
    rows, error = _Rows(), None
    asked_at, sent = clock.now(), session.sent
    try:
        unsure = _verify(session)
        _read_pages(session, rows)
        _check_account(session, rows, unsure)
    except ProviderError as failed:
        error = failed
        rows.problems.append(str(failed))
        if isinstance(failed, CredentialsError):
            rows.seen.clear()
    _check_order(rows)
    sweep = Sweep(session, len(rows.seen))
    return Listing(
        sightings=tuple(
            Sighting(
                name,
                row_digest(row),
                None,
                _Look(name, reader, sweep, mapper),
                moving=row.get("EndpointStatus") in CHANGING,
            )
            for name, row in rows.seen.items()
        ),
        complete=not rows.problems,
        asked_at=asked_at,
        answered_at=clock.now(),
        calls=session.sent - sent,
        problem="; ".join(rows.problems),
        error=error,
        cloud_time=session.cloud_time,
    )


def _verify(session: AwsSession) -> UnavailableError | None:
    """Check whose keys these are; where STS is out of reach the rows tell it as well."""
    try:
        session.verify_account()
    except UnavailableError as error:
        return error
    return None


def _read_pages(session: AwsSession, rows: _Rows) -> None:
    pages = session.each_page(
        "sagemaker",
        "ListEndpoints",
        SortBy="CreationTime",
        SortOrder="Ascending",
        MaxResults=PAGE_LIMIT,
    )
    for page in pages:
        rows.calls += 1
        items = page.get("Endpoints")
        if not isinstance(items, list):
            raise UnavailableError(f"page {rows.calls} of the endpoints has no list of endpoints")
        for place, item in enumerate(items):
            _take(item, rows, first=place == 0)


def _take(item: object, rows: _Rows, *, first: bool) -> None:
    name = item.get("EndpointName") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(name, str) or not name:
        rows.nameless += 1
        return
    rows.repeated += name in rows.seen
    rows.seen[name] = item
    parts = str(item.get("EndpointArn") or "").split(":")
    if len(parts) > 5:
        rows.accounts.add(parts[4])
    created = utc(item.get("CreationTime"))
    if created is not None:
        back = rows.newest is not None and created < rows.newest
        rows.back = rows.back or (back and first)
        rows.unsorted = rows.unsorted or (back and not first)
        rows.newest = created


def _check_account(session: AwsSession, rows: _Rows, unsure: UnavailableError | None) -> None:
    others = rows.accounts - {session.namespace}
    if others and session.namespace:
        raise CredentialsError(
            f"The endpoints belong to AWS account {', '.join(sorted(others))}, not to "
            f"{session.namespace}: correct the account's namespace or its credentials."
        )
    if unsure is not None and not rows.accounts:
        raise unsure


def _check_order(rows: _Rows) -> None:
    if rows.nameless:
        rows.problems.append(f"{rows.nameless} items of the list have no name")
    if rows.repeated:
        rows.problems.append(
            f"{rows.repeated} endpoints were listed twice: the pages shifted meanwhile"
        )
    if rows.back and not rows.unsorted and not rows.repeated:
        rows.problems.append("the list is not in the order that was asked for: its pages shifted")
