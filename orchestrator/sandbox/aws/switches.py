"""Open questions about SageMaker as switches: what no document says, a switch decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class AwsSwitches:
    """How the simulated SageMaker answers what its documents leave open.

    Billing by status, what a failed update leaves behind, and how late a new endpoint
    configuration can be read.
    """

    creating_billed: Literal["free", "instances", "wanted"] = "instances"
    """While Creating: nothing, the instances that are there, or all that were asked for."""
    failed_billed: bool = False
    """Whether instances of a failed creation cost money until the endpoint is deleted."""
    deleting_billed: bool = False
    updating_bills_both: bool = True
    """Whether the new fleet costs money beside the old one during an update."""

    failed_update: Literal["InService", "Failed", "UpdateRollbackFailed"] = "InService"
    """Where an update ends whose new fleet does not come up."""
    rollback_reason: Literal["kept", "dropped"] = "kept"
    """Whether FailureReason still tells, once it is InService again, why it went back."""
    config_lag_s: float = 0.0
    """Seconds for which CreateEndpoint does not see a new endpoint configuration."""
    min_zero_refused: tuple[str, ...] = ("eu-west-3",)
    """Regions that refuse managed instance scaling with a minimum of 0."""
    local_disk_volume: Literal["refuse", "accept"] = "refuse"
    """VolumeSizeInGB for an instance type that has a disk of its own."""
    alarm_tail_s: float = 300.0
    """Seconds for which an alarm stays in ALARM after its last bad datapoint."""
    idle_s: float = 900.0
    """Seconds without a request after which target tracking scales a component in."""

    calls_per_second: float | None = None
    """Calls of one operation that an account may make in the long run; None is no limit."""
    call_burst: int = 10
    """Calls of one operation that an account may make at once."""
    metrics_delay_s: int = 0
    """How late CloudWatch shows a datapoint."""

    def to_dict(self) -> dict[str, Any]:
        """The switches as JSON values."""
        return {**asdict(self), "min_zero_refused": list(self.min_zero_refused)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> AwsSwitches:
        """The switches that `to_dict` described."""
        return cls(**{**state, "min_zero_refused": tuple(state["min_zero_refused"])})
