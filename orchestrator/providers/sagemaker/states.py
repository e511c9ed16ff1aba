"""What AWS's states mean in our words, for endpoints and for their inference components."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.status import Status

# OutOfService bills and takes no requests; a person has to look, as after a failed update.
STATUSES: Mapping[str, Status] = {
    "Creating": Status.INITIALIZING,
    "InService": Status.RUNNING,
    "Updating": Status.UPDATING,
    "RollingBack": Status.UPDATING,
    "SystemUpdating": Status.UPDATING,
    "OutOfService": Status.UPDATE_FAILED,
    "UpdateRollbackFailed": Status.UPDATE_FAILED,
    "Deleting": Status.STOPPING,
    "Failed": Status.FAILED,
}
# In these a deployment brings up instances beside those that serve, unseen in a listing.
CHANGING = frozenset({"Updating", "RollingBack", "SystemUpdating"})
# Here too, but whatever is up by then is billed at most as much as what is asked for.
COMING_UP = frozenset({"Creating"})
# What is up and billed in these takes no requests; what a person can do.
USELESS: Mapping[str, str] = {
    "OutOfService": "it is billed and takes no requests: look for the reason at AWS, then update "
    "it to a configuration that works, or delete it"
}
# Components that AWS changes just now, and on which it accepts no other change.
MOVING = frozenset({"Creating", "Updating", "Deleting"})
_NO_CAPACITY = re.compile(
    r"(?i)insufficient .{0,40}capacity|unable to provision requested ml compute capacity"
    r"|(not enough|insufficient) .{0,40}(resource|capacity|instance)|resourcelimitexceeded"
    r"|account-level service limit"
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Copies:
    """Inference components together: copies wanted and up, and what may bring them back.

    `wakeable` says that a request brings back each component without copies; `certain` that
    all of this could be read.
    """

    desired: int
    current: int
    wakeable: bool
    failed: int = 0
    reason: str = ""
    certain: bool = True
    number: int = 0


def endpoint_status(cloud_state: str, reason: str) -> Status:
    """Return the status of an endpoint by its own state, `unknown` for a word that is new."""
    status = STATUSES.get(cloud_state, Status.UNKNOWN)
    if status is Status.FAILED and lacks_capacity(reason):
        return Status.WAITING_FOR_CAPACITY
    return status


def components_status(
    status: Status, copies: Copies, instances: int | None, *, releases: bool, unfinished: bool
) -> Status:
    """Return the status of an endpoint in service by its components and instances.

    `releases`: instances without copies go away by themselves (a minimum of 0). Without that an
    endpoint without copies is as paused as it gets, and its instances are still billed.
    """
    if status is not Status.RUNNING or not copies.certain:
        return status
    if copies.current and copies.desired:
        return Status.RUNNING
    if copies.desired or (unfinished and not copies.current):
        return _coming_up(copies)
    if copies.current or (releases and instances != 0):
        return Status.PAUSING
    return Status.SCALED_TO_ZERO if copies.wakeable else Status.PAUSED


def _coming_up(copies: Copies) -> Status:
    if not copies.number or copies.failed < copies.number:
        return Status.INITIALIZING
    return Status.WAITING_FOR_CAPACITY if lacks_capacity(copies.reason) else Status.FAILED


def copies_of(
    components: Sequence[Row], targets: Sequence[Row], policies: Sequence[Row], *, certain: bool
) -> Copies:
    """Return what components, their targets and their policies come to."""
    runtimes = [item.get("RuntimeConfig") or {} for item in components]
    failed = [item for item in components if item.get("InferenceComponentStatus") == "Failed"]
    names = [f"inference-component/{item.get('InferenceComponentName')}" for item in components]
    return Copies(
        desired=sum(_count(item.get("DesiredCopyCount")) for item in runtimes),
        current=sum(_count(item.get("CurrentCopyCount")) for item in runtimes),
        wakeable=bool(names) and all(_is_wakeable(name, targets, policies) for name in names),
        failed=len(failed),
        reason="; ".join(str(item.get("FailureReason") or "") for item in failed),
        certain=certain,
        number=len(components),
    )


def lacks_capacity(reason: str) -> bool:
    """Return whether a failure is one of capacity or quota, which may pass."""
    return bool(_NO_CAPACITY.search(reason))


def _is_wakeable(resource: str, targets: Sequence[Row], policies: Sequence[Row]) -> bool:
    """A step policy that an alarm calls, on a target that may scale out."""
    mine = [row for row in targets if row.get("ResourceId") == resource]
    if not mine or any(_is_suspended(row) for row in mine):
        return False
    return any(
        row.get("ResourceId") == resource
        and row.get("PolicyType") == "StepScaling"
        and bool(row.get("Alarms"))
        for row in policies
    )


def _is_suspended(target: Row) -> bool:
    state = target.get("SuspendedState") or {}
    return state.get("DynamicScalingOutSuspended") is True or target.get("MaxCapacity") == 0


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
