"""The contract card: what a pause of an endpoint keeps and loses, and its owner's leave for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session

from orchestrator.domain.endpoints import Contract, Stop
from orchestrator.domain.plan import Kind
from orchestrator.providers.base import NotFoundError, ProviderError
from orchestrator.services.clouds import asked_by_a_person
from orchestrator.services.context import Context
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.services.requests import Asked, check_changeable
from orchestrator.store import events, operations
from orchestrator.store.tables import Account, Endpoint

# So many earlier returns are looked at for the usual time.
RETURNS_READ = 10


@dataclass(frozen=True, slots=True)
class Card:
    """A contract as it is shown; `digest` names what was shown, for the leave that rests on it.

    `measured_to_return` is the longest of the last returns that we have measured, if any.
    """

    contract: Contract
    stop: Stop
    digest: str
    measured_to_return: timedelta | None


def read_card(context: Context, account: Account, endpoint: Endpoint) -> Card:
    """Read the contract from the cloud now; makes calls, so never inside a transaction.

    Raises ServiceError: 409 for an endpoint that is away or gone, 503 when the cloud cannot tell.
    """
    if endpoint.stop_sent_at is not None:
        raise conflict(
            "paused_by_deletion",
            f"{endpoint.name} was deleted to pause it; what is kept of it was read before.",
            remedy="Resume it to read its contract anew.",
        )
    try:
        with asked_by_a_person(context.clock):
            contract = context.provider_for(account).contract(endpoint.name)
    except NotFoundError as error:
        raise conflict("deleted", str(error)) from error
    except ProviderError as error:
        raise ServiceError(
            "provider_unavailable",
            503,
            "The cloud cannot be asked",
            str(error),
            remedy="Try again later.",
        ) from error
    with context.database.read() as session:
        measured = _measured(session, endpoint)
    return Card(contract, Stop(endpoint.stop), digest_of(contract), measured)


def digest_of(contract: Contract) -> str:
    """Return the name of what a card shows: the same words give the same digest."""
    shown = [
        contract.kept,
        contract.lost,
        contract.risks,
        contract.alarms,
        contract.obstacles,
        contract.foreign,
    ]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:12]


def allow_recreate(
    session: Session, endpoint: Endpoint, asked: Asked, card: Card, *, seen: str, forced: bool
) -> Endpoint:
    """Write down the owner's leave to stop it by deleting and making it again.

    Raises ServiceError 409 where that is not how it is stopped, where the card that was `seen` is
    not what holds now, where something forbids it, or another tool manages it and it is not forced.
    """
    check_changeable(session, endpoint)
    _check_kind(endpoint)
    contract = card.contract
    if seen != card.digest:
        raise conflict(
            "contract_changed",
            f"The contract of {endpoint.name} is not the one that was shown.",
            remedy=f"Read it again: GET /v1/endpoints/{endpoint.id}/contract.",
            field="digest",
        )
    if contract.obstacles:
        raise conflict(
            "contract_obstacle", "; ".join(contract.obstacles), remedy="Mend that first."
        )
    if contract.foreign and not forced:
        raise conflict(
            "managed_elsewhere",
            "; ".join(contract.foreign),
            remedy="Let that tool stop it, or repeat with forced=true.",
            field="forced",
        )
    endpoint.allow_recreate = True
    endpoint.recreate_terms = {
        "actor": asked.actor,
        "at": asked.now.isoformat(),
        "reason": asked.why,
        "contract": card.digest,
        "forced": forced,
    }
    _record(session, endpoint, asked, "endpoint.recreate_allowed", "may be stopped by deleting it")
    return endpoint


def forbid_recreate(session: Session, endpoint: Endpoint, asked: Asked) -> Endpoint:
    """Take the leave back; an endpoint that is away already can still be resumed."""
    check_changeable(session, endpoint)
    _check_kind(endpoint)
    endpoint.allow_recreate, endpoint.recreate_terms = False, {}
    _record(
        session, endpoint, asked, "endpoint.recreate_forbidden", "may not be deleted to stop it"
    )
    return endpoint


def _check_kind(endpoint: Endpoint) -> None:
    if endpoint.stop == Stop.RECREATE:
        return
    why = endpoint.observe_only or "its cloud can stop it without deleting it"
    raise conflict("no_contract_needed", f"{endpoint.name} needs no such leave: {why}.")


def _measured(session: Session, endpoint: Endpoint) -> timedelta | None:
    wanted = operations.OperationFilter(endpoint_id=endpoint.id, kind=Kind.RESUME)
    rows = operations.page(session, wanted, None, RETURNS_READ)
    return max(
        (
            row.finished_at - row.started_at
            for row in rows
            if row.status == "succeeded" and row.finished_at and row.started_at
        ),
        default=None,
    )


def _record(session: Session, endpoint: Endpoint, asked: Asked, kind: str, what: str) -> None:
    session.add(endpoint)
    events.record(
        session,
        at=asked.now,
        kind=kind,
        actor=asked.actor,
        message=f"{endpoint.name} {what}: {asked.actor}, {asked.why}",
        account_id=endpoint.account_id,
        endpoint_id=endpoint.id,
        data=dict(endpoint.recreate_terms),
    )
