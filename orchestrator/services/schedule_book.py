"""The schedules in force over an account, evaluated once per instant and start-up time.

What the engine, the preview and `why` know of a schedule comes from here: days off of its
calendars, the start-up time of each endpoint, and what its cron points will do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.asked import HoldFact
from orchestrator.domain.decide import ScheduleFact
from orchestrator.domain.schedules.model import CronPoint, PointAction, PointFiring, ScheduleState
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.occurrences import AT_ONCE, intervals, state_at
from orchestrator.domain.schedules.points import last_point, next_point
from orchestrator.domain.startup import StartUp, StartUps, settled_before
from orchestrator.domain.status import Wish
from orchestrator.services.bindings import NEVER
from orchestrator.services.edges import Shelf
from orchestrator.services.starting import load_startups, no_starts, starts_early
from orchestrator.services.windows import point_from_json, windows_in_full
from orchestrator.store.tables import Account, Binding, Schedule

CRON = "cron"
_LOOKS_BACK = tuple(timedelta(days=days) for days in (1 / 24, 1, 8, 40, 400))
POINT_WISH = {PointAction.START: Wish.AVAILABLE, PointAction.STOP: Wish.PAUSED}


@dataclass(slots=True)
class ScheduleBook:
    """Schedules by id, what they bind, and the start-up times of endpoints.

    With a `shelf` what is asked at many instants is worked out once for each stretch.
    """

    rows: Mapping[str, Schedule]
    windows: Mapping[str, Windows]
    bound: Mapping[str, Sequence[Binding]]
    startups: StartUps
    read_at: datetime
    shelf: Shelf | None = None
    _points: dict[tuple[str, datetime], PointFiring | None] = field(default_factory=dict)
    _start_points: dict[tuple[str, datetime], datetime | None] = field(default_factory=dict)
    _states: dict[tuple[str, datetime, timedelta], tuple[ScheduleState, datetime | None]] = field(
        default_factory=dict
    )

    @classmethod
    def load(
        cls,
        session: Session,
        account: Account,
        rows: Sequence[Schedule],
        bound: Mapping[str, Sequence[Binding]],
        now: datetime,
    ) -> ScheduleBook:
        """Read what the schedules in force need: one statement for calendars, one for starts."""
        windows = windows_in_full(session, rows, now)
        early = any(starts_early(one) for one in windows.values())
        return cls(
            rows={row.id: row for row in rows},
            windows=windows,
            bound=bound,
            startups=load_startups(session, account, now) if early else no_starts(account),
            read_at=now,
        )

    def facts(self, endpoint_id: str, hardware: str, now: datetime) -> tuple[ScheduleFact, ...]:
        """Return what its schedules say of an endpoint at an instant."""
        return tuple(
            self._fact(self.rows[binding.rule_id], binding, hardware, now)
            for binding in self.bound.get(endpoint_id, ())
            if binding.rule_id in self.rows
        )

    def start_up(self, schedule_id: str, endpoint_id: str, hardware: str, now: datetime) -> StartUp:
        """Return the start-up time that counts for the next opening of a schedule."""
        opens_at = self._state(schedule_id, now, AT_ONCE)[0].next_start
        return self.startups.of(endpoint_id, hardware, settled_before(now, opens_at))

    def next_edge(
        self,
        endpoint_id: str,
        hardware: str,
        at: datetime,
        *,
        runs: bool = False,
        but_points_of: str = "",
    ) -> datetime | None:
        """Return the first instant after `at` at which a schedule that acts says something new.

        For what `runs` until then, a window says so when it opens: its early start may move yet,
        and would leave a gap. The points of the schedule `but_points_of` are left aside.
        """
        edges = []
        for binding, row in self._acting(endpoint_id):
            if row.id != but_points_of:
                edges.append(_at(self._next_point(row.id, at)))
            if binding.acts_from is None or binding.acts_from <= at:
                early = self._early(row.id, endpoint_id, hardware, at)
                state = self._state(row.id, at, early)[0]
                edges.append(state.end_of_run if runs else state.next_edge)
            elif binding.acts_from != NEVER:
                edges.append(binding.acts_from)
        return _first(*edges)

    def next_point_at(self, now: datetime) -> datetime | None:
        """Return when a cron point of any schedule that binds something comes next."""
        ids = {one.rule_id for several in self.bound.values() for one in several}
        known = [row.id for row in self.rows.values() if row.id in ids]
        return _first(*(_at(self._next_point(each, now)) for each in known))

    def _acting(self, endpoint_id: str) -> Iterator[tuple[Binding, Schedule]]:
        for binding in self.bound.get(endpoint_id, ()):
            row = self.rows.get(binding.rule_id)
            if row is not None and not row.shadow:
                yield binding, row

    def coming_hold(self, endpoint_id: str, hardware: str, now: datetime) -> HoldFact | None:
        """Return what a cron point that is still ahead will hold at a later instant `now`."""
        found: list[tuple[PointFiring, Schedule]] = []
        for _, row in self._acting(endpoint_id):
            last = self._last_point(row.id, now) if row.points else None
            if last is not None:
                found.append((last, row))
        if not found:
            return None
        last, row = max(found, key=lambda one: (one[0].at, one[0].action is PointAction.START))
        runs = last.action is PointAction.START
        end = self.next_edge(endpoint_id, hardware, last.at, runs=runs)
        if end is None or end <= now:
            return None
        wish = POINT_WISH[last.action]
        actor, reason = actor_of(row), reason_of(last)
        return HoldFact(wish, end, actor, reason, by_program=True, point_at=last.at)

    def _fact(self, row: Schedule, binding: Binding, hardware: str, now: datetime) -> ScheduleFact:
        early = self._early(row.id, binding.endpoint_id, hardware, now)
        state, ended_at = self._state(row.id, now, early)
        return ScheduleFact(
            id=row.id,
            name=row.name,
            state=self._with_points(row.id, state, now),
            drain=timedelta(minutes=row.drain_minutes),
            ended_at=ended_at,
            acts_from=binding.acts_from,
            shadow=row.shadow,
            only_points=self.windows[row.id].only_points,
        )

    def _early(self, schedule_id: str, endpoint_id: str, hardware: str, at: datetime) -> timedelta:
        if not starts_early(self.windows[schedule_id]):
            return AT_ONCE
        return self.start_up(schedule_id, endpoint_id, hardware, at).time

    def _state(
        self, schedule_id: str, now: datetime, early: timedelta
    ) -> tuple[ScheduleState, datetime | None]:
        """Return what its windows say, and the end of the latest that may still drain."""
        if self.shelf is not None:
            return self.shelf.of(self.windows[schedule_id]).state(now, early)
        key = (schedule_id, now, early)
        if key not in self._states:
            windows = self.windows[schedule_id]
            state = state_at(windows, now, early)
            drain = timedelta(minutes=windows.drain_minutes)
            ended = None
            if not state.inside and drain:
                past = intervals(windows, now - drain, now, early)
                ended = max((one.end for one in past), default=None)
            self._states[key] = (state, ended)
        return self._states[key]

    def _last_point(self, schedule_id: str, now: datetime) -> PointFiring | None:
        windows = self.windows[schedule_id]
        if self.shelf is not None:
            return self.shelf.of(windows).last_point(self.read_at, now)
        return last_since(windows, self.read_at, now)

    def _next_point(self, schedule_id: str, now: datetime) -> PointFiring | None:
        if self.shelf is not None:
            windows = self.windows[schedule_id]
            return self.shelf.of(windows).next_point(now) if windows.points else None
        key = (schedule_id, now)
        if key not in self._points:
            windows = self.windows[schedule_id]
            self._points[key] = next_point(windows, now) if windows.points else None
        return self._points[key]

    def _with_points(self, schedule_id: str, state: ScheduleState, now: datetime) -> ScheduleState:
        """A cron point is an edge too, and one that starts is a start."""
        soon = self._next_point(schedule_id, now)
        if soon is None:
            return state
        return replace(
            state,
            next_edge=_first(state.next_edge, soon.at),
            next_start=_first(state.next_start, self._next_start_point(schedule_id, now)),
        )

    def _next_start_point(self, schedule_id: str, now: datetime) -> datetime | None:
        if self.shelf is not None:
            return _at(self.shelf.of(self.windows[schedule_id]).next_start(now))
        key = (schedule_id, now)
        if key not in self._start_points:
            starts = only(self.windows[schedule_id], PointAction.START)
            self._start_points[key] = _at(next_point(starts, now))
        return self._start_points[key]


def last_since(windows: Windows, since: datetime, now: datetime) -> PointFiring | None:
    """Return the last firing after `since` and not after `now`, at most 400 days back."""
    for reach in _LOOKS_BACK:
        within = min(reach, now - since)
        found = last_point(windows, now, within)
        if found is not None:
            return found if found.at > since else None
        if within < reach:
            return None
    return None


def standing_since(row: Schedule, windows: Windows) -> Iterator[tuple[datetime, Windows]]:
    """Yield the points of a schedule by the instant since which they stand."""
    by_instant: dict[str, list[CronPoint]] = defaultdict(list)
    for item in row.points:
        by_instant[item.get("since") or row.effective_from.isoformat()].append(
            point_from_json(item)
        )
    for since, found in by_instant.items():
        yield datetime.fromisoformat(since), replace(windows, points=tuple(found))


def only(windows: Windows, action: PointAction) -> Windows:
    """Return a schedule with those of its points that do one thing."""
    return replace(windows, points=tuple(one for one in windows.points if one.action is action))


def actor_of(row: Schedule) -> str:
    """Return who holds an endpoint after a cron point of a schedule."""
    return f"schedule {row.name}"


def reason_of(firing: PointFiring | CronPoint) -> str:
    """Return why an endpoint is held after a cron point."""
    return f"{firing.action} point {firing.expression}"


def _at(firing: PointFiring | None) -> datetime | None:
    return None if firing is None else firing.at


def _first(*instants: datetime | None) -> datetime | None:
    return min((at for at in instants if at is not None), default=None)
