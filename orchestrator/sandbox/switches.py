"""Open questions of the service as switches: what no document says, a switch decides."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Switches:
    """How the simulated cloud answers each question that the documents leave open.

    Billing: which states cost money, and how a stretch is rounded. Lifecycle: what pause, resume
    and scale-to-zero do to the scaling bounds, and from which states they are accepted. Quota and
    capacity: what counts, and which answer says no. Listing: page sizes.
    """

    initializing_billed: bool = True
    pending_billed: bool = False
    failed_billed: bool = False
    draining_billed: bool = False
    """Whether replicas that still drain after a pause cost money."""
    update_doubles_billing: bool = False
    minute_rounding: Literal["exact", "up"] = "exact"
    usage_labels: bool = True
    """Whether a line of the bill names its endpoint."""

    resume_resets_scaling: bool = False
    pause_keeps_target_replica: bool = True
    pause_paused: Literal["ok", "refuse"] = "ok"
    resume_from_failed: bool = False
    update_from_failed: bool = True
    scaling_change_rolls: bool = False
    """Whether a change of the scaling bounds alone goes through `updating`."""
    scale_to_zero_with_min: Literal["refuse", "accept", "lower_min"] = "refuse"
    timeout_with_min: Literal["refuse", "accept"] = "refuse"
    omitted_timeout_minutes: int | None = 15
    """The scale-to-zero timeout of a create with a minimum of 0 that does not name one."""
    url_while_paused: bool = False
    health_counts_as_activity: bool = True

    quota_counts: Literal["max", "target", "min"] = "max"
    no_quota_status: int = 400
    capacity_patience_s: int | None = None
    """Seconds after which a start without capacity fails; None waits for ever."""
    private_means: Literal["members", "private_link"] = "members"
    """Who reaches a `private` endpoint: members of the namespace, or nobody over the internet."""

    default_page: int = 20
    largest_page: int = 100
    whoami_per_5_minutes: int = 60
    calls_per_5_minutes: int | None = None
    """Management calls of a token in a window of five minutes, told in headers; None: no limit."""
    calls_per_second: float | None = None
    """Management calls of a token in the long run, told by refusals alone; None: no limit."""
    call_burst: int = 10

    def to_dict(self) -> dict[str, Any]:
        """The switches as JSON values."""
        return asdict(self)
