"""What a newer request does to the operation under way: the whole table."""

from __future__ import annotations

from itertools import product

import pytest

from orchestrator.domain.plan import Kind
from orchestrator.domain.supersede import State, Turn, turn

CREATE, UPDATE, PAUSE, RESUME, ZERO, DELETE = Kind
S, J, R = Turn.SUPERSEDE, Turn.JOIN, Turn.REFUSE
NEWER = (CREATE, UPDATE, PAUSE, RESUME, ZERO, DELETE)
# Rows: the operation under way in each state; columns: the newer request.
TABLE = {
    (CREATE, "pending"): (R, R, S, J, S, S),
    (CREATE, "running"): (R, R, S, J, S, S),
    (CREATE, "untouched"): (R, R, S, J, S, S),
    (CREATE, "confirming"): (R, S, S, J, S, S),
    (UPDATE, "pending"): (R, R, R, R, R, S),
    (UPDATE, "running"): (R, R, S, R, R, S),
    (UPDATE, "untouched"): (R, S, S, S, S, S),
    (UPDATE, "confirming"): (R, S, S, S, S, S),
    (PAUSE, "pending"): (R, R, J, S, S, S),
    (PAUSE, "running"): (R, R, J, S, S, S),
    (PAUSE, "untouched"): (R, R, J, S, S, S),
    (PAUSE, "confirming"): (R, R, J, S, S, S),
    (RESUME, "pending"): (R, R, S, J, S, S),
    (RESUME, "running"): (R, R, S, J, S, S),
    (RESUME, "untouched"): (R, R, S, J, S, S),
    (RESUME, "confirming"): (R, S, S, J, S, S),
    (ZERO, "pending"): (R, R, S, S, J, S),
    (ZERO, "running"): (R, R, S, S, J, S),
    (ZERO, "untouched"): (R, R, S, S, J, S),
    (ZERO, "confirming"): (R, R, S, S, J, S),
    (DELETE, "pending"): (R, R, R, R, R, J),
    (DELETE, "running"): (R, R, R, R, R, J),
    (DELETE, "untouched"): (R, R, R, R, R, J),
    (DELETE, "confirming"): (R, R, R, R, R, J),
}
# Where an endpoint is made in parts that only the active operation knows, these differ.
IN_PARTS = {
    (CREATE, PAUSE): R,
    (CREATE, ZERO): R,
    (CREATE, UPDATE): R,
    (RESUME, UPDATE): R,
}


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(product(Kind, State))


@pytest.mark.parametrize(("active", "state"), list(TABLE))
def test_each_pair(active: Kind, state: str) -> None:
    found = tuple(turn(active, State(state), newer).turn for newer in NEWER)
    assert found == TABLE[active, state]


@pytest.mark.parametrize(("active", "state"), list(TABLE))
def test_what_is_made_in_parts_is_not_left_half_made(active: Kind, state: str) -> None:
    for newer, whole in zip(NEWER, TABLE[active, state], strict=True):
        expected = IN_PARTS.get((active, newer), whole)
        assert turn(active, State(state), newer, in_parts=True).turn is expected


@pytest.mark.parametrize(("active", "state"), list(TABLE))
def test_a_refusal_says_why_and_what_helps(active: Kind, state: str) -> None:
    for newer in NEWER:
        answer = turn(active, State(state), newer)
        assert bool(answer.why and answer.remedy) is (answer.turn is R)


@pytest.mark.parametrize(("active", "state"), list(TABLE))
def test_nothing_stops_a_deletion_and_nothing_but_one_follows_it(active: Kind, state: str) -> None:
    assert turn(active, State(state), DELETE).turn is not R
