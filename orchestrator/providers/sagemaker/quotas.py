"""How many instances of each type the account may have on endpoints, from Service Quotas."""

from __future__ import annotations

import re

from orchestrator.providers.sagemaker.session import AwsSession

_NAME = re.compile(r"(ml\.[a-z0-9-]+\.[a-z0-9-]+) for endpoint usage", re.IGNORECASE)


def read_quotas(session: AwsSession) -> dict[str, int]:
    """Return the limit of each instance type. Raises ProviderError."""
    rows = session.pages(
        "service-quotas", "ListServiceQuotas", "Quotas", ServiceCode="sagemaker", MaxResults=100
    )
    found: dict[str, int] = {}
    for row in rows:
        match = _NAME.fullmatch(str(row.get("QuotaName") or "").strip())
        value = row.get("Value")
        if match and isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            found[match[1].lower()] = int(value)
    return found
