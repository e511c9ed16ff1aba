"""What was played: counters of one process, written to a folder and summed over all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from uuid import uuid4

# A group whose names only tell one history from another.
DIFFERENT = "different"

Counts = dict[str, Counter[str]]


class Tally:
    """Counters by group, such as `faults`: `timeout_after`: 812."""

    def __init__(self) -> None:
        self.groups: Counts = {}

    def add(self, group: str, name: str, number: int = 1) -> None:
        """Count something."""
        self.groups.setdefault(group, Counter())[name] += number

    def save(self, folder: Path) -> None:
        """Write what was counted in this process to a file of its own."""
        if self.groups:
            (folder / f"{uuid4().hex}.json").write_text(json.dumps(self.groups), "utf-8")

    def merge(self, groups: Counts) -> None:
        """Add the counts of another process."""
        for group, counts in groups.items():
            self.groups.setdefault(group, Counter()).update(counts)

    def number(self, group: str, name: str) -> int:
        """Return one count."""
        return self.groups.get(group, Counter())[name]


TALLY = Tally()


def load(folder: Path) -> Tally:
    """Return the sum of all files of a folder."""
    whole = Tally()
    for path in sorted(folder.glob("*.json")):
        whole.merge(json.loads(path.read_text("utf-8")))
    return whole


def middle(counts: Counter[str]) -> float:
    """Return the median of numbers that were counted by their text, 0 where none was."""
    return median([int(text) for text, number in counts.items() for _ in range(number)] or [0])


def lines(tally: Tally, order: Iterable[str]) -> list[str]:
    """Return the counters as lines of text."""
    found = []
    for group in order:
        counts = tally.groups.get(group, Counter())
        told = ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items()))
        found.append(f"{group}: {len(counts):,}" if group == DIFFERENT else f"{group}: {told}")
    return found
