"""When an operation is tried again, when an error ends it, how long an endpoint is left alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestrator.domain.plan import Kind
from orchestrator.domain.status import AWAKE
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    CapacityError,
    ChangedError,
    ProviderError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.store.tables import Endpoint, Operation

# A call whose answer was lost has taken effect within this time, or never will.
LANDING = timedelta(minutes=5)
# Of these it is written down whether a call of theirs may have reached the cloud.
TOLD = (Kind.CREATE, Kind.UPDATE)
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=5)
# Who is told when to come again comes then, but not for ever: each attempt costs many reads.
PATIENT_ATTEMPTS = 4
CAPACITY_RETRY = timedelta(minutes=2)
LONGEST_CAPACITY = timedelta(minutes=15)
# A transition that forbids a change takes minutes; one that hangs is asked about ever less often.
BUSY_RETRY = timedelta(seconds=30)
LONGEST_BUSY = timedelta(minutes=5)
# An endpoint that changes between two readings so often is somebody's work in progress.
MOST_CHANGES = 5
FIRST_COOL_DOWN = timedelta(minutes=1)
LONGEST_COOL_DOWN = timedelta(hours=1)


def final(operation: Operation, error: ProviderError) -> bool:
    """Tell whether an error ends an operation, because the same call would meet it again."""
    if isinstance(error, ChangedError):
        return operation.attempts >= MOST_CHANGES
    return isinstance(error, RefusedError) and not isinstance(error, CapacityError)


def made_nothing(error: ProviderError) -> bool:
    """Tell whether a failed call certainly did nothing."""
    in_doubt = isinstance(error, ThrottledError) and error.in_doubt
    return not in_doubt and not isinstance(error, AmbiguousError)


def capacity_wait(operation: Operation) -> timedelta:
    """Return how long to wait for capacity: longer each time, up to a limit."""
    return min(CAPACITY_RETRY * (1 << min(max(operation.attempts - 1, 0), 6)), LONGEST_CAPACITY)


def busy_wait(operation: Operation) -> timedelta:
    """Return how long to wait for the end of a transition: longer after a few attempts."""
    longer = min(max(operation.attempts - PATIENT_ATTEMPTS, 0), 6)
    return min(BUSY_RETRY * (1 << longer), LONGEST_BUSY)


def wait_for(operation: Operation, error: ProviderError) -> timedelta:
    """Return how long to wait before the same call is made again."""
    if isinstance(error, ThrottledError) and error.retry_after is not None:
        return max(error.retry_after, _longer(operation.attempts - PATIENT_ATTEMPTS))
    if isinstance(error, CapacityError):
        return capacity_wait(operation)
    if isinstance(error, BusyError):
        return busy_wait(operation)
    return _longer(operation.attempts)


def _longer(attempts: int) -> timedelta:
    """Return a wait that doubles with each attempt, up to a limit."""
    return min(FIRST_RETRY * (1 << min(max(attempts, 0), 10)), LONGEST_RETRY)


def kind_of(error: ProviderError) -> str:
    """Return the kind of the event that tells of an error which does not end an operation."""
    if isinstance(error, CapacityError):
        return "operation.waiting_for_capacity"
    if isinstance(error, ThrottledError):
        return "operation.throttled"
    if isinstance(error, UnavailableError):
        return "operation.delayed"
    return "operation.in_doubt"


def cool_down(endpoint: Endpoint, now: datetime, *, failed: bool) -> None:
    """After a failure leave the endpoint alone for a while, longer each time."""
    if not failed:
        endpoint.failures, endpoint.not_before = 0, None
        return
    wait = min(FIRST_COOL_DOWN * (1 << min(endpoint.failures, 10)), LONGEST_COOL_DOWN)
    endpoint.failures += 1
    if endpoint.status in AWAKE:
        endpoint.asleep_rule, endpoint.asleep_since = "", None
    endpoint.not_before = now + wait
