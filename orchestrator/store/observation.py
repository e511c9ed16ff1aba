"""Reading and writing what the engine's passes see; few statements, narrow rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, update
from sqlmodel import Session, col, select

from orchestrator.domain.status import Status
from orchestrator.store import columns
from orchestrator.store.tables import (
    Account,
    Binding,
    Endpoint,
    Hold,
    IdlePolicy,
    Json,
    Label,
    MeterInterval,
    Schedule,
)
from orchestrator.store.vouching import vouched_until

# Stored states of an endpoint that we have deleted in order to pause it.
AWAY = (Status.PAUSED, Status.WAITING_FOR_CAPACITY)


@dataclass(frozen=True, slots=True)
class Known:
    """The little that is needed to see whether a listed endpoint has changed.

    `stop_sent_at` is set from when we may have deleted it in order to pause it.
    """

    id: str
    name: str
    status: str
    status_since: datetime
    digest: str
    last_used_at: datetime | None
    missing_since: datetime | None
    looked_at: datetime | None
    confirmed_at: datetime
    restless: bool
    stop_sent_at: datetime | None

    def vouched_until(self, whole: datetime | None) -> datetime:
        """Return until when it is known to have been so; `whole` is its account's last look."""
        unsure = self.missing_since is not None or self.restless
        return vouched_until(whole, self.confirmed_at, unsure=unsure)

    @property
    def away(self) -> bool:
        """Tell whether it is absent from its cloud because we paused it so."""
        return self.stop_sent_at is not None and self.status in AWAY


@dataclass(frozen=True, slots=True)
class ManagedRow:
    """The columns of a managed endpoint that a decision looks at."""

    id: str
    name: str
    status: str
    status_since: datetime
    protected: bool
    observe_only: str
    billed_low: int
    billed_expected: int
    billed_high: int
    hardware_key: str
    last_used_at: datetime | None
    ready_at: datetime | None
    resumed_at: datetime | None
    managed_since: datetime | None
    wish: str
    wish_reason: str
    wish_actor: str
    wish_at: datetime | None
    asleep_rule: str
    asleep_since: datetime | None
    decided_wish: str
    decided_rule: str
    decided_reason: str
    next_edge_at: datetime | None
    next_edge_wish: str
    not_before: datetime | None
    missing_since: datetime | None
    stop: str
    to_zero: bool
    allow_recreate: bool
    delete_after: datetime | None
    tombstone: Json
    held_awake: Json
    expires_at: datetime | None
    expiry: Json
    min_replicas: int | None
    scale_to_zero_minutes: int | None


_KNOWN_COLUMNS = tuple(getattr(Endpoint, name) for name in Known.__dataclass_fields__)
_MANAGED_COLUMNS = tuple(getattr(Endpoint, name) for name in ManagedRow.__dataclass_fields__)

# What every pass asks is built once: building a statement takes longer than running it.
_LIVE = (Endpoint.account_id == bindparam("account_id"), col(Endpoint.deleted_at).is_(None))
_ACCOUNT = select(Account).where(Account.id == bindparam("account_id"))
_ENDPOINT = select(Endpoint).where(Endpoint.id == bindparam("endpoint_id"))
_ENDPOINTS = select(Endpoint).where(col(Endpoint.id).in_(bindparam("ids", expanding=True)))
_CLOUD_LABELS = select(Label).where(
    Label.endpoint_id == bindparam("endpoint_id"), Label.source == "cloud"
)
_LABELS_SEEN = select(Label.key, Label.value).where(
    Label.endpoint_id == bindparam("endpoint_id"), Label.source == "cloud"
)
_ACTIVE_IDS = select(Account.id).where(col(Account.removed_at).is_(None)).order_by(Account.id)
_KNOWN = select(*_KNOWN_COLUMNS).where(*_LIVE)
_MANAGED = select(*_MANAGED_COLUMNS).where(*_LIVE, col(Endpoint.managed).is_(True))
_WITH_KEPT = select(Endpoint).where(*_LIVE, col(Endpoint.kept_at).is_not(None))
_DUE_DELETIONS = select(Endpoint.id).where(*_LIVE, col(Endpoint.delete_after) <= bindparam("now"))
_MOVING = (
    select(Endpoint.id)
    .where(
        *_LIVE,
        col(Endpoint.status).in_(bindparam("statuses", expanding=True)),
        Endpoint.status_since > bindparam("since"),
    )
    .limit(1)
)
_BURNS = select(MeterInterval.endpoint_id, MeterInterval.burn).where(
    MeterInterval.account_id == bindparam("account_id"),
    col(MeterInterval.ended_at).is_(None),
    col(MeterInterval.burn).is_not(None),
)
_BINDINGS = (
    select(Binding)
    .join(Endpoint, col(Endpoint.id) == col(Binding.endpoint_id))
    .where(Endpoint.account_id == bindparam("account_id"), col(Endpoint.managed).is_(True))
)
_BINDINGS_OF_ONE = _BINDINGS.where(Binding.endpoint_id == bindparam("endpoint_id"))
_HOLDS = (
    select(Hold)
    .join(Endpoint, col(Endpoint.id) == col(Hold.endpoint_id))
    .where(
        Endpoint.account_id == bindparam("account_id"),
        col(Hold.ended_at).is_(None),
        Hold.until > bindparam("now"),
    )
    .order_by(col(Hold.starts_at))
)
_HOLDS_OF_ONE = _HOLDS.where(Hold.endpoint_id == bindparam("endpoint_id"))
_SCHEDULES = select(Schedule).where(
    col(Schedule.id).in_(bindparam("ids", expanding=True)),
    col(Schedule.removed_at).is_(None),
    col(Schedule.enabled).is_(True),
)
_IDLE_POLICIES = select(IdlePolicy).where(
    col(IdlePolicy.id).in_(bindparam("ids", expanding=True)),
    col(IdlePolicy.removed_at).is_(None),
    col(IdlePolicy.enabled).is_(True),
)


