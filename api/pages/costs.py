"""Costs over any span, grouped by whatever answers the question; also as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Response
from sqlmodel import Session

from orchestrator.api.pages import charts, words
from orchestrator.api.pages.shell import PageOf, PageRoute
from orchestrator.api.pages.spending import axis
from orchestrator.costs import report
from orchestrator.costs.report import CostLine, CostReport, DayCost
from orchestrator.domain.money import NANO, to_dollars
from orchestrator.services import find
from orchestrator.services.errors import invalid
from orchestrator.store import accounts
from orchestrator.store.ledger_reads import SpanFilter

router = APIRouter(route_class=PageRoute, include_in_schema=False)

DAY = timedelta(days=1)
LONGEST = timedelta(days=3660)
GROUPS = (
    ("endpoint", "Endpoint"),
    ("label:team", "Team"),
    ("account", "Account"),
    ("hardware", "Hardware"),
    ("component", "Component"),
    ("day", "Day"),
)
LABEL = "label"
_UNSAFE_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader wants to see: whole UTC days, both included."""

    first: date | None
    last: date | None
    group_by: str
    key: str
    account: str
    endpoint: str

    @property
    def grouping(self) -> str:
        """Return the grouping as reports know it."""
        return f"label:{self.key or 'team'}" if self.group_by == LABEL else self.group_by


def asked(
    *,
    first: Annotated[str, Query(alias="from")] = "",
    last: Annotated[str, Query(alias="to")] = "",
    group_by: Annotated[str, Query(max_length=80)] = "endpoint",
    key: Annotated[str, Query(max_length=63)] = "",
    account: str = "",
    endpoint: str = "",
) -> Asked:
    """Return what the address asks for; a label of its own has its key in `key`."""
    days = (_day("from", first), _day("to", last))
    return Asked(*days, group_by, key.strip(), account, endpoint)


