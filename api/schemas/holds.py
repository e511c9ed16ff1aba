"""Holds and leases in requests and answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from orchestrator.api.schemas.base import Answer, AskedInstant, Body, Instant, Reason
from orchestrator.api.schemas.money import Price, price
from orchestrator.api.schemas.operations import (
    HoldOut,
    OperationOut,
    Ref,
    hold_out,
    operation_out,
)
from orchestrator.domain.status import Status, Wish
from orchestrator.services.errors import invalid
from orchestrator.services.hold_rows import SHORTEST_HOLD, TOO_SHORT
from orchestrator.services.holding import Held
from orchestrator.services.leases import Leased
from orchestrator.services.lengths import NOT_NONE, parse
from orchestrator.store.tables import Account

EndpointText = Annotated[
    str, Field(max_length=250, description="Id, or account-name/endpoint-name.")
]
Length = Annotated[str, Field(max_length=20, examples=["10m"])]
LeaseState = Literal["starting", "serving", "overruled", "failed", "released", "revoked", "expired"]


class HoldBody(Body):
    """What to keep an endpoint as, and until when: an instant, or so long `for`."""

    endpoint: EndpointText = Field(examples=["acme/search-prod"])
    wish: Literal["running", "available", "paused"] = Field(
        description="`available` is running, or at zero and woken by requests."
    )
    until: AskedInstant | None = None
    length: Length | None = Field(None, alias="for", examples=["3h"])
    reason: Annotated[Reason, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="Why; others see it who want something else."
    )

    def wanted(self) -> Wish:
        """Return the wish as the rules know it."""
        return Wish(self.wish)

    def end(self, now: datetime) -> datetime:
        """Return when it ends. Raises ServiceError 422 without exactly one of both."""
        if (self.until is None) == (self.length is None):
            raise invalid(
                "until",
                "A hold has an end: give `until`, or `for`.",
                remedy='Send "for": "3h", or an instant.',
            )
        if self.until is not None:
            return self.until
        length = parse(self.length or "", "for", NOT_NONE)
        if length < SHORTEST_HOLD:
            raise invalid("for", TOO_SHORT, remedy='Send "for": "1h", for an hour.')
        return now + length


class HoldMadeOut(HoldOut):
    """A hold, what it began, and what gives way to it while it lasts."""

    operation: OperationOut | None
    outranks: list[HoldOut]


class LeaseBody(Body):
    """Which endpoint a program needs running, and for how long at first."""

    endpoint: EndpointText = Field(examples=["acme/search-prod"])
    ttl: Length = Field(description="It ends by itself after so long without being renewed.")
    reason: Reason = Field("", examples=["nightly evaluation"])

    def length(self) -> timedelta:
        """Return how long it lasts. Raises ServiceError 422."""
        return parse(self.ttl, "ttl", NOT_NONE)


class RenewBody(Body):
    """For how long from now a lease goes on."""

    ttl: Length

    def length(self) -> timedelta:
        """Return how long it lasts. Raises ServiceError 422."""
        return parse(self.ttl, "ttl", NOT_NONE)


class LeaseOut(Answer):
    """A program's claim that an endpoint runs until it is released, or not renewed in time."""

    id: str = Field(examples=["lse_01jd2w9k4v8m5r0aq7t3xzbcde"])
    endpoint: Ref
    url: str = Field(description="Where the endpoint serves, as its cloud tells.")
    status: LeaseState = Field(
        description="`serving` once its cloud was seen to have it ready; `overruled` where a "
        "person's hold, a freeze or a deletion counts more; `revoked` where others ended it."
    )
    detail: str = Field(examples=["it is initializing"])
    endpoint_status: Status
    starts_at: Instant
    until: Instant
    seconds_left: float = Field(description="Until then, by the server's clock.", examples=[600])
    longest_until: Instant | None = Field(description="No renewal goes beyond this.")
    renewals: int
    actor: str
    reason: str
    cost: Price | None = Field(description="From its start to `until`; null without a price.")
    ended_at: Instant | None
    operation: OperationOut | None = Field(description="What is under way on the endpoint.")


def held_out(held: Held, endpoint_name: str, account: Account) -> HoldMadeOut:
    """Return a hold that was just made."""
    shown = hold_out(held.hold, endpoint_name).model_dump()
    operation = held.operation
    return HoldMadeOut(
        **shown,
        operation=None if operation is None else operation_out(operation, account.name),
        outranks=[hold_out(one, endpoint_name) for one in held.outranks],
    )


def lease_out(leased: Leased, account: Account) -> LeaseOut:
    """Return a lease as it stands."""
    row, endpoint, operation = leased.lease, leased.endpoint, leased.operation
    return LeaseOut.model_validate(
        {
            "id": row.id,
            "endpoint": Ref(id=endpoint.id, name=endpoint.name),
            "url": endpoint.url,
            "status": leased.state.value,
            "detail": leased.detail,
            "endpoint_status": endpoint.status,
            "starts_at": row.starts_at,
            "until": row.until,
            "seconds_left": leased.left.total_seconds(),
            "longest_until": row.longest_until,
            "renewals": row.renewals,
            "actor": row.actor,
            "reason": row.reason,
            "cost": price(row.cost_nano),
            "ended_at": row.ended_at,
            "operation": None if operation is None else operation_out(operation, account.name),
        }
    )
