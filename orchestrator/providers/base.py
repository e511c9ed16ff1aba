"""The protocol that every cloud driver implements, and the errors it may raise.

A driver speaks the cloud's real protocol, keeps no state between calls, never retries a change
whose outcome is unknown, and knows nothing of rules, of the store or of other drivers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from orchestrator.domain.endpoints import (
    Contract,
    EndpointChange,
    EndpointSpec,
    Handover,
    HardwareOffer,
    JsonObject,
    LeftBehind,
    Restored,
    Snapshot,
    Usage,
)


class ProviderError(Exception):
    """A call to a cloud did not succeed; `request_id` is the cloud's, for its support."""

    def __init__(self, message: str, *, status: int | None = None, request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class AmbiguousError(ProviderError):
    """A change was sent and its answer was lost or unreadable: look, then decide."""


class UnavailableError(ProviderError):
    """A read failed, or a call was certainly not received; trying again later is safe."""


class ThrottledError(UnavailableError):
    """The cloud refused for its rate limit; `retry_after` says how long it wants us to wait.

    `in_doubt`: the refused call would have made an endpoint, and no document of this cloud rules
    out that it has: what then appears with our mark is ours.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        status: int | None = None,
        request_id: str = "",
        in_doubt: bool = False,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_after = retry_after
        self.in_doubt = in_doubt


class BusyError(UnavailableError):
    """The endpoint is in a transition that forbids the change now; it passes by itself."""


class RefusedError(ProviderError):
    """The cloud understood a request and refused it; the same request will be refused again."""


class CredentialsError(RefusedError):
    """The credentials are missing, invalid, or lack a right."""


class ConflictError(RefusedError):
    """The name exists already, or the endpoint's state forbids the change."""


class NotFoundError(RefusedError):
    """The cloud says that this endpoint does not exist."""


class CapacityError(RefusedError):
    """The cloud has no capacity or no quota for it now; later it may."""


class ChangedError(RefusedError):
    """The endpoint is not what its contract says any more: read the contract again."""


class SpecError(ValueError):
    """A spec that the cloud would refuse or that could not start: `field` and `remedy` help."""

    def __init__(self, field: str, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.field = field
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the credentials are, and what they may do as far as the cloud tells.

    `namespaces` and `regions` are the places that they reach; no regions where a cloud has none.
    Where it was not told which regions are enabled, `regions_told` is False and all are named.
    """

    name: str
    kind: str
    namespaces: tuple[str, ...]
    role: str = ""
    can_pay: bool | None = None
    regions: tuple[str, ...] = ()
    regions_told: bool = True
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Right:
    """One right of the credentials: `allowed` is None where that cannot be told without acting.

    `needed_for` says in words what fails without it. Without an `essential` one rules cannot do
    their work; any other may be left out on purpose.
    """

    name: str
    allowed: bool | None
    needed_for: str
    essential: bool = True


@dataclass(frozen=True, slots=True)
class Sighting:
    """One row of a listing: cheap to compare by `digest`, read only when that has changed.

    `digest` covers all but `last_used_at`, which moves with every request. `snapshot` may call
    the cloud and then raises ProviderError. `moving` says that the row changes by itself soon,
    so that it is read again although its digest stands still.
    """

    name: str
    digest: str
    last_used_at: datetime | None
    snapshot: Callable[[], Snapshot]
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """All endpoints of an account; `complete` is False when a page is missing or in doubt.

    `asked_at` and `answered_at` are local instants around the calls; `cloud_time` is the
    `Date` of the cloud's last answer.
    """

    sightings: tuple[Sighting, ...]
    complete: bool
    asked_at: datetime
    answered_at: datetime
    calls: int
    problem: str = ""
    error: ProviderError | None = None
    cloud_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can do, how its cloud bills, and what looking costs.

    `scale_to_zero`: some endpoints of this cloud may go to zero and wake by a request.
    `contracts`: a pause needs the document of `contract`, stored before the call.
    `sweep_seconds`: a listing's rows tell too little, so that each endpoint is read at least so
    often although its row stands still (None: rows tell all); `reads_per_pass` limits such reads,
    and so many of them may run in parallel as `parallel_reads` says.
    `usage_batch`: so many endpoints one call of `usage` counts; `usage_nano_per_reading`: what
    one count of one endpoint costs, in nano-dollars.
    `billing_granularity_s`: a run may be rounded by up to this many seconds on the bill.
    `usual_s`: how long a kind of operation usually takes once it is accepted, in seconds, before
    anything was measured.
    """

    scale_to_zero: bool = True
    contracts: bool = False
    sweep_seconds: int | None = None
    reads_per_pass: int = 500
    parallel_reads: int = 1
    usage_batch: int = 1
    usage_nano_per_reading: int = 0
    billing_granularity_s: int = 60
    usual_s: Mapping[str, int] = field(default_factory=dict)


NOTHING_KEPT: JsonObject = {}


class Provider(Protocol):
    """One account of one cloud. Methods that change raise AmbiguousError when in doubt.

    `kept` is the document of `contract` as the store holds it; drivers whose cloud keeps a
    paused endpoint by itself ignore it.

    WithdrawnError may end a method that changes before its first changing call, and where the
    driver says so with `permit.ask_again`. The call that makes an endpoint, or removes it in order
    to pause it, is the last one of its method: before it nothing was made or removed.
    """

    capabilities: Capabilities

    def identity(self) -> Identity:
        """Return who the credentials are."""
        ...

    def rights(self) -> Sequence[Right]:
        """Return what the credentials may do, found out without changing anything."""
        ...

    def list_endpoints(self) -> Listing:
        """Return every endpoint of the account, all pages; never raises ProviderError."""
        ...

    def get_endpoint(self, name: str) -> Snapshot | None:
        """Return one endpoint, or None when the cloud says plainly that it is not there."""
        ...

    def left_behind(self) -> Sequence[LeftBehind]:
        """Return endpoints that this service deleted to pause them, by what it left of them.

        So an empty store finds what another one has paused. None where a cloud keeps them.
        """
        ...

    def check(
        self, spec: EndpointSpec | EndpointChange, current: JsonObject = NOTHING_KEPT
    ) -> tuple[str, ...]:
        """Return warnings on a spec, or on a change of what `Snapshot.spec` calls `current`.

        `current` has the bounds `min_replicas` and `max_replicas` beside it, where they are known.
        Makes no call. Raises SpecError for what the cloud would refuse or could not start.
        """
        ...

    def create_endpoint(self, spec: EndpointSpec) -> Snapshot:
        """Create an endpoint, or go on with one of ours whose `unfinished` says what it lacks.

        Raises ConflictError when the name is taken.
        """
        ...

    def update_endpoint(self, name: str, change: EndpointChange) -> Snapshot:
        """Apply the fields of `change` that are set, and nothing else, by the cheapest call."""
        ...

    def shows(self, seen: Snapshot, change: EndpointChange) -> bool:
        """Tell whether an endpoint, as seen, is as `change` asks; False where that is not told.

        Makes no call. Asked when the answer to a change was lost, before it is sent again.
        """
        ...

    def contract(self, name: str) -> Contract:
        """Return what a pause would keep and lose, and what forbids it. Changes nothing."""
        ...

    def pause_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> Snapshot | None:
        """Stop all replicas; nothing wakes it but a resume. None: it is gone, as `kept` says.

        Raises ChangedError where `kept` is not what the cloud has now, before anything is done.
        """
        ...

    def resume_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> Snapshot | None:
        """Start a paused or scaled-to-zero endpoint; already running is success.

        One that was deleted to pause it is made again from `kept`. One that failed is removed
        first: None says that it is gone now and the call has to be made again.
        """
        ...

    def restore(self, name: str, kept: JsonObject) -> Restored:
        """Put back what a pause by deletion has taken along, now that the endpoint serves."""
        ...

    def handover(self, name: str, kept: JsonObject) -> Handover:
        """Return how somebody else makes a paused endpoint again from `kept`. Makes no call."""
        ...

    def scale_to_zero(self, name: str) -> Snapshot:
        """Stop all replicas; the next request wakes it."""
        ...

    def delete_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> None:
        """Delete it and what we made for it; success when accepted or when it is gone already.

        Raises BusyError while the cloud does not accept that.
        """
        ...

    def hardware(self) -> list[HardwareOffer]:
        """Return the price list of this account, with quotas."""
        ...

    def usage(
        self, names: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, Usage | None]:
        """Return counted requests by endpoint; None where this cloud or plan does not tell.

        At most `usage_batch` names. A name that is missing could not be read now.
        """
        ...

    def calls(self) -> Mapping[str, int]:
        """Return how many calls were made since this was asked last, by the cloud's name."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...
