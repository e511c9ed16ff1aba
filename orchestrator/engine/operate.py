"""Carry operations out: written before the call, looked up after a doubt, confirmed by reading.

An operation is `pending` (asked for), `running` (a call was or may have been sent),
`confirming` (the cloud accepted it) and then succeeded, failed, superseded or cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestrator.domain.decide import Rule
from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.plan import STARTS, Kind
from orchestrator.domain.status import Status
from orchestrator.engine import adoption
from orchestrator.engine.apply import asleep_by, keep_asked_scaling
from orchestrator.engine.calls import Calls
from orchestrator.engine.confirming import SOON, Confirmer
from orchestrator.engine.goals import Progress, keep_goal, progress
from orchestrator.engine.keeping import Keeper
from orchestrator.engine.observe import Belief, Pass
from orchestrator.engine.records import Records
from orchestrator.engine.retries import LANDING, TOLD, final, made_nothing
from orchestrator.engine.steps import ENDED, NOT_RECEIVED, POSTED, add_step, first_posted
from orchestrator.engine.stuck import Watcher
from orchestrator.engine.upkeep import settle_kept
from orchestrator.providers.base import (
    ConflictError,
    NotFoundError,
    ProviderError,
    RefusedError,
)
from orchestrator.providers.errors import EchoMismatchError
from orchestrator.providers.permit import WithdrawnError
from orchestrator.store import freeze, observation, operations
from orchestrator.store.tables import Endpoint, Operation

# Why nothing is sent to what was found just now and a read does not show: it may be gone.
NOT_SEEN_YET = "a read does not show it, yet or any more: it is read again before anything is sent"


def _makes_room(operation: Operation) -> bool:
    """Tell whether it pauses what sleeps at zero because another needs its quota."""
    return operation.kind == Kind.PAUSE and operation.rule.startswith(Rule.QUOTA)


class Operator:
    """Works through one account's operations during one pass."""

    def __init__(self, work: Pass) -> None:
        self._records = Records(work)
        self._provider = work.provider
        self._calls = Calls(work.provider, work.context.vault)
        self._keeper = Keeper(self._records, work.provider)
        self._confirmer = Confirmer(self._records, work.provider, self._keeper, self._calls)
        self._watcher = Watcher(self._records, work.provider.capabilities.usual_s)

    def run(self) -> Sequence[Operation]:
        """Give every operation that is due its next step; return those that are not done."""
        context, account = self._records.context, self._records.account
        with context.database.read() as session:
            active = operations.active_in_account(session, account.id)
            kept = observation.with_kept(session, account.id)
            frozen = bool(active or kept) and freeze.is_on(session, account.id)
        idle = [row for row in kept if row.id not in {op.endpoint_id for op in active}]
        if settle_kept(context, account, self._records.look.watch, idle, frozen=frozen):
            active = self._active()
        self._forget_secrets()
        # Calls that start or stop something come before those that follow an accepted one.
        for operation in sorted(active, key=lambda one: one.status == "confirming"):
            self._advance(operation.id)
            if self._records.throttled:
                break  # the others stay as they are, to be tried when the cloud wants calls again
        if not active:
            return active
        left = self._active()
        if not frozen:
            self._watcher.watch(left)
        return left

    def _forget_secrets(self) -> None:
        """Drop secret values of operations that ended outside of a pass, of any account.

        One that cannot be read yet may be in a transaction that is still open.
        """
        vault = self._records.context.vault
        kept = vault.ids()
        if not kept:
            return
        with self._records.context.database.read() as session:
            rows = [operations.get(session, operation_id) for operation_id in kept]
        for row in rows:
            if row is not None and row.status in ENDED:
                vault.drop(row.id)

    def _active(self) -> Sequence[Operation]:
        with self._records.context.database.read() as session:
            return operations.active_in_account(session, self._records.account.id)

    def _advance(self, operation_id: str) -> None:
        """Take the next step; what is not wanted any more goes no further."""
        try:
            self._step(operation_id)
        except WithdrawnError as error:
            self._records.withdrawn(operation_id, error)

    def _step(self, operation_id: str) -> None:
        operation, endpoint = self._records.load(operation_id)
        now = self._records.now()
        if operation.status == "confirming":
            self._confirmer.confirm(operation, endpoint, now)
            return
        if operation.next_attempt_at and operation.next_attempt_at > now:
            return
        if "cancel" in operation.request:
            self._settle_cancelled(operation, now)
            return
        seen = self._records.look.seen
        doubtful = operation.attempts > 0 or operation.endpoint_id not in seen
        doubtful = doubtful or _makes_room(operation)
        if not self._begin(operation_id, now):
            return
        if doubtful and self._settled_by_looking(operation_id):
            return
        self._call(operation_id)

    def _begin(self, operation_id: str, now: datetime) -> bool:
        """Write that a call is about to be made; False when it was frozen or ended meanwhile."""
        with self._records.change(operation_id) as (session, operation):
            if operation.status not in ("pending", "running") or "cancel" in operation.request:
                return False
            if freeze.is_on(session, operation.account_id):
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
        operation, endpoint = self._records.load(operation_id)
        asked_at = self._records.now()
        try:
            snapshot = self._provider.get_endpoint(operation.endpoint_name)
        except ProviderError as error:
            self._failed_attempt(operation_id, error, looking=True)
            return True
        if endpoint is None:
            return self._settle_create(operation_id, snapshot, asked_at)
        if snapshot is None and operation.kind == Kind.DELETE and endpoint.kept:
            return False  # what we made for it may still be there
        if self._records.store_read(endpoint.id, snapshot, asked_at) is Belief.MAY_LAG:
            self._records.again(operation_id, SOON, NOT_SEEN_YET)
            return True
        return self._settled_by_what_is_seen(operation_id, snapshot, asked_at)

    def _settled_by_what_is_seen(
        self, operation_id: str, snapshot: Snapshot | None, asked_at: datetime
    ) -> bool:
        operation, endpoint = self._records.load(operation_id)
        if operation.status != "running" or endpoint is None:
            return True
        reached = progress(operation, endpoint, asked_at)
        if reached is Progress.NOT_BEGUN and not self._shows(operation, snapshot):
            return _makes_room(operation) and self._settled_by_use(operation, endpoint)
        self._accepted(operation_id, endpoint.id)
        return True

    def _settled_by_use(self, operation: Operation, endpoint: Endpoint) -> bool:
        """What was to give its quota away is left alone once a request has woken it."""
        if endpoint.status == Status.SCALED_TO_ZERO:
            return False
        with self._records.change(operation.id) as (session, _):
            row = session.get_one(Endpoint, endpoint.id)
            row.asleep_rule, row.asleep_since = "", None
            session.add(row)
        told = f"it is {endpoint.status}, no longer at zero, so it keeps its quota"
        self._records.end(operation.id, "superseded", told)
        return True

    def _shows(self, operation: Operation, snapshot: Snapshot | None) -> bool:
        """Tell whether an update whose answer was lost went through, by what is seen."""
        repeated = operation.kind == Kind.UPDATE and operation.attempts > 1
        return repeated and snapshot is not None and self._calls.shows(operation, snapshot)

    def _settle_create(
        self, operation_id: str, snapshot: Snapshot | None, asked_at: datetime
    ) -> bool:
        operation, _ = self._records.load(operation_id)
        if snapshot is None:
            return False
        if adoption.explains(operation, snapshot):
            self._records.store_created(operation_id, snapshot, asked_at)
        else:
            told = f"the name {operation.endpoint_name} is taken"
            self._records.end(operation_id, "failed", told)
        return True

    def _settle_cancelled(self, operation: Operation, now: datetime) -> None:
        """A create was cancelled when it may have been sent: see what comes of it, for a while."""
        asked_at = self._records.now()
        try:
            snapshot = self._provider.get_endpoint(operation.endpoint_name)
        except ProviderError as error:
            self._records.try_later(operation.id, error, sent=False)
            return
        posted = operations.last_posted(operation)
        if snapshot is not None and adoption.explains(operation, snapshot):
            self._records.store_created(operation.id, snapshot, asked_at)
        elif snapshot is not None:
            self._records.end(operation.id, "cancelled", "the endpoint of this name is another's")
        elif posted is None or now - posted > LANDING:
            self._records.end(operation.id, "cancelled", "it never came into being")
        else:
            with self._records.change(operation.id) as (_, held):
                held.next_attempt_at = now + SOON

    def _call(self, operation_id: str) -> None:
        operation, endpoint = self._records.load(operation_id)
        now = self._records.now()
        if endpoint is not None and progress(operation, endpoint, now) is not Progress.NOT_BEGUN:
            self._accepted(operation_id, endpoint.id)
            return
        marked = None if endpoint is None else endpoint.stop_sent_at
        try:
            self._keeper.keep(operation, endpoint)
        except ProviderError as error:
            self._failed_attempt(operation_id, error, looking=not isinstance(error, RefusedError))
            return
        if not self._posting(operation, endpoint):
            self._keeper.unmark(endpoint, marked)
            return
        asked_at = self._records.now()
        with self._records.wanted(operation_id) as change:
            try:
                snapshot = self._calls.send(operation, endpoint)
            except EchoMismatchError as error:
                self._store_mismatch(operation, endpoint, error, asked_at)
                return
            except WithdrawnError:
                self._keeper.unmark(endpoint, marked)
                self._note_calls(operation_id, change.calls)
                self._not_made(operation, endpoint, effective=change.effective)
                raise
            except ProviderError as error:
                if made_nothing(error):
                    self._not_landing(endpoint)
                self._note_calls(operation_id, change.calls)
                done = change.calls if change.effective else ()
                self._failed_attempt(operation_id, error, looking=False, done=done)
                return
        if len(change.calls) > 1:
            self._note_calls(operation_id, change.calls)
        self._store_sent(operation, endpoint, snapshot, asked_at)

    def _note_calls(self, operation_id: str, calls: Sequence[str]) -> None:
        """Write which calls of a change the cloud has carried out."""
        if not calls:
            return
        now = self._records.now()
        with self._records.change(operation_id) as (_, held):
            for name in calls:
                add_step(held, name, now, "done", "")

    def _posting(self, operation: Operation, endpoint: Endpoint | None) -> bool:
        """Write that a call may reach the cloud from now on; False when it was overtaken."""
        now = self._records.now()
        with self._records.change(operation.id) as (session, held):
            if held.status != "running" or "cancel" in held.request:
                return False
            if held.kind in TOLD:
                add_step(held, held.kind, now, POSTED, "")
            if held.kind in STARTS and endpoint is not None and endpoint.kept:
                row = session.get_one(Endpoint, endpoint.id)
                row.landing_until = now + LANDING
                session.add(row)
        return True

    def _not_landing(self, endpoint: Endpoint | None) -> None:
        """Take back that a call may land: it was answered, and made nothing."""
        if endpoint is None or not endpoint.kept:
            return
        with self._records.context.database.write() as session:
            row = session.get_one(Endpoint, endpoint.id)
            row.landing_until = endpoint.landing_until
            session.add(row)

    def _not_made(
        self, operation: Operation, endpoint: Endpoint | None, *, effective: bool
    ) -> None:
        """Take back that a call may reach the cloud: what has an effect was not sent in the end."""
        self._not_landing(endpoint)
        if operation.kind in TOLD and not effective:
            with self._records.change(operation.id) as (_, held):
                add_step(held, held.kind, self._records.now(), NOT_RECEIVED, "")

    def _store_sent(
        self,
        operation: Operation,
        endpoint: Endpoint | None,
        snapshot: Snapshot | None,
        asked_at: datetime,
    ) -> None:
        if endpoint is None:
            if snapshot is not None:
                self._records.store_created(operation.id, snapshot, asked_at)
        elif snapshot is None and operation.kind in STARTS:
            self._not_landing(endpoint)
            self._records.again(operation.id, SOON, "what had failed is removed first")
        elif snapshot is None and operation.kind == Kind.PAUSE:
            self._records.store_read(endpoint.id, None, asked_at)
            self._accepted(operation.id, endpoint.id)
        else:
            self._store_answer(operation.id, endpoint.id, snapshot, asked_at)

    def _store_mismatch(
        self,
        operation: Operation,
        endpoint: Endpoint | None,
        error: EchoMismatchError,
        asked_at: datetime,
    ) -> None:
        """The cloud did something else than was asked: it exists and bills, so it is kept."""
        if endpoint is None:
            self._records.store_created(operation.id, error.snapshot, asked_at)
        else:
            self._store_answer(operation.id, endpoint.id, error.snapshot, asked_at)
        self._records.end(operation.id, "failed", str(error))

    def _store_answer(
        self, operation_id: str, endpoint_id: str, snapshot: Snapshot | None, asked_at: datetime
    ) -> None:
        if snapshot is not None:
            with self._records.change(operation_id) as (session, operation):
                cause = operation.rule or operation.actor
                self._records.store_echo(session, endpoint_id, snapshot, asked_at, cause)
                keep_goal(operation, snapshot)
        self._accepted(operation_id, endpoint_id)

    def _accepted(self, operation_id: str, endpoint_id: str) -> None:
        now = self._records.now()
        with self._records.change(operation_id) as (session, operation):
            if operation.status != "running":
                return
            endpoint = session.get_one(Endpoint, endpoint_id)
            operation.status, operation.accepted_at = "confirming", now
            add_step(operation, operation.kind, now, "accepted", endpoint.cloud_state)
            if operation.kind == Kind.RESUME:
                endpoint.resumed_at = now
            elif operation.kind == Kind.UPDATE:
                keep_asked_scaling(operation, endpoint)
            session.add(endpoint)
        self._confirmer.confirm(*self._records.load(operation_id), now)

    def _failed_attempt(
        self,
        operation_id: str,
        error: ProviderError,
        *,
        looking: bool,
        done: Sequence[str] = (),
    ) -> None:
        operation, endpoint = self._records.load(operation_id)
        if operation.status in ENDED:
            return
        if isinstance(error, NotFoundError) and endpoint is not None:
            if operation.kind == Kind.UPDATE and not looking:
                self._not_made(operation, endpoint, effective=bool(done))
            self._settled_by_looking(operation_id)
            return
        if isinstance(error, ConflictError) and operation.kind == Kind.CREATE and not looking:
            self._taken(operation, error)
            return
        if final(operation, error) and not looking:
            with self._records.change(operation_id) as (session, held):
                self._keeper.not_sent(session, held, error)
            before = f"; carried out before that: {', '.join(done)}" if done else ""
            self._records.end(operation_id, "failed", f"{error}{before}")
            return
        self._records.try_later(operation_id, error, sent=not looking and not done)

    def _taken(self, operation: Operation, error: ProviderError) -> None:
        """A conflict on a create: ours if an earlier attempt may have gone through, else not."""
        posted = [step for step in operation.steps if step["state"] == POSTED]
        if len(posted) > 1 and first_posted(operation) is not None:
            self._records.try_later(operation.id, error)
        else:
            self._records.end(operation.id, "failed", str(error))
