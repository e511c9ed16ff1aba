"""The rule to take for each endpoint, at a stated price of a minute of waiting."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.domain.backtest.advice import Advice, Fleetwide, Prices, Range, Week
from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.days import (
    GRID,
    HOURS,
    MINUTES,
    REFUSED,
    STARTS,
    TIMEOUTS,
    Setting,
    bounds,
    days_of,
    table,
)
from orchestrator.domain.backtest.figures import cost_of
from orchestrator.domain.backtest.forecast import OWN_DAYS, Expected, priced
from orchestrator.domain.backtest.habits import KINDS, Diary, diary
from orchestrator.domain.backtest.policies import Policy
from orchestrator.domain.backtest.pool import Draws, Pool
from orchestrator.domain.backtest.traffic import HOUR, Floats, Traffic
from orchestrator.domain.schedules.model import Schedule

WEEK = 7
LOW, HIGH = 0.1, 0.9
# Half hours that were busy on at least this share of days.
SHARES = (0.3, 0.5, 0.7)
# Habits are looked for where requests came on so many days, and not all day long.
_FEWEST_BUSY_DAYS = 3
_ALL_DAY = 0.95
# Timeouts to try outside of windows, beside the best one: their places in the grid.
_OUTSIDE = (TIMEOUTS.index(15), TIMEOUTS.index(60), TIMEOUTS.index(240))
# With one known request in a stretch of ten minutes, gaps below twice that say nothing.
TOO_SHORT = TIMEOUTS.index(20)
# What is paused outside of windows is compared with a timeout that seldom lets requests wait.
_BESIDE_PAUSED = TIMEOUTS.index(240)


@dataclass(frozen=True, slots=True)
class _Habit:
    """Learnt windows: how days left out differed from a timeout's, and hours gained a day.

    They are gained `against` the best rule without windows that the endpoint can have.
    """

    policy: Policy
    base: int
    change: Floats  # (5,), means for a day
    tried: Floats  # (5,), means for a day
    gain: float
    against: int

    def mean(self, expected: Floats) -> Floats:
        """Return what to expect of a day, from that of the timeout; paused it knows no surprise."""
        if self.policy.timeout is None:
            return self.tried
        return np.maximum(expected + self.change, 0)


class Adviser:
    """Learns from a fleet's traffic over some whole days; advises for its endpoints, or others.

    Raises ValueError when there are too few days.
    """

    def __init__(
        self, fleet: Sequence[Traffic], setting: Setting, seed: int = 0, timezone: str = "UTC"
    ) -> None:
        self.setting, self.seed, self.timezone = setting, seed, timezone
        self._known = {one.name: place for place, one in enumerate(fleet)}
        self._tables = [table(one, seed, GRID, setting) for one in fleet]
        self._pool = Pool(np.stack(self._tables))

    def advise(
        self,
        fleet: Sequence[Traffic],
        prices: Prices,
        *,
        days: int | None = None,
        coarse: Collection[str] = (),
        no_zero: Collection[str] = (),
    ) -> Fleetwide:
        """Return the advice for endpoints by their traffic in the same days.

        `days` looks at the last of them only, for endpoints that are younger; 0 is no past. An
        endpoint that the adviser has not learnt from and that slept in all of them is new. `coarse`
        names those of which one request in each stretch is known: short timeouts are not for them.
        Those of `no_zero` cannot go to zero, so timeouts are not for them. Windows are learnt from
        a week or more.
        """
        pasts = [self._past(one, days) for one in fleet]
        expected = [self._expect(one, past) for one, past in zip(fleet, pasts, strict=True)]
        own = [prices.of(one.name) for one in fleet]
        scores = [
            priced(one.reckoned, price.worth) for one, price in zip(expected, own, strict=True)
        ]
        for one, score in zip(fleet, scores, strict=True):
            score[: TOO_SHORT if one.name in coarse else 0] = np.inf
        awake = [len(GRID) - 1 if one.name in no_zero else None for one in fleet]
        whole = days is None and self.setting.days >= WEEK
        habits = [
            self._habit(one, past, score, price, to_zero=one.name not in no_zero) if whole else None
            for one, past, score, price in zip(fleet, pasts, scores, own, strict=True)
        ]
        chosen = [
            habit.base if habit else int(score.argmin()) if on is None else on
            for habit, score, on in zip(habits, scores, awake, strict=True)
        ]
        draws = self._pool.draw(expected, chosen, self.seed)
        advice = []
        for place, one in enumerate(fleet):
            picked = _Picked(one.name, expected[place], scores[place], chosen[place], habits[place])
            limits = bounds(picked.policy, self.setting)
            possible = _possible(draws, place, picked, limits)
            seen = bool(pasts[place][0, :, HOURS].sum())
            week = _week(picked.of(picked.expected.mean), possible, limits, own[place])
            found = _advice(picked, week, seen=seen)
            advice.append(replace(found, no_zero=one.name in no_zero))
        return _together(advice, draws, own)

    def single(self, prices: Prices) -> Policy:
        """Return the one timeout, or always-on, that would have been best for the fleet."""
        return GRID[self._pool.single(prices.worth)]

    def _expect(self, traffic: Traffic, past: Floats) -> Expected:
        known = self._known.get(traffic.name)
        if not past.shape[1]:
            return self._pool.unknown(new=False)
        if known is None and not past[0, :, HOURS].any():
            return self._pool.unknown(new=True)
        return self._pool.expect(past, without=known)

    def _past(self, traffic: Traffic, days: int | None) -> Floats:
        place = self._known.get(traffic.name)
        whole = self._tables[place] if place is not None else None
        if whole is None:
            whole = table(traffic, self.seed, GRID, self.setting)
        return whole if days is None else whole[:, whole.shape[1] - days :]

    def _habit(
        self, traffic: Traffic, past: Floats, scores: Floats, prices: Prices, *, to_zero: bool
    ) -> _Habit | None:
        """The learnt windows that beat every timeout by more than a standard error, if any do.

        What windows change is seen on days left out, against the same timeout without windows.
        Less waiting counts by the weight of its own past alone. Pausing is reckoned with one day
        more on which all requests are refused: habits end, and then nothing bounds how many are.
        """
        known = diary(traffic, self.setting.origin, self.setting.days, self.timezone)
        if known.busy.any(1).sum() < _FEWEST_BUSY_DAYS or known.share > _ALL_DAY:
            return None
        arrivals = Arrivals(traffic, self.seed)
        share = past.shape[1] / (past.shape[1] + OWN_DAYS)
        against = int(scores.argmin()) if to_zero else len(GRID) - 1
        found: list[tuple[float, _Habit]] = []
        for policies, last, base in _variants(known, int(scores[:-1].argmin()), self.setting.days):
            if last.timeout is not None and not to_zero:
                continue
            tried = [days_of(arrivals, one, self.setting) for one in policies]
            days = np.stack([days[day] for day, days in enumerate(tried)])
            seen = days.mean(0)
            if last.timeout is None:
                seen[REFUSED] = _one_more(days[:, REFUSED], 1).mean()
                each_day = int(traffic.requests.sum()) / len(days)
                days[:, REFUSED] = _one_more(days[:, REFUSED], each_day)
            change = (days - past[base]) * (1, share, share, 0, 1)
            each = prices.priced(change)
            score = scores[base] + each.mean() + each.std(ddof=1) / np.sqrt(len(each))
            if score < scores[against]:
                gain = float(scores[against] - score)
                habit = _Habit(last, base, change.mean(0), seen, gain, against)
                found.append((float(score), habit))
        return min(found, key=lambda pair: pair[0])[1] if found else None


@dataclass(frozen=True, slots=True)
class _Picked:
    """What was found for one endpoint."""

    name: str
    expected: Expected
    scores: Floats
    chosen: int
    habit: _Habit | None

    @property
    def policy(self) -> Policy:
        return self.habit.policy if self.habit else GRID[self.chosen]

    def of(self, expected: Floats) -> Floats:
        mean: Floats = expected[self.chosen]
        return self.habit.mean(mean) if self.habit else mean


def _variants(known: Diary, shortest: int, days: int) -> Iterator[tuple[list[Policy], Policy, int]]:
    """Rules with windows: one for each day, learnt from the others; that of all days; its base."""
    for kind in KINDS:
        for share in SHARES:
            whole = known.windows(kind, share)
            if not whole.windows:
                continue
            left_out = [known.windows(kind, share, without=day) for day in range(days)]
            for base in sorted({shortest, *_OUTSIDE}):
                rules = [_with(windows, base) for windows in left_out]
                yield rules, _with(whole, base), base
            rules = [Policy("windows", None, windows) for windows in left_out]
            yield rules, Policy("windows", None, whole), _BESIDE_PAUSED


def _one_more(each: Floats, more: float) -> Floats:
    """Days with the mean that one day more with so many events gives: none yet proves no never."""
    days = len(each)
    found: Floats = (each * days + more) / (days + 1)
    return found


def _with(windows: Schedule, base: int) -> Policy:
    timeout = GRID[base].timeout
    assert timeout is not None  # noqa: S101 - the base is never always-on
    return Policy(f"windows+{GRID[base].name}", timeout, windows if windows.windows else None)


@dataclass(frozen=True, slots=True)
class _Possible:
    """Hours and starts of a day that may come, and `on`: those of a day that goes on as before."""

    hours: Floats
    starts: Floats
    on: Floats


def _possible(draws: Draws, place: int, picked: _Picked, limits: tuple[float, float]) -> _Possible:
    """Return what may come; draws of learnt windows are moved by what they change.

    They are never below what the windows cost for certain.
    """
    hours, starts, on = draws.hours[:, place], draws.starts[:, place], draws.on[place]
    if picked.habit is not None:
        wakes = picked.habit.policy.timeout is not None
        most = np.inf if wakes else limits[1]
        change = picked.habit.change
        hours[:] = np.clip(hours + change[HOURS], limits[0], most)
        starts[:] = np.maximum(starts + change[STARTS], 0) * wakes
        on[0] = np.clip(on[0] + change[HOURS], limits[0], most)
        on[1] = max(on[1] + change[STARTS], 0) * wakes
    return _Possible(np.clip(hours, *limits), starts, on)


def _week(mean: Floats, possible: _Possible, limits: tuple[float, float], prices: Prices) -> Week:
    on = float(np.clip(possible.on[0], *limits)), float(possible.on[1])
    hours = _range(possible.hours, float(np.clip(mean[HOURS], *limits)), on[0])
    return Week(
        hours,
        _costs(hours, prices),
        _range(possible.starts, float(mean[STARTS]), on[1]),
        WEEK * float(mean[MINUTES]),
        WEEK * limits[0],
        WEEK * float(mean[REFUSED]),
    )


def _advice(picked: _Picked, week: Week, *, seen: bool) -> Advice:
    instead = _instead(picked)
    chosen, other = picked.of(picked.expected.reckoned), picked.expected.reckoned[instead]
    return Advice(
        picked.name,
        picked.policy,
        week,
        GRID[instead],
        WEEK * abs(float(chosen[HOURS] - other[HOURS])),
        WEEK * float(max(chosen[MINUTES], other[MINUTES])),
        seen,
        picked.habit.gain if picked.habit else None,
    )


def _instead(picked: _Picked) -> int:
    """Always-on against a timeout, a timeout against always-on, learnt windows against both."""
    last = len(GRID) - 1
    if picked.habit is not None:
        return picked.habit.against
    return int(picked.scores[:last].argmin()) if picked.chosen == last else last


def _range(values: Floats, mean: float, on: float) -> Range:
    """80 % of the values; the mean, and what goes `on` as before, never lie outside."""
    low, high = np.quantile(values, (LOW, HIGH)) * WEEK
    ends = (WEEK * mean, WEEK * on)
    return Range(min(float(low), *ends), WEEK * mean, max(float(high), *ends))


def _costs(hours: Range, prices: Prices) -> tuple[int, int, int]:
    low, mean, high = (_cost(one, prices.hour) for one in (hours.low, hours.mean, hours.high))
    return low, mean, high


def _cost(hours: float, price: int) -> int:
    return cost_of(price, round(hours * HOUR))


def _together(advice: Sequence[Advice], draws: Draws, own: Sequence[Prices]) -> Fleetwide:
    """Sums over endpoints; draws are centred on what is expected."""
    first = max(own[0].hour, 1) if own else 1
    relative = np.array([one.hour / first for one in own])  # in hours of the first one's price
    hours = float(sum(one.week.hours.mean * r for one, r in zip(advice, relative, strict=True)))
    starts = sum(one.week.starts.mean for one in advice) / WEEK
    drawn = draws.hours @ relative
    on = float(draws.on[:, 0] @ relative)
    whole = _range(drawn - drawn.mean() + hours / WEEK, hours / WEEK, on)
    least = float(sum(one.week.certain * r for one, r in zip(advice, relative, strict=True)))
    most = float(24 * WEEK * relative.sum())
    low, high = _cost(max(whole.low, least), first), _cost(min(whole.high, most), first)
    mean = sum(one.week.cost[1] for one in advice)
    cost = (min(low, mean), mean, max(high, mean))
    on_starts = float(draws.on[:, 1].sum())
    return Fleetwide(tuple(advice), cost, _range(draws.starts.sum(1), starts, on_starts))
