"""Operations and holds in answers, and what a click is asked with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, AskedInstant, Body, Instant, Reason
from orchestrator.api.schemas.money import Price, price
from orchestrator.store.operations import ACTIVE
from orchestrator.store.tables import Hold, Operation

OperationStatus = Literal[
    "pending", "running", "confirming", "succeeded", "failed", "superseded", "cancelled"
]


class Ref(Answer):
    """A thing by id and name; the id is null for an endpoint that is still being created."""

    id: str | None = Field(examples=["ep_01jd2w9k4v8m5r0aq7t3xzbcde"])
    name: str = Field(examples=["search-prod"])


class Step(Answer):
    """One thing that was done for an operation, or the same several times in a row."""

    name: str = Field(examples=["pause"])
    at: Instant
    state: str = Field(examples=["accepted"])
    detail: str = Field("", examples=["attempt 1"])
    times: int = Field(1, ge=1, description="How often the same was done or told in a row.")
    last_at: Instant | None = Field(None, description="When for the last time; null where once.")


class CloudWords(Answer):
    """What a cloud said last: its own word for the state, and its message."""

    state: str = Field("", examples=["initializing"])
    message: str = Field("", examples=["Endpoint is initializing"])


class OperationOut(Answer):
    """A change under way or done."""

    id: str = Field(examples=["op_01jd2w9k4v8m5r0aq7t3xzbcde"])
    kind: str = Field(examples=["pause"])
    status: OperationStatus
    endpoint: Ref
    account: Ref
    actor: str = Field(examples=["alice"])
    rule: str = Field("", examples=["schedule:sch_01jd2w9k4v8m5r0aq7t3xzbcde"])
    reason: str = Field(examples=["load test is over"])
    steps: list[Step]
    attempts: int
    created_at: Instant
    started_at: Instant | None
    accepted_at: Instant | None
    finished_at: Instant | None
    next_attempt_at: Instant | None
    outcome: str = Field("", examples=["it is paused"])
    superseded_by: str | None = Field(None, examples=["op_01jd2w9k4v8m5r0aq7t3xzbcde"])
    cancelling: bool = Field(
        default=False, description="A create, cancelled when it may have been sent already."
    )
    cloud: CloudWords = Field(description="What the cloud last said of the endpoint.")
    stuck_since: Instant | None = Field(
        None, description="Since when its step lasts longer than usual; null if it does not."
    )
    usual_seconds: int | None = Field(
        None,
        description="How long it usually takes once the cloud has accepted it, by its kind and "
        "hardware; of one that is stuck, how long its step usually takes. Told of one operation "
        "under way; in lists, and of those that have ended, only where it was stuck.",
        examples=[240],
    )
    version: str = Field(
        description="Changes with every step: give it to a long poll.", examples=["3f9c1e20a4b7"]
    )
    bulk_id: str | None = Field(None, description="The bulk request that it belongs to.")


class HoldOut(Answer):
    """A person's "keep it so until then"; `cost` is null where no price is known."""

    id: str = Field(examples=["hld_01jd2w9k4v8m5r0aq7t3xzbcde"])
    endpoint: Ref
    wish: Literal["running", "available", "paused"]
    starts_at: Instant
    until: Instant
    actor: str
    reason: str
    cost: Price | None
    ended_at: Instant | None = None
    ended_by: str = ""
    source: Literal["click", "hold", "lease", "cron"] = Field(
        "click",
        description="Made by a click against a rule, asked for by name, by a program, or by a cron "
        "point.",
    )


class ClickOut(OperationOut):
    """An operation, and the hold that was made because the click went against a rule."""

    hold: HoldOut | None = None


class EstimateOut(OperationOut):
    """An operation on a cloud's side of an endpoint, with what it will cost.

    Prices are per hour and per 730 hours, at the least and at the most replicas.
    """

    price_per_replica_hour: Price | None = None
    price_per_hour: Price | None = Field(None, description="At the least replicas.")
    price_per_hour_most: Price | None = None
    price_per_month: Price | None = Field(None, description="At the least replicas.")
    price_per_month_most: Price | None = None
    price_per_hour_before: Price | None = Field(None, description="Of an update: until then.")
    price_per_hour_rollout: Price | None = Field(
        None, description="Of an update: at most while the old and the new replicas both run."
    )
    rollout_seconds: int | None = Field(None, description="How long that usually takes.")
    rollout_cost: Price | None = Field(
        None, description="What the second fleet costs over that time, at most."
    )
    payload: dict[str, Any] = Field(default_factory=dict, description="Without secret values.")
    warnings: list[str] = Field(default_factory=list)


class ClickBody(Body):
    """Why, and until when."""

    reason: Reason = ""
    until: AskedInstant | None = Field(
        None, description="Hold it so until then; else the rules say when a click ends."
    )


def operation_fields(row: Operation, account_name: str) -> dict[str, Any]:
    """Return an operation's fields, for an answer that has more of them."""
    return {
        "id": row.id,
        "kind": row.kind,
        "status": row.status,
        "endpoint": Ref(id=row.endpoint_id, name=row.endpoint_name),
        "account": Ref(id=row.account_id, name=account_name),
        "actor": row.actor,
        "rule": row.rule,
        "reason": row.reason,
        "steps": [_step(step) for step in row.steps],
        "attempts": row.attempts,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "accepted_at": row.accepted_at,
        "finished_at": row.finished_at,
        "next_attempt_at": row.next_attempt_at,
        "outcome": row.outcome,
        "superseded_by": row.superseded_by,
        "cancelling": "cancel" in row.request and row.status in ACTIVE,
        "cloud": CloudWords(state=row.cloud_state, message=row.cloud_message),
        "stuck_since": row.stuck_since,
        "usual_seconds": row.usual_s,
        "version": _version(row),
        "bulk_id": row.bulk_id,
    }


def _version(row: Operation) -> str:
    told = [row.status, row.steps, row.outcome, str(row.stuck_since), "cancel" in row.request]
    return sha256(json.dumps(told).encode()).hexdigest()[:12]


def operation_out(row: Operation, account_name: str) -> OperationOut:
    """Return an operation as it is answered."""
    return OperationOut(**operation_fields(row, account_name))


def hold_out(row: Hold, endpoint_name: str) -> HoldOut:
    """Return a hold as it is answered."""
    return HoldOut.model_validate(
        {
            "id": row.id,
            "endpoint": Ref(id=row.endpoint_id, name=endpoint_name),
            "wish": row.wish,
            "starts_at": row.starts_at,
            "until": row.until,
            "actor": row.actor,
            "reason": row.reason,
            "cost": price(row.cost_nano),
            "ended_at": row.ended_at,
            "ended_by": row.ended_by,
            "source": row.source,
        }
    )


def _step(stored: Mapping[str, Any]) -> Step:
    told = {name: stored.get(name, "") for name in ("name", "at", "state", "detail")}
    again = {name: stored[name] for name in ("times", "last_at") if name in stored}
    return Step.model_validate(told | again)
