"""Refusals of the simulated AWS, in its own words where these are published."""

from __future__ import annotations


class AwsError(Exception):
    """AWS refuses: an error code, its message, an HTTP status.

    `kept` tells that the refused call nevertheless changed something, as a request does that finds
    no capacity: it is in the metrics.
    """

    def __init__(self, code: str, message: str, status: int = 400, *, kept: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.kept = kept


def invalid(message: str) -> AwsError:
    """A ValidationException, which SageMaker uses for nearly everything."""
    return AwsError("ValidationException", message)


def not_found(kind: str, arn: str) -> AwsError:
    """`Could not find endpoint "arn"...`: HTTP 400, not 404."""
    return invalid(f'Could not find {kind} "{arn}".')


def already_existing(kind: str, arn: str) -> AwsError:
    """`Cannot create already existing endpoint "arn"...`."""
    return invalid(f'Cannot create already existing {kind} "{arn}".')


def in_progress(arn: str) -> AwsError:
    """An endpoint that is being created, updated or deleted can be neither changed nor deleted."""
    return invalid(f'Cannot update in-progress endpoint "{arn}".')


def over_quota(instance_type: str, limit: int, used: int, delta: int) -> AwsError:
    """ResourceLimitExceeded for instances of one type."""
    return AwsError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{instance_type} for endpoint usage' is {limit} "
        f"Instances, with current utilization of {used} Instances and a request delta of {delta} "
        "Instances. Please use AWS Service Quotas to request an increase for this quota.",
    )


NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)
NO_ROOM = (
    "There is not enough hardware resources on the instances for this endpoint to create a copy "
    "of the inference component."
)
ASLEEP = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be "
    "in-progress (if configured) or try to increase the capacity by invoking "
    "UpdateInferenceComponentRuntimeConfig API."
)
