"""Windows learnt from habits: the half hours in which requests came on most days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from orchestrator.domain.backtest.traffic import DAY, SECOND, Ints, Traffic
from orchestrator.domain.schedules.model import Schedule, Window
from orchestrator.domain.schedules.zones import zone

SLOTS = 48
_SLOT_MINUTES = 30
# Quiet times between two busy ones are bridged up to this.
_BRIDGE = 2
WORKDAYS, WEEKEND = frozenset(range(5)), frozenset({5, 6})
EVERY_DAY = frozenset(range(7))
Kind = tuple[frozenset[int], ...]
KINDS: tuple[Kind, ...] = ((EVERY_DAY,), (WORKDAYS, WEEKEND))


@dataclass(frozen=True, slots=True)
class Diary:
    """On which days of the trace, and in which half hours of the wall clock, requests came."""

    timezone: str
    busy: NDArray[np.bool_]  # (days, SLOTS)
    weekday: Ints  # of each day

    def windows(self, kind: Kind, share: float, without: int = -1) -> Schedule:
        """Return windows over half hours that were busy on at least this share of the days.

        `kind` tells which days of the week are alike; `without` leaves one day of the trace out.
        """
        found = [one for days in kind for one in self._of(days, share, without)]
        return Schedule(self.timezone, tuple(found), drain_minutes=30)

    def _of(self, days: frozenset[int], share: float, without: int) -> Iterator[Window]:
        chosen = np.isin(self.weekday, list(days))
        if 0 <= without < len(chosen):
            chosen[without] = False
        if not chosen.any():
            return
        for start, end in _runs(self.busy[chosen].mean(0) >= share):
            opens, closes = _wall(start), _wall(end)
            yield Window(days, opens, closes, keep_running=True, ready_by=True)


def diary(traffic: Traffic, origin: datetime, days: int, timezone: str) -> Diary:
    """Return when requests came in the first `days` days of a trace that begins at `origin`."""
    rules = zone(timezone)
    busy = np.zeros((days, SLOTS), np.bool_)
    for start_s, span_s in zip(traffic.start_s, traffic.span_s, strict=True):
        day = int(start_s) * SECOND // DAY
        if day < days:
            for second in {int(start_s), int(start_s + span_s) - 1}:
                wall = (origin + timedelta(seconds=second)).astimezone(rules)
                busy[day, (wall.hour * 60 + wall.minute) // _SLOT_MINUTES] = True
    noon = [origin + timedelta(days=day, hours=12) for day in range(days)]
    weekday = np.array([moment.astimezone(rules).weekday() for moment in noon], np.int64)
    return Diary(timezone, busy, weekday)


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
