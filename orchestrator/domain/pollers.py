"""What keeps an endpoint awake although nobody seems to use it: a poller, a probe, a timer.

Hugging Face counts any request through its proxy as activity, a health check too, so a monitor
that asks every few minutes keeps an endpoint from going to zero. Seen from outside it shows in
four ways; none of them is proof that nobody needs it, so it is told and never acted on. What has
stopped coming holds nothing awake any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Any

from orchestrator.domain.endpoints import Stretch, Usage
from orchestrator.domain.usage import STRETCH, STRETCH_S

# A cloud's idle timer is believed to be overdue after twice its time and this.
GRACE = timedelta(minutes=10)
# So many uses, or stretches of counts, have to come evenly; few may be out of step.
FEWEST_USES, FEWEST_STRETCHES = 12, 24
IN_STEP, TOLERANCE, SLACK_S, MOST_MISSED = 0.8, 0.03, 2.0, 6
# A part of the gaps must have been seen as such: else the looks, not the uses, are what is even.
SEEN_GAPS = 1 / 3
# So many wakes without use in so long are somebody's doing.
FEWEST_WAKES, WAKES_WITHIN = 2, timedelta(days=1)
# After so many gaps without a use, and this time at least, what came evenly has ended.
MOST_GAPS_QUIET, LEAST_QUIET = 3, timedelta(minutes=10)
# More requests than this in a stretch are no poller's, however even.
MOST_POLLS = 60


class Sign(StrEnum):
    """How it shows that an endpoint is held awake."""

    TIMER = "timer"
    """Unused for longer than its cloud's idle timer allows, and still up."""
    UNCOUNTED = "uncounted"
    """Its time of last use moves, and no request is counted."""
    EVEN = "even"
    """Requests come as evenly as a clock."""
    WOKEN = "woken"
    """It woke from zero again and again, and its time of last use did not move."""


@dataclass(frozen=True, slots=True)
class Use:
    """A time of last use that was seen; `after_quiet` when a look before had shown none new."""

    at: datetime
    after_quiet: bool


@dataclass(frozen=True, slots=True)
class Awake:
    """What is known of an endpoint that runs.

    `up_since` is when it last became ready or was changed; `timer` is the cloud's own idle timer
    where it may take it to zero. `counted` are whole stretches on end, oldest first. `wakes` are
    the times at which it woke from zero without any use.
    """

    up_since: datetime
    last_used_at: datetime | None = None
    timer: timedelta | None = None
    uses: Sequence[Use] = ()
    counted: Sequence[Stretch] = ()
    usage: Usage | None = None
    wakes: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What holds an endpoint awake, by which sign; `every_s` is the time between requests."""

    sign: Sign
    detail: str
    every_s: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored with the endpoint."""
        return {"sign": str(self.sign), "detail": self.detail, "every_s": self.every_s}


def held_awake(seen: Awake, now: datetime) -> Held | None:
    """Return what seems to hold an endpoint awake, None where nothing of the kind shows."""
    return (
        _woken(seen, now)
        or _uncounted(seen, now)
        or _even_uses(seen.uses, now)
        or _even_counts(seen, now)
        or _overdue(seen, now)
    )


def _woken(seen: Awake, now: datetime) -> Held | None:
    recent = [at for at in seen.wakes if now - at < WAKES_WITHIN]
    if len(recent) < FEWEST_WAKES:
        return None
    return Held(
        Sign.WOKEN,
        f"it woke from zero {len(recent)} times since {recent[0]:%Y-%m-%d %H:%M} UTC and was not "
        "used then: what wakes it does not count as use, as a health check may not",
    )


def _overdue(seen: Awake, now: datetime) -> Held | None:
    if seen.timer is None or seen.last_used_at is None:
        return None
    quiet_since = max(seen.last_used_at, seen.up_since)
    if now - quiet_since <= 2 * seen.timer + GRACE:
        return None
    minutes = int(seen.timer.total_seconds()) // 60
    return Held(
        Sign.TIMER,
        f"unused since {quiet_since:%Y-%m-%d %H:%M} UTC, its cloud's idle timer of {minutes} "
        "minutes does not take it to zero: something reaches it that does not count as use",
    )


def _uncounted(seen: Awake, now: datetime) -> Held | None:
    usage = seen.usage
    if usage is None or usage.whole_since is None or usage.requests or usage.in_flight:
        return None
    start, end = max(usage.whole_since, seen.up_since), usage.end
    inside = [use.at for use in seen.uses if start <= use.at < end]
    if len(inside) < FEWEST_USES // 2 or _ended(seen.uses[-1].at, _gap_s(inside), now):
        return None
    return Held(
        Sign.UNCOUNTED,
        f"its time of last use moved {len(inside)} times since {start:%H:%M} UTC while no request "
        "was counted, as a health check through its address makes it",
        _gap_s(inside),
    )


def _even_uses(uses: Sequence[Use], now: datetime) -> Held | None:
    if len(uses) < FEWEST_USES:
        return None
    times = [use.at for use in uses]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    seen = sum(use.after_quiet for use in uses[1:])
    base = median(gaps)
    if base <= 0 or seen < SEEN_GAPS * len(gaps) or _in_step(gaps, base) < IN_STEP * len(gaps):
        return None
    if _ended(times[-1], base, now):
        return None
    return Held(Sign.EVEN, _evenly(base, len(times), times[0]), round(base))


def _in_step(gaps: Sequence[float], base: float) -> int:
    """Count the gaps that are a small whole number of times the usual one."""
    slack = max(SLACK_S, TOLERANCE * base)
    found = 0
    for gap in gaps:
        times = round(gap / base)
        found += 1 <= times <= MOST_MISSED and abs(gap - times * base) <= slack
    return found


def _even_counts(seen: Awake, now: datetime) -> Held | None:
    newest = list(seen.counted)[-FEWEST_STRETCHES:]
    holes = any(later.start - earlier.start != STRETCH for earlier, later in pairwise(newest))
    if holes or len(newest) < FEWEST_STRETCHES:
        return None
    counts = [one.requests for one in newest]
    usual = median(counts)
    spread = max(counts) - min(counts)
    whole = all(one.covered_s >= STRETCH_S for one in newest)
    if not whole or min(counts) < 1 or usual > MOST_POLLS or spread > max(1, usual // 20):
        return None
    base = STRETCH_S / usual
    if seen.last_used_at is not None and _ended(seen.last_used_at, base, now):
        return None
    return Held(Sign.EVEN, _evenly(base, sum(counts), newest[0].start), round(base))


def _ended(last: datetime, gap_s: float, now: datetime) -> bool:
    return now - last > max(timedelta(seconds=MOST_GAPS_QUIET * gap_s), LEAST_QUIET)


def _evenly(base: float, number: int, since: datetime) -> str:
    return (
        f"{number} requests since {since:%Y-%m-%d %H:%M} UTC came evenly, one every {base:.0f} s, "
        "as a poller or a timer makes them"
    )


def _gap_s(times: Sequence[datetime]) -> int:
    return round(median((b - a).total_seconds() for a, b in pairwise(times)))
