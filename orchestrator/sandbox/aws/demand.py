"""The requests that reach an endpoint or an inference component."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import Any

from orchestrator.sandbox.traffic import Traffic

_REMEMBERED = 50_000


@dataclass(slots=True)
class Demand:
    """Recorded traffic, and requests that were made one by one; instants in microseconds."""

    traffic: Traffic | None = None
    requests: list[int] = field(default_factory=list)

    def touch(self, at: int) -> None:
        """Count a request, whatever its answer."""
        insort(self.requests, at)
        if len(self.requests) > _REMEMBERED:
            del self.requests[0]

    def count(self, after: int, until: int) -> int:
        """Requests in (after, until]."""
        if until <= after:
            return 0
        single = bisect_right(self.requests, until) - bisect_right(self.requests, after)
        return single + (self.traffic.count(after, until) if self.traffic else 0)

    def last(self, after: int, until: int) -> int | None:
        """The latest request in (after, until]."""
        place = bisect_right(self.requests, until)
        single = self.requests[place - 1] if place else None
        found = [single] if single is not None and single > after else []
        latest = self.traffic.last(after, until) if self.traffic else None
        return max([*found, latest] if latest is not None else found, default=None)

    def next(self, after: int) -> int | None:
        """The next request of the recorded traffic."""
        return self.traffic.next(after) if self.traffic else None

    def snapshot(self) -> dict[str, Any]:
        """The requests as JSON values."""
        traffic = self.traffic.to_dict() if self.traffic else None
        return {"traffic": traffic, "requests": self.requests}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Demand:
        """The requests that `snapshot` described."""
        traffic = Traffic.from_dict(state["traffic"]) if state["traffic"] else None
        return cls(traffic, list(state["requests"]))
