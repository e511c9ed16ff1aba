"""The order of tests for several workers: each begins with its share of the long ones.

`--dist worksteal` gives every worker one stretch of the list, and takes from the end of the longest
when another has nothing left; what is long must not be what is left at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_KILLS = "tests/engine/test_process_kills.py::"
# How many seconds one test takes beside others, by the beginning of its name; in this order.
LONG = {
    "tests/simulator/test_histories.py::test_promises_hold": 55,
    f"{_KILLS}TestKilledAtRandomInstants::test_it_carries_on_over_postgres": 57,
    f"{_KILLS}TestKilledAtRandomInstants::test_it_carries_on_over_sqlite": 18,
}
# How long all of these take together, which stay with one worker for what they share.
TOGETHER = {"tests/packaging/": 100}


def spread(items: Sequence[T], name: Callable[[T], str], workers: int) -> list[T]:
    """Return the same items in another order, the same whenever they are."""
    shares = _shares([*_long(items, name)], workers)
    placed = {name(one) for share in shares for one in share}
    rest = iter([one for one in items if name(one) not in placed])
    found: list[T] = []
    for number, share in enumerate(shares):
        # So many will this worker be given at first.
        size = (len(items) - len(found)) // (workers - number)
        found += share
        found += [one for _, one in zip(range(size - len(share)), rest, strict=False)]
    return [*found, *rest]


def _long(items: Sequence[T], name: Callable[[T], str]) -> list[tuple[int, list[T]]]:
    """Return what is long, and how long, in the order in which one worker plays it."""
    found = []
    for start, seconds in LONG.items():
        found += [(seconds, [one]) for one in items if name(one).startswith(start)]
    for start, seconds in TOGETHER.items():
        found.append((seconds, [one for one in items if name(one).startswith(start)]))
    return found


def _shares(groups: Sequence[tuple[int, list[T]]], workers: int) -> list[list[T]]:
    """Give the longest first to whoever has the least; then put each share in order again."""
    places: list[list[int]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for place in sorted(range(len(groups)), key=lambda place: -groups[place][0]):
        least = loads.index(min(loads))
        loads[least] += groups[place][0]
        places[least].append(place)
    turned = [_turned(sorted(found), number, workers) for number, found in enumerate(places)]
    return [[one for place in found for one in groups[place][1]] for found in turned]


def _turned(found: list[int], number: int, workers: int) -> list[int]:
    """Begin elsewhere on each worker: what mostly waits is not played by all at once."""
    first = len(found) * number // workers
    return found[first:] + found[:first]