def active_accounts(session: Session) -> Sequence[Account]:
    """Return all accounts that are connected, in a stable order."""
    query = select(Account).where(col(Account.removed_at).is_(None)).order_by(Account.id)
    return session.exec(query).all()


def account_by_id(session: Session, account_id: str) -> Account:
    """Return an account, removed ones too."""
    return session.exec(_ACCOUNT, params={"account_id": account_id}).one()


def endpoint_by_id(session: Session, endpoint_id: str) -> Endpoint:
    """Return an endpoint, deleted ones too."""
    return session.exec(_ENDPOINT, params={"endpoint_id": endpoint_id}).one()


def active_account_ids(session: Session) -> Sequence[str]:
    """Return the ids of all accounts that are connected, in a stable order."""
    return columns.read(session, _ACTIVE_IDS).scalars().all()


def known_endpoints(session: Session, account_id: str) -> dict[str, Known]:
    """Return what is known of an account's live endpoints, by name."""
    rows = columns.read(session, _KNOWN, {"account_id": account_id})
    return {row.name: Known(*row) for row in rows}


def live_by_name(session: Session, account_id: str, name: str) -> Endpoint | None:
    """Return the endpoint of that name that is not deleted, if any."""
    query = select(Endpoint).where(
        Endpoint.account_id == account_id,
        Endpoint.name == name,
        col(Endpoint.deleted_at).is_(None),
    )
    return session.exec(query).first()


def by_names(session: Session, account_id: str, names: Sequence[str]) -> dict[str, Endpoint]:
    """Return the live endpoints of an account that bear these names, by name."""
    found: dict[str, Endpoint] = {}
    for start in range(0, len(names), 500):
        query = select(Endpoint).where(
            Endpoint.account_id == account_id,
            col(Endpoint.name).in_(names[start : start + 500]),
            col(Endpoint.deleted_at).is_(None),
        )
        found.update((row.name, row) for row in session.exec(query))
    return found


def generations(session: Session, account_id: str, names: Sequence[str]) -> dict[str, int]:
    """Return the youngest generation of each of these names that was ever seen."""
    found: dict[str, int] = {}
    for start in range(0, len(names), 500):
        query = (
            select(Endpoint.name, func.max(Endpoint.generation))
            .where(Endpoint.account_id == account_id)
            .where(col(Endpoint.name).in_(names[start : start + 500]))
            .group_by(col(Endpoint.name))
        )
        found.update({name: int(generation) for name, generation in session.exec(query)})
    return found


def endpoints_by_id(session: Session, ids: Iterable[str]) -> dict[str, Endpoint]:
    """Return the endpoints of these ids."""
    wanted = list(ids)
    found: dict[str, Endpoint] = {}
    for start in range(0, len(wanted), 500):
        rows = session.exec(_ENDPOINTS, params={"ids": wanted[start : start + 500]})
        found.update((row.id, row) for row in rows)
    return found


