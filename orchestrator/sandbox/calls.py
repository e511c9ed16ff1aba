"""The log of the calls that reached the cloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Call:
    """One API call; `delivered` tells whether the caller got the answer unharmed.

    `status` is what the cloud answered, or 0 if the call never reached it. `committed` is true
    only for a call that changed something.
    """

    at: datetime
    method: str
    path: str
    namespace: str
    name: str
    token_id: str
    status: int
    mutating: bool
    committed: bool
    delivered: bool = True


class CallLog:
    """Every call in order; not part of the world that is saved.

    `metrics_requested` counts what CloudWatch charges for, the metrics of GetMetricData, by
    account.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self.metrics_requested: Counter[str] = Counter()

    def add(self, call: Call) -> None:
        """Keep a call."""
        self._calls.append(call)

    def mark_last_lost(self) -> None:
        """The answer to the last call did not reach its caller, or reached it spoiled."""
        self._calls[-1] = replace(self._calls[-1], delivered=False)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, place: int) -> Call:
        return self._calls[place]

    def mutating(self, *, committed: bool | None = None) -> list[Call]:
        """The calls that asked for a change; or only those that did (not) make one."""
        return [
            call
            for call in self._calls
            if call.mutating and (committed is None or call.committed is committed)
        ]

    def matching(
        self, *, method: str | None = None, namespace: str | None = None, name: str | None = None
    ) -> list[Call]:
        """The calls with these fields."""
        return [
            call
            for call in self._calls
            if (method is None or call.method == method)
            and (namespace is None or call.namespace == namespace)
            and (name is None or call.name == name)
        ]

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()
        self.metrics_requested.clear()
