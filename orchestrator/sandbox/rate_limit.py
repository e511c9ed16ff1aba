"""The Hub's rate limit, with the IETF headers that `huggingface_hub` reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.sandbox.instants import MINUTE, SECOND
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.switches import Switches

_WINDOW = 5 * MINUTE


@dataclass(slots=True)
class FixedWindow:
    """Counts calls by token in windows of five minutes."""

    limit: int
    _window: int = 0
    _hits: Counter[str] = field(default_factory=Counter)

    def hit(self, token: str, now: int) -> dict[str, str]:
        """The rate-limit headers of a call; raises ApiError 429 once the window is used up."""
        window = now // _WINDOW
        if window != self._window:
            self._window = window
            self._hits.clear()
        self._hits[token] += 1
        left = self.limit - self._hits[token]
        seconds = ((window + 1) * _WINDOW - now) // SECOND
        headers = {
            "ratelimit": f'"api";r={max(left, 0)};t={seconds}',
            "ratelimit-policy": f'"fixed window";"api";q={self.limit};w=300',
        }
        if left < 0:
            raise ApiError(
                429, "Too Many Requests", headers={**headers, "retry-after": str(seconds)}
            )
        return headers


@dataclass(slots=True)
class Bucket:
    """Lets `burst` calls of a token through at once, `per_second` in the long run."""

    _buckets: dict[str, tuple[float, int]] = field(default_factory=dict)

    def hit(self, token: str, now: int, per_second: float, burst: int) -> None:
        """Count a call; raises ApiError 429, without a time to come back, for one too many."""
        left, at = self._buckets.get(token, (float(burst), now))
        left = min(left + (now - at) / SECOND * per_second, float(burst))
        self._buckets[token] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            raise ApiError(429, "Too Many Requests")


class ManagementLimit:
    """The limit on management calls, where the switches set one; it may change at any time."""

    def __init__(self) -> None:
        self._bucket = Bucket()
        self._window: FixedWindow | None = None

    def hit(self, switches: Switches, token: str, now: int) -> dict[str, str]:
        """The rate-limit headers of a call; raises ApiError 429."""
        if switches.calls_per_second is not None:
            self._bucket.hit(token, now, switches.calls_per_second, switches.call_burst)
        if switches.calls_per_5_minutes is None:
            return {}
        if self._window is None:
            self._window = FixedWindow(switches.calls_per_5_minutes)
        self._window.limit = switches.calls_per_5_minutes
        return self._window.hit(token, now)
