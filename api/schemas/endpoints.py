"""Endpoints in answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Instant
from orchestrator.api.schemas.contracts import StopsOut, stops_out
from orchestrator.api.schemas.money import Money, Price, money, price
from orchestrator.api.schemas.operations import (
    HoldOut,
    OperationOut,
    Ref,
    hold_out,
    operation_out,
)
from orchestrator.domain.status import Status
from orchestrator.services.views import ComponentBurn, EndpointView
from orchestrator.store import expiry
from orchestrator.store.endpoints import OURS
from orchestrator.store.tables import Account, Endpoint
from orchestrator.store.vouching import vouched_for

UNKNOWN = "?"


class HardwareOut(Answer):
    """What a replica runs on; `key` is what the price list knows it by."""

    key: str = Field(examples=["aws/us-east-1/nvidia-l4/x1"])
    vendor: str = Field(examples=["aws"])
    region: str = Field(examples=["us-east-1"])
    instance_type: str = Field(examples=["nvidia-l4"])
    instance_size: str = Field(examples=["x1"])
    accelerator: str = Field(examples=["gpu"])


class ModelOut(Answer):
    """What is served, by which engine, and to whom."""

    repository: str = Field(examples=["Qwen/Qwen3-4B"])
    task: str = Field(examples=["text-generation"])
    engine: str = Field(examples=["vLLM"])
    access: str = Field(examples=["authenticated"])


class ScalingOut(Answer):
    """Bounds of replicas and the cloud's own idle timer; null where the cloud does not tell."""

    min_replicas: int | None
    max_replicas: int | None
    scale_to_zero_minutes: int | None


class HeldAwakeOut(Answer):
    """What seems to hold an endpoint awake, by which sign; it is told and never acted on."""

    sign: Literal["timer", "uncounted", "even", "woken"]
    detail: str = Field(examples=["24 requests came evenly, one every 300 s, as a poller's do"])
    every_seconds: int | None = Field(description="The time between its requests, if known.")
    since: Instant


class BilledOut(Answer):
    """How many replicas the cloud bills now."""

    low: int
    expected: int
    high: int


class ReplicasOut(Answer):
    """Replicas that are ready, wanted and billed; null where the cloud does not tell."""

    ready: int | None
    target: int | None
    billed: BilledOut


class WishOut(Answer):
    """What a person last asked for."""

    wish: str = Field(examples=["running"])
    reason: str
    actor: str
    at: Instant | None


class DecisionOut(Answer):
    """What the rules want, as of the last pass of the engine."""

    wish: str | None
    rule: str = Field(examples=["schedule:sch_01jd2w9k4v8m5r0aq7t3xzbcde"])
    reason: str


class NextChange(Answer):
    """When the rules will say something else, and what."""

    at: Instant
    wish: str | None


class ComponentOut(Answer):
    """A component of an endpoint and what it costs now; null where its price is not known."""

    component: str = Field(examples=["disk"])
    hardware_key: str
    units: int = Field(description="Of each replica: gigabytes of a disk, 1 for compute.")
    burn_per_hour: Price | None


class DeletionOut(Answer):
    """A deletion with grace: until `after` it is paused, and can be brought back."""

    after: Instant
    actor: str = Field(examples=["alice"])
    reason: str
    asked_at: Instant


class EndpointExpiryOut(Answer):
    """When an endpoint expires: it is paused then, and deleted after `delete_grace_seconds`."""

    at: Instant
    actor: str = Field(examples=["alice"])
    reason: str
    set_at: Instant
    extensions: int = Field(description="How often it was put off.")
    pauses_at: Instant | None = Field(
        description="When it is paused: not before people had the promised notice. Null until they "
        "were warned."
    )
    next_warning_at: Instant | None
    warned_at: Instant | None
    delete_grace_seconds: int | None = Field(description="Null: it is never deleted for that.")


class EndpointOut(Answer):
    """All that is known of an endpoint."""

    id: str = Field(examples=["ep_01jd2w9k4v8m5r0aq7t3xzbcde"])
    account: Ref
    name: str = Field(examples=["search-prod"])
    managed: bool
    protected: bool
    observe_only: str
    held_awake: HeldAwakeOut | None = Field(
        None, description="Something that seems to keep it awake although nobody uses it."
    )
    owner: str
    status: Status
    cloud_state: str = Field(examples=["scaledToZero"])
    status_since: Instant
    message: str
    url: str
    hardware: HardwareOut
    model: ModelOut
    scaling: ScalingOut
    replicas: ReplicasOut
    labels: dict[str, str]
    cloud_labels: dict[str, str]
    wish: WishOut | None
    decision: DecisionOut | None
    next_change: NextChange | None
    holds: list[HoldOut]
    burn_per_hour: Price | None = Field(
        description="Of all components with a known price; null where none has one."
    )
    components: list[ComponentOut] = Field(description="What is billed now, compute first.")
    month_to_date: Money
    last_used_at: Instant | None
    first_seen_at: Instant
    confirmed_at: Instant = Field(
        description="Until when what is told of it is known to have held: by its own last read, or "
        "by the last whole listing of its account, whichever was later."
    )
    created_at: Instant | None
    updated_at: Instant | None
    deleted_at: Instant | None
    operation: OperationOut | None
    gaps: list[str]
    stops: StopsOut
    deletion: DeletionOut | None = Field(description="Where it is to be deleted after a grace.")
    expiry: EndpointExpiryOut | None = Field(description="Null where it never expires.")
    unfinished: str = Field(description="What a creation in several steps still lacks.")


