"""Tokens, freeze, events, hardware and timelines in requests and answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from orchestrator.api.schemas.accounts import FreezeOut
from orchestrator.api.schemas.base import Answer, AskedInstant, Body, Instant, Listing
from orchestrator.api.schemas.endpoints import HardwareOut, hardware_out
from orchestrator.api.schemas.money import Price, price
from orchestrator.api.schemas.operations import Ref
from orchestrator.api.schemas.texts import like
from orchestrator.services.tokens import Scope
from orchestrator.store.tables import ApiToken, Event, MeterInterval, Offer


class MeOut(Answer):
    """Who the request comes from."""

    name: str = Field(examples=["alice"])
    scope: Scope


class TokenBody(Body):
    """A new token."""

    name: Annotated[
        str,
        like(
            r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$",
            "The name of a token begins with a letter from a to z or a digit, and goes on with "
            "these and . _ @ -, 63 characters at most, such as ci-deploys.",
            examples=["ci-deploys"],
        ),
    ]
    scope: Scope = Scope.READ
    expires_at: AskedInstant | None = None


class TokenOut(Answer):
    """A token, without its secret."""

    id: str = Field(examples=["tok_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str
    scope: Scope
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None
    revoked_at: Instant | None


class NewTokenOut(TokenOut):
    """A new token; `secret` is shown this once and null in a repeated answer."""

    secret: str | None


class FreezeBody(Body):
    """Why nothing may be changed, everywhere or in one account."""

    reason: Annotated[str, Field(min_length=1, max_length=500, examples=["incident 4711"])]
    account: Annotated[str, Field(max_length=120)] | None = None


class FrozenAccountOut(FreezeOut):
    """An account that is frozen by itself."""

    account: Ref


class FreezeStateOut(Answer):
    """Whether anything is frozen: everywhere, or single accounts."""

    everywhere: FreezeOut | None
    accounts: list[FrozenAccountOut]


class EventOut(Answer):
    """Something that happened."""

    id: int
    at: Instant
    kind: str = Field(examples=["operation.succeeded"])
    actor: str
    message: str
    account_id: str | None
    endpoint_id: str | None
    operation_id: str | None
    data: dict[str, Any]


class QuotaOut(Answer):
    """Accelerators that the account may use and uses; null where the cloud does not tell."""

    max: int | None
    used: int | None


class OfferOut(Answer):
    """One row of an account's price list."""

    account: Ref
    key: str = Field(examples=["aws/us-east-1/nvidia-l4/x1"])
    hardware: HardwareOut
    price_per_hour: Price | None = Field(description="Per replica; null where it is not known.")
    status: str = Field(examples=["available"])
    accelerator: str = Field(examples=["gpu"])
    accelerators: int
    architecture: str
    memory_gb: str
    accelerator_memory_gb: str
    quota: QuotaOut
    source: str = Field(description="Where the price is from, if not the cloud's list at read_at.")
    read_at: Instant


class IntervalOut(Answer):
    """A stretch in which status, billed replicas and price did not change.

    Each component has its own: for one beside compute `replicas` are replicas times `units`.
    """

    start: Instant
    end: Instant | None = Field(description="Null while it lasts.")
    status: str
    evidence: str = Field(examples=["observed"])
    component: str = Field(examples=["compute"])
    hardware_key: str
    units: int = Field(description="Of each replica: gigabytes of a disk, 1 for compute.")
    replicas: int
    replicas_low: int
    replicas_high: int
    burn_per_hour: Price | None
    cause: str


class EventsOut(Listing[EventOut]):
    """A page of events; `dropped_before` is set where the span asked for reaches before it."""

    dropped_before: Instant | None = Field(
        None, description="Older events may have been dropped, because they are kept for a time."
    )


def token_out(row: ApiToken) -> TokenOut:
    """Return a token as it is answered."""
    return TokenOut(**_token_fields(row))


def new_token_out(row: ApiToken, secret: str | None) -> NewTokenOut:
    """Return a new token as it is answered."""
    return NewTokenOut(secret=secret, **_token_fields(row))


def event_out(row: Event) -> EventOut:
    """Return an event as it is answered."""
    return EventOut(
        id=row.id or 0,
        at=row.at,
        kind=row.kind,
        actor=row.actor,
        message=row.message,
        account_id=row.account_id,
        endpoint_id=row.endpoint_id,
        operation_id=row.operation_id,
        data=row.data,
    )


def offer_out(row: Offer, account_name: str) -> OfferOut:
    """Return a row of a price list as it is answered."""
    return OfferOut(
        account=Ref(id=row.account_id, name=account_name),
        key=row.hardware_key,
        hardware=hardware_out(row.hardware_key, row.accelerator),
        price_per_hour=price(row.nano_per_hour),
        status=row.status,
        accelerator=row.accelerator,
        accelerators=row.accelerators,
        architecture=row.architecture,
        memory_gb=row.memory_gb,
        accelerator_memory_gb=row.accelerator_memory_gb,
        quota=QuotaOut(max=row.quota_max, used=row.quota_used),
        source=row.source,
        read_at=row.read_at,
    )


def interval_out(row: MeterInterval) -> IntervalOut:
    """Return a metered stretch as it is answered."""
    return IntervalOut(
        start=row.started_at,
        end=row.ended_at,
        status=row.status,
        evidence=row.evidence,
        component=row.component,
        hardware_key=row.hardware_key,
        units=row.units,
        replicas=row.replicas,
        replicas_low=row.replicas_low,
        replicas_high=row.replicas_high,
        burn_per_hour=price(row.burn),
        cause=row.cause,
    )


def _token_fields(row: ApiToken) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "scope": Scope(row.scope),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
    }
