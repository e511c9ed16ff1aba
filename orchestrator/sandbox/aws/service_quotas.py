"""Service Quotas: how many instances of a type all endpoints of a region may have together.

Other uses of the same types are listed too, as AWS does; they limit something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from orchestrator.sandbox.aws.accounts import AwsAccount
from orchestrator.sandbox.aws.calls import AwsCall, Handlers, Result
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.service_models import service_model
from orchestrator.sandbox.aws.tokens import page

PER_ENDPOINT = 4
"""`Maximum number of instances per endpoint` unless AWS raises it."""

_PAGE = 100
_SERVICE = "sagemaker"
_OTHER_USES = ("training job usage", "notebook instance usage")


@lru_cache(maxsize=1)
def instance_types() -> tuple[str, ...]:
    """Every type that an endpoint configuration accepts."""
    shape = service_model("sagemaker").shape_for("ProductionVariantInstanceType")
    return tuple(sorted(shape.enum))


def _rows(account: AwsAccount, region: str) -> Iterator[tuple[str, int]]:
    """Names and values, as mixed as AWS has them."""
    yield "Maximum number of instances per endpoint", PER_ENDPOINT
    for instance_type in instance_types():
        yield f"{instance_type} for endpoint usage", account.quota(region, instance_type)
        for use in _OTHER_USES:
            yield f"{instance_type} for {use}", 0


def _quota(account: AwsAccount, region: str, name: str, value: int) -> dict[str, Any]:
    code = f"L-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest().upper()}"
    return {
        "ServiceCode": _SERVICE,
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account.id}:{_SERVICE}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def _quotas(call: AwsCall) -> list[dict[str, Any]]:
    if call.params["ServiceCode"] != _SERVICE:
        raise AwsError(
            "NoSuchResourceException", "The request failed because the service is not known."
        )
    rows = _rows(call.account, call.region)
    return [_quota(call.account, call.region, name, value) for name, value in rows]


def list_service_quotas(call: AwsCall) -> Result:
    """All quotas of a service, or the one with `QuotaCode`; raises AwsError."""
    code = call.params.get("QuotaCode")
    rows = [row for row in _quotas(call) if code in (None, row["QuotaCode"])]
    shown, token = page(
        rows,
        call.params.get("NextToken"),
        call.params.get("MaxResults", _PAGE),
        refused_as="InvalidPaginationTokenException",
    )
    return {"Quotas": shown} if token is None else {"Quotas": shown, "NextToken": token}


def get_service_quota(call: AwsCall) -> Result:
    """One quota by its code; raises AwsError."""
    for row in _quotas(call):
        if row["QuotaCode"] == call.params["QuotaCode"]:
            return {"Quota": row}
    raise AwsError("NoSuchResourceException", "The request failed because the quota is not known.")


HANDLERS: Handlers = {
    ("service-quotas", "ListServiceQuotas"): (list_service_quotas, False),
    ("service-quotas", "GetServiceQuota"): (get_service_quota, False),
}
