"""Maps one `EndpointWithStatus` of the API to a Snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import InferenceEndpointStatus

from orchestrator.domain.endpoints import Hardware, Scaling, Snapshot
from orchestrator.domain.status import Status
from orchestrator.providers.huggingface.billing import BillingTerms, billed_replicas, rollout_of
from orchestrator.providers.huggingface.fields import Fields, count_of
from orchestrator.providers.huggingface.spec import kept_spec
from orchestrator.providers.redaction import Redactor, redact

STATUSES: Mapping[str, Status] = {
    InferenceEndpointStatus.PENDING.value: Status.PENDING,
    InferenceEndpointStatus.INITIALIZING.value: Status.INITIALIZING,
    InferenceEndpointStatus.UPDATING.value: Status.UPDATING,
    InferenceEndpointStatus.UPDATE_FAILED.value: Status.UPDATE_FAILED,
    InferenceEndpointStatus.RUNNING.value: Status.RUNNING,
    InferenceEndpointStatus.PAUSED.value: Status.PAUSED,
    InferenceEndpointStatus.FAILED.value: Status.FAILED,
    InferenceEndpointStatus.SCALED_TO_ZERO.value: Status.SCALED_TO_ZERO,
}
_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class Mapper:
    """Makes snapshots with the billing terms and the redaction of one account."""

    terms: BillingTerms
    redactor: Redactor

    def snapshot(self, raw: Mapping[str, Any]) -> Snapshot:
        """Return what the cloud said; what is missing is named in `gaps` and never an error."""
        fields = Fields(raw)
        state = fields.text("status.state")
        status = STATUSES.get(state, Status.UNKNOWN)
        scaling = scaling_of(fields)
        ready = fields.count("status.readyReplica")
        target = fields.count("status.targetReplica")
        billed = billed_replicas(
            status, ready=ready, target=target, scaling=scaling, terms=self.terms
        )
        return Snapshot(
            name=fields.text("name"),
            status=status,
            cloud_state=state,
            hardware=_hardware(fields),
            billed=billed,
            rollout=rollout_of(status, billed, ready=ready, target=target, scaling=scaling),
            scaling=scaling,
            ready_replicas=ready,
            target_replicas=target,
            message=_message(fields),
            url=fields.text("status.url", needed=False) or None,
            access=fields.text("type"),
            repository=fields.text("model.repository"),
            revision=fields.text("model.revision"),
            task=fields.text("model.task"),
            engine=next(iter(fields.mapping("model.image")), ""),
            tags=tuple(sorted(fields.texts("tags"))),
            created_at=fields.instant("status.createdAt"),
            created_by=fields.text("status.createdBy.name", needed=False),
            updated_at=fields.instant("status.updatedAt"),
            updated_by=fields.text("status.updatedBy.name", needed=False),
            last_used_at=fields.instant("status.lastUsedAt", needed=False),
            spec=kept_spec(raw, self.redactor),
            # A call that puts it to zero is refused while its minimum is more.
            to_zero=scaling is None or not scaling.min_replicas,
            gaps=tuple(fields.gaps),
        )


def _hardware(fields: Fields) -> Hardware:
    return Hardware(
        vendor=fields.text("provider.vendor") or "?",
        region=fields.text("provider.region") or "?",
        instance_type=fields.text("compute.instanceType") or "?",
        instance_size=fields.text("compute.instanceSize") or "?",
        accelerator=fields.text("compute.accelerator"),
    )


def scaling_of(fields: Fields) -> Scaling | None:
    """Return the scaling bounds, None when one of them is missing."""
    low = fields.count("compute.scaling.minReplica")
    high = fields.count("compute.scaling.maxReplica")
    if low is None or high is None:
        return None
    metric, threshold = _measure(fields)
    timer = count_of(fields.value("compute.scaling.scaleToZeroTimeout"))
    return Scaling(low, high, timer, metric, threshold)


def _measure(fields: Fields) -> tuple[str | None, str | None]:
    """Return metric and threshold; a null threshold is the service's default."""
    measure = fields.mapping("compute.scaling.measure")
    for name, value in measure.items():
        if value is not None or len(measure) == 1:
            return str(name), None if value is None else str(value)
    legacy = fields.value("compute.scaling.metric")
    threshold = fields.value("compute.scaling.threshold")
    known = isinstance(legacy, str) and bool(legacy)
    return str(legacy) if known else None, str(threshold) if known and threshold else None


def _message(fields: Fields) -> str:
    message = fields.text("status.message", needed=False)
    error = fields.text("status.errorMessage", needed=False)
    texts = [message, error] if error != message else [message]
    return redact("; ".join(text for text in texts if text))[:_LONGEST_MESSAGE]
