"""What follows once the cloud has accepted an operation: until its endpoint is as was asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestrator.domain.endpoints import Snapshot
from orchestrator.domain.plan import STARTS, Kind
from orchestrator.domain.status import Status
from orchestrator.engine import outside
from orchestrator.engine.calls import Calls, restored_scaling
from orchestrator.engine.goals import Progress, goal_of, progress
from orchestrator.engine.keeping import Keeper
from orchestrator.engine.records import Records
from orchestrator.engine.retries import capacity_wait, final
from orchestrator.engine.steps import add_step
from orchestrator.providers.base import Provider, ProviderError
from orchestrator.store import freeze
from orchestrator.store.tables import Endpoint, Operation

SOON = timedelta(seconds=15)
# An accepted change that shows no end by then is given up; the wish stays and is tried anew.
LONGEST_WAIT = timedelta(hours=2)


class Confirmer:
    """Confirms accepted operations by what the cloud shows; never by the clock alone."""

    def __init__(self, records: Records, provider: Provider, keeper: Keeper, calls: Calls) -> None:
        self._records = records
        self._provider = provider
        self._keeper = keeper
        self._calls = calls

    def confirm(self, operation: Operation, endpoint: Endpoint | None, now: datetime) -> None:
        """Give an accepted operation its next step, or its end."""
        if endpoint is None:
            return
        reached = progress(operation, endpoint, now)
        if operation.kind == Kind.DELETE:
            self._confirm_gone(operation, endpoint, now)
        elif reached in (Progress.FAILED, Progress.ELSEWHERE):
            self._missed(operation, endpoint, reached, now)
        elif reached is Progress.STALLED:
            self._go_on(operation, endpoint)
        elif reached is Progress.NOT_BEGUN and operation.kind != Kind.UPDATE:
            self._undone(operation, now)
        elif reached is Progress.REACHED and not self._goes_on(operation, endpoint, now):
            self._records.end(operation.id, "succeeded", f"it is {endpoint.status}")
        elif now - (operation.accepted_at or now) > LONGEST_WAIT:
            told = f"still {endpoint.status} after {LONGEST_WAIT}"
            self._records.end(operation.id, "failed", told)

    def _missed(
        self, operation: Operation, endpoint: Endpoint, reached: Progress, now: datetime
    ) -> None:
        """It failed, or is at rest as something else: the end, unless the read may lag."""
        late = now - (operation.accepted_at or now) > LONGEST_WAIT
        updated = goal_of(operation) is not None and not late
        if updated and not self._is_certain(operation, endpoint, now):
            return
        # A cloud may tell why it goes back only while it does.
        reason = endpoint.message or operation.cloud_message or "the cloud gives no reason"
        told = f"the cloud says {endpoint.cloud_state}: {reason}"
        if reached is Progress.ELSEWHERE:
            told = f"at rest the endpoint is not what was asked for: {reason}"
        self._records.end(operation.id, "failed", told)

    def _goes_on(self, operation: Operation, endpoint: Endpoint, now: datetime) -> bool:
        """Tell whether something is still to come although the endpoint shows what was asked."""
        return self._parts_move(operation, endpoint) or self._restoring(operation, endpoint, now)

    def _parts_move(self, operation: Operation, endpoint: Endpoint) -> bool:
        """Look at parts of which no status tells; True until they are at rest, as was asked."""
        goal = goal_of(operation)
        if goal is None or not goal.parts:
            return False
        snapshot = self._read(endpoint)
        held, seen = self._records.load(operation.id)
        if snapshot is None or snapshot.moving or seen is None or held.status != "confirming":
            return True
        if snapshot.broken:
            self._records.end(operation.id, "failed", f"the cloud says: {snapshot.broken}")
            return True
        return progress(held, seen, self._records.now()) is not Progress.REACHED

    def _is_certain(self, operation: Operation, endpoint: Endpoint, now: datetime) -> bool:
        """Tell whether an update has missed its goal also by a read that cannot lag any more."""
        if now - (operation.accepted_at or now) < outside.SETTLING:
            return False  # it may still show what was there before
        before = progress(operation, endpoint, now)
        snapshot = self._read(endpoint)
        held, seen = self._records.load(operation.id)
        if snapshot is None or snapshot.moving or seen is None or held.status != "confirming":
            return False
        return progress(held, seen, now) is before

    def _read(self, endpoint: Endpoint) -> Snapshot | None:
        """Read an endpoint now, and store what is shown; None where that could not be read."""
        asked_at = self._records.now()
        try:
            snapshot = self._provider.get_endpoint(endpoint.name)
        except ProviderError as error:
            self._records.heed(error)
            return None
        self._records.store_read(endpoint.id, snapshot, asked_at)
        return snapshot

    def _undone(self, operation: Operation, now: datetime) -> None:
        """An accepted change does not show: a lagging read at first, then somebody's undoing."""
        accepted = operation.accepted_at or now
        if now - accepted > outside.SETTLING:
            told = "it was accepted, and then undone by somebody else"
            self._records.end(operation.id, "failed", told)

    def _confirm_gone(self, operation: Operation, endpoint: Endpoint, now: datetime) -> None:
        asked_at = self._records.now()
        try:
            snapshot = self._provider.get_endpoint(endpoint.name)
        except ProviderError as error:
            self._records.heed(error)
            return  # the next pass reads it again; nothing is believed meanwhile
        self._records.store_read(endpoint.id, snapshot, asked_at)
        if snapshot is None or snapshot.status is Status.STOPPING:
            return
        if now - (operation.accepted_at or now) > outside.SETTLING:
            held, _ = self._records.load(operation.id)
            if held.status == "confirming":
                told = f"the cloud had accepted it, and still shows {snapshot.cloud_state}"
                self._records.again(operation.id, SOON, told)

    def _go_on(self, operation: Operation, endpoint: Endpoint) -> None:
        """Another call is due: the next part of a creation, or a start that found no capacity."""
        if endpoint.status == Status.WAITING_FOR_CAPACITY:
            why = f"waiting for capacity: {endpoint.message or 'the cloud gives no reason'}"
            self._records.again(operation.id, capacity_wait(operation), why)
        else:
            self._records.again(operation.id, SOON, endpoint.unfinished)

    def _restoring(self, operation: Operation, endpoint: Endpoint, now: datetime) -> bool:
        """Put back what a pause took along; True while that is under way."""
        if not endpoint.kept or operation.kind not in STARTS:
            return self._restore_scaling(operation, endpoint, now)
        if operation.next_attempt_at and operation.next_attempt_at > now:
            return True
        if not self._begin_step(operation, "restore", "", now):
            return True
        try:
            self._keeper.restore(operation, endpoint)
        except ProviderError as error:
            self._records.try_later(operation.id, error)
            return True
        return False

    def _restore_scaling(self, operation: Operation, endpoint: Endpoint, now: datetime) -> bool:
        """Put replica bounds back that a resume has changed; True while that is under way."""
        scaling = restored_scaling(operation, endpoint)
        if scaling is None:
            return False
        if operation.next_attempt_at and operation.next_attempt_at > now:
            return True
        detail = f"to {scaling.min_replicas}-{scaling.max_replicas} replicas"
        if not self._begin_step(operation, "restore_scaling", detail, now):
            return True
        asked_at = self._records.now()
        try:
            with self._records.wanted(operation.id):
                snapshot = self._calls.set_scaling(endpoint.name, scaling)
        except ProviderError as error:
            self._failed_restore(operation, error)
            return True
        with self._records.change(operation.id) as (session, held):
            cause = held.rule or held.actor
            self._records.store_echo(session, endpoint.id, snapshot, asked_at, cause)
        return True

    def _failed_restore(self, operation: Operation, error: ProviderError) -> None:
        if final(operation, error):
            self._records.end(operation.id, "failed", str(error))
        else:
            self._records.try_later(operation.id, error)

    def _begin_step(self, operation: Operation, name: str, detail: str, now: datetime) -> bool:
        """Write that a call after the first is about to be made; False when it may not be."""
        with self._records.change(operation.id) as (session, held):
            if held.status != "confirming" or freeze.is_on(session, held.account_id):
                return False
            held.attempts += 1
            add_step(held, name, now, "begun", detail)
        return True