def touch_last_used(session: Session, used: Mapping[str, datetime | None]) -> None:
    """Store new times of last use, by endpoint id, in one statement for all."""
    if used:
        session.connection().execute(
            update(Endpoint)
            .where(col(Endpoint.id) == bindparam("key"))
            .values(last_used_at=bindparam("at")),
            [{"key": key, "at": at} for key, at in sorted(used.items())],
        )


def mark_missing(session: Session, ids: Sequence[str], at: datetime | None) -> None:
    """Note since when endpoints are absent from listings; None when they are back."""
    if ids:
        session.execute(update(Endpoint).where(col(Endpoint.id).in_(ids)).values(missing_since=at))


def confirm(session: Session, ids: Sequence[str], at: datetime) -> None:
    """Note that these endpoints were seen unchanged at `at`, outside of a complete listing."""
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        session.execute(update(Endpoint).where(col(Endpoint.id).in_(chunk)).values(confirmed_at=at))


def managed(session: Session, account_id: str) -> list[ManagedRow]:
    """Return the managed live endpoints of an account."""
    rows = columns.read(session, _MANAGED, {"account_id": account_id})
    return [ManagedRow(*row) for row in rows]


def holds_in_force(
    session: Session, account_id: str, now: datetime, endpoint_id: str | None = None
) -> Sequence[Hold]:
    """Return the holds of an account, or of one endpoint, that have begun and not ended."""
    given = {"account_id": account_id, "now": now}
    if endpoint_id is None:
        return columns.rare(session, _HOLDS, given)
    return session.exec(_HOLDS_OF_ONE, params={**given, "endpoint_id": endpoint_id}).all()


def schedules_in_force(session: Session, ids: Collection[str]) -> Sequence[Schedule]:
    """Return those of these rules that are enabled schedules."""
    return session.exec(_SCHEDULES, params={"ids": sorted(ids)}).all() if ids else []


def idle_policies_in_force(session: Session, ids: Collection[str]) -> Sequence[IdlePolicy]:
    """Return those of these rules that are enabled idle policies."""
    return session.exec(_IDLE_POLICIES, params={"ids": sorted(ids)}).all() if ids else []


def bindings(
    session: Session, account_id: str, endpoint_id: str | None = None
) -> Sequence[Binding]:
    """Return which rules cover which endpoints of an account, or one endpoint of it."""
    if endpoint_id is None:
        return session.exec(_BINDINGS, params={"account_id": account_id}).all()
    given = {"account_id": account_id, "endpoint_id": endpoint_id}
    return session.exec(_BINDINGS_OF_ONE, params=given).all()


def any_moving(session: Session, account_id: str, statuses: Iterable[str], since: datetime) -> bool:
    """Tell whether a live endpoint of the account entered one of these statuses after `since`."""
    given = {"account_id": account_id, "statuses": list(statuses), "since": since}
    return columns.read(session, _MOVING, given).first() is not None


def burns(session: Session, account_id: str) -> dict[str, int]:
    """Return what each endpoint costs now, in nano-dollars per hour, as far as that is known."""
    found: dict[str, int] = {}
    for endpoint_id, burn in columns.read(session, _BURNS, {"account_id": account_id}):
        found[endpoint_id] = found.get(endpoint_id, 0) + burn
    return found


def due_deletions(session: Session, account_id: str, now: datetime) -> Sequence[str]:
    """Return the endpoints of an account that are to be deleted by now, their grace being over."""
    given = {"account_id": account_id, "now": now}
    return columns.read(session, _DUE_DELETIONS, given).scalars().all()


def with_kept(session: Session, account_id: str) -> Sequence[Endpoint]:
    """Return the live endpoints of an account of which something is kept to make them again."""
    return columns.rare(session, _WITH_KEPT, {"account_id": account_id})


def replace_cloud_labels(session: Session, endpoint_id: str, labels: Mapping[str, str]) -> bool:
    """Make the imported labels of an endpoint equal to `labels`; tell whether any changed."""
    given = {"endpoint_id": endpoint_id}
    seen = {row.key: row.value for row in columns.read(session, _LABELS_SEEN, given)}
    if seen == dict(labels):
        return False
    held = {row.key: row for row in session.exec(_CLOUD_LABELS, params=given)}
    for key, row in held.items():
        if key not in labels:
            session.delete(row)
    for key, value in labels.items():
        row = held.get(key) or Label(endpoint_id=endpoint_id, key=key, source="cloud")
        row.value = value
        session.add(row)
    return True