def _day(name: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise invalid(name, f"{text[:20]!r} is no date.", remedy="Write 2026-11-30.") from error


AskedFor = Annotated[Asked, Depends(asked)]


@router.get("/costs")
def costs_page(page: PageOf, wanted: AskedFor) -> Response:
    """Show costs as a chart and a table."""
    first, last = days_of(wanted, page.now)
    with page.context.database.read() as session:
        found = _report(session, wanted, first, last, page.now)
        known = accounts.live(session)
        endpoint = find.endpoint(session, wanted.endpoint) if wanted.endpoint else None
    return page.render(
        "costs.html",
        "/costs",
        report=found,
        wanted=wanted,
        first=first,
        last=last,
        groups=GROUPS,
        accounts=known,
        endpoint=endpoint,
        presets=_presets(wanted, page.now.astimezone(UTC).date()),
        csv_link=f"/costs.csv?{_query(wanted, first, last)}",
        lines=[_line(line, found) for line in found.items],
        group_name=dict(GROUPS).get(wanted.grouping, wanted.key or "team"),
        **_chart(found.days, page.now.astimezone(UTC).date()),
    )


@router.get("/costs.csv")
def costs_csv(page: PageOf, wanted: AskedFor) -> Response:
    """Return the same table with exact amounts in dollars."""
    first, last = days_of(wanted, page.now)
    with page.context.database.read() as session:
        found = _report(session, wanted, first, last, page.now)
    name = f"costs-{first}-{last}-by-{wanted.group_by}.csv".replace(":", "-")
    safe = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(to_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


def days_of(wanted: Asked, now: datetime) -> tuple[date, date]:
    """Return the first and the last day, this month by default. Raises ServiceError 422."""
    today = now.astimezone(UTC).date()
    last = wanted.last or (today if wanted.first is None or wanted.first <= today else wanted.first)
    first = wanted.first or last.replace(day=1)
    if last < first:
        raise invalid("to", "The last day lies before the first.", remedy="Turn them round.")
    if last - first > LONGEST:
        raise invalid("from", "That is more than ten years.", remedy="Choose a later first day.")
    return first, last


def _report(session: Session, wanted: Asked, first: date, last: date, now: datetime) -> CostReport:
    account = find.account(session, wanted.account).id if wanted.account else None
    endpoints = [find.endpoint(session, wanted.endpoint).id] if wanted.endpoint else None
    try:
        report.check_grouping(wanted.grouping)
    except ValueError as error:
        raise invalid("group_by", f"{error}.") from error
    return report.cost_report(
        session,
        start=datetime.combine(first, time(), UTC),
        end=datetime.combine(last + DAY, time(), UTC),
        now=now,
        group_by=wanted.grouping,
        filters=SpanFilter(account_id=account, endpoint_ids=endpoints),
        by_day=True,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table, in words; `link` leads to what it stands for."""

    cost: CostLine
    name: str
    link: str
    billed: str
    replica: str
    share: float


def _line(line: CostLine, found: CostReport) -> Line:
    name = line.name
    if found.group_by == "day":
        name = f"{date.fromisoformat(line.key):%a} {words.day(date.fromisoformat(line.key))}"
    elif line.key == report.NO_LABEL:
        name = "without the label"
    return Line(
        cost=line,
        name=name,
        link=f"/endpoints/{line.key}" if found.group_by == "endpoint" else "",
        billed=words.hours(line.billed_seconds) if line.billed_seconds else "0 h",
        replica=words.hours(line.replica_seconds) if line.replica_seconds else "0 h",
        share=charts.share(line.figure.nano, found.total.nano),
    )


def _chart(days: tuple[DayCost, ...], today: date) -> dict[str, Any]:
    every = max(1, len(days) // 10)
    peak = max([0, *(one.figure.high for one in days)])
    steps = [(step, axis(step)) for step in charts.scale_steps(peak, NANO)]
    slots = [_slot(one, today, named=index % every == 0) for index, one in enumerate(days)]
    return {
        "chart": charts.stack(slots, steps, width=1340, height=190),
        "narrow_chart": charts.stack(charts.thinned(slots), steps, width=340, height=170),
    }


def _slot(one: DayCost, today: date, *, named: bool) -> charts.Slot:
    return charts.Slot(
        label=f"{one.day.day} {one.day:%b}" if named else "",
        parts=(("fill-1", one.figure.nano),),
        low=one.figure.low,
        high=one.figure.high,
        title=f"{one.day:%a} {words.day(one.day)}: {words.money(one.figure)}",
        partial=one.day == today,
        incomplete=bool(one.figure.unpriced_seconds),
    )


def _presets(wanted: Asked, today: date) -> list[tuple[str, str]]:
    month = today.replace(day=1)
    before = month - DAY
    spans = (
        ("This month", month, today),
        ("Last month", before.replace(day=1), before),
        ("7 days", today - 6 * DAY, today),
        ("30 days", today - 29 * DAY, today),
        ("90 days", today - 89 * DAY, today),
    )
    return [(name, f"/costs?{_query(wanted, first, last)}") for name, first, last in spans]


def _query(wanted: Asked, first: date, last: date) -> str:
    pairs = {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "group_by": wanted.group_by,
        "key": wanted.key,
        "account": wanted.account,
        "endpoint": wanted.endpoint,
    }
    return urlencode({name: value for name, value in pairs.items() if value})


def to_csv(found: CostReport) -> str:
    """Return a report as CSV: exact dollars, hours, and nothing that a spreadsheet would run."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            *("key", "name", "cost_usd", "low_usd", "high_usd"),
            *("unpriced_seconds", "billed_hours", "replica_hours"),
        ]
    )
    for line in found.items:
        figure = line.figure
        amounts = [f"{to_dollars(nano):.9f}" for nano in (figure.nano, figure.low, figure.high)]
        lengths = [_hours(line.billed_seconds), _hours(line.replica_seconds)]
        names = [_inert(line.key), _inert(line.name)]
        writer.writerow([*names, *amounts, figure.unpriced_seconds, *lengths])
    return out.getvalue()


def _hours(seconds: int) -> str:
    return f"{Decimal(seconds) / 3600:.4f}"


def _inert(text: str) -> str:
    """A cell that begins like a formula gets an apostrophe, so that it stays text."""
    return f"'{text}" if text.startswith(_UNSAFE_STARTS) else text
