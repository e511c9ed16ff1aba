"""The steps kept of an operation: repetitions counted, the first ones and all doubts kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from orchestrator.store.operations import (
    FIRST_KEPT,
    NOT_RECEIVED,
    POSTED,
    STEPS_KEPT,
    add_step,
    first_posted,
    last_posted,
)
from orchestrator.store.tables import Operation
from tests.support.rows import NOON, operation

MINUTE = timedelta(minutes=1)


def at(minute: int) -> datetime:
    return NOON + minute * MINUTE


def walked(*steps: tuple[str, str], times: int, first: int = 0) -> Operation:
    """Return an operation whose round of steps was gone through so often, a minute each."""
    found = operation(steps=[])
    minute = first
    for number in range(1, times + 1):
        for state, detail in steps:
            add_step(found, "pause", at(minute), state, detail.format(number))
            minute += 1
    return found


@pytest.mark.parametrize(
    "steps",
    [
        [("begun", "attempt {}"), ("refused for now", "it is updating")],
        [("begun", "attempt {}"), ("accepted", ""), ("again", "nothing has come of it")],
    ],
)
def test_rounds_that_tell_the_same_are_counted(steps: list[tuple[str, str]]) -> None:
    found = walked(*steps, times=391)
    assert [step["state"] for step in found.steps] == [state for state, _ in steps]
    first, last = found.steps[0], found.steps[-1]
    assert {step["times"] for step in found.steps} == {391}
    assert (first["at"], first["detail"]) == (at(0).isoformat(), "attempt 391")
    assert last["last_at"] == at(391 * len(steps) - 1).isoformat()


def test_what_differs_is_told_apart_and_begins_anew() -> None:
    found = walked(("begun", "attempt {}"), ("refused for now", "it is updating"), times=3)
    add_step(found, "pause", at(9), "begun", "attempt 4")
    add_step(found, "pause", at(9), "refused for now", "too many calls")
    assert [step.get("times", 1) for step in found.steps] == [3, 3, 1, 1]
    add_step(found, "pause", at(10), "begun", "attempt 5")
    add_step(found, "pause", at(10), "refused for now", "it is updating")
    assert [step.get("times", 1) for step in found.steps] == [3, 3, 1, 1, 1, 1]


def test_the_first_steps_stay_whatever_follows() -> None:
    found = walked(("begun", "{}"), ("refused for now", "{}"), times=100)
    assert len(found.steps) == STEPS_KEPT
    told = [step["detail"] for step in found.steps]
    assert told[:FIRST_KEPT] == ["1", "1", "2", "2", "3"]
    assert told[-1] == "100"


def test_each_posting_stands_for_itself() -> None:
    found = walked(("begun", "attempt {}"), (POSTED, ""), times=3)
    assert [step["state"] for step in found.steps].count(POSTED) == 3
    assert (first_posted(found), last_posted(found)) == (at(1), at(5))
    settled = walked(("begun", "attempt {}"), (POSTED, ""), (NOT_RECEIVED, "busy"), times=3)
    assert [step["state"] for step in settled.steps].count(POSTED) == 3
    assert first_posted(settled) is None


def test_a_doubt_outlives_everything_else() -> None:
    found = operation(steps=[])
    add_step(found, "create", at(0), POSTED, "")
    for number in range(1, 200):
        add_step(found, "create", at(number), "unknown", str(number))
    assert (len(found.steps), first_posted(found)) == (STEPS_KEPT, at(0))
