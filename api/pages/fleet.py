"""The first page: money, states, teams, and the table of endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response

from orchestrator.api.pages import words
from orchestrator.api.pages.actions import Action, actions_for
from orchestrator.api.pages.banners import banners_of
from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.api.pages.spending import NO_TEAM, spending_of
from orchestrator.costs.figures import Burn, Figure
from orchestrator.domain.money import format_dollars
from orchestrator.domain.status import Status
from orchestrator.services.overview import DAYS, FleetRow, Overview, overview
from orchestrator.store.overview import FleetQuery
from orchestrator.store.tables import Endpoint

router = APIRouter(route_class=PageRoute, include_in_schema=False)

DEFAULT_SORT = "-burn"
_SORTED_BY = ("name", "account", "status", "next", "hardware", "burn", "month", "used", "team")
SORTS = frozenset(_SORTED_BY) | {f"-{name}" for name in _SORTED_BY}


@dataclass(frozen=True, slots=True)
class Head:
    """A heading of the table; `sort` is what a click asks for, `sorted` what is so now."""

    name: str
    css: str
    sort: str
    sorted: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: what is known, and what of it needs other words."""

    line: FleetRow
    endpoint: Endpoint
    hardware: str
    replicas: str
    replicas_title: str
    actions: Sequence[Action]


@router.get("/")
def overview_page(
    page: PageOf,
    *,
    q: Annotated[str, Query(max_length=120)] = "",
    status: Annotated[list[str] | None, Query()] = None,
    team: str = "",
    account: str = "",
    sort: str = DEFAULT_SORT,
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> Response:
    """Show the overview; unknown states and orders are left aside."""
    query = FleetQuery(
        text=q.strip(),
        statuses=tuple(one for one in status or () if one in set(Status)),
        team=_team(team),
        account=account,
        sort=sort if sort in SORTS else DEFAULT_SORT,
    )
    with page.context.database.read() as session:
        days = 0 if page.light else DAYS
        view = overview(session, page.now, query, number, days=days)
    return page.render("overview.html", "/", **_values(view, query))


def _team(given: str) -> str | None:
    if given == NO_TEAM:
        return ""
    return given or None


def link_to(query: FleetQuery, number: int) -> Callable[..., str]:
    """Return a function that gives the address of this view with some of it changed."""

    def link(**changes: Any) -> str:
        at = changes.pop("page", number)
        if "status" in changes:
            wanted = tuple(changes.pop("status"))
            changes["statuses"] = () if wanted == query.statuses else wanted
        if changes.get("team") == NO_TEAM:
            changes["team"] = ""
        return address(replace(query, **changes), at)

    return link


def address(query: FleetQuery, number: int) -> str:
    """Return the address of a view; what is as usual is left out."""
    pairs: list[tuple[str, str]] = []
    if query.text:
        pairs.append(("q", query.text))
    pairs.extend(("status", one) for one in query.statuses)
    if query.team is not None:
        pairs.append(("team", query.team or NO_TEAM))
    if query.account:
        pairs.append(("account", query.account))
    if query.sort != DEFAULT_SORT:
        pairs.append(("sort", query.sort))
    if number > 1:
        pairs.append(("page", str(number)))
    return f"/?{urlencode(pairs)}" if pairs else "/"


def _values(view: Overview, query: FleetQuery) -> dict[str, Any]:
    return {
        "view": view,
        "query": query,
        "sort_given": query.sort != DEFAULT_SORT,
        "link": link_to(query, view.fleet.page),
        "states": [(one, view.counts[one]) for one in words.STATE_ORDER if one in view.counts],
        "banners": banners_of(view),
        "month_name": f"{view.month_start:%B}",
        "burn_title": _burn_title(view.burn),
        "burn_band": _burn_band(view.burn),
        "per_day": _at_rate(view, view.burn_per_day),
        "at_rate": _at_rate(view, view.month_at_rate),
        "rows": [row_of(one) for one in view.fleet.rows],
        "heads": [_head(query, *head) for head in _heads(view)],
        **spending_of(view, query),
    }


def _at_rate(view: Overview, nano: int) -> str:
    """A projection in whole dollars; one that leaves out what has no price says so."""
    text = format_dollars(nano, 0 if nano >= 100 * 10**9 else 2)
    return f"over {text}" if view.burn.unpriced else f"≈ {text}"


def _burn_title(burn: Burn) -> str:
    if burn.low == burn.high:
        return "What the cloud bills per hour now"
    return f"Between {words.dollars(burn.low)} and {words.dollars(burn.high)} an hour"


def _burn_band(burn: Burn) -> str:
    return words.money(Figure(burn.nano, burn.low, burn.high)).band


def _heads(view: Overview) -> tuple[tuple[str, str, str, bool], ...]:
    """Name, order, class, and whether the first click gives the largest first."""
    return (
        ("Endpoint", "name", "c-name", False),
        ("State", "status", "c-state", False),
        ("Next, and why", "next", "c-why", False),
        ("Hardware", "hardware", "c-hw", False),
        ("$ / h", "burn", "num c-burn", True),
        (f"{view.month_start:%B}", "month", "num c-month", True),
        ("Last used", "used", "c-used", True),
        ("Team", "team", "c-team", False),
    )


def _head(query: FleetQuery, name: str, sort: str, css: str, descending_first: bool) -> Head:
    key = query.sort.removeprefix("-")
    if key != sort:
        return Head(name, css, f"-{sort}" if descending_first else sort, "")
    down = query.sort.startswith("-")
    return Head(name, css, sort if down else f"-{sort}", "descending" if down else "ascending")


def row_of(line: FleetRow) -> Row:
    """Return one endpoint in words."""
    endpoint = line.record.endpoint
    return Row(
        line=line,
        endpoint=endpoint,
        hardware=short_hardware(endpoint.hardware_key, endpoint.accelerator),
        replicas=replicas(endpoint),
        replicas_title=_replicas_title(endpoint),
        actions=actions_for(endpoint, line.operation),
    )


def short_hardware(key: str, accelerator: str = "") -> str:
    """Return hardware as people say it: `nvidia-l4 x1` for `aws/us-east-1/nvidia-l4/x1`."""
    parts = key.split("/")
    if len(parts) != 4:
        return key or accelerator or "not known"
    return f"{parts[2]} {parts[3]}"


def replicas(endpoint: Endpoint) -> str:
    """Return replicas in words: `2 ready of 1 to 4`."""
    low, high = endpoint.min_replicas, endpoint.max_replicas
    count = "?" if endpoint.ready_replicas is None else str(endpoint.ready_replicas)
    if low is None or high is None:
        return f"{count} ready"
    bounds = str(low) if low == high else f"{low} to {high}"
    return f"{count} ready of {bounds}"


def _replicas_title(endpoint: Endpoint) -> str:
    ready = "?" if endpoint.ready_replicas is None else endpoint.ready_replicas
    target = "?" if endpoint.target_replicas is None else endpoint.target_replicas
    return f"{ready} ready, {target} wanted by the cloud"
