"""How fast to call an API whose limit nobody tells: slower at each refusal, faster by success.

Pure: seconds come in as numbers, and nothing here waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# A refusal after a long good run costs little; one soon after another means "far too fast".
SOFT_CUT, HARD_CUT, GOOD_RUN = 0.94, 0.5, 8
# Growth by success: far from the rate that was last refused, and near to it.
QUICK_STEP, SLOW_STEP = 0.05, 0.0017
NEAR_FROM, NEAR_TO = 0.9, 1.1
# A call that came sooner than the rate lets them come belongs to a burst, which is then shortened.
HASTY, BURST_STEP = 0.9, 0.02
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
# Clouds tell times in whole seconds.
ROUNDED_S = 1.0
# The part of a told quota that is left to changes, and the most calls that this may be.
RESERVED, MOST_RESERVED = 0.05, 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """Calls a second: at first, at least, at most; `burst` may go at once after a rest."""

    start: float
    burst: float = 5.0
    least: float = 0.1
    most: float = 50.0


@dataclass(frozen=True, slots=True)
class Quota:
    """What an answer tells of a window of calls: how many are left, and seconds to the next one.

    `limit` is the size of a window, where it is told.
    """

    left: int
    reset_s: float
    limit: int | None = None


class Pace:
    """The rate of one API: a bucket of tokens whose filling adapts, and the quota told, if any."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.rate = bounds.start
        self._burst = self._tokens = bounds.burst
        self._at = -math.inf
        self._blocked_until = -math.inf
        self._knee = math.inf
        self._good = GOOD_RUN
        self._refusals = 0
        self._granted = 0
        self._cut_at = 0
        self._pressed = self._hasty = False
        self._taken_at = -math.inf
        self._quota: Quota | None = None
        self._reset_at = -math.inf
        self._size = 0
        self._read_at = -math.inf

    def delay(self, now: float, *, change: bool = False) -> float:
        """Return the seconds until a call may go, 0 for at once."""
        self._advance(now)
        waits = [self._blocked_until - now, (1 - self._tokens) / self.rate]
        if self._quota is not None:
            waits.append(self._window_delay(now, self._quota.left, change=change))
        longest = max(0.0, *waits)
        return longest if longest > 1e-6 else 0.0

    def take(self, now: float, *, change: bool = False) -> int:
        """Count a call that goes now; return its number, by which its answer is told."""
        self._advance(now)
        self._hasty = (now - self._taken_at) * self.rate < HASTY
        self._taken_at = now
        self._tokens = max(self._tokens - 1, -1.0)
        self._pressed = self._tokens < 1
        if self._quota is not None:
            self._quota = Quota(max(self._quota.left - 1, 0), self._quota.reset_s, self._size)
        if not change:
            self._read_at = now
        self._granted += 1
        return self._granted

    def waited_out(self, now: float) -> None:
        """Forget what was to be waited for: it was, although the clock does not show it."""
        self._advance(now)
        self._tokens = max(self._tokens, 1.0)
        self._blocked_until = min(self._blocked_until, now)
        self._quota = None

    def succeeded(self, now: float) -> None:
        """Grow, where the rate was what held the calls back."""
        self._advance(now)
        self._good += 1
        self._refusals = 0
        self._burst = min(self._burst + BURST_STEP, self._bounds.burst)
        if not self._pressed:
            return
        near = NEAR_FROM * self._knee <= self.rate <= NEAR_TO * self._knee
        step = SLOW_STEP if near else QUICK_STEP
        self.rate = min(self.rate * (1 + step), self._bounds.most)

    def refused(self, now: float, number: int, wait: float | None = None) -> None:
        """Slow down after a refusal of call `number`; calls that went together slow down once.

        `wait` is what the cloud asked for, in seconds.
        """
        self._advance(now)
        if wait is not None:
            self._blocked_until = max(self._blocked_until, now + wait)
        if number <= self._cut_at:
            return
        self._cut_at = self._granted
        self._tokens = min(self._tokens, 0.0 if wait is None else 1.0)
        self._refusals += 1
        if wait is None or wait < FIRST_WAIT_S:
            self._blocked_until = max(self._blocked_until, now + self._pause())
        if self._quota is not None and self._quota.left == 0:
            return  # the used-up window explains it
        if self._hasty and self._burst > 1:
            self._burst = max(self._burst / 2, 1.0)
        else:
            self._cut()

    def told(self, now: float, quota: Quota) -> None:
        """Take in what an answer told of the quota; late answers of a window change nothing."""
        self._advance(now)
        reset_at = now + max(quota.reset_s, 0.0) + ROUNDED_S
        same = self._quota is not None and reset_at <= self._reset_at + 1
        left = min(quota.left, self._quota.left) if same and self._quota else quota.left
        self._size = quota.limit or max(self._size, quota.left)
        self._quota = Quota(max(left, 0), quota.reset_s, self._size)
        self._reset_at = self._reset_at if same else reset_at

    def _pause(self) -> float:
        """Return how long to rest after a refusal that names no time: doubled each time."""
        first = min(FIRST_WAIT_S, 2 / self.rate)
        return min(first * 2.0 ** min(self._refusals - 1, 20), LONGEST_WAIT_S)

    def _cut(self) -> None:
        self._knee = self.rate
        cut = SOFT_CUT if self._good >= GOOD_RUN else HARD_CUT
        self.rate = max(self.rate * cut, self._bounds.least)
        self._good = 0

    def _advance(self, now: float) -> None:
        if now < self._at:  # the clock was set back: what is to be waited for stays as long
            back = self._at - now
            self._blocked_until -= back
            self._taken_at -= back
            self._reset_at -= back
            self._read_at -= back
        elif now > self._at:
            since = min(max(self._at, self._blocked_until), now)
            self._tokens = min(self._tokens + (now - since) * self.rate, self._burst)
        self._at = now
        if self._quota is not None and now >= self._reset_at:
            self._quota = None

    def _window_delay(self, now: float, left: int, *, change: bool) -> float:
        """Changes may use a window up; reads leave them a part, and spread over its second half."""
        rest = self._reset_at - now
        reserve = 0 if change else min(math.ceil(self._size * RESERVED), MOST_RESERVED)
        if left <= reserve:
            return rest
        if change or left > self._size / 2:
            return 0.0
        return self._read_at + rest / (left - reserve) - now
