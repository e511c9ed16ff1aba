"""Follow what the cloud says during an operation, and flag what takes longer than usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.usual import SHORTEST, Spent, Usual, is_over, usual
from orchestrator.engine.apply import ENGINE
from orchestrator.engine.records import Records
from orchestrator.engine.steps import ENDED, add_step
from orchestrator.services.lengths import brief
from orchestrator.services.usual_times import CLOUD, history
from orchestrator.store import events, observation
from orchestrator.store.tables import Endpoint, Operation


class Watcher:
    """Watches the operations of one account that a pass has left under way."""

    def __init__(self, records: Records, defaults: Mapping[str, int]) -> None:
        self._records = records
        self._defaults = defaults
        self._known: dict[str, list[Spent]] = {}

    def watch(self, active: Sequence[Operation]) -> None:
        """Note what the cloud says now, and which steps last longer than usual."""
        ids = [op.endpoint_id for op in active if op.endpoint_id is not None]
        with self._records.context.database.read() as session:
            rows = observation.endpoints_by_id(session, ids)
        for operation in active:
            self._watch(operation, rows.get(operation.endpoint_id or ""))

    def _watch(self, operation: Operation, endpoint: Endpoint | None) -> None:
        now = self._records.now()
        over = self._too_long(operation, endpoint, now)
        news = endpoint is not None and _words(operation) != _said(endpoint)
        if not news and (over is not None) == (operation.stuck_since is not None):
            return
        with self._records.change(operation.id) as (session, held):
            if held.status in ENDED:
                return
            if endpoint is not None and news:
                _note_words(held, endpoint, now)
            if over is not None and held.stuck_since is None:
                self._flag(session, held, over, now)
            elif over is None and held.stuck_since is not None:
                held.stuck_since = None
                _tell(session, held, "operation.moving", "it moves again", now)

    def _too_long(
        self, operation: Operation, endpoint: Endpoint | None, now: datetime
    ) -> Usual | None:
        """Return the usual time of the present step, where it lasts too long by now."""
        since = step_since(operation, endpoint)
        if now - since <= SHORTEST:
            return None
        hardware = "" if endpoint is None else endpoint.hardware_key
        default = self._defaults.get(operation.kind)
        known = None if default is None else timedelta(seconds=default)
        found = usual(operation.status, self._history(operation.kind), hardware, known)
        return found if is_over(since, now, found) else None

    def _history(self, kind: str) -> list[Spent]:
        if kind not in self._known:
            provider, now = self._records.account.provider, self._records.now()
            with self._records.context.database.read() as session:
                self._known[kind] = history(session, kind, provider, now)
        return self._known[kind]

    def _flag(self, session: Session, held: Operation, found: Usual, now: datetime) -> None:
        held.stuck_since = now
        held.usual_s = int(found.time.total_seconds())
        took = now - held.created_at
        told = f"it usually takes {brief(found.time)} and was asked for {brief(took)} ago"
        _tell(session, held, "operation.stuck", f"{told}{_cloud_says(held)}", now)


def step_since(operation: Operation, endpoint: Endpoint | None) -> datetime:
    """Return when the present step began: with a status of it, or of what the cloud shows."""
    begun = operation.created_at
    if operation.status == "running":
        begun = operation.started_at or begun
    elif operation.status == "confirming":
        begun = operation.accepted_at or begun
    if endpoint is not None and operation.status == "confirming":
        return max(begun, endpoint.status_since)
    return begun


def _words(operation: Operation) -> tuple[str, str]:
    return operation.cloud_state, operation.cloud_message


def _said(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.cloud_state, endpoint.message


def _note_words(held: Operation, endpoint: Endpoint, now: datetime) -> None:
    held.cloud_state, held.cloud_message = _said(endpoint)
    detail = ": ".join(part for part in _said(endpoint) if part)
    add_step(held, CLOUD, now, endpoint.status, detail)


def _cloud_says(held: Operation) -> str:
    said = ": ".join(part for part in _words(held) if part)
    if not said and held.steps:
        last = held.steps[-1]
        said = f"{last['state']}: {last['detail']}".rstrip(": ")
        return f"; last: {said}"
    return f"; the cloud says {said}" if said else ""


def _tell(session: Session, held: Operation, kind: str, why: str, now: datetime) -> None:
    events.record(
        session,
        at=now,
        kind=kind,
        actor=ENGINE,
        message=f"{held.kind} of {held.endpoint_name}: {why}",
        account_id=held.account_id,
        endpoint_id=held.endpoint_id,
        operation_id=held.id,
        data={
            "step": held.status,
            "usual_seconds": held.usual_s,
            "cloud_state": held.cloud_state,
            "cloud_message": held.cloud_message,
        },
    )
