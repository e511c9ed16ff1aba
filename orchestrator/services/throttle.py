"""A brake on guessing: so many failures per key in a span, then a wait."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta

MOST_KEYS = 10_000


class Throttle:
    """Counts failures per key in this process; `limit` of them within `span` bar the key."""

    def __init__(self, limit: int, span: timedelta) -> None:
        self._limit = limit
        self._span = span
        self._lock = threading.Lock()
        self._failures: dict[str, deque[datetime]] = {}

    def wait(self, key: str, now: datetime) -> timedelta | None:
        """Return how long `key` is barred from now, or None when it may try."""
        with self._lock:
            recent = self._recent(key, now)
            if len(recent) < self._limit:
                return None
            return recent[0] + self._span - now

    def failed(self, key: str, now: datetime) -> None:
        """Count a failure of `key`."""
        with self._lock:
            recent = self._recent(key, now)
            recent.append(now)
            self._failures[key] = recent
            if len(self._failures) > MOST_KEYS:
                self._failures.pop(next(iter(self._failures)))

    def succeeded(self, key: str) -> None:
        """Forget the failures of `key`."""
        with self._lock:
            self._failures.pop(key, None)

    def _recent(self, key: str, now: datetime) -> deque[datetime]:
        recent = self._failures.get(key, deque(maxlen=self._limit))
        while recent and recent[0] + self._span <= now:
            recent.popleft()
        return recent
