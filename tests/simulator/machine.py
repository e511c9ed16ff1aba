"""Histories of a whole service: people, rules, faults, deaths, hand-overs, and other hands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.simulator import menu
from tests.simulator.deaths import POINTS
from tests.simulator.hands import VERBS
from tests.simulator.history import History
from tests.simulator.places import SAGEMAKER
from tests.simulator.requests import BULK, CLICKS
from tests.simulator.watch_deletions import GRACES

numbers = st.integers(0, 11)
flags = st.booleans()
soon = st.integers(1, 10)


class Histories(RuleBasedStateMachine):
    """One history; every rule is one step of it, after which the promises are checked."""

    flavours: tuple[str, ...] = ("huggingface",)
    open: Callable[[str, menu.Beginning], History]

    def __init__(self) -> None:
        super().__init__()
        self.history: History | None = None

    @initialize(drawn=menu.beginnings())
    def begin(self, drawn: menu.Beginning) -> None:
        self.history = type(self).open(self.flavours[drawn.place % len(self.flavours)], drawn)
        self.history.fault(drawn.fault_of(self.history.cloud(drawn.seed).provider))
        # Few calls change something: a death at one comes early, or never.
        number = 1 + drawn.number % 3 if drawn.point.startswith("change") else drawn.number
        self.history.universe.reaper.arm(drawn.point, number)

    @property
    def told(self) -> History:
        assert self.history is not None
        return self.history

    @invariant()
    def promises_hold(self) -> None:
        if self.history is not None:
            self.history.stepped()

    # Time

    @rule()
    def look(self) -> None:
        self.told.look()

    @rule(minutes=st.integers(1, 10))
    def wait(self, minutes: int) -> None:
        self.told.wait(timedelta(minutes=minutes), most=2)

    @rule(minutes=st.integers(10, 90))
    def wait_long(self, minutes: int) -> None:
        self.told.wait(timedelta(minutes=minutes), most=3)

    @rule(minutes=st.integers(5, 240))
    def downtime(self, minutes: int) -> None:
        self.told.downtime(timedelta(minutes=minutes))

    @rule(seconds=st.sampled_from((-1800, -300, -45, 45, 300, 1800)))
    def wrong_clock(self, seconds: int) -> None:
        self.told.set_clock(timedelta(seconds=seconds))

    @rule()
    def right_clock(self) -> None:
        self.told.set_clock(timedelta(0))

    # What goes wrong

    @rule(place=numbers, data=st.data())
    def fault(self, place: int, data: Any) -> None:
        cloud = self.told.cloud(place)
        self.told.fault(data.draw(menu.planned(cloud.provider)))

    @rule(point=st.sampled_from(POINTS), number=soon)
    def death(self, point: str, number: int) -> None:
        self.told.arm(point, number)

    @rule(number=st.integers(1, 2), seconds=st.integers(1, 300))
    def late(self, number: int, seconds: int) -> None:
        self.told.late(number, timedelta(seconds=seconds))

    @rule(number=soon, flying=flags)
    def hand_over(self, number: int, flying: bool) -> None:
        self.told.plan_hand_over(number, flying=flying)

    # Other hands

    @rule(place=numbers, which=numbers, verb=st.sampled_from(VERBS), number=numbers)
    def by_hand(self, place: int, which: int, verb: str, number: int) -> None:
        self.told.by_hand(place, which, verb, number)

    @rule(place=numbers, which=numbers)
    def contradict(self, place: int, which: int) -> None:
        self.told.contradict(place, which)

    @rule(place=numbers, which=numbers)
    def invoke(self, place: int, which: int) -> None:
        self.told.invoke(place, which)

    # People

    @rule(place=numbers, which=numbers, verb=st.sampled_from(CLICKS), hours=st.integers(0, 5))
    def click(self, place: int, which: int, verb: str, hours: int) -> None:
        self.told.click(place, which, verb, max(hours - 2, 0))

    @rule(place=numbers, which=numbers, verb=st.sampled_from(CLICKS), call=soon)
    def click_meanwhile(self, place: int, which: int, verb: str, call: int) -> None:
        self.told.meanwhile(call, lambda: self.told.click(place, which, verb, 0))

    @rule(place=numbers, call=soon)
    def freeze_meanwhile(self, place: int, call: int) -> None:
        self.told.meanwhile(call, lambda: self.told.freeze(place))

    @rule(place=numbers, which=numbers)
    def adopt(self, place: int, which: int) -> None:
        self.told.adopt(place, which)

    @rule(
        place=numbers,
        which=numbers,
        what=st.sampled_from(("release", "hand_over", "leave")),
    )
    def give_back(self, place: int, which: int, what: str) -> None:
        if what == "leave" and SAGEMAKER in self.told.clouds:
            self.told.leave(again=which % 2 == 0)
        else:
            self.told.on_endpoint(place, which, "release" if what == "leave" else what)

    @rule(place=numbers, which=numbers, on=flags)
    def protect(self, place: int, which: int, on: bool) -> None:
        self.told.on_endpoint(place, which, "protect", on=on)

    @rule(place=numbers, which=numbers, low=st.integers(0, 1), high=st.integers(1, 3))
    def scale(self, place: int, which: int, low: int, high: int) -> None:
        self.told.on_endpoint(place, which, "scale", low, high)

    @rule(
        place=numbers, which=numbers, number=numbers, breaks=st.sampled_from((False, False, True))
    )
    def move(self, place: int, which: int, number: int, breaks: bool) -> None:
        if not breaks:
            self.told.move(place, which, number)
            return
        cloud = self.told.cloud(place)
        self.told.hands.break_start(cloud, number)
        self.told.on_managed(place, 0, "move", cloud, number)

    @rule(place=numbers, number=numbers)
    def create(self, place: int, number: int) -> None:
        self.told.create(place, number)

    @rule(place=numbers, which=numbers, grace=st.sampled_from(tuple(GRACES)))
    def delete(self, place: int, which: int, grace: str | None) -> None:
        self.told.on_endpoint(place, which, "delete", grace)

    @rule(place=numbers, which=numbers)
    def undelete(self, place: int, which: int) -> None:
        self.told.undelete(place, which)

    @rule(place=numbers, number=numbers, action=st.sampled_from(BULK))
    def bulk(self, place: int, number: int, action: str) -> None:
        self.told.bulk(place, number, action)

    @rule(place=numbers, which=numbers, number=numbers)
    def lease(self, place: int, which: int, number: int) -> None:
        self.told.on_managed(place, which, "lease", number)

    @rule(place=numbers, which=numbers, number=numbers)
    def expire(self, place: int, which: int, number: int) -> None:
        self.told.on_managed(place, which, "expire", number)

    @rule(place=numbers, which=numbers, number=numbers)
    def extend(self, place: int, which: int, number: int) -> None:
        if number == 0:
            self.told.on_managed(place, which, "live_on", expiring=True)
        else:
            self.told.on_managed(place, which, "extend", number, expiring=True)

    @rule(
        place=numbers, which=numbers, number=numbers, shadow=st.sampled_from((False,) * 3 + (True,))
    )
    def points(self, place: int, which: int, number: int, shadow: bool) -> None:
        self.told.on_endpoint(place, which, "points", number, shadow=shadow)

    @rule(place=numbers, which=numbers, number=numbers, now=flags)
    def day_off(self, place: int, which: int, number: int, now: bool) -> None:
        self.told.day_off(place, which, number, now=now)

    @rule(what=st.sampled_from(("cancel", "end_hold", "end_lease", "renew_lease")))
    def take_back(self, what: str) -> None:
        self.told.take_back(what)

    @rule(place=st.none() | numbers)
    def freeze(self, place: int | None) -> None:
        self.told.freeze(place)

    @rule(place=st.none() | numbers)
    def thaw(self, place: int | None) -> None:
        self.told.thaw(place)

    @rule(
        place=numbers,
        which=numbers,
        number=numbers,
        shadow=st.sampled_from((False, False, True)),
        now=flags,
    )
    def schedule(self, place: int, which: int, number: int, shadow: bool, now: bool) -> None:
        self.told.on_endpoint(place, which, "schedule", number, shadow=shadow, now=now)

    @rule(
        place=numbers, which=numbers, number=numbers, shadow=st.sampled_from((False, False, True))
    )
    def policy(self, place: int, which: int, number: int, shadow: bool) -> None:
        if number % 4 == 1:
            self.told.on_endpoint(place, which, "quiet_nap", number)
        else:
            self.told.on_endpoint(place, which, "policy", number, shadow=shadow)

    @rule(number=numbers)
    def drop_rule(self, number: int) -> None:
        self.told.drop_rule(number)

    @rule(number=numbers, other=flags)
    def repeat(self, number: int, other: bool) -> None:
        self.told.repeat(number, other=other)

    def teardown(self) -> None:
        if self.history is not None:
            self.history.end()
