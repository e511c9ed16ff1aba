"""Reads for pages that show many endpoints at once: few statements, whatever their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, or_, select
from sqlalchemy.orm import defer
from sqlmodel import Session, col

from orchestrator.store.ledger import COMPUTE
from orchestrator.store.tables import (
    Account,
    Binding,
    Endpoint,
    IdlePolicy,
    Label,
    MeterInterval,
    Schedule,
)

TEAM = "team"
_LIVE = (col(Endpoint.deleted_at).is_(None), col(Account.removed_at).is_(None))
_METERED = (col(MeterInterval.ended_at).is_(None), col(MeterInterval.replicas_high) > 0)
_UNPRICED = 1 << 60  # above every price: what has none is listed first among the dear


@dataclass(frozen=True, slots=True)
class FleetQuery:
    """Which endpoints to list and in what order; an empty `team` means without that label.

    `sort` is name, account, status, team, used, next, hardware, burn or month; a leading `-`
    turns it round. `month` has no column here: the caller orders by it.
    """

    text: str = ""
    statuses: tuple[str, ...] = ()
    team: str | None = None
    account: str = ""
    managed: bool | None = None
    sort: str = "-burn"


@dataclass(frozen=True, slots=True)
class FleetRecord:
    """One endpoint with its account's name and team.

    `billed` says whether the meter runs or should; `burn` is then None where it is not known.
    `unpriced` counts components that are billed at an unknown price and not in `burn`.
    """

    endpoint: Endpoint
    account: str
    team: str | None
    billed: bool
    burn: int | None
    unpriced: int | None = None


def state_counts(session: Session) -> dict[str, int]:
    """Return how many live endpoints are in each state."""
    query = _joined(select(col(Endpoint.status), func.count())).where(*_LIVE)
    return {row[0]: row[1] for row in _rows(session, query.group_by(col(Endpoint.status)))}


def unmanaged(session: Session) -> dict[str, int]:
    """Return how many live endpoints are only observed, by account."""
    observed = col(Endpoint.managed).is_(False)
    query = _joined(select(col(Endpoint.account_id), func.count())).where(*_LIVE, observed)
    return {row[0]: row[1] for row in _rows(session, query.group_by(col(Endpoint.account_id)))}


def team_sizes(session: Session) -> dict[str, int]:
    """Return how many live endpoints each team has; without the label: the empty text."""
    team = func.coalesce(col(Label.value), "")
    query = _joined(select(team, func.count())).where(*_LIVE).group_by(team)
    return {row[0]: row[1] for row in _rows(session, query)}


def fleet_count(session: Session, wanted: FleetQuery) -> int:
    """Return how many live endpoints match."""
    query = _joined(select(func.count())).where(*_LIVE, *_conditions(wanted))
    return int(_rows(session, query)[0][0])


def fleet_ids(
    session: Session, wanted: FleetQuery, *, limit: int | None = None, offset: int = 0
) -> list[str]:
    """Return the ids of the live endpoints that match, in the order asked for."""
    query = _joined(select(col(Endpoint.id))).where(*_LIVE, *_conditions(wanted))
    ordered = query.order_by(*_order(wanted.sort), col(Endpoint.name), col(Endpoint.id))
    return [row[0] for row in _rows(session, ordered.limit(limit).offset(offset))]


def fleet_records(session: Session, ids: Sequence[str]) -> list[FleetRecord]:
    """Return endpoints by id, in the order of `ids`; the spec stays in the database."""
    meter = _meters(ids)
    query = _joined(select(Endpoint, col(Account.name), col(Label.value), *meter.columns))
    query = query.outerjoin(meter, meter.c.endpoint_id == col(Endpoint.id))
    unread = defer(Endpoint.spec)  # type: ignore[arg-type] # a column, typed as its value
    rows = _rows(session, query.where(col(Endpoint.id).in_(ids)).options(unread))
    found = {
        endpoint.id: FleetRecord(endpoint, account, team, _billed(endpoint, metered), *amounts)
        for endpoint, account, team, metered, *amounts in rows
    }
    return [found[one] for one in ids if one in found]


def _billed(endpoint: Endpoint, metered: str | None) -> bool:
    return metered is not None or endpoint.billed_high > 0


def _meters(ids: Sequence[str]) -> Any:
    """Return endpoint, known burn and number of unpriced components of those that are billed."""
    burn = col(MeterInterval.burn)
    return (
        select(
            col(MeterInterval.endpoint_id),
            cast(func.sum(burn), BigInteger).label("burn"),
            (func.count() - func.count(burn)).label("unpriced"),
        )
        .where(col(MeterInterval.endpoint_id).in_(ids), *_METERED)
        .group_by(col(MeterInterval.endpoint_id))
        .subquery()
    )


def bound_rules(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the enabled schedules and policies that bind each endpoint."""
    found: dict[str, list[str]] = {}
    for table in (Schedule, IdlePolicy):
        query = (
            select(col(Binding.endpoint_id), col(table.name))
            .join(table, col(table.id) == col(Binding.rule_id))
            .where(col(Binding.endpoint_id).in_(ids), col(table.enabled).is_(True))
            .where(col(table.removed_at).is_(None))
            .order_by(col(table.name))
        )
        for endpoint_id, name in _rows(session, query):
            found.setdefault(endpoint_id, []).append(name)
    return found


