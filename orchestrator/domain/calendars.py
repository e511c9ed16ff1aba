"""Named calendars of days off: what they cover, and how two versions of one differ. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

MOST_DATES = 4000
LONGEST_NAME = 120
# So many days off in one year are hardly meant: weekends are about 104.
MANY = 130


@dataclass(frozen=True, slots=True)
class Dates:
    """Days off by ISO date with what they are called; nothing is known outside of the span.

    `extends` tells that later years follow from the source by themselves.
    """

    names: Mapping[str, str]
    covers_from: str
    covers_to: str
    extends: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """How the days off of a calendar differ from what they were, by ISO date."""

    added: Mapping[str, str]
    removed: Mapping[str, str]
    renamed: Mapping[str, str]

    def __bool__(self) -> bool:
        """Tell whether there is any difference."""
        return bool(self.added or self.removed or self.renamed)

    @property
    def moved(self) -> bool:
        """Tell whether a date began or ceased to be off; other names alone change nothing."""
        return bool(self.added or self.removed)


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
    """Return how `new` differs from `old`, in the order of the dates."""
    return Changes(
        added={day: new[day] for day in sorted(new) if day not in old},
        removed={day: old[day] for day in sorted(old) if day not in new},
        renamed={day: new[day] for day in sorted(new) if old.get(day, new[day]) != new[day]},
    )


def whole_years(names: Mapping[str, str]) -> tuple[str, str]:
    """Return the span of whole years in which the dates lie: what a list of dates speaks of."""
    return f"{min(names)[:4]}-01-01", f"{max(names)[:4]}-12-31"


def cut(names: Mapping[str, str], start: date, end: date) -> dict[str, str]:
    """Return the dates from `start` to `end`, both included, in order."""
    first, last = start.isoformat(), end.isoformat()
    return {day: names[day] for day in sorted(names) if first <= day <= last}


def crowded_years(names: Mapping[str, str]) -> dict[int, int]:
    """Return the years with more days off than anybody is likely to mean, with how many."""
    counted = Counter(int(day[:4]) for day in names)
    return {year: count for year, count in sorted(counted.items()) if count > MANY}
