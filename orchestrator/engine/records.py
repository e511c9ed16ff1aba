"""What an account's operations write down: their steps, what was seen of them, their ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from sqlmodel import Session

from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Status
from orchestrator.engine import adoption
from orchestrator.engine.apply import (
    ENGINE,
    Sight,
    away,
    discover_all,
    paused_by_us,
    record_meter,
    refresh,
)
from orchestrator.engine.observe import SHORT_WAIT, Belief, Pass, Reading, store_read
from orchestrator.engine.retries import TOLD, cool_down, kind_of, made_nothing, wait_for
from orchestrator.engine.steps import ENDED, NO_CAPACITY, NOT_RECEIVED, add_step, end
from orchestrator.providers.base import (
    AmbiguousError,
    CapacityError,
    ProviderError,
    ThrottledError,
)
from orchestrator.providers.permit import Change, WithdrawnError, standing
from orchestrator.store import events, freeze, observation, operations
from orchestrator.store.tables import Endpoint, Operation


class Records:
    """Reads and writes the operations of one account during one pass."""

    def __init__(self, work: Pass) -> None:
        self.context = work.context
        self.account = work.account
        self.look = work.look
        self.throttled = False

    def now(self) -> datetime:
        """Return the time it is."""
        return self.context.clock.now()

    def load(self, operation_id: str) -> tuple[Operation, Endpoint | None]:
        """Return an operation as it is now, and its endpoint if it has one."""
        with self.context.database.read() as session:
            operation = operations.get(session, operation_id)
            if operation is None:
                raise LookupError(operation_id)
            if operation.endpoint_id is None:
                return operation, None
            return operation, observation.endpoint_by_id(session, operation.endpoint_id)

    @contextmanager
    def change(self, operation_id: str) -> Iterator[tuple[Session, Operation]]:
        """Yield a transaction with the operation read anew and locked, its endpoint before it."""
        with self.context.database.write() as session:
            operation = operations.lock(session, operation_id)
            if operation is None:
                raise LookupError(operation_id)
            yield session, operation
            session.add(operation)

    @contextmanager
    def wanted(self, operation_id: str) -> Iterator[Change]:
        """Let the change of this block be withdrawn where its operation does not stand any more."""
        with standing(partial(self._check_wanted, operation_id)) as change:
            yield change

    def _check_wanted(self, operation_id: str) -> None:
        with self.context.database.read() as session:
            if not operations.is_wanted(session, operation_id):
                raise WithdrawnError("another wish has taken its place")
            if freeze.is_on(session, self.account.id):
                raise WithdrawnError("changes were frozen", for_now=True)

    def withdrawn(self, operation_id: str, error: WithdrawnError) -> None:
        """Note that a change goes no further; tell of it where its operation has ended."""
        now = self.now()
        with self.change(operation_id) as (session, operation):
            add_step(operation, operation.kind, now, "not sent", str(error))
            if operation.status not in ENDED:
                return
            operation.outcome = f"{operation.outcome}; its next call was not sent"
            events.record(
                session,
                at=now,
                kind="operation.withdrawn",
                actor=ENGINE,
                message=f"{operation.kind} of {operation.endpoint_name}: its next call was not "
                f"sent, {error}",
                account_id=operation.account_id,
                endpoint_id=operation.endpoint_id,
                operation_id=operation.id,
            )

    def store_read(self, endpoint_id: str, snapshot: Snapshot | None, asked_at: datetime) -> Belief:
        """Store a direct read, where it is worth anything."""
        reading = Reading(endpoint_id, snapshot, asked_at)
        return store_read(self.context, self.account.id, reading, self.look.watch)

    def store_echo(
        self,
        session: Session,
        endpoint_id: str,
        snapshot: Snapshot,
        asked_at: datetime,
        cause: str,
    ) -> None:
        """Store what a change of ours was answered with."""
        account = observation.account_by_id(session, self.account.id)
        endpoint = session.get_one(Endpoint, endpoint_id)
        sight = Sight(snapshot, "", asked_at, self.now())
        change = refresh(session, account, endpoint, sight, cause=cause)
        endpoint.landing_until = None
        record_meter(session, account.id, self.look.watch, change.metered)

    def store_created(self, operation_id: str, snapshot: Snapshot, asked_at: datetime) -> None:
        """Store an endpoint that a create of ours has made."""
        now = self.now()
        with self.change(operation_id) as (session, operation):
            account = observation.account_by_id(session, self.account.id)
            held = observation.live_by_name(session, account.id, snapshot.name)
            sight = Sight(snapshot, "", asked_at, now)
            if held is None:
                change = discover_all(session, account, [sight])[0]
            else:
                change = refresh(session, account, held, sight)
            add_step(operation, operation.kind, now, "accepted", snapshot.cloud_state)
            if operation.endpoint_id is None and operation.status not in ENDED:
                adoption.own_created(session, change.endpoint, operation, now)
            record_meter(session, account.id, self.look.watch, change.metered)
            self.look.seen.add(change.endpoint.id)

    def heed(self, error: ProviderError) -> None:
        """End this pass's calls when the cloud, or our own pace, wants no more of them now."""
        if isinstance(error, ThrottledError):
            self.throttled = True
            self.look.retry_after = error.retry_after or SHORT_WAIT

    def try_later(self, operation_id: str, error: ProviderError, *, sent: bool = True) -> None:
        """Note what a call, or a look before it, was answered, and when to try again."""
        self.heed(error)
        now = self.now()
        with self.change(operation_id) as (session, operation):
            if operation.status in ENDED:
                return
            wait = wait_for(operation, error)
            state = "unknown" if isinstance(error, AmbiguousError) else "refused for now"
            if sent and operation.kind in TOLD and made_nothing(error):
                state = NOT_RECEIVED
            add_step(operation, operation.kind, now, state, str(error))
            operation.next_attempt_at = now + wait
            if isinstance(error, CapacityError):
                operation.outcome = f"{NO_CAPACITY}: {error}"
                self._waits_for_capacity(session, operation, now)
            if operation.attempts == 1 or isinstance(error, CapacityError):
                self.tell(session, operation, kind_of(error), str(error), wait)

    def again(self, operation_id: str, wait: timedelta, why: str) -> None:
        """Let the call be made once more after a while; nothing was lost."""
        now = self.now()
        with self.change(operation_id) as (session, operation):
            if operation.status in ENDED:
                return
            operation.status, operation.accepted_at = "running", None
            operation.next_attempt_at = now + wait
            add_step(operation, operation.kind, now, "again", why)
            if why.startswith(NO_CAPACITY) and not operation.outcome.startswith(NO_CAPACITY):
                self.tell(session, operation, "operation.waiting_for_capacity", why, wait)
            if why.startswith(NO_CAPACITY) or not operation.outcome.startswith(NO_CAPACITY):
                operation.outcome = why

    def end(self, operation_id: str, status: str, outcome: str) -> None:
        """Close an operation, and leave its endpoint alone for a while after a failure."""
        now = self.now()
        with self.change(operation_id) as (session, operation):
            if operation.status in ENDED:
                return
            if "cancel" in operation.request:
                status = "cancelled"
            end(session, operation, status, outcome, now)
            if operation.endpoint_id is not None:
                endpoint = session.get_one(Endpoint, operation.endpoint_id)
                cool_down(endpoint, now, failed=status == "failed")
                if status == "succeeded" and _is_up_again(operation, endpoint):
                    endpoint.scaling_before_pause = {}
                session.add(endpoint)
        self.context.vault.drop(operation_id)

    def tell(
        self, session: Session, operation: Operation, kind: str, why: str, wait: timedelta
    ) -> None:
        """Record an event of an operation that is to be tried again."""
        events.record(
            session,
            at=self.now(),
            kind=kind,
            actor=ENGINE,
            message=f"{operation.kind} of {operation.endpoint_name}: {why}",
            account_id=operation.account_id,
            endpoint_id=operation.endpoint_id,
            operation_id=operation.id,
            data={"retry_in_seconds": int(wait.total_seconds())},
        )

    def _waits_for_capacity(self, session: Session, operation: Operation, now: datetime) -> None:
        """Show that an endpoint which is away waits for capacity, not for a person."""
        if operation.endpoint_id is None:
            return
        endpoint = session.get_one(Endpoint, operation.endpoint_id)
        if paused_by_us(endpoint) and endpoint.status == Status.PAUSED:
            account = observation.account_by_id(session, self.account.id)
            waiting = away(endpoint, Status.WAITING_FOR_CAPACITY)
            change = refresh(
                session, account, endpoint, Sight(waiting, "", now, now, inferred=True)
            )
            record_meter(session, account.id, self.look.watch, change.metered)


def _is_up_again(operation: Operation, endpoint: Endpoint) -> bool:
    """Tell whether the bounds from before a pause have been put back by now."""
    updated = operation.kind == Kind.UPDATE and endpoint.status == Status.RUNNING
    return operation.kind == Kind.RESUME or updated