def endpoint_out(view: EndpointView) -> EndpointOut:
    """Return an endpoint as it is answered."""
    row = view.endpoint
    ours = {label.key: label.value for label in view.labels if label.source == OURS}
    theirs = {
        label.key.removeprefix("cloud:"): label.value
        for label in view.labels
        if label.source != OURS
    }
    return EndpointOut(
        id=row.id,
        account=Ref(id=view.account.id, name=view.account.name),
        name=row.name,
        managed=row.managed,
        protected=row.protected,
        observe_only=row.observe_only,
        held_awake=_held_awake(row),
        owner=row.owner,
        status=Status(row.status),
        cloud_state=row.cloud_state,
        status_since=row.status_since,
        message=row.message,
        url=row.url,
        hardware=hardware_out(row.hardware_key, row.accelerator),
        labels=ours,
        cloud_labels=theirs,
        holds=[hold_out(hold, row.name) for hold in view.holds],
        burn_per_hour=price(view.burn),
        components=[_component(each) for each in view.components],
        month_to_date=money(view.month),
        operation=None
        if view.operation is None
        else operation_out(view.operation, view.account.name),
        gaps=row.gaps,
        stops=stops_out(row),
        deletion=_deletion(row),
        expiry=_expiry(row),
        unfinished=row.unfinished,
        **_shape(row),
        **_wanted(row),
        **_instants(row, view.account),
    )


def _deletion(row: Endpoint) -> DeletionOut | None:
    if row.delete_after is None:
        return None
    stone = row.tombstone
    return DeletionOut.model_validate(
        {
            "after": row.delete_after,
            "actor": stone["actor"],
            "reason": stone["reason"],
            "asked_at": stone["at"],
        }
    )


def _expiry(row: Endpoint) -> EndpointExpiryOut | None:
    held = expiry.read(row)
    if held is None:
        return None
    owed = [at for at in held.warnings() if held.warned_at is None or at > held.warned_at]
    return EndpointExpiryOut(
        at=held.at,
        actor=held.actor,
        reason=held.reason,
        set_at=held.set_at,
        extensions=expiry.extensions(row),
        pauses_at=held.pauses_at(),
        next_warning_at=min(owed, default=None),
        warned_at=held.warned_at,
        delete_grace_seconds=None if held.grace is None else int(held.grace.total_seconds()),
    )


def _component(found: ComponentBurn) -> ComponentOut:
    return ComponentOut(
        component=found.component,
        hardware_key=found.hardware_key,
        units=found.units,
        burn_per_hour=price(found.burn),
    )


def hardware_out(key: str, accelerator: str) -> HardwareOut:
    """Return hardware from its key."""
    parts = [*key.split("/"), UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN][:4]
    vendor, region, instance_type, instance_size = parts
    return HardwareOut(
        key=key,
        vendor=vendor or UNKNOWN,
        region=region,
        instance_type=instance_type,
        instance_size=instance_size,
        accelerator=accelerator,
    )


def _shape(row: Endpoint) -> dict[str, Any]:
    return {
        "model": ModelOut(
            repository=row.repository, task=row.task, engine=row.engine, access=row.access
        ),
        "scaling": ScalingOut(
            min_replicas=row.min_replicas,
            max_replicas=row.max_replicas,
            scale_to_zero_minutes=row.scale_to_zero_minutes,
        ),
        "replicas": ReplicasOut(
            ready=row.ready_replicas,
            target=row.target_replicas,
            billed=BilledOut(
                low=row.billed_low, expected=row.billed_expected, high=row.billed_high
            ),
        ),
    }


def _wanted(row: Endpoint) -> dict[str, Any]:
    edge = row.next_edge_at
    return {
        "wish": None
        if not row.wish
        else WishOut(wish=row.wish, reason=row.wish_reason, actor=row.wish_actor, at=row.wish_at),
        "decision": None
        if not row.decided_rule
        else DecisionOut(
            wish=row.decided_wish or None, rule=row.decided_rule, reason=row.decided_reason
        ),
        "next_change": None
        if edge is None
        else NextChange(at=edge, wish=row.next_edge_wish or None),
    }


def _instants(row: Endpoint, account: Account) -> dict[str, Any]:
    return {
        "last_used_at": row.last_used_at,
        "first_seen_at": row.first_seen_at,
        "confirmed_at": vouched_for(account, row),
        "created_at": row.cloud_created_at,
        "updated_at": row.cloud_updated_at,
        "deleted_at": row.deleted_at,
    }


def _held_awake(row: Endpoint) -> HeldAwakeOut | None:
    held = row.held_awake
    if "sign" not in held:
        return None
    told = {"every_seconds": held["every_s"], "since": held["since"]}
    return HeldAwakeOut.model_validate({"sign": held["sign"], "detail": held["detail"], **told})
