"""The pace of calls, in virtual time, against the rate limits of the simulated clouds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.pace import ROUNDED_S, SOFT_CUT, Bounds, Pace, Quota
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.throttle import Throttle
from orchestrator.sandbox.instants import SECOND
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.rate_limit import FixedWindow

START = 1_000_000.0
BOUNDS = Bounds(start=10.0, burst=20.0)
# What an answer tells: whether it was a refusal, the wait asked for, the quota.
Answer = tuple[bool, float | None, Quota | None]


@dataclass
class Caller:
    """Calls as often as its pace allows, and keeps what it met."""

    cloud: Callable[[float], Answer]
    pace: Pace = field(default_factory=lambda: Pace(BOUNDS))
    now: float = START
    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def call(self, *, change: bool = False) -> None:
        self.now += self.pace.delay(self.now, change=change)
        number = self.pace.take(self.now, change=change)
        refused, wait, quota = self.cloud(self.now)
        if quota is not None:
            self.pace.told(self.now, quota)
        if refused:
            self.refused.append(self.now)
            self.pace.refused(self.now, number, wait)
        else:
            self.good.append(self.now)
            self.pace.succeeded(self.now)

    def call_for(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.call()

    def rate_since(self, start: float) -> float:
        return sum(at >= start for at in self.good) / (self.now - start)


@dataclass
class Bucket:
    """AWS's kind of limit: refusals without a word on when to come back."""

    per_second: float
    burst: int
    throttle: Throttle = field(default_factory=Throttle)

    def __call__(self, now: float) -> Answer:
        try:
            self.throttle.take(("op",), round(now * SECOND), self.per_second, self.burst)
        except AwsError:
            return True, None, None
        return False, None, None


@dataclass
class Window:
    """The Hub's kind of limit: a quota for five minutes, told with every answer."""

    window: FixedWindow
    told: bool = True

    def __call__(self, now: float) -> Answer:
        try:
            headers, refused = self.window.hit("t", round(now * SECOND)), False
        except ApiError as error:
            headers, refused = error.headers, True
        left, reset = (int(part.split("=")[1]) for part in headers["ratelimit"].split(";")[1:])
        wait = float(headers["retry-after"]) if refused else None
        return refused, wait, Quota(left, reset, self.window.limit) if self.told else None


def window_of(calls: int) -> Caller:
    return Caller(Window(FixedWindow(calls)))


class TestUnknownLimit:
    @given(
        per_second=st.floats(0.5, 15.0),
        burst=st.integers(2, 20),
        start=st.floats(2.0, 40.0),
    )
    def test_it_finds_the_limit_and_stays_near_it(
        self, per_second: float, burst: int, start: float
    ) -> None:
        caller = Caller(Bucket(per_second, burst), Pace(Bounds(start)))
        caller.call_for(150 / per_second + 60)
        refused, settled = len(caller.refused), caller.now
        assert refused <= 15 + 0.04 * len(caller.good)
        caller.call_for(150 / per_second)
        assert caller.rate_since(settled) >= 0.9 * per_second
        assert len(caller.refused) - refused <= 10

    def test_a_limit_that_is_raised_is_found_again(self) -> None:
        cloud = Bucket(2.0, 10)
        caller = Caller(cloud)
        caller.call_for(300)
        cloud.per_second = 20.0
        caller.call_for(90)
        raised = caller.now
        caller.call_for(60)
        assert caller.rate_since(raised) >= 0.9 * 20

    def test_a_limit_that_is_lowered_costs_few_refusals(self) -> None:
        cloud = Bucket(20.0, 10)
        caller = Caller(cloud)
        caller.call_for(60)
        before = len(caller.refused)
        cloud.per_second = 1.0
        caller.call_for(60)
        assert len(caller.refused) - before <= 10

    def test_calls_that_were_refused_together_slow_down_once(self) -> None:
        pace = Pace(Bounds(start=10.0, burst=1.0))
        numbers = [pace.take(START) for _ in range(8)]
        for number in numbers:
            pace.refused(START, number)
        assert pace.rate == pytest.approx(SOFT_CUT * BOUNDS.start)

    def test_quiet_times_do_not_raise_the_rate(self) -> None:
        caller = Caller(Bucket(5.0, 10))
        caller.call_for(120)
        rate = caller.pace.rate
        for _ in range(500):
            caller.now += 10
            caller.call()
        assert caller.pace.rate == rate

    @given(st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 900)), max_size=80))
    def test_it_never_stops_for_good(self, answers: list[tuple[bool, float | None]]) -> None:
        script = iter(answers)
        caller = Caller(lambda _: (*next(script), None))
        for _ in answers:
            caller.call()
        assert BOUNDS.least <= caller.pace.rate <= BOUNDS.most
        assert caller.pace.delay(caller.now) <= max(900.0, 1 / BOUNDS.least + 30)


