"""Windows learnt from habits: the half hours in which requests came on most days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestrator.domain.backtest.traffic import Ints, Traffic
from orchestrator.domain.schedules.model import Schedule, Window
from orchestrator.domain.schedules.zones import zone

SLOTS = 48
_SLOT_MINUTES = 30
# The trace is looked at in steps; offsets from UTC are multiples of five minutes.
_STEP_S = 300
_DAY_S = 86400
# Quiet times between two busy ones are bridged up to this.
_BRIDGE = 2
WORKDAYS, WEEKEND = frozenset(range(5)), frozenset({5, 6})
EVERY_DAY = frozenset(range(7))
Kind = tuple[frozenset[int], ...]
KINDS: tuple[Kind, ...] = ((EVERY_DAY,), (WORKDAYS, WEEKEND))


@dataclass(frozen=True, slots=True)
class Diary:
    """On which civil days, and in which half hours of the wall clock, requests came.

    `block` is the day of the trace (24 hours from its start on) that a half hour lies in, -1 where
    it lies outside of the trace.
    """

    timezone: str
    busy: NDArray[np.bool_]  # (civil days, SLOTS)
    block: Ints  # (civil days, SLOTS)
    weekday: Ints  # of each civil day

    @property
    def share(self) -> float:
        """Return the share of half hours in which requests came."""
        return float(self.busy[self.block >= 0].mean())

    def windows(self, kind: Kind, share: float, without: int = -1) -> Schedule:
        """Return windows over half hours that were busy on at least this share of the days.

        `kind` tells which days of the week are alike; `without` leaves one day of the trace out.
        """
        found = [one for days in kind for one in self._of(days, share, without)]
        return Schedule(self.timezone, tuple(found), drain_minutes=30)

    def _of(self, days: frozenset[int], share: float, without: int) -> Iterator[Window]:
        known = (self.block >= 0) & (self.block != without)
        known &= np.isin(self.weekday, list(days))[:, None]
        count = known.sum(0)
        part = (self.busy & known).sum(0) / np.maximum(count, 1)
        for start, end in _runs((part >= share) & (count > 0)):
            opens, closes = _wall(start), _wall(end)
            yield Window(days, opens, closes, keep_running=True, ready_by=True)


def diary(traffic: Traffic, origin: datetime, days: int, timezone: str) -> Diary:
    """Return when requests came in the first `days` days of a trace that begins at `origin`."""
    place, block, weekday = _calendar(origin, days, timezone)
    busy = np.zeros(block.shape, np.bool_)
    first = traffic.start_s // _STEP_S
    last = (traffic.start_s + traffic.span_s.astype(np.int64) - 1) // _STEP_S
    for later in range(int((last - first).max(initial=0)) + 1):
        steps = np.minimum(first + later, last)
        busy.flat[place[steps[steps < len(place)]]] = True
    return Diary(timezone, busy, block, weekday)


@lru_cache(maxsize=4)
def _calendar(origin: datetime, days: int, timezone: str) -> tuple[Ints, Ints, Ints]:
    """The half hour that each step of the trace lies in; and their days, of trace and of week."""
    rules = zone(timezone)
    steps = [origin + timedelta(seconds=second) for second in range(0, days * _DAY_S, _STEP_S)]
    walls = [moment.astimezone(rules) for moment in steps]
    dates = [wall.date().toordinal() for wall in walls]
    first = min(dates)
    slots = [(wall.hour * 60 + wall.minute) // _SLOT_MINUTES for wall in walls]
    place = (np.array(dates, np.int64) - first) * SLOTS + np.array(slots, np.int64)
    block = np.full((max(dates) - first + 1, SLOTS), -1, np.int64)
    block.flat[place] = np.arange(len(place)) * _STEP_S // _DAY_S
    weekday = (np.arange(first, max(dates) + 1) - 1) % 7
    return place, block, weekday


def _runs(slots: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The runs of busy slots, short quiet times bridged."""
    runs: list[tuple[int, int]] = []
    for slot in np.flatnonzero(slots):
        if runs and slot - runs[-1][1] <= _BRIDGE:
            runs[-1] = (runs[-1][0], int(slot) + 1)
        else:
            runs.append((int(slot), int(slot) + 1))
    return runs


def _wall(slot: int) -> time:
    hour, minute = divmod(slot % SLOTS * _SLOT_MINUTES, 60)
    return time(hour, minute)
