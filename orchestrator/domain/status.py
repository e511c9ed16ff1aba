"""The one vocabulary of states and wishes that every cloud is mapped to."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What the cloud says of an endpoint, in our words; the cloud's own word is kept beside it."""

    PENDING = "pending"
    INITIALIZING = "initializing"
    RUNNING = "running"
    UPDATING = "updating"
    SCALED_TO_ZERO = "scaled_to_zero"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    WAITING_FOR_CAPACITY = "waiting_for_capacity"
    FAILED = "failed"
    UPDATE_FAILED = "update_failed"
    DELETED = "deleted"
    UNKNOWN = "unknown"


# States that the cloud leaves by itself, so that we look again soon.
IN_TRANSITION = frozenset(
    {
        Status.PENDING,
        Status.INITIALIZING,
        Status.UPDATING,
        Status.PAUSING,
        Status.STOPPING,
        Status.WAITING_FOR_CAPACITY,
    }
)
# States in which at least one replica is up or on its way up.
AWAKE = frozenset(
    {
        Status.PENDING,
        Status.INITIALIZING,
        Status.RUNNING,
        Status.UPDATING,
        Status.UPDATE_FAILED,
        Status.WAITING_FOR_CAPACITY,
    }
)


class Wish(StrEnum):
    """What is wanted of an endpoint."""

    RUNNING = "running"
    AVAILABLE = "available"
    PAUSED = "paused"
    DELETED = "deleted"
