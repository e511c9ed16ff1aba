"""Carry operations out: written before the call, looked up after a doubt, confirmed by reading.

An operation is `pending` (asked for), `running` (a call was or may have been sent),
`confirming` (the cloud accepted it) and then succeeded, failed, superseded or cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.plan import STARTS, Kind
from orchestrator.domain.status import Status
from orchestrator.engine import adoption, outside
from orchestrator.engine.apply import (
    ENGINE,
    Sight,
    asleep_by,
    away,
    discover_all,
    keep_asked_scaling,
    paused_by_us,
    record_meter,
    refresh,
)
from orchestrator.engine.calls import Calls, restored_scaling
from orchestrator.engine.deciding import is_frozen
from orchestrator.engine.goals import Progress, progress
from orchestrator.engine.keeping import Keeper
from orchestrator.engine.observe import Pass, Reading, store_read
from orchestrator.engine.retries import capacity_wait, cool_down, final, kind_of, wait_for
from orchestrator.engine.steps import (
    ENDED,
    NO_CAPACITY,
    NOT_RECEIVED,
    POSTED,
    add_step,
    end,
    first_posted,
)
from orchestrator.engine.upkeep import settle_kept
from orchestrator.providers.base import (
    AmbiguousError,
    CapacityError,
    ConflictError,
    NotFoundError,
    ProviderError,
    RefusedError,
    UnavailableError,
)
from orchestrator.providers.errors import EchoMismatchError
from orchestrator.store import events, observation, operations
from orchestrator.store.tables import Account, Endpoint, Operation

SOON = timedelta(seconds=15)
# An accepted change that shows no end by then is given up; the wish stays and is tried anew.
LONGEST_WAIT = timedelta(hours=2)


class Operator:
    """Works through one account's operations during one pass."""

    def __init__(self, work: Pass) -> None:
        self._context = work.context
        self._account = work.account
        self._look = work.look
        self._provider = work.provider
        self._calls = Calls(work.provider, work.context.vault)
        self._keeper = Keeper(work.context.clock, work.provider, self._change)

    def run(self) -> Sequence[Operation]:
        """Give every operation that is due its next step; return those that are not done."""
        with self._context.database.read() as session:
            frozen = is_frozen(session, self._account.id)
        settle_kept(self._context, self._account, self._look.watch, frozen=frozen)
        active = self._active()
        for operation in active:
            self._advance(operation.id)
        return self._active() if active else active

    def _active(self) -> Sequence[Operation]:
        with self._context.database.read() as session:
            return operations.active_in_account(session, self._account.id)

    def _advance(self, operation_id: str) -> None:
        operation, endpoint = self._load(operation_id)
        now = self._context.clock.now()
        if operation.status == "confirming":
            self._confirm(operation, endpoint, now)
            return
        if operation.next_attempt_at and operation.next_attempt_at > now:
            return
        doubtful = operation.attempts > 0 or operation.endpoint_id not in self._look.seen
        if not self._begin(operation_id, now):
            return
        if doubtful and self._settled_by_looking(operation_id):
            return
        self._call(operation_id)

    def _load(self, operation_id: str) -> tuple[Operation, Endpoint | None]:
        with self._context.database.read() as session:
            operation = session.get_one(Operation, operation_id)
            if operation.endpoint_id is None:
                return operation, None
            return operation, session.get_one(Endpoint, operation.endpoint_id)

    @contextmanager
    def _change(self, operation_id: str) -> Iterator[tuple[Session, Operation]]:
        """Yield a transaction with the operation read anew and locked."""
        with self._context.database.write() as session:
            operation = operations.lock(session, operation_id)
            if operation is None:
                raise LookupError(operation_id)
            yield session, operation
            session.add(operation)

    def _begin(self, operation_id: str, now: datetime) -> bool:
        """Write that a call is about to be made; False when it was frozen or ended meanwhile."""
        with self._change(operation_id) as (session, operation):
            if operation.status not in ("pending", "running"):
                return False
            if is_frozen(session, operation.account_id):
                return False
            operation.started_at = operation.started_at or now
            operation.status = "running"
            operation.attempts += 1
            operation.next_attempt_at = None
            add_step(operation, operation.kind, now, "begun", f"attempt {operation.attempts}")
            if operation.kind in (Kind.PAUSE, Kind.SCALE_TO_ZERO) and operation.endpoint_id:
                # Known before the call, so that a lost answer is not taken for a person's pause.
                endpoint = session.get_one(Endpoint, operation.endpoint_id)
                asleep_by(endpoint, operation.rule, now)
                session.add(endpoint)
        return True

    def _settled_by_looking(self, operation_id: str) -> bool:
        """Look before sending: an earlier call may have gone through, or the state is not fresh."""
        operation, endpoint = self._load(operation_id)
        asked_at = self._context.clock.now()
        try:
            snapshot = self._provider.get_endpoint(operation.endpoint_name)
        except ProviderError as error:
            self._failed_attempt(operation_id, error, looking=True)
            return True
        if endpoint is None:
            return self._settle_create(operation_id, snapshot, asked_at)
        if snapshot is None and operation.kind == Kind.DELETE and endpoint.kept:
            return False  # what we made for it may still be there
        self._store_read(endpoint.id, snapshot, asked_at)
        operation, endpoint = self._load(operation_id)
        if operation.status != "running" or endpoint is None:
            return True
        if progress(operation, endpoint) is Progress.NOT_BEGUN:
            return False
        self._accepted(operation_id, endpoint.id)
        return True

    def _store_read(self, endpoint_id: str, snapshot: Snapshot | None, asked_at: datetime) -> None:
        reading = Reading(endpoint_id, snapshot, asked_at)
        store_read(self._context, self._account.id, reading, self._look.watch)

    def _settle_create(
        self, operation_id: str, snapshot: Snapshot | None, asked_at: datetime
    ) -> bool:
        operation, _ = self._load(operation_id)
        if snapshot is None:
            return False
        if adoption.explains(operation, snapshot):
            self._store_created(operation_id, snapshot, asked_at)
        else:
            self._end(operation_id, "failed", f"the name {operation.endpoint_name} is taken")
        return True

    def _call(self, operation_id: str) -> None:
        operation, endpoint = self._load(operation_id)
        if endpoint is not None and progress(operation, endpoint) is not Progress.NOT_BEGUN:
            self._accepted(operation_id, endpoint.id)
            return
        try:
            self._keeper.keep(operation, endpoint)
        except ProviderError as error:
            self._failed_attempt(operation_id, error, looking=not isinstance(error, RefusedError))
            return
        asked_at = self._context.clock.now()
        if operation.kind == Kind.CREATE:
            self._note(operation_id, POSTED)
        try:
            snapshot = self._calls.send(operation, endpoint)
        except EchoMismatchError as error:
            self._store_mismatch(operation, endpoint, error, asked_at)
            return
        except ProviderError as error:
            self._failed_attempt(operation_id, error, looking=False)
            return
        self._store_sent(operation, endpoint, snapshot, asked_at)

    def _store_sent(
        self,
        operation: Operation,
        endpoint: Endpoint | None,
        snapshot: Snapshot | None,
        asked_at: datetime,
    ) -> None:
        if endpoint is None:
            if snapshot is not None:
                self._store_created(operation.id, snapshot, asked_at)
        elif snapshot is None and operation.kind in STARTS:
            self._again(operation.id, SOON, "what had failed is removed first")
        elif snapshot is None and operation.kind == Kind.PAUSE:
            self._store_read(endpoint.id, None, asked_at)
            self._accepted(operation.id, endpoint.id)
        else:
            self._store_answer(operation.id, endpoint.id, snapshot, asked_at)

    def _note(self, operation_id: str, state: str) -> None:
        with self._change(operation_id) as (_, operation):
            add_step(operation, operation.kind, self._context.clock.now(), state, "")

    def _store_mismatch(
        self,
        operation: Operation,
        endpoint: Endpoint | None,
        error: EchoMismatchError,
        asked_at: datetime,
    ) -> None:
        """The cloud did something else than was asked: it exists and bills, so it is kept."""
        if endpoint is None:
            self._store_created(operation.id, error.snapshot, asked_at)
        else:
            self._store_answer(operation.id, endpoint.id, error.snapshot, asked_at)
        self._end(operation.id, "failed", str(error))

    def _store_created(self, operation_id: str, snapshot: Snapshot, asked_at: datetime) -> None:
        now = self._context.clock.now()
        with self._change(operation_id) as (session, operation):
            account = session.get_one(Account, self._account.id)
            held = observation.live_by_name(session, account.id, snapshot.name)
            sight = Sight(snapshot, "", asked_at, now)
            if held is None:
                change = discover_all(session, account, [sight])[0]
            else:
                change = refresh(session, account, held, sight)
            if operation.endpoint_id is None:
                adoption.own_created(session, change.endpoint, operation, now)
            add_step(operation, operation.kind, now, "accepted", snapshot.cloud_state)
            record_meter(session, account.id, self._look.watch, change.metered)
            self._look.seen.add(change.endpoint.id)

    def _store_answer(
        self, operation_id: str, endpoint_id: str, snapshot: Snapshot | None, asked_at: datetime
    ) -> None:
        if snapshot is not None:
            with self._change(operation_id) as (session, operation):
                cause = operation.rule or operation.actor
                self._store_echo(session, endpoint_id, snapshot, asked_at, cause)
                if operation.kind == Kind.UPDATE:
                    keep_asked_scaling(operation, session.get_one(Endpoint, endpoint_id))
        self._accepted(operation_id, endpoint_id)

    def _store_echo(
        self,
        session: Session,
        endpoint_id: str,
        snapshot: Snapshot,
        asked_at: datetime,
        cause: str,
    ) -> None:
        account = session.get_one(Account, self._account.id)
        endpoint = session.get_one(Endpoint, endpoint_id)
        sight = Sight(snapshot, "", asked_at, self._context.clock.now())
        change = refresh(session, account, endpoint, sight, cause=cause)
        record_meter(session, account.id, self._look.watch, change.metered)

    def _accepted(self, operation_id: str, endpoint_id: str) -> None:
        now = self._context.clock.now()
        with self._change(operation_id) as (session, operation):
            if operation.status != "running":
                return
            endpoint = session.get_one(Endpoint, endpoint_id)
            operation.status, operation.accepted_at = "confirming", now
            add_step(operation, operation.kind, now, "accepted", endpoint.cloud_state)
            if operation.kind == Kind.RESUME:
                endpoint.resumed_at = now
            session.add(endpoint)
        self._confirm(*self._load(operation_id), now)

    def _confirm(self, operation: Operation, endpoint: Endpoint | None, now: datetime) -> None:
        if endpoint is None:
            return
        reached = progress(operation, endpoint)
        if operation.kind == Kind.DELETE:
            self._confirm_gone(endpoint)
        elif reached is Progress.FAILED:
            detail = endpoint.message or "the cloud gives no reason"
            self._end(operation.id, "failed", f"the cloud says {endpoint.cloud_state}: {detail}")
        elif reached is Progress.STALLED:
            self._go_on(operation, endpoint)
        elif reached is Progress.NOT_BEGUN and operation.kind != Kind.UPDATE:
            self._undone(operation, now)
        elif reached is Progress.REACHED and not self._restoring(operation, endpoint, now):
            self._end(operation.id, "succeeded", f"it is {endpoint.status}")
        elif now - (operation.accepted_at or now) > LONGEST_WAIT:
            self._end(operation.id, "failed", f"still {endpoint.status} after {LONGEST_WAIT}")

    def _undone(self, operation: Operation, now: datetime) -> None:
        """An accepted change does not show: a lagging read at first, then somebody's undoing."""
        accepted = operation.accepted_at or now
        if now - accepted > outside.SETTLING:
            self._end(operation.id, "failed", "it was accepted, and then undone by somebody else")

    def _confirm_gone(self, endpoint: Endpoint) -> None:
        asked_at = self._context.clock.now()
        try:
            snapshot = self._provider.get_endpoint(endpoint.name)
        except ProviderError:
            return  # the next pass reads it again; nothing is believed meanwhile
        self._store_read(endpoint.id, snapshot, asked_at)

    def _go_on(self, operation: Operation, endpoint: Endpoint) -> None:
        """Another call is due: the next part of a creation, or a start that found no capacity."""
        if endpoint.status == Status.WAITING_FOR_CAPACITY:
            why = f"waiting for capacity: {endpoint.message or 'the cloud gives no reason'}"
            self._again(operation.id, capacity_wait(operation), why)
        else:
            self._again(operation.id, SOON, endpoint.unfinished)

    def _again(self, operation_id: str, wait: timedelta, why: str) -> None:
        """Let the call be made once more after a while; nothing was lost."""
        now = self._context.clock.now()
        with self._change(operation_id) as (session, operation):
            if operation.status in ENDED:
                return
            operation.status, operation.accepted_at = "running", None
            operation.next_attempt_at = now + wait
            add_step(operation, operation.kind, now, "again", why)
            if why.startswith(NO_CAPACITY) and not operation.outcome.startswith(NO_CAPACITY):
                self._tell(session, operation, "operation.waiting_for_capacity", why, wait)
            if why.startswith(NO_CAPACITY) or not operation.outcome.startswith(NO_CAPACITY):
                operation.outcome = why

    def _restoring(self, operation: Operation, endpoint: Endpoint, now: datetime) -> bool:
        """Put back what a pause took along; True while that is under way."""
        if not endpoint.kept or operation.kind not in STARTS:
            return self._restore_scaling(operation, endpoint, now)
        if operation.next_attempt_at and operation.next_attempt_at > now:
            return True
        with self._change(operation.id) as (session, held):
            if held.status != "confirming" or is_frozen(session, held.account_id):
                return True
            held.attempts += 1
            add_step(held, "restore", now, "begun", "")
        try:
            self._keeper.restore(operation, endpoint)
        except ProviderError as error:
            self._try_later(operation.id, error)
            return True
        return False

    def _restore_scaling(self, operation: Operation, endpoint: Endpoint, now: datetime) -> bool:
        """Put replica bounds back that a resume has changed; True while that is under way."""
        scaling = restored_scaling(operation, endpoint)
        if scaling is None:
            return False
        if operation.next_attempt_at and operation.next_attempt_at > now:
            return True
        with self._change(operation.id) as (session, held):
            if held.status != "confirming" or is_frozen(session, held.account_id):
                return True
            held.attempts += 1
            detail = f"to {scaling.min_replicas}-{scaling.max_replicas} replicas"
            add_step(held, "restore_scaling", now, "begun", detail)
        asked_at = self._context.clock.now()
        try:
            snapshot = self._calls.set_scaling(endpoint.name, scaling)
        except ProviderError as error:
            self._failed_attempt(operation.id, error, looking=False)
            return True
        with self._change(operation.id) as (session, held):
            self._store_echo(session, endpoint.id, snapshot, asked_at, held.rule or held.actor)
        return True

    def _failed_attempt(self, operation_id: str, error: ProviderError, *, looking: bool) -> None:
        operation, endpoint = self._load(operation_id)
        if isinstance(error, NotFoundError) and endpoint is not None:
            self._settled_by_looking(operation_id)
            return
        if isinstance(error, ConflictError) and operation.kind == Kind.CREATE and not looking:
            self._taken(operation, error)
            return
        if final(operation, error) and not looking:
            with self._change(operation_id) as (session, held):
                self._keeper.not_sent(session, held, error)
            self._end(operation_id, "failed", str(error))
            return
        self._try_later(operation_id, error, sent=not looking)

    def _taken(self, operation: Operation, error: ProviderError) -> None:
        """A conflict on a create: ours if an earlier attempt may have gone through, else not."""
        posted = [step for step in operation.steps if step["state"] == POSTED]
        if len(posted) > 1 and first_posted(operation) is not None:
            self._try_later(operation.id, error)
        else:
            self._end(operation.id, "failed", str(error))

    def _try_later(self, operation_id: str, error: ProviderError, *, sent: bool = True) -> None:
        now = self._context.clock.now()
        with self._change(operation_id) as (session, operation):
            if operation.status in ENDED:
                return
            wait = wait_for(operation, error)
            state = "unknown" if isinstance(error, AmbiguousError) else "refused for now"
            if sent and isinstance(error, UnavailableError) and operation.kind == Kind.CREATE:
                state = NOT_RECEIVED
            add_step(operation, operation.kind, now, state, str(error))
            operation.next_attempt_at = now + wait
            if isinstance(error, CapacityError):
                operation.outcome = f"{NO_CAPACITY}: {error}"
                self._waits_for_capacity(session, operation, now)
            if operation.attempts == 1 or isinstance(error, CapacityError):
                self._tell(session, operation, kind_of(error), str(error), wait)

    def _waits_for_capacity(self, session: Session, operation: Operation, now: datetime) -> None:
        """Show that an endpoint which is away waits for capacity, not for a person."""
        if operation.endpoint_id is None:
            return
        endpoint = session.get_one(Endpoint, operation.endpoint_id)
        if paused_by_us(endpoint) and endpoint.status == Status.PAUSED:
            account = session.get_one(Account, self._account.id)
            waiting = away(endpoint, Status.WAITING_FOR_CAPACITY)
            change = refresh(
                session, account, endpoint, Sight(waiting, "", now, now, inferred=True)
            )
            record_meter(session, account.id, self._look.watch, change.metered)

    def _tell(
        self, session: Session, operation: Operation, kind: str, why: str, wait: timedelta
    ) -> None:
        events.record(
            session,
            at=self._context.clock.now(),
            kind=kind,
            actor=ENGINE,
            message=f"{operation.kind} of {operation.endpoint_name}: {why}",
            account_id=operation.account_id,
            endpoint_id=operation.endpoint_id,
            operation_id=operation.id,
            data={"retry_in_seconds": int(wait.total_seconds())},
        )

    def _end(self, operation_id: str, status: str, outcome: str) -> None:
        now = self._context.clock.now()
        with self._change(operation_id) as (session, operation):
            if operation.status in ENDED:
                return
            end(session, operation, status, outcome, now)
            if operation.endpoint_id is not None:
                endpoint = session.get_one(Endpoint, operation.endpoint_id)
                cool_down(endpoint, now, failed=status == "failed")
                if status == "succeeded" and operation.kind == Kind.RESUME:
                    endpoint.scaling_before_pause = {}
                session.add(endpoint)
        self._context.vault.drop(operation_id)
