"""Maps what was read of one endpoint to a Snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.endpoints import (
    BilledReplicas,
    Extra,
    Hardware,
    Rollout,
    Snapshot,
    Stop,
)
from orchestrator.domain.status import Status
from orchestrator.providers.redaction import redact
from orchestrator.providers.sagemaker.billing import BillingTerms, beside, billed_instances
from orchestrator.providers.sagemaker.fleet import Fleet, fleet_of
from orchestrator.providers.sagemaker.hardware import hardware_of, instance_hardware, volume_key
from orchestrator.providers.sagemaker.models import Model, engine_of
from orchestrator.providers.sagemaker.naming import (
    ENDPOINT_TAG,
    INSTALLATION_TAG,
    REPOSITORY_TAG,
    UNFINISHED_TAG,
    is_ours,
)
from orchestrator.providers.sagemaker.reading import Facts, utc
from orchestrator.providers.sagemaker.scale import managed_minimum, scaling_of
from orchestrator.providers.sagemaker.specification import kept_spec
from orchestrator.providers.sagemaker.states import (
    COMING_UP,
    MOVING,
    USELESS,
    Copies,
    components_status,
    copies_of,
    endpoint_status,
)
from orchestrator.providers.sagemaker.sweep import Row

ACCESS = "iam"
# What costs by the request has no price by the hour: anything but nothing, and unpriced.
BY_REQUEST = BilledReplicas(0, 1, 1)
_LONGEST_MESSAGE = 1000
_TASKS = ("HF_TASK", "SM_ON_TASK")
# What a row of ListEndpoints tells besides its name; DescribeEndpoint tells it too.
_IN_A_ROW = ("EndpointArn", "EndpointStatus", "CreationTime", "LastModifiedTime")
_REVISIONS = ("HF_MODEL_REVISION", "SM_ON_REVISION", "SM_VLLM_REVISION")


@dataclass(frozen=True, slots=True)
class Mapper:
    """Makes snapshots with the place, the billing terms and the address of one account."""

    region: str
    runtime_url: str
    terms: BillingTerms
    installation: str

    def snapshot(self, facts: Facts) -> Snapshot:
        """Return what AWS said; what is missing is named in `gaps` and never an error."""
        endpoint = facts.endpoint
        name = str(endpoint.get("EndpointName"))
        state = str(endpoint.get("EndpointStatus") or "")
        reason = redact(str(endpoint.get("FailureReason") or ""))
        unfinished = facts.tags.get(UNFINISHED_TAG, "")
        fleet, copies = fleet_of(facts), _copies(facts)
        told = copies if copies and copies.certain else None
        status = endpoint_status(state, reason)
        if copies is not None:
            status = components_status(
                status,
                copies,
                fleet.counts.current,
                releases=managed_minimum(facts) == 0,
                unfinished=bool(unfinished),
            )
        elif _is_asleep(facts, fleet) and status is Status.RUNNING:
            status = Status.SCALED_TO_ZERO
        hardware = hardware_of(facts, fleet, self.region)
        model = facts.models[0] if facts.models else Model("")
        only = _observe_only(facts)
        billed = BY_REQUEST if fleet.serverless else _billed(state, fleet, self.terms)
        return Snapshot(
            name=name,
            status=status,
            cloud_state=state,
            hardware=hardware,
            billed=billed,
            scaling=scaling_of(facts, fleet),
            ready_replicas=_ready(state, fleet, told),
            target_replicas=told.desired if told else fleet.counts.desired,
            message=_message(facts, reason, status, copies, billed),
            url=f"{self.runtime_url}/endpoints/{name}/invocations",
            access=ACCESS,
            repository=facts.tags.get(REPOSITORY_TAG) or _served(facts),
            revision=_first(model, _REVISIONS),
            task=_first(model, _TASKS),
            engine=engine_of(model, hardware.accelerator),
            tags=_tags(facts.tags),
            created_at=utc(endpoint.get("CreationTime")),
            updated_at=utc(endpoint.get("LastModifiedTime")),
            observe_only=only,
            stop=_stop(facts, only),
            to_zero=_to_zero(facts, copies),
            restless=facts.hosts_components or facts.half_told or state in COMING_UP,
            row=row_digest(endpoint),
            extras=_extras(fleet.volume_gb, self.region) if not fleet.serverless else (),
            rollout=_rollout(state, fleet, hardware, self.region),
            unfinished=unfinished,
            ours=self._is_ours(facts, name),
            gaps=tuple(dict.fromkeys((*_missing(facts), *fleet.gaps, *facts.gaps))),
            moving=_moving(facts),
            broken=_broken(facts),
            spec=kept_spec(facts, fleet),
        )

    def _is_ours(self, facts: Facts, name: str) -> bool | None:
        """Tell whether this installation has made it; None where its tags do not tell."""
        if "tags" in facts.gaps:
            return None
        if facts.tags.get(ENDPOINT_TAG) != name:
            return False
        by = facts.tags.get(INSTALLATION_TAG)
        return by == self.installation if by and self.installation else None


def row_digest(row: Row) -> str:
    """Return the digest of what a row tells besides its name."""
    told = "\n".join(str(utc(row.get(name)) or row.get(name)) for name in _IN_A_ROW)
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _is_asleep(facts: Facts, fleet: Fleet) -> bool:
    """An asynchronous endpoint without instances is woken by its queue."""
    return bool(facts.config.get("AsyncInferenceConfig")) and fleet.counts.most == 0


def _copies(facts: Facts) -> Copies | None:
    if not facts.hosts_components:
        return None
    certain = not any(gap.startswith("components") for gap in facts.gaps)
    return copies_of(facts.components, facts.targets, facts.policies, certain=certain)


def _ready(state: str, fleet: Fleet, told: Copies | None) -> int | None:
    if state in USELESS:
        return 0
    return told.current if told else fleet.counts.current


def _moving(facts: Facts) -> str:
    """Return which components AWS still changes; the status of their endpoint does not tell."""
    found = (
        f"inference component {item.get('InferenceComponentName')} is {state}"
        for item in facts.components
        if (state := str(item.get("InferenceComponentStatus"))) in MOVING
    )
    return "; ".join(found)


def _broken(facts: Facts) -> str:
    found = (
        f"inference component {item.get('InferenceComponentName')} has failed: "
        f"{item.get('FailureReason') or 'AWS gives no reason'}"
        for item in facts.components
        if item.get("InferenceComponentStatus") == "Failed"
    )
    return redact("; ".join(found))[:_LONGEST_MESSAGE]


def _billed(state: str, fleet: Fleet, terms: BillingTerms) -> BilledReplicas:
    return billed_instances(state, fleet.counts, terms)


def _observe_only(facts: Facts) -> str | None:
    """Return why this endpoint is only looked at, None for one that can be handled."""
    variants = facts.config.get("ProductionVariants") or ()
    described = facts.endpoint.get("ProductionVariants") or ()
    if not variants:
        return "its configuration cannot be read"
    if any(item.get("ServerlessConfig") for item in variants):
        return "serverless: it has no instances, and costs by the request"
    if facts.config.get("AsyncInferenceConfig") or facts.endpoint.get("AsyncInferenceConfig"):
        return "asynchronous inference: its queue decides when it has instances"
    if facts.config.get("ShadowProductionVariants"):
        return "a shadow test runs on it"
    if max(len(variants), len(described)) > 1:
        return "it has several variants"
    return None


def _stop(facts: Facts, only: str | None) -> Stop:
    """A minimum of instances that nothing releases cannot be stopped by taking copies away."""
    if only is not None:
        return Stop.NONE
    if not facts.hosts_components:
        return Stop.RECREATE
    return Stop.PAUSE if managed_minimum(facts) == 0 else Stop.NONE


def _to_zero(facts: Facts, copies: Copies | None) -> bool:
    return bool(copies and copies.wakeable) and managed_minimum(facts) == 0


def _message(
    facts: Facts, reason: str, status: Status, copies: Copies | None, billed: BilledReplicas
) -> str:
    texts = [reason, USELESS.get(str(facts.endpoint.get("EndpointStatus")), "")]
    for variant in facts.endpoint.get("ProductionVariants") or ():
        texts += [
            str(item.get("StatusMessage") or "") for item in variant.get("VariantStatus") or ()
        ]
    if copies is not None:
        texts += [str(item.get("FailureReason") or "") for item in facts.components]
        if status in (Status.PAUSED, Status.SCALED_TO_ZERO) and billed.expected:
            texts.append(f"no copies, but {billed.expected} instances stay by its configuration")
    return redact("; ".join(dict.fromkeys(filter(None, texts))))[:_LONGEST_MESSAGE]


def _served(facts: Facts) -> str:
    return ", ".join(dict.fromkeys(model.repository for model in facts.models if model.repository))


def _first(model: Model, names: tuple[str, ...]) -> str:
    return next((model.environment[name] for name in names if model.environment.get(name)), "")


def _tags(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return tags as `key=value`, a key without value alone; our own marks are no tags."""
    shown = (f"{key}={value}" if value else key for key, value in tags.items() if not is_ours(key))
    return tuple(sorted(shown))


def _extras(volume_gb: int | None, region: str) -> tuple[Extra, ...]:
    return (Extra("disk", volume_key(region), volume_gb),) if volume_gb else ()


def _rollout(state: str, fleet: Fleet, serving: Hardware, region: str) -> Rollout | None:
    """Return the new fleet of a blue/green deployment, on its own type and disks."""
    more = beside(state, fleet.counts)
    if not fleet.next_type or not more.high or fleet.serverless:
        return None
    hardware = instance_hardware(region, fleet.next_type, serving.instance_size)
    return Rollout(more, hardware.key, _extras(fleet.next_volume_gb, region))


def _missing(facts: Facts) -> list[str]:
    names = ("EndpointStatus", "CreationTime", "LastModifiedTime")
    return [name for name in names if not facts.endpoint.get(name)]
