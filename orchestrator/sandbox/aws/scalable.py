"""Where Application Auto Scaling keeps its documents, and what it knows of a resource."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.sandbox.aws.core import Core
from orchestrator.sandbox.aws.place import Place

Document = dict[str, Any]
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"
VARIANT = "sagemaker:variant:DesiredInstanceCount"
DIMENSIONS = (COMPONENT, VARIANT, "sagemaker:variant:DesiredProvisionedConcurrency")


def key(resource_id: str, dimension: str, name: str = "") -> str:
    """The key of a target, or of a policy or scheduled action with a name."""
    return "|".join([resource_id, dimension, name] if name else [resource_id, dimension])


def policies_of(place: Place, resource_id: str, kind: str) -> list[Document]:
    """The scaling policies of a resource: StepScaling or TargetTrackingScaling."""
    return [
        row
        for row in place.policies.values()
        if row["ResourceId"] == resource_id and row["PolicyType"] == kind
    ]


def target_of(place: Place, resource_id: str, dimension: str) -> Document | None:
    """The scalable target of a resource."""
    return place.targets.get(key(resource_id, dimension))


def suspended(target: Document, what: str) -> bool:
    """Whether one of DynamicScalingInSuspended and so on is set."""
    return bool(target.get("SuspendedState", {}).get(what))


def forget(core: Core, place: Place, resource_id: str, dimension: str | None = None) -> None:
    """Deregister a resource with its policies and scheduled actions."""
    for documents in (place.targets, place.policies, place.scheduled_actions):
        for found in _of(documents, resource_id, dimension):
            if documents is place.scheduled_actions:
                core.timeline.clear(place, [found])
            if documents is place.policies:
                drop_alarms(place, documents[found])
            del documents[found]


def _of(documents: dict[str, Document], resource_id: str, dimension: str | None) -> list[str]:
    return [
        found
        for found, row in documents.items()
        if row["ResourceId"] == resource_id and dimension in {None, row["ScalableDimension"]}
    ]


def drop_alarms(place: Place, policy: Document) -> None:
    """Delete the alarms that a target tracking policy has made for itself."""
    names: Iterable[str] = (row["AlarmName"] for row in policy.get("Alarms", ()))
    for name in names:
        place.alarms.pop(name, None)


def forget_endpoint(core: Core, place: Place, name: str) -> None:
    """Deregister every variant of an endpoint."""
    mine = f"endpoint/{name}/variant/".lower()
    known = {row["ResourceId"] for row in place.targets.values()}
    for resource_id in [one for one in known if one.lower().startswith(mine)]:
        forget(core, place, resource_id)
