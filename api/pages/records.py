"""Events and accounts: what happened, and where the endpoints live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response
from sqlmodel import Session, col, select

from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.costs import report
from orchestrator.costs.figures import Burn, Figure
from orchestrator.services import find
from orchestrator.services.overview import account_line, month_bounds
from orchestrator.store import accounts, endpoints, events
from orchestrator.store.events import EventFilter
from orchestrator.store.overview import unmanaged
from orchestrator.store.tables import Account, Endpoint, Offer

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PER_PAGE = 60
TOP_CALLS = 5
HOUR = timedelta(hours=1)
KINDS = (
    ("operation.*", "Operations"),
    ("hold.*", "Holds"),
    ("endpoint.*", "Endpoints"),
    ("decision.*", "Decisions"),
    ("schedule.*", "Schedules"),
    ("policy.*", "Policies"),
    ("account.*", "Accounts"),
    ("freeze.*", "Freezes"),
    ("rate.*", "Prices"),
    ("token.*", "Tokens"),
)


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of a cloud so far, how many an hour that is, and the most frequent ones.

    `per_hour` is None before an hour has gone by, which tells too little.
    """

    total: int
    per_hour: int | None
    most: tuple[tuple[str, int], ...]


@router.get("/events")
def events_page(
    page: PageOf,
    *,
    account: str = "",
    endpoint: str = "",
    kind: Annotated[str, Query(max_length=80)] = "",
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """Show what happened, newest first; `before` is the id of an event."""
    with page.context.database.read() as session:
        place = find.account(session, account) if account else None
        thing = find.endpoint(session, endpoint) if endpoint else None
        wanted = EventFilter(
            account_id=place.id if place else None,
            endpoint_id=thing.id if thing else None,
            kind=kind or None,
            before_id=before,
        )
        found = events.newest(session, wanted, PER_PAGE + 1)
        ids = {one.endpoint_id for one in found if one.endpoint_id}
        names = {one.id: one.name for one in endpoints.by_ids(session, ids).values()}
        known = accounts.live(session)
    shown = found[:PER_PAGE]
    pairs = {"account": account, "endpoint": endpoint, "kind": kind}
    kept = {name: value for name, value in pairs.items() if value}
    older = urlencode({**kept, "before": shown[-1].id}) if len(found) > PER_PAGE else ""
    return page.render(
        "events.html",
        "/events",
        events=shown,
        names=names,
        accounts=known,
        account=account,
        endpoint=thing,
        kind=kind,
        kinds=KINDS,
        older=f"/events?{older}" if older else "",
        newest=f"/events?{urlencode(kept)}".rstrip("?") if before else "",
    )


@router.get("/accounts")
def accounts_page(page: PageOf) -> Response:
    """Show the accounts, how old what we know of them is, and what they cost."""
    start, _ = month_bounds(page.now)
    with page.context.database.read() as session:
        rows = accounts.live(session)
        spent = report.cost_report(
            session, start=start, end=page.now, now=page.now, group_by="account"
        )
        month = {line.key: line.figure for line in spent.items}
        observed = unmanaged(session)
        burns = {row.id: report.burn_now(session, account_id=row.id).total for row in rows}
        sources = price_sources(session)
    return page.render(
        "accounts.html",
        "/accounts",
        lines=[(row, account_line(row, page.now)) for row in rows],
        month=month,
        observed=observed,
        nothing=Figure(),
        burns=burns,
        calls={row.id: calls_of(row, page.now) for row in rows},
        sources=sources,
        no_burn=Burn(),
        month_name=f"{start:%B}",
    )


def calls_of(account: Account, now: datetime) -> Calls | None:
    """Return what looking after an account takes; None before the first call."""
    counts = sorted(account.call_counts.items(), key=lambda pair: (-int(pair[1]), pair[0]))
    if not counts or account.calls_since is None:
        return None
    total = sum(int(count) for _, count in counts)
    since = now - account.calls_since
    per_hour = round(total * HOUR / since) if since >= HOUR else None
    return Calls(total, per_hour, tuple((name, int(count)) for name, count in counts[:TOP_CALLS]))


def price_sources(session: Session) -> dict[str, Sequence[str]]:
    """Return by account where prices of its endpoints are from, if not the cloud's own list."""
    used = (
        select(Offer.account_id, Offer.source)
        .join(
            Endpoint,
            (col(Endpoint.account_id) == col(Offer.account_id))
            & (col(Endpoint.hardware_key) == col(Offer.hardware_key)),
        )
        .where(col(Endpoint.deleted_at).is_(None), col(Offer.nano_per_hour).is_not(None))
        .where(Offer.source != "")
        .distinct()
        .order_by(col(Offer.source))
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for account_id, source in session.exec(used):
        found[account_id].append(source)
    return dict(found)
