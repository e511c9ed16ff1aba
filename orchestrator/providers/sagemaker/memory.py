"""A bounded memory for descriptions that cannot change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 5000


class Memory(Generic[T]):
    """Keeps the values used last, up to `most` of them; safe for threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> T | None:
        """Return what is kept, if it is."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value, and forget the one that was used longest ago when there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._most:
                self._values.popitem(last=False)

    def recall(
        self, key: Hashable, make: Callable[[], T], whole: Callable[[T], bool] = lambda _: True
    ) -> T:
        """Return what is kept, else make it, and keep it if it is whole; two threads may both."""
        found = self.get(key)
        if found is None:
            found = make()
            if whole(found):
                self.put(key, found)
        return found
