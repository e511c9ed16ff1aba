"""What is kept to make endpoints again, brought to an end where no operation does it any more.

An operation may be superseded or fail between storing, deleting and putting back. Whatever is then
left of it is settled here at every pass: what never went is forgotten, what came back by itself
gets back what its pause took along, and what waits for nobody is shown as paused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.endpoints import Stop
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Status, Wish
from orchestrator.engine.apply import ENGINE, Sight, Watch, away, forget_kept, record_meter, refresh
from orchestrator.services.context import Context
from orchestrator.services.requests import Asked, open_operation
from orchestrator.store import operations
from orchestrator.store.tables import Account, Endpoint

# A deletion that was sent shows within this time, or it never took effect.
SETTLED = timedelta(minutes=10)
OWED = "what its last pause took along has not been put back yet"
_UP = (Status.RUNNING, Status.UPDATE_FAILED)


def settle_kept(
    context: Context, account: Account, watch: Watch, idle: Sequence[Endpoint], *, frozen: bool
) -> bool:
    """Settle what is kept of endpoints that no operation works on; tell whether any was due."""
    now = context.clock.now()
    due = [row for row in idle if _due(row, now, frozen=frozen)]
    for row in due:
        with context.database.write() as session:
            endpoint = session.get_one(Endpoint, row.id, with_for_update=True)
            if operations.active_for(session, endpoint.id) is None:
                _settle(session, account, endpoint, watch, now)
    return bool(due)


def _due(row: Endpoint, now: datetime, *, frozen: bool) -> bool:
    if row.status == Status.WAITING_FOR_CAPACITY:
        return row.stop_sent_at is not None and not row.cloud_state  # absent: nothing waits there
    if row.status not in _UP:
        return False
    if not _is_owed(row):
        return now - (row.stop_sent_at or row.kept_at or now) > SETTLED
    waits = row.not_before is not None and row.not_before > now
    return row.managed and not frozen and not waits and row.decided_wish != Wish.PAUSED


def _is_owed(row: Endpoint) -> bool:
    """Tell whether it has been away, or its scaling may be suspended by us."""
    return row.gone_at is not None or row.stop == Stop.PAUSE


def _settle(
    session: Session, account: Account, endpoint: Endpoint, watch: Watch, now: datetime
) -> None:
    if endpoint.status == Status.WAITING_FOR_CAPACITY:
        account = session.get_one(Account, account.id)
        sight = Sight(away(endpoint), "", now, now, inferred=True)
        change = refresh(session, account, endpoint, sight)
        record_meter(session, account.id, watch, change.metered)
    elif _is_owed(endpoint):
        _put_back(session, account, endpoint, now)
    else:
        forget_kept(endpoint)
        session.add(endpoint)


def _put_back(session: Session, account: Account, endpoint: Endpoint, now: datetime) -> None:
    open_operation(session, account, endpoint, Kind.RESUME, Asked(ENGINE, now, OWED))
