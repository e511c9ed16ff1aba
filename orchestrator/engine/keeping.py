"""What is stored before an endpoint is stopped by deleting it, and put back after its return.

The steps of such a pause are written before their calls: what is needed to make the endpoint
again is stored and read back, then the deletion is marked as sent, then it is sent. From the mark
on, "not there" means paused by us.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from orchestrator.domain.endpoints import Contract, Restored, Stop
from orchestrator.domain.plan import NO_LEAVE, STARTS, Kind
from orchestrator.domain.status import Status
from orchestrator.engine.apply import ENGINE, forget_kept, paused_by_us
from orchestrator.engine.goals import may_still_go
from orchestrator.engine.records import Records
from orchestrator.engine.steps import add_step
from orchestrator.providers.base import (
    BusyError,
    CapacityError,
    ConflictError,
    CredentialsError,
    Provider,
    ProviderError,
    RefusedError,
)
from orchestrator.store import events
from orchestrator.store.tables import Endpoint, Json, Operation

# States from which a start begins by removing what is there.
_BROKEN = (Status.FAILED, Status.WAITING_FOR_CAPACITY)
# States in which there is nothing left to read.
LEAVING = (Status.PAUSED, Status.PAUSING, Status.STOPPING)
# The detail of a step that marks a deletion while one of an earlier operation is in doubt.
EARLIER = "an earlier one may still take effect"
# So many refusals that may pass (a right, a token, room) until they are told as a difference.
MOST_RESTORES = 20


class Keeper:
    """Keeps and restores for the operations of one account's pass."""

    def __init__(self, records: Records, provider: Provider) -> None:
        self._records = records
        self._provider = provider

    def keep(self, operation: Operation, endpoint: Endpoint | None) -> None:
        """Store what this operation's call may destroy, where it may destroy anything.

        Raises ProviderError: RefusedError when the endpoint may not be stopped that way.
        """
        if endpoint is None or not self._provider.capabilities.contracts:
            return
        if operation.kind == Kind.DELETE:
            if not endpoint.kept:
                self._store(operation, endpoint, self._last_look(endpoint), stops=False)
            return
        stops = endpoint.stop == Stop.RECREATE
        if not self._destroys(operation, endpoint, stops=stops):
            return
        if stops and not _has_leave(operation, endpoint):
            raise RefusedError(NO_LEAVE)
        if endpoint.status in _BROKEN and endpoint.gone_at is not None:
            return  # it never came back: what was kept before is what it was
        if stops and endpoint.gone_at is not None:
            self._give_back(operation, endpoint)
        contract = self._provider.contract(endpoint.name)
        refusal = _refusal(contract, operation, endpoint)
        if refusal:
            raise RefusedError(refusal)
        self._store(operation, endpoint, dict(contract.document), stops=stops)

    def _destroys(self, operation: Operation, endpoint: Endpoint, *, stops: bool) -> bool:
        """Tell whether the call takes something along that is not kept yet.

        Raises BusyError for an endpoint that is starting: nothing can be read of it as it is meant.
        """
        broken = endpoint.status in _BROKEN
        if operation.kind in STARTS:
            return stops and broken and not paused_by_us(endpoint)
        if operation.kind != Kind.PAUSE:
            return False
        if not stops:
            # A first attempt has suspended its scaling: what was kept before that is the truth.
            return not endpoint.kept
        if endpoint.status in LEAVING:
            return False
        if endpoint.status in (Status.INITIALIZING, Status.UPDATING):
            raise BusyError(f"{endpoint.name} is {endpoint.status}: it can be stopped after that")
        return True

    def _give_back(self, operation: Operation, endpoint: Endpoint) -> None:
        """Put back what an earlier pause took along, before the next one reads what there is."""
        self.restore(operation, endpoint)
        forget_kept(endpoint)

    def _last_look(self, endpoint: Endpoint) -> Json:
        """Return what names the parts of an endpoint that is to be deleted, if it can be read."""
        try:
            return dict(self._provider.contract(endpoint.name).document)
        except RefusedError:
            return {}  # it is deleted all the same; parts that may be left cost nothing

    def _store(
        self, operation: Operation, endpoint: Endpoint, document: Json, *, stops: bool
    ) -> None:
        now = self._records.now()
        with self._records.change(operation.id) as (session, held):
            row = session.get_one(Endpoint, endpoint.id)
            # A mark stays where an earlier attempt may still be on its way.
            row.kept, row.kept_at, row.gone_at = document, now, None
            add_step(held, "keep", now, "stored", str(document.get("digest", "")))
            session.add(row)
        with self._records.change(operation.id) as (session, held):
            row = session.get_one(Endpoint, endpoint.id, populate_existing=True)
            if row.kept != document:
                raise RefusedError("what was stored to make it again is not what was read")
            if stops:
                now = self._records.now()
                detail = EARLIER if may_still_go(row, now) else ""
                row.stop_sent_at = now
                add_step(held, "remove", now, "begun", detail)
            session.add(row)
        endpoint.kept, endpoint.kept_at, endpoint.stop_sent_at = (
            row.kept,
            row.kept_at,
            row.stop_sent_at,
        )

    def not_sent(self, session: Session, operation: Operation, error: ProviderError) -> None:
        """Take the mark of a deletion back, where this first call of it certainly did nothing."""
        certain = isinstance(error, RefusedError) and operation.attempts == 1
        certain = certain and all(step["detail"] != EARLIER for step in operation.steps)
        if operation.kind == Kind.PAUSE and operation.endpoint_id and certain:
            row = session.get_one(Endpoint, operation.endpoint_id)
            row.stop_sent_at = None
            session.add(row)

    def unmark(self, endpoint: Endpoint | None, before: datetime | None) -> None:
        """Put the mark of a deletion back to what it was: the one that was marked was not sent."""
        if endpoint is None or endpoint.stop_sent_at == before:
            return
        with self._records.context.database.write() as session:
            row = session.get_one(Endpoint, endpoint.id)
            row.stop_sent_at = before
            session.add(row)

    def restore(self, operation: Operation, endpoint: Endpoint) -> None:
        """Put back what the pause took along. Raises ProviderError where that has to wait.

        A refusal for good becomes a difference that is told; the document stays with the operation.
        What is kept stays while the deletion of an overtaken pause may still take effect.
        """
        try:
            with self._records.wanted(operation.id):
                restored = self._provider.restore(endpoint.name, endpoint.kept)
        except (CredentialsError, CapacityError, ConflictError) as error:
            if operation.attempts < MOST_RESTORES:
                raise
            restored = Restored(differences=(f"it could not be put back: {error}",))
        except RefusedError as error:
            restored = Restored(differences=(f"it could not be put back: {error}",))
        now = self._records.now()
        with self._records.change(operation.id) as (session, held):
            row = session.get_one(Endpoint, endpoint.id)
            told = "; ".join((*restored.done, *restored.differences)) or "nothing had changed"
            add_step(held, "restore", now, "done", told)
            if restored.differences:
                held.request = {**held.request, "kept": row.kept}
                _tell_differences(session, row, held, restored)
            if not may_still_go(row, now):
                forget_kept(row)
            row.scaling_before_pause = {}
            session.add(row)


def _has_leave(operation: Operation, endpoint: Endpoint) -> bool:
    """What was made just now and never served needs no leave to be made anew."""
    return endpoint.allow_recreate or operation.kind == Kind.CREATE


def _refusal(contract: Contract, operation: Operation, endpoint: Endpoint) -> str:
    """Return why this endpoint may not be stopped so, empty when it may."""
    forced = bool(endpoint.recreate_terms.get("forced")) or operation.kind == Kind.CREATE
    foreign = () if forced or endpoint.stop != Stop.RECREATE else contract.foreign
    return "; ".join([*contract.obstacles, *foreign])


def _tell_differences(
    session: Session, endpoint: Endpoint, operation: Operation, restored: Restored
) -> None:
    events.record(
        session,
        at=endpoint.confirmed_at,
        kind="endpoint.differs",
        actor=ENGINE,
        message=f"{endpoint.name} serves again, but differs: {'; '.join(restored.differences)}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        operation_id=operation.id,
        data={"differences": list(restored.differences), "done": list(restored.done)},
    )
