"""Who gives its quota to whom: only what is known to be unused, a few, and in turns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.endpoints import NOT_BILLED
from orchestrator.domain.plan import Kind, Limits, Wanted, plan
from orchestrator.domain.stagger import Quota
from orchestrator.domain.status import Status, Wish

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
DAY = timedelta(days=1)
ASKED = Decision(Wish.AVAILABLE, Rule.STANDING, "asked for")
ZERO = Wanted(
    "prod",
    Status.SCALED_TO_ZERO,
    NOT_BILLED,
    ASKED,
    last_used_at=NOW - DAY,
    since=NOW - DAY,
    used=1,
    quota="aws/l4",
    takes=1,
)
START = replace(ZERO, endpoint_id="toy", status=Status.PAUSED, used=9)


def paused(*wanted: Wanted, most: int = 1, used: int = 1, limits: Limits | None = None) -> set[str]:
    found = plan(wanted, limits or Limits(), NOW, {"aws/l4": Quota(most, used)})
    return {one.endpoint_id for one in found.actions if one.kind is Kind.PAUSE}


def test_what_is_known_to_be_unused_gives_way() -> None:
    assert paused(ZERO, START) == {"prod"}


@pytest.mark.parametrize(
    "item",
    [
        replace(ZERO, last_used_at=None),
        replace(ZERO, used=None),
        replace(ZERO, since=NOW - timedelta(minutes=59)),
        replace(ZERO, since=None),
        replace(ZERO, decision=Decision(Wish.AVAILABLE, Rule.SCHEDULE, "inside a window")),
    ],
    ids=["last use unknown", "requests unknown", "new", "unknown since", "window open"],
)
def test_what_is_not_known_to_be_unused_or_has_its_window_keeps_its_quota(item: Wanted) -> None:
    assert paused(item, START) == set()


def test_at_most_five_go_in_an_hour() -> None:
    spares = [replace(ZERO, endpoint_id=f"z{number}") for number in range(3)]
    starts = [replace(START, endpoint_id=f"s{number}") for number in range(3)]
    gone = replace(ZERO, status=Status.PAUSED, gave_way=True, quota="")
    for ago, more in ((10, 2), (59, 2), (60, 3)):
        at = NOW - timedelta(minutes=ago)
        went = [replace(gone, endpoint_id=f"g{n}", gave_way_at=at) for n in range(3)]
        assert len(paused(*spares, *starts, *went, most=3, used=3)) == more


def test_a_pause_under_way_makes_room_and_no_second_one_is_paused() -> None:
    leaving = replace(ZERO, endpoint_id="leaving", status=Status.PAUSING)
    assert paused(leaving, ZERO, START, most=2, used=2) == set()
    under_way = replace(START, starting=True)
    assert paused(ZERO, under_way, most=1, used=2) == {"prod"}
    assert paused(ZERO, under_way, most=2, used=2) == set()
    assert paused(leaving, ZERO, under_way, most=2, used=3) == set()


def test_what_gave_way_takes_turns_and_a_person_need_not_wait() -> None:
    back = replace(START, used=0, gave_way=True, gave_way_at=NOW - timedelta(hours=6))
    assert paused(ZERO, back) == {"prod"}
    assert paused(ZERO, replace(back, gave_way_at=NOW - timedelta(hours=5))) == set()
    assert paused(replace(ZERO, last_used_at=NOW - timedelta(hours=5)), back) == set()
    clicked = replace(back, gave_way=False, gave_way_at=NOW - timedelta(hours=1))
    assert paused(ZERO, clicked) == {"prod"}


def test_of_those_that_gave_way_the_first_to_go_comes_back_first() -> None:
    first = replace(START, used=1, gave_way=True, gave_way_at=NOW - DAY)
    last = replace(first, endpoint_id="last", used=9, gave_way_at=NOW - timedelta(hours=1))
    found = plan([last, first], Limits(), NOW, {"aws/l4": Quota(1, 0)})
    assert [one.endpoint_id for one in found.actions] == ["toy"]
