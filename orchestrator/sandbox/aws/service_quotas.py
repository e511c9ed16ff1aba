"""Service Quotas: how many instances of a type all endpoints of a region may have together.

Other uses of the same types are listed too, as AWS does; they limit something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.service_models import service_model
from orchestrator.sandbox.aws.tokens import page

PER_ENDPOINT = 4
"""`Maximum number of instances per endpoint` unless AWS raises it."""

_PAGE = 100
_SERVICE = "sagemaker"
_OTHER_USES = ("training job usage", "notebook instance usage")


@cache
def instance_types() -> tuple[str, ...]:
    """Every type that an endpoint configuration accepts."""
    shape = service_model("sagemaker").shape_for("ProductionVariantInstanceType")
    return tuple(sorted(shape.enum))


def _rows(call: AwsCall) -> Iterator[tuple[str, int]]:
    """Names and values, as mixed as AWS has them; raises AwsError for another service."""
    if call.params["ServiceCode"] != _SERVICE:
        raise AwsError(
            "NoSuchResourceException", "The request failed because the service is not known."
        )
    yield "Maximum number of instances per endpoint", PER_ENDPOINT
    for instance_type in instance_types():
        limit = call.account.quota(call.region, instance_type)
        yield f"{instance_type} for endpoint usage", limit
        for use in _OTHER_USES:
            yield f"{instance_type} for {use}", 0


@cache
def _code(name: str) -> str:
    return f"L-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest().upper()}"


def _quota(call: AwsCall, name: str, value: int) -> dict[str, Any]:
    code = _code(name)
    return {
        "ServiceCode": _SERVICE,
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": f"arn:aws:servicequotas:{call.region}:{call.account.id}:{_SERVICE}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def list_service_quotas(call: AwsCall) -> Result:
    """All quotas of a service, or the one with `QuotaCode`; raises AwsError."""
    code = call.params.get("QuotaCode")
    rows = [row for row in _rows(call) if code is None or _code(row[0]) == code]
    chosen, token = page(
        rows,
        call.params.get("NextToken"),
        call.params.get("MaxResults", _PAGE),
        refused_as="InvalidPaginationTokenException",
    )
    shown = [_quota(call, name, value) for name, value in chosen]
    return {"Quotas": shown} if token is None else {"Quotas": shown, "NextToken": token}


def get_service_quota(call: AwsCall) -> Result:
    """One quota by its code; raises AwsError."""
    for name, value in _rows(call):
        if _code(name) == call.params["QuotaCode"]:
            return {"Quota": _quota(call, name, value)}
    raise AwsError("NoSuchResourceException", "The request failed because the quota is not known.")


HANDLERS: Handlers = {
    ("service-quotas", "ListServiceQuotas"): (list_service_quotas, False),
    ("service-quotas", "GetServiceQuota"): (get_service_quota, False),
}
