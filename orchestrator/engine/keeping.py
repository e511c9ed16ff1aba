"""What is stored before an endpoint is stopped by deleting it, and put back after its return.

The steps of such a pause are written before their calls: what is needed to make the endpoint
again is stored and read back, then the deletion is marked as sent, then it is sent. From the mark
on, "not there" means paused by us.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlmodel import Session

from orchestrator.clock import Clock
from orchestrator.domain.endpoints import Contract, Restored, Stop
from orchestrator.domain.plan import NO_LEAVE, Kind
from orchestrator.domain.status import Status
from orchestrator.engine.apply import ENGINE, forget_kept, paused_by_us
from orchestrator.engine.steps import add_step
from orchestrator.providers.base import Provider, ProviderError, RefusedError
from orchestrator.store import events
from orchestrator.store.tables import Endpoint, Json, Operation

Change = Callable[[str], AbstractContextManager[tuple[Session, Operation]]]
# States from which a start begins by removing what is there.
_BROKEN = (Status.FAILED, Status.WAITING_FOR_CAPACITY)


class Keeper:
    """Keeps and restores for the operations of one account's pass."""

    def __init__(self, clock: Clock, provider: Provider, change: Change) -> None:
        self._clock = clock
        self._provider = provider
        self._change = change

    def keep(self, operation: Operation, endpoint: Endpoint | None) -> None:
        """Store what this operation's call may destroy, where it may destroy anything.

        Raises ProviderError: RefusedError when the endpoint may not be stopped that way.
        """
        if (
            endpoint is None
            or not self._provider.capabilities.contracts
            or not self._due(operation, endpoint)
        ):
            return
        if operation.kind == Kind.DELETE:
            self._store(operation, endpoint, self._last_look(endpoint), stops=False)
            return
        contract = self._provider.contract(endpoint.name)
        stops = endpoint.stop == Stop.RECREATE
        refusal = _refusal(contract, operation, endpoint, stops=stops)
        if refusal:
            raise RefusedError(refusal)
        self._store(operation, endpoint, dict(contract.document), stops=stops)

    def _due(self, operation: Operation, endpoint: Endpoint) -> bool:
        if paused_by_us(endpoint):
            return False
        match Kind(operation.kind):
            case Kind.PAUSE:
                return True
            case Kind.RESUME | Kind.CREATE:
                return endpoint.stop == Stop.RECREATE and endpoint.status in _BROKEN
            case Kind.DELETE:
                return not endpoint.kept
            case _:
                return False

    def _last_look(self, endpoint: Endpoint) -> Json:
        """Return what names the parts of an endpoint that is to be deleted, if it can be read."""
        try:
            return dict(self._provider.contract(endpoint.name).document)
        except RefusedError:
            return {}  # it is deleted all the same; parts that may be left cost nothing

    def _store(
        self, operation: Operation, endpoint: Endpoint, document: Json, *, stops: bool
    ) -> None:
        now = self._clock.now()
        with self._change(operation.id) as (session, held):
            row = session.get_one(Endpoint, endpoint.id)
            row.kept, row.kept_at, row.stop_sent_at = document, now, None
            add_step(held, "keep", now, "stored", str(document.get("digest", "")))
            session.add(row)
        with self._change(operation.id) as (session, held):
            row = session.get_one(Endpoint, endpoint.id, populate_existing=True)
            if row.kept != document:
                raise RefusedError("what was stored to make it again is not what was read")
            if stops:
                row.stop_sent_at = self._clock.now()
                add_step(held, "remove", row.stop_sent_at, "begun", "")
            session.add(row)
        endpoint.kept, endpoint.kept_at, endpoint.stop_sent_at = (
            row.kept,
            row.kept_at,
            row.stop_sent_at,
        )

    def not_sent(self, session: Session, operation: Operation, error: ProviderError) -> None:
        """Take the mark of a deletion back, where this first call of it certainly did nothing."""
        certain = isinstance(error, RefusedError) and operation.attempts == 1
        if operation.kind == Kind.PAUSE and operation.endpoint_id and certain:
            row = session.get_one(Endpoint, operation.endpoint_id)
            row.stop_sent_at = None
            session.add(row)

    def restore(self, operation: Operation, endpoint: Endpoint) -> None:
        """Put back what the pause took along. Raises ProviderError where that has to wait."""
        try:
            restored = self._provider.restore(endpoint.name, endpoint.kept)
        except RefusedError as error:
            restored = Restored(differences=(f"it could not be put back: {error}",))
        now = self._clock.now()
        with self._change(operation.id) as (session, held):
            row = session.get_one(Endpoint, endpoint.id)
            told = "; ".join((*restored.done, *restored.differences)) or "nothing had changed"
            add_step(held, "restore", now, "done", told)
            if restored.differences:
                held.request = {**held.request, "kept": row.kept}
                _tell_differences(session, row, held, restored)
            forget_kept(row)
            row.scaling_before_pause = {}
            session.add(row)


def _refusal(contract: Contract, operation: Operation, endpoint: Endpoint, *, stops: bool) -> str:
    """Return why this endpoint may not be stopped so, empty when it may."""
    if not stops:
        return "; ".join(contract.obstacles)
    made_just_now = operation.kind == Kind.CREATE
    if not endpoint.allow_recreate and not made_just_now:
        return NO_LEAVE
    forced = bool(endpoint.recreate_terms.get("forced")) or made_just_now
    return "; ".join([*contract.obstacles, *(() if forced else contract.foreign)])


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
