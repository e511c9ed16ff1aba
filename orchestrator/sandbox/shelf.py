"""All endpoints of the cloud, by number, address and name, with the deleted ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from orchestrator.sandbox.endpoint import Endpoint


class Shelf:
    """Endpoints in order of their creation."""

    def __init__(self) -> None:
        self.by_number: dict[int, Endpoint] = {}
        self._by_id: dict[str, Endpoint] = {}
        self._names: dict[str, dict[str, Endpoint]] = {}
        self._order: dict[str, list[int]] = {}

    def add(self, endpoint: Endpoint) -> None:
        """Put a new endpoint, or one that was read back, at the end."""
        self.by_number[endpoint.number] = endpoint
        self._by_id[endpoint.id] = endpoint
        if endpoint.deleted_at is None:
            self._names.setdefault(endpoint.namespace, {})[endpoint.name] = endpoint
            self._order.setdefault(endpoint.namespace, []).append(endpoint.number)

    def remove(self, endpoint: Endpoint) -> None:
        """Take a deleted endpoint off the list; its history stays."""
        del self._names[endpoint.namespace][endpoint.name]
        self._order[endpoint.namespace].remove(endpoint.number)

    def find(self, namespace: str, name: str) -> Endpoint | None:
        """The endpoint that has this name now."""
        return self._names.get(namespace, {}).get(name)

    def by_id(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint behind a data-plane address, unless it was deleted."""
        found = self._by_id.get(endpoint_id)
        return found if found and found.deleted_at is None else None

    def live(self, namespace: str) -> Iterator[Endpoint]:
        """The endpoints of a namespace."""
        return iter(self._names.get(namespace, {}).values())

    def everything(self, namespace: str) -> list[Endpoint]:
        """The endpoints of a namespace with the deleted ones."""
        return [found for found in self.by_number.values() if found.namespace == namespace]

    def page(
        self, namespace: str, after: int, limit: int, shift: int
    ) -> tuple[list[Endpoint], bool]:
        """Up to `limit` endpoints with a greater number, and whether more follow.

        A page that is not the first begins `shift` places later.
        """
        order = self._order.get(namespace, [])
        begin = max(bisect_right(order, after) + (shift if after else 0), 0)
        numbers = order[begin : begin + limit]
        return [self.by_number[number] for number in numbers], begin + limit < len(order)

    def size(self, namespace: str) -> int:
        """The number of endpoints of a namespace."""
        return len(self._order.get(namespace, []))

    def next_number(self) -> int:
        """The number of the next endpoint; numbers are never used again."""
        return len(self.by_number) + 1
