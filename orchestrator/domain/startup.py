"""How long an endpoint takes from a request to start until it serves, from its history. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PERCENTILE = 90
# With fewer starts than these the margin is wider, and others of its kind say nothing.
ENOUGH = 5
MARGIN, WIDE_MARGIN = 0.25, 0.5
SLACK = timedelta(minutes=1)
# No start is earlier: what took longer waited for something else, such as capacity.
LONGEST = timedelta(hours=2)
# A resume that ends sooner found the endpoint awake.
SHORTEST = timedelta(seconds=5)
_MINUTE = timedelta(minutes=1)


class Source(StrEnum):
    """On what a start-up time rests."""

    OWN = "own"
    ALIKE = "alike"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Start:
    """One start that went well: when it was asked for, and when the endpoint served."""

    endpoint_id: str
    hardware: str
    asked_at: datetime
    served_at: datetime


@dataclass(frozen=True, slots=True)
class StartUp:
    """A start-up time in whole minutes, its margin included, and what it rests on."""

    time: timedelta
    source: Source
    measured: int = 0

    @property
    def words(self) -> str:
        """Return what it rests on, in words."""
        if self.source is Source.DEFAULT:
            return "nothing was measured yet: the usual time of its cloud"
        starts = f"{self.measured} start{'' if self.measured == 1 else 's'}"
        whose = "its own" if self.source is Source.OWN else "others on its hardware:"
        return f"measured from {whose} {starts}, with a margin"


class StartUps:
    """The starts of one kind of cloud, and what its endpoints usually take."""

    def __init__(self, starts: Sequence[Start], default: timedelta) -> None:
        self._default = default
        self._own: dict[str, list[Start]] = defaultdict(list)
        self._alike: dict[str, list[Start]] = defaultdict(list)
        self._known: dict[tuple[str, str, datetime], StartUp] = {}
        for start in starts:
            if start.served_at - start.asked_at >= SHORTEST:
                self._own[start.endpoint_id].append(start)
                self._alike[start.hardware].append(start)

    def of(self, endpoint_id: str, hardware: str, before: datetime) -> StartUp:
        """Return its start-up time from what had served by `before`.

        From its own starts, else from those on the same hardware where there are enough, else
        what is known of the cloud.
        """
        key = (endpoint_id, hardware, before)
        if key not in self._known:
            own = _lengths(self._own, endpoint_id, before)
            alike = _lengths(self._alike, hardware, before)
            self._known[key] = self._choose(own, alike)
        return self._known[key]

    def _choose(self, own: Sequence[timedelta], alike: Sequence[timedelta]) -> StartUp:
        if own:
            return StartUp(with_margin(own), Source.OWN, len(own))
        if len(alike) >= ENOUGH:
            return StartUp(with_margin(alike), Source.ALIKE, len(alike))
        return StartUp(self._default, Source.DEFAULT)


def with_margin(lengths: Sequence[timedelta]) -> timedelta:
    """Return the 90th percentile (nearest rank) with a margin, in whole minutes, two hours at most.

    The margin is a quarter and a minute; half and a minute where fewer than five were measured.
    """
    ordered = sorted(lengths)
    high = ordered[-(-len(ordered) * PERCENTILE // 100) - 1]
    margin = MARGIN if len(ordered) >= ENOUGH else WIDE_MARGIN
    minutes = -(-(high * (1 + margin) + SLACK) // _MINUTE)
    return min(minutes * _MINUTE, LONGEST)


def settled_before(now: datetime, opens_at: datetime | None) -> datetime:
    """Return until when starts count for the next opening of a window.

    From two hours before it nothing new counts: a start must not take itself back because it
    was quicker than the ones before.
    """
    return now if opens_at is None else min(now, opens_at - LONGEST)


def _lengths(starts: Mapping[str, Sequence[Start]], key: str, before: datetime) -> list[timedelta]:
    found = starts.get(key, ())
    return [one.served_at - one.asked_at for one in found if one.served_at <= before]
