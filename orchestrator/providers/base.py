"""The protocol that every cloud driver implements, and the errors it may raise.

A driver speaks the cloud's real protocol, keeps no state between calls, never retries a change
whose outcome is unknown, and knows nothing of rules, of the store or of other drivers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from orchestrator.domain.endpoints import (
    EndpointChange,
    EndpointSpec,
    HardwareOffer,
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
    """The cloud refused for its rate limit; `retry_after` says how long it wants us to wait."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        status: int | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_after = retry_after


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


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the credentials are, and what they may do as far as the cloud tells."""

    name: str
    kind: str
    namespaces: tuple[str, ...]
    role: str = ""
    can_pay: bool | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sighting:
    """One row of a listing: cheap to compare by `digest`, parsed only when that has changed.

    `digest` covers all but `last_used_at`, which moves with every request.
    """

    name: str
    digest: str
    last_used_at: datetime | None
    snapshot: Callable[[], Snapshot]


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
    """What this cloud can do to an endpoint and how it bills.

    `billing_granularity_s`: a run may be rounded by up to this many seconds on the bill.
    """

    pause: bool = True
    scale_to_zero: bool = True
    wakes_from_zero: bool = True
    recreate_on_resume: bool = False
    billing_granularity_s: int = 60


class Provider(Protocol):
    """One account of one cloud. Methods that change raise AmbiguousError when in doubt."""

    capabilities: Capabilities

    def identity(self) -> Identity:
        """Return who the credentials are."""
        ...

    def list_endpoints(self) -> Listing:
        """Return every endpoint of the account, all pages; never raises ProviderError."""
        ...

    def get_endpoint(self, name: str) -> Snapshot | None:
        """Return one endpoint, or None when the cloud says plainly that it is not there."""
        ...

    def create_endpoint(self, spec: EndpointSpec) -> Snapshot:
        """Create an endpoint. Raises ConflictError when the name is taken."""
        ...

    def update_endpoint(self, name: str, change: EndpointChange) -> Snapshot:
        """Apply the fields of `change` that are set, and nothing else, by the cheapest call."""
        ...

    def pause_endpoint(self, name: str) -> Snapshot:
        """Stop all replicas; nothing wakes it but a resume."""
        ...

    def resume_endpoint(self, name: str) -> Snapshot:
        """Start a paused or scaled-to-zero endpoint; already running is success."""
        ...

    def scale_to_zero(self, name: str) -> Snapshot:
        """Stop all replicas; the next request wakes it."""
        ...

    def delete_endpoint(self, name: str) -> None:
        """Delete it; success when the cloud accepted or it is gone already."""
        ...

    def hardware(self) -> list[HardwareOffer]:
        """Return the price list of this account, with quotas."""
        ...

    def usage(self, name: str, start: datetime, end: datetime) -> Usage | None:
        """Return counted requests, or None when this cloud or plan does not tell."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...
