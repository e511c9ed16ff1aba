"""How many instances of each type the account may have on endpoints, from Service Quotas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from orchestrator.clock import Clock
from orchestrator.providers.sagemaker.session import AwsSession

_NAME = re.compile(r"(ml\.[a-z0-9-]+\.[a-z0-9-]+) for endpoint usage", re.IGNORECASE)
# Quotas change when somebody asks AWS for it; a whole list is many calls of a slow API.
_KEPT = timedelta(hours=1)


class Quotas:
    """The quotas of one account and region, as they were read last."""

    def __init__(self, session: AwsSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._last: tuple[datetime, Mapping[str, int]] | None = None

    def known(self, needed: Mapping[str, int]) -> Mapping[str, int]:
        """Return the limit of each instance type, as it was within the last hour.

        Where that is less than what is `needed` of a type it is read again: it may have been
        raised. Raises ProviderError.
        """
        now = self._clock.now()
        if self._last is not None:
            at, found = self._last
            enough = all(found.get(name, count) >= count for name, count in needed.items())
            if enough and now - _KEPT < at <= now:
                return found
        return self.read()

    def read(self) -> Mapping[str, int]:
        """Return the limit of each instance type as it is now. Raises ProviderError."""
        found = _read(self._session)
        self._last = self._clock.now(), found
        return found


def _read(session: AwsSession) -> dict[str, int]:
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