def _rows(session: Session, query: Any) -> Sequence[Any]:
    rows: Sequence[Any] = session.exec(query).all()
    return rows


def _joined(query: Any) -> Any:
    team = and_(col(Label.endpoint_id) == col(Endpoint.id), col(Label.key) == TEAM)
    account = col(Account.id) == col(Endpoint.account_id)
    return query.select_from(Endpoint).join(Account, account).outerjoin(Label, team)


def _conditions(wanted: FleetQuery) -> list[ColumnElement[bool]]:
    conditions = [_mentions(word) for word in wanted.text.split()]
    if wanted.statuses:
        conditions.append(col(Endpoint.status).in_(wanted.statuses))
    if wanted.account:
        conditions.append(col(Account.name) == wanted.account)
    if wanted.managed is not None:
        conditions.append(col(Endpoint.managed).is_(wanted.managed))
    if wanted.team is not None:
        conditions.append(func.coalesce(col(Label.value), "") == wanted.team)
    return conditions


def _mentions(word: str) -> ColumnElement[bool]:
    fields = (
        col(Endpoint.name),
        col(Endpoint.repository),
        col(Endpoint.hardware_key),
        col(Endpoint.owner),
    )
    return or_(*(field.icontains(word, autoescape=True) for field in fields))


def _order(sort: str) -> list[ColumnElement[Any]]:
    column = _columns().get(sort.removeprefix("-"))
    if column is None:
        return []
    ordered = column.desc() if sort.startswith("-") else column.asc()
    return [ordered.nulls_last()]


def _columns() -> Mapping[str, ColumnElement[Any]]:
    columns: dict[str, Any] = {
        "name": col(Endpoint.name),
        "account": col(Account.name),
        "status": col(Endpoint.status),
        "team": col(Label.value),
        "used": col(Endpoint.last_used_at),
        "next": col(Endpoint.next_edge_at),
        "hardware": col(Endpoint.hardware_key),
        "burn": func.coalesce(_rank(), -1),
    }
    return columns


def _rank() -> ColumnElement[int]:
    """Return what all components burn; a disk without a price does not make it the dearest."""
    unpriced = case((col(MeterInterval.component) == COMPUTE, _UNPRICED), else_=0)
    return (
        select(cast(func.sum(func.coalesce(col(MeterInterval.burn), unpriced)), BigInteger))
        .where(col(MeterInterval.endpoint_id) == col(Endpoint.id), *_METERED)
        .correlate(Endpoint)
        .scalar_subquery()
    )
