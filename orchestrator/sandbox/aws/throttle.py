"""Token buckets by account and operation, in virtual time."""

from __future__ import annotations

from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.instants import SECOND


class Throttle:
    """Lets `burst` calls through at once, `per_second` in the long run; None means all."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, ...], tuple[float, int]] = {}

    def take(self, key: tuple[str, ...], now: int, per_second: float | None, burst: int) -> None:
        """Count a call; raises AwsError ThrottlingException when the bucket is empty."""
        if per_second is None:
            return
        tokens, at = self._buckets.get(key, (float(burst), now))
        tokens = min(tokens + (now - at) / SECOND * per_second, float(burst))
        self._buckets[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        if tokens < 1:
            raise AwsError("ThrottlingException", "Rate exceeded")