class TestToldWaits:
    def test_the_time_that_the_cloud_names_is_kept(self) -> None:
        pace = Pace(BOUNDS)
        pace.refused(START, pace.take(START), 42.0)
        assert pace.delay(START) == pytest.approx(42.0)
        assert pace.delay(START + 42, change=True) == 0.0

    def test_a_clock_that_is_set_back_makes_nobody_wait_longer(self) -> None:
        pace = Pace(BOUNDS)
        pace.refused(START, pace.take(START), 42.0)
        assert pace.delay(START - 3600) == pytest.approx(42.0)


class TestQuota:
    @given(calls=st.integers(20, 900), offset=st.floats(0, 299))
    def test_a_told_quota_is_used_and_never_overrun(self, calls: int, offset: float) -> None:
        caller = window_of(calls)
        caller.now += offset
        caller.call_for(300 - offset)
        start = caller.now
        caller.call_for(300)
        assert caller.refused == []
        # A span that ends just before a call has one less in it.
        assert caller.rate_since(start) >= (0.9 * calls - 1) / 300

    def test_without_headers_the_wait_of_the_refusal_is_enough(self) -> None:
        caller = Caller(Window(FixedWindow(500), told=False))
        caller.call_for(1500)
        assert len(caller.refused) <= 5 * 5
        assert len(caller.good) >= 0.9 * 2500

    def test_the_last_calls_of_a_window_are_kept_for_changes(self) -> None:
        pace = Pace(BOUNDS)
        pace.told(START, Quota(left=10, reset_s=100, limit=500))
        assert pace.delay(START) == pytest.approx(100 + ROUNDED_S)
        assert pace.delay(START, change=True) == 0.0
        pace.told(START, Quota(left=0, reset_s=100, limit=500))
        assert pace.delay(START, change=True) == pytest.approx(100 + ROUNDED_S)

    def test_reads_spread_over_the_rest_of_a_window_that_is_half_used(self) -> None:
        caller = window_of(500)
        caller.call_for(250)
        gaps = [b - a for a, b in zip(caller.good, caller.good[1:], strict=False)]
        assert max(gaps) < 10

    def test_answers_that_come_late_give_nothing_back(self) -> None:
        pace = Pace(BOUNDS)
        pace.told(START, Quota(left=3, reset_s=60, limit=100))
        pace.told(START, Quota(left=50, reset_s=60, limit=100))
        assert pace.delay(START) == pytest.approx(60 + ROUNDED_S)

    def test_a_new_window_is_whole_again(self) -> None:
        pace = Pace(BOUNDS)
        pace.told(START, Quota(left=0, reset_s=60, limit=100))
        assert pace.delay(START + 60 + ROUNDED_S) == 0.0

    def test_a_used_up_quota_is_no_sign_of_a_lower_rate(self) -> None:
        pace = Pace(BOUNDS)
        number = pace.take(START)
        pace.told(START, Quota(left=0, reset_s=60, limit=100))
        pace.refused(START, number, 60.0)
        assert pace.rate == BOUNDS.start
