"""Reads for pages that show many endpoints at once: few statements, whatever their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

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

    `billed` says whether the meter runs; `burn` is then None where the price is not known.
    """

    endpoint: Endpoint
    account: str
    team: str | None
    billed: bool
    burn: int | None


@dataclass(frozen=True, slots=True)
class TeamSize:
    """How many live endpoints a team has; the team without the label is the empty text."""

    team: str
    endpoints: int
    billed: int


def state_counts(session: Session) -> dict[str, int]:
    """Return how many live endpoints are in each state."""
    query = select(Endpoint.status, func.count()).join(Account, _account()).where(*_LIVE)
    rows = session.exec(query.group_by(Endpoint.status)).all()
    return {status: count for status, count in rows}  # noqa: C416 - rows are not plain pairs


def team_sizes(session: Session) -> list[TeamSize]:
    """Return the teams with live endpoints, by name."""
    team = func.coalesce(Label.value, "")
    query = _joined(select(team, func.count(), func.count(col(MeterInterval.id))))
    rows = session.execute(query.where(*_LIVE).group_by(team).order_by(team)).all()
    return [TeamSize(name, endpoints, billed) for name, endpoints, billed in rows]


def fleet_ids(session: Session, wanted: FleetQuery) -> list[str]:
    """Return the ids of the live endpoints that match, in the order asked for."""
    query = _joined(select(col(Endpoint.id))).where(*_LIVE, *_conditions(wanted))
    ordered = query.order_by(*_order(wanted.sort), col(Endpoint.name), col(Endpoint.id))
    return [row[0] for row in session.execute(ordered).all()]


def fleet_records(session: Session, ids: Sequence[str]) -> list[FleetRecord]:
    """Return endpoints by id, in the order of `ids`; the spec stays in the database."""
    columns = select(Endpoint, Account.name, Label.value, MeterInterval.id, MeterInterval.burn)
    unread = defer(Endpoint.spec)  # type: ignore[arg-type] # a column, typed as its value
    query = _joined(columns).where(col(Endpoint.id).in_(ids)).options(unread)
    found = {
        endpoint.id: FleetRecord(endpoint, account, team, interval is not None, burn)
        for endpoint, account, team, interval, burn in session.execute(query).all()
    }
    return [found[one] for one in ids if one in found]


def bound_rules(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the enabled schedules and policies that bind each endpoint."""
    found: dict[str, list[str]] = {}
    for table in (Schedule, IdlePolicy):
        query = (
            select(Binding.endpoint_id, table.name)
            .join(table, col(table.id) == col(Binding.rule_id))
            .where(col(Binding.endpoint_id).in_(ids), col(table.enabled).is_(True))
            .where(col(table.removed_at).is_(None))
            .order_by(table.name)
        )
        for endpoint_id, name in session.exec(query).all():
            found.setdefault(endpoint_id, []).append(name)
    return found


def _account() -> ColumnElement[bool]:
    return col(Account.id) == col(Endpoint.account_id)


def _joined(query: Any) -> Select[Any]:
    team = and_(col(Label.endpoint_id) == col(Endpoint.id), col(Label.key) == TEAM)
    metered = and_(
        col(MeterInterval.endpoint_id) == col(Endpoint.id),
        col(MeterInterval.ended_at).is_(None),
        col(MeterInterval.replicas_high) > 0,
    )
    joined: Select[Any] = (
        query.select_from(Endpoint)
        .join(Account, _account())
        .outerjoin(Label, team)
        .outerjoin(MeterInterval, metered)
    )
    return joined


def _conditions(wanted: FleetQuery) -> list[ColumnElement[bool]]:
    conditions = [_mentions(word) for word in wanted.text.split()]
    if wanted.statuses:
        conditions.append(col(Endpoint.status).in_(wanted.statuses))
    if wanted.account:
        conditions.append(col(Account.name) == wanted.account)
    if wanted.managed is not None:
        conditions.append(col(Endpoint.managed).is_(wanted.managed))
    if wanted.team is not None:
        conditions.append(func.coalesce(Label.value, "") == wanted.team)
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
    burning = func.coalesce(col(MeterInterval.burn), _UNPRICED)
    columns: dict[str, Any] = {
        "name": col(Endpoint.name),
        "account": col(Account.name),
        "status": col(Endpoint.status),
        "team": col(Label.value),
        "used": col(Endpoint.last_used_at),
        "next": col(Endpoint.next_edge_at),
        "hardware": col(Endpoint.hardware_key),
        "burn": case((col(MeterInterval.id).is_(None), -1), else_=burning),
    }
    return columns
