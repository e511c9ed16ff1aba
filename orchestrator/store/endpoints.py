"""Endpoints and their labels: reading, searching, and counting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    SQLColumnExpression,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
)
from sqlmodel import Session, col, select

from orchestrator.store.paging import Key, Position, beyond
from orchestrator.store.tables import Account, Endpoint, Label, MeterInterval

OURS = "ours"
CLOUD = "cloud"


class Sort(StrEnum):
    """Orders of the list; a minus turns one round."""

    NAME = "name"
    NAME_DOWN = "-name"
    STATUS = "status"
    STATUS_DOWN = "-status"
    BURN = "burn"
    BURN_DOWN = "-burn"


@dataclass(frozen=True, slots=True)
class EndpointFilter:
    """Which endpoints to list; None leaves a field open; `deleted` adds those that are gone.

    `labels` are pairs of key and value; a value of None asks for the key alone.
    """

    account_id: str | None = None
    statuses: tuple[str, ...] = ()
    managed: bool | None = None
    name: str | None = None
    labels: tuple[tuple[str, str | None], ...] = ()
    hardware: str | None = None
    deleted: bool = False
    ids: tuple[str, ...] | None = None
    expiring_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An endpoint, and its position in the order that was asked for."""

    endpoint: Endpoint
    position: Position


def get(session: Session, endpoint_id: str) -> Endpoint | None:
    """Return an endpoint by id, deleted ones too."""
    return session.get(Endpoint, endpoint_id)


def paused_by_deletion(session: Session, account_id: str) -> list[str]:
    """Return the names of an account's endpoints that were deleted to pause them."""
    query = select(Endpoint.name).where(
        Endpoint.account_id == account_id,
        col(Endpoint.stop_sent_at).is_not(None),
        col(Endpoint.deleted_at).is_(None),
    )
    return list(session.exec(query.order_by(Endpoint.name)))


def by_name(session: Session, account_name: str, name: str) -> Endpoint | None:
    """Return the newest endpoint of that name in an account that was not removed."""
    query = (
        select(Endpoint)
        .join(Account, col(Account.id) == col(Endpoint.account_id))
        .where(Account.name == account_name, col(Account.removed_at).is_(None))
        .where(Endpoint.name == name)
        .order_by(col(Endpoint.generation).desc())
    )
    return session.exec(query).first()


def live_by_name(session: Session, account_id: str, name: str) -> Endpoint | None:
    """Return the endpoint that bears a name in an account now."""
    query = select(Endpoint).where(
        Endpoint.account_id == account_id,
        Endpoint.name == name,
        col(Endpoint.deleted_at).is_(None),
    )
    return session.exec(query).first()


def by_ids(session: Session, ids: Collection[str]) -> dict[str, Endpoint]:
    """Return endpoints by id."""
    if not ids:
        return {}
    query = select(Endpoint).where(col(Endpoint.id).in_(ids))
    return {endpoint.id: endpoint for endpoint in session.exec(query)}


def search(
    session: Session,
    wanted: EndpointFilter,
    *,
    sort: Sort = Sort.NAME,
    after: Position | None = None,
    limit: int = 50,
) -> list[Found]:
    """Return up to `limit` endpoints of accounts that were not removed, with their positions."""
    by_burn = sort in (Sort.BURN, Sort.BURN_DOWN)
    burning = func.coalesce(_known_burn(), -1) if by_burn else literal(0)
    keys = (_sort_key(sort, burning), Key(col(Endpoint.id)))
    query = (
        select(Endpoint, burning)
        .join(Account, col(Account.id) == col(Endpoint.account_id))
        .where(col(Account.removed_at).is_(None), *_conditions(wanted))
        .order_by(*(key.ordering() for key in keys))
        .limit(limit)
    )
    if after is not None:
        query = query.where(beyond(keys, after))
    return [Found(row, _position(sort, row, burn)) for row, burn in session.exec(query)]


def matching(session: Session, wanted: EndpointFilter, limit: int) -> Sequence[Endpoint]:
    """Return up to `limit` endpoints of accounts that were not removed, by name."""
    query = (
        select(Endpoint)
        .join(Account, col(Account.id) == col(Endpoint.account_id))
        .where(col(Account.removed_at).is_(None), *_conditions(wanted))
        .order_by(col(Endpoint.name), col(Endpoint.id))
    )
    return session.exec(query.limit(limit)).all()


def managed_counts(session: Session) -> tuple[int, int]:
    """Return how many live endpoints are managed, and how many of those have replicas."""
    awake = func.sum(case((col(Endpoint.billed_high) > 0, 1), else_=0))
    query = (
        select(func.count(), func.coalesce(awake, 0))
        .select_from(Endpoint)
        .join(Account, col(Account.id) == col(Endpoint.account_id))
        .where(col(Account.removed_at).is_(None), col(Endpoint.deleted_at).is_(None))
        .where(col(Endpoint.managed).is_(True))
    )
    found, up = session.exec(query).one()
    return int(found), int(up)


