"""What a start is charged of a quota, and what a pause is credited."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.endpoints import NOT_BILLED
from orchestrator.domain.plan import Wanted
from orchestrator.domain.quotas import Holder, Limit, quota_book
from orchestrator.domain.status import Status, Wish
from orchestrator.services.storms import with_use

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
KEY = "aws/us-east-1/nvidia-l4/x1"


@pytest.mark.parametrize(
    ("status", "wish", "starting", "takes"),
    [
        (Status.SCALED_TO_ZERO, Wish.AVAILABLE, False, 2),
        (Status.SCALED_TO_ZERO, Wish.RUNNING, False, 0),
        (Status.SCALED_TO_ZERO, Wish.AVAILABLE, True, 0),
        (Status.PAUSING, Wish.AVAILABLE, False, 2),
        (Status.PAUSING, Wish.AVAILABLE, True, 0),
        (Status.PAUSED, Wish.AVAILABLE, False, 2),
        (Status.PAUSED, Wish.RUNNING, True, 2),
    ],
)
def test_a_start_is_charged_what_it_adds_and_a_pause_credited_what_is_held(
    status: Status, wish: Wish, starting: bool, takes: int
) -> None:
    holder = Holder("ep", KEY, status, 0, 2, 2)
    book = quota_book([Limit(KEY, 1, 4, None)], [holder], zero_counts=True)
    decision = Decision(wish, Rule.STANDING, "asked for")
    item = with_use(Wanted("ep", status, NOT_BILLED, decision, starting=starting), book, None, NOW)
    assert (item.quota, item.takes) == ("aws/nvidia-l4", takes)
