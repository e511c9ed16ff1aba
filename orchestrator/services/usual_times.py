"""How long operations usually take: by those of this installation, or as their driver says."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.usual import Spent, usual
from orchestrator.providers.base import CredentialsError
from orchestrator.services.context import Context
from orchestrator.store import accounts, operations
from orchestrator.store.tables import Account, Endpoint, Operation

HISTORY = timedelta(days=90)
MOST_READ = 200
# The name of the step that tells what the cloud said of an operation under way.
CLOUD = "cloud"


def history(session: Session, kind: str, provider: str, now: datetime) -> list[Spent]:
    """Return how long the last operations of a kind took at a kind of cloud."""
    rows = operations.succeeded(session, kind, provider, now - HISTORY, MOST_READ)
    found = [_spent(operation, hardware) for operation, hardware in rows]
    return [one for one in found if one is not None]


def usual_seconds(context: Context, operation: Operation, *, make: bool = True) -> int | None:
    """Return how long an operation usually takes once it is accepted, None where nobody knows.

    Of one that is stuck, or has ended, it is what was kept with it. Opens a session of its own;
    without `make` no driver is made to be asked.
    """
    if operation.stuck_since is not None or operation.status not in operations.ACTIVE:
        return operation.usual_s
    with context.database.read() as session:
        account = accounts.by_ids(session, [operation.account_id])[operation.account_id]
        spent = history(session, operation.kind, account.provider, context.clock.now())
        hardware = _hardware(session, operation)
    default = _default(context, account, operation.kind, make=make)
    found = usual("confirming", spent, hardware, default)
    return int(found.time.total_seconds()) if found.measured or default is not None else None


def _default(context: Context, account: Account, kind: str, *, make: bool) -> timedelta | None:
    try:
        driver = context.provider_for(account) if make else context.providers.made(account)
    except CredentialsError:
        return None
    known = None if driver is None else driver.capabilities.usual_s.get(kind)
    return None if known is None else timedelta(seconds=known)


def _hardware(session: Session, operation: Operation) -> str:
    """Return what it will run on when the operation is done."""
    asked = (operation.request.get("spec") or {}).get("hardware")
    if asked:
        names = ("vendor", "region", "instance_type", "instance_size")
        return "/".join(str(asked[name]) for name in names)
    row = None if operation.endpoint_id is None else session.get(Endpoint, operation.endpoint_id)
    return "" if row is None else row.hardware_key


def _spent(operation: Operation, hardware: str) -> Spent | None:
    started, accepted = operation.started_at, operation.accepted_at
    if started is None or accepted is None or operation.finished_at is None:
        return None
    if not any(step["name"] == CLOUD for step in operation.steps):
        return None  # it ended in the pass that began it: nothing was to be done, or waited for
    return Spent(
        hardware,
        started - operation.created_at,
        accepted - started,
        operation.finished_at - accepted,
    )