def _known_burn() -> ColumnElement[int]:
    """Return the burn of all priced components of an endpoint; null where none is."""
    return (
        select(cast(func.sum(MeterInterval.burn), BigInteger))
        .where(
            col(MeterInterval.endpoint_id) == col(Endpoint.id),
            col(MeterInterval.ended_at).is_(None),
        )
        .correlate(Endpoint)
        .scalar_subquery()
    )


def _sort_key(sort: Sort, burning: ColumnElement[int]) -> Key:
    columns: dict[str, SQLColumnExpression[str] | SQLColumnExpression[int]] = {
        "name": col(Endpoint.name),
        "status": col(Endpoint.status),
        "burn": burning,
    }
    return Key(columns[sort.value.removeprefix("-")], descending=sort.value.startswith("-"))


def _position(sort: Sort, row: Endpoint, burn: int) -> Position:
    values: dict[str, str | int] = {"name": row.name, "status": row.status, "burn": burn}
    return values[sort.value.removeprefix("-")], row.id


def _conditions(wanted: EndpointFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if not wanted.deleted:
        conditions.append(col(Endpoint.deleted_at).is_(None))
    if wanted.ids is not None:
        conditions.append(col(Endpoint.id).in_(wanted.ids))
    if wanted.account_id is not None:
        conditions.append(col(Endpoint.account_id) == wanted.account_id)
    if wanted.statuses:
        conditions.append(col(Endpoint.status).in_(wanted.statuses))
    if wanted.managed is not None:
        conditions.append(col(Endpoint.managed).is_(wanted.managed))
    if wanted.name is not None:
        conditions.append(col(Endpoint.name).icontains(wanted.name, autoescape=True))
    if wanted.hardware is not None:
        conditions.append(col(Endpoint.hardware_key).icontains(wanted.hardware, autoescape=True))
    if wanted.expiring_before is not None:
        conditions.append(col(Endpoint.expires_at) < wanted.expiring_before)
        conditions.append(col(Endpoint.managed).is_(True))
    return conditions + [_labelled(key, value) for key, value in wanted.labels]


def _labelled(key: str, value: str | None) -> ColumnElement[bool]:
    matches = [col(Label.endpoint_id) == col(Endpoint.id), col(Label.key) == key]
    if value is not None:
        matches.append(col(Label.value) == value)
    return exists().where(*matches)


def all_live(session: Session) -> Sequence[Endpoint]:
    """Return every endpoint that was not deleted, of accounts that were not removed."""
    query = (
        select(Endpoint)
        .join(Account, col(Account.id) == col(Endpoint.account_id))
        .where(col(Account.removed_at).is_(None), col(Endpoint.deleted_at).is_(None))
        .order_by(col(Endpoint.name), col(Endpoint.id))
    )
    return session.exec(query).all()


def labels_of(session: Session, ids: Collection[str]) -> dict[str, list[Label]]:
    """Return the labels of endpoints, by endpoint, in the order of their keys."""
    found: dict[str, list[Label]] = defaultdict(list)
    if ids:
        query = select(Label).where(col(Label.endpoint_id).in_(ids)).order_by(col(Label.key))
        for label in session.exec(query):
            found[label.endpoint_id].append(label)
    return found


def all_labels(session: Session) -> dict[str, list[Label]]:
    """Return the labels of all endpoints, by endpoint."""
    found: dict[str, list[Label]] = defaultdict(list)
    for label in session.exec(select(Label)):
        found[label.endpoint_id].append(label)
    return found


def replace_our_labels(session: Session, endpoint_id: str, labels: Mapping[str, str]) -> None:
    """Make `labels` the whole set of our labels; those of the cloud stay."""
    session.exec(
        delete(Label).where(col(Label.endpoint_id) == endpoint_id, col(Label.source) == OURS)
    )
    for key, value in labels.items():
        session.add(Label(endpoint_id=endpoint_id, key=key, value=value, source=OURS))


def add_our_labels(session: Session, endpoint_id: str, labels: Mapping[str, str]) -> None:
    """Set labels of ours, and leave the others."""
    for key, value in labels.items():
        session.merge(Label(endpoint_id=endpoint_id, key=key, value=value, source=OURS))


def open_intervals(session: Session, ids: Collection[str]) -> dict[str, list[MeterInterval]]:
    """Return the meter intervals that are running for each endpoint, one of a component."""
    found: dict[str, list[MeterInterval]] = defaultdict(list)
    if ids:
        query = select(MeterInterval).where(
            col(MeterInterval.endpoint_id).in_(ids), col(MeterInterval.ended_at).is_(None)
        )
        for interval in session.exec(query):
            found[interval.endpoint_id].append(interval)
    return found


def managed(session: Session, ids: Collection[str] | None = None) -> Sequence[Endpoint]:
    """Return managed endpoints that were not deleted: those of `ids`, or all."""
    query = select(Endpoint).where(
        col(Endpoint.managed).is_(True), col(Endpoint.deleted_at).is_(None)
    )
    if ids is not None:
        query = query.where(col(Endpoint.id).in_(ids))
    return session.exec(query.order_by(col(Endpoint.name), col(Endpoint.id))).all()
