"""The Hub's rate limit, with the IETF headers that `huggingface_hub` reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.sandbox.instants import MINUTE, SECOND
from orchestrator.sandbox.messages import ApiError

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
