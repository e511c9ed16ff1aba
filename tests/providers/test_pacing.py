"""The pacer: who waits, for how long, in which order, and what is remembered."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from orchestrator.clock import ManualClock
from orchestrator.domain.pace import Bounds, Quota
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.base import ThrottledError
from orchestrator.providers.pacing import HeldBackError, Pacer, Pacing, patient
from orchestrator.providers.permit import NotPermittedError, permitted
from tests.providers.wire import NOW

BOUNDS = Bounds(start=1.0, burst=1.0)
DEADLINE_S = 30


class Bench:
    """A pacer whose sleep moves its clock."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.slept: list[float] = []
        self.pacing = Pacing()
        self.pacer = self.again()

    def again(self) -> Pacer:
        """Return a pacer over the same lanes, as a driver that is made again has one."""
        return Pacer(
            lambda api: self.pacing.lane("acme", "main", api, BOUNDS), self.clock, self.sleep
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.set(self.clock.now() + timedelta(seconds=seconds))

    def use_up(self) -> None:
        """Let the cloud say that there are no calls left for ten minutes."""
        ticket = self.pacer.admit("api", change=True)
        quota = Quota(left=0, reset_s=600, limit=100)
        self.pacer.answered(ticket, refused=True, quota=quota)


def test_calls_are_spaced_by_the_rate() -> None:
    bench = Bench()
    for _ in range(4):
        bench.pacer.admit("api", change=False)
    assert bench.slept == pytest.approx([1.0, 1.0, 1.0])
    assert bench.pacing.report()[0].waited_seconds == pytest.approx(3.0)


def test_each_api_has_a_lane_of_its_own() -> None:
    bench = Bench()
    for api in ("a", "b", "c"):
        bench.pacer.admit(api, change=False)
    assert bench.slept == []
    assert [report.api for report in bench.pacing.report()] == ["a", "b", "c"]


def test_what_was_learnt_survives_a_driver_that_is_made_again() -> None:
    bench = Bench()
    bench.use_up()
    with pytest.raises(HeldBackError) as caught:
        bench.again().admit("api", change=True)
    assert caught.value.retry_after == timedelta(seconds=601)
    assert bench.pacing.report()[0].throttled == 1


def test_two_accounts_of_one_place_share_its_limits() -> None:
    hooks = ProviderHooks(ManualClock(NOW))
    for name, identity in (("trial", "new"), ("main", "acc_1")):
        account = ProviderAccount(identity, name, "huggingface", "acme")
        hooks.pacer(account, lambda _: BOUNDS).admit("api", change=False)
    (report,) = hooks.pacing.report()
    assert (report.account, report.calls) == ("main", 2)


class TestPatience:
    def test_a_long_wait_is_refused_at_once_with_the_time_to_come_back(self) -> None:
        bench = Bench()
        bench.use_up()
        with pytest.raises(ThrottledError, match=r"nothing was sent.* 601 s") as caught:
            bench.pacer.admit("api", change=True)
        assert caught.value.retry_after == timedelta(seconds=601)
        assert bench.slept == []

    def test_nobody_waits_beyond_the_end_that_was_set(self) -> None:
        bench = Bench()
        with patient(NOW + timedelta(seconds=2.5)):
            for _ in range(3):
                bench.pacer.admit("api", change=False)
            with pytest.raises(HeldBackError):
                bench.pacer.admit("api", change=False)
        assert bench.slept == pytest.approx([1.0, 1.0])

    def test_an_inner_end_never_lengthens_an_outer_one(self) -> None:
        bench = Bench()
        bench.pacer.admit("api", change=False)
        with patient(NOW), patient(NOW + timedelta(hours=1)), pytest.raises(HeldBackError):
            bench.pacer.admit("api", change=False)


class TestPermit:
    def test_it_is_asked_again_after_a_wait(self) -> None:
        bench = Bench()
        bench.pacer.admit("api", change=False)
        lost = False

        def check() -> None:
            if lost:
                raise NotPermittedError

        def sleep(seconds: float) -> None:
            nonlocal lost
            lost = True
            bench.sleep(seconds)

        pacer = Pacer(
            lambda api: bench.pacing.lane("acme", "main", api, BOUNDS), bench.clock, sleep
        )
        with permitted(check), pytest.raises(NotPermittedError):
            pacer.admit("api", change=True)
        assert bench.pacing.report()[0].calls == 1

    def test_a_sleep_that_ends_early_is_no_endless_loop(self) -> None:
        bench = Bench()
        pacer = Pacer(
            lambda api: bench.pacing.lane("acme", "main", api, BOUNDS),
            bench.clock,
            lambda _: None,
        )
        for _ in range(3):
            pacer.admit("api", change=False)
        assert bench.pacing.report()[0].calls == 3


def test_a_change_goes_before_reads_that_wait() -> None:
    """Real threads: a read and a change wait for the same place, and the change gets it."""
    clock, pacing = ManualClock(NOW), Pacing()
    order: list[str] = []
    bounds = Bounds(start=20.0, burst=1.0)
    waiting, go = threading.Semaphore(0), threading.Event()

    def sleep(seconds: float) -> None:
        waiting.release()
        assert go.wait(DEADLINE_S)
        clock.set(clock.now() + timedelta(seconds=seconds))

    pacer = Pacer(lambda api: pacing.lane("acme", "main", api, bounds), clock, sleep)

    def call(word: str, *, change: bool) -> None:
        pacer.admit("api", change=change)
        order.append(word)

    pacer.admit("api", change=False)
    threads = [
        threading.Thread(target=call, args=("read",), kwargs={"change": False}),
        threading.Thread(target=call, args=("change",), kwargs={"change": True}),
    ]
    for thread in threads:
        thread.start()
        assert waiting.acquire(timeout=DEADLINE_S)
    go.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert order == ["change", "read"]
