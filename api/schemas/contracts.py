"""What a pause of an endpoint means, and its owner's leave for it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Body, Instant, Reason
from orchestrator.services.contracts import Card
from orchestrator.store.tables import Endpoint


class ContractOut(Answer):
    """The contract card, read from the cloud at this moment; nothing was changed.

    `stops_by` is `pause` where the cloud keeps a paused endpoint, `recreate` where it has to be
    deleted and made again, `none` where it cannot be stopped from here.
    """

    stops_by: str = Field(examples=["recreate"])
    digest: str = Field(
        examples=["3f9a1c0b7d2e"], description="Names what is shown here, to allow it by."
    )
    kept: list[str]
    lost: list[str]
    risks: list[str]
    alarms: list[str] = Field(description="Alarms of the cloud that will fire or stay silent.")
    quota: str = Field(
        description="What the return needs of the cloud's quotas, which are read once an hour.",
        examples=["needs 2 x ml.inf2.8xlarge (it is 5, as of the last hour) of the quota for ..."],
    )
    minutes_to_return: int | None = Field(
        description="Usual time until it serves again: measured where there was a return, else "
        "an estimate."
    )
    measured: bool
    obstacles: list[str] = Field(description="What forbids the pause now.")
    managed_by: list[str] = Field(description="Other tools that manage it: force is needed.")


class AllowBody(Body):
    """The owner's leave, given over the card that was seen."""

    digest: Annotated[
        str,
        Field(
            max_length=40,
            examples=["3f9a1c0b7d2e"],
            description="The digest of the card that was seen: GET /v1/endpoints/{id}/contract.",
        ),
    ]
    forced: bool = False
    reason: Reason = ""


class StopsOut(Answer):
    """How an endpoint can be stopped; `allowed` is False where its owner's leave is missing.

    `away_since`: it was deleted to pause it, and all that is needed to make it again is kept.
    """

    by: str = Field(examples=["pause"])
    to_zero: bool
    allowed: bool
    allowed_by: str
    away_since: Instant | None


def contract_out(card: Card) -> ContractOut:
    """Return a contract card as it is answered."""
    contract, measured = card.contract, card.measured_to_return
    minutes = contract.minutes_to_return
    return ContractOut(
        stops_by=card.stop,
        digest=card.digest,
        kept=list(contract.kept),
        lost=list(contract.lost),
        risks=list(contract.risks),
        alarms=list(contract.alarms),
        quota=contract.quota,
        minutes_to_return=minutes if measured is None else -(-int(measured.total_seconds()) // 60),
        measured=measured is not None,
        obstacles=list(contract.obstacles),
        managed_by=list(contract.foreign),
    )


def stops_out(row: Endpoint) -> StopsOut:
    """Return how an endpoint can be stopped."""
    terms: dict[str, Any] = row.recreate_terms
    return StopsOut(
        by=row.stop,
        to_zero=row.to_zero,
        allowed=row.stop == "pause" or (row.stop == "recreate" and row.allow_recreate),
        allowed_by=str(terms.get("actor", "")),
        away_since=row.stop_sent_at,
    )
