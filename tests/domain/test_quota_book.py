"""What counts against a quota: by which number of replicas, and in which states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.quotas import Holder, Limit, quota_book
from orchestrator.domain.stagger import Quota

KEY, BIG = "aws/us-east-1/nvidia-l4/x1", "aws/us-east-1/nvidia-l4/x4"
L4 = "aws/nvidia-l4"


def holder(name: str, status: str = "running", key: str = KEY, **more: int) -> Holder:
    replicas: dict[str, Any] = {"min_replicas": 1, "max_replicas": 3, "target_replicas": 2, **more}
    return Holder(name, key, status, **replicas)


def limits(used: int | None) -> list[Limit]:
    return [Limit(KEY, 1, 40, used), Limit(BIG, 4, 40, used)]


@pytest.mark.parametrize(("used", "takes"), [(6, 3), (4, 2), (2, 1), (7, 3)])
def test_the_number_of_replicas_is_found_by_what_is_told(used: int, takes: int) -> None:
    book = quota_book(limits(used), [holder("a"), holder("b")], zero_counts=True)
    assert book.quotas == {L4: Quota(40, used)}
    assert book.of("a") == (L4, takes)


def test_sizes_of_one_type_share_a_quota() -> None:
    rows = [holder("a"), holder("b", key=BIG)]
    book = quota_book(limits(None), rows, zero_counts=True)
    assert (book.quotas[L4].used, book.of("b")) == (10, (L4, 8))


@pytest.mark.parametrize(("zero_counts", "used"), [(True, 4), (False, 2)])
def test_zero_counts_where_the_cloud_says_so_and_paused_never(
    zero_counts: bool,
    used: int,
) -> None:
    rows = [holder("a"), holder("b", "scaled_to_zero"), holder("c", "paused")]
    assert quota_book(limits(None), rows, zero_counts=zero_counts).quotas[L4].used == used


def test_what_starts_itself_is_left_out_of_what_is_held() -> None:
    book = quota_book(limits(None), [holder("a"), holder("b")], zero_counts=True, but=["b"])
    assert book.quotas[L4].used == 2


def test_hardware_without_a_quota_takes_none() -> None:
    book = quota_book([Limit(KEY, 1, None, None)], [holder("a")], zero_counts=True)
    assert (book.of("a"), book.quotas) == (("", 0), {})


@pytest.mark.parametrize("status", ["scaled_to_zero", "paused", "running"])
def test_a_start_adds_what_it_does_not_hold_already(status: str) -> None:
    book = quota_book(limits(None), [holder("a", status)], zero_counts=True)
    assert book.added_by("a") == (L4, 2 if status == "paused" else 0)
    assert book.added_by("unknown") == ("", 0)


def test_instances_that_stay_while_it_is_paused_are_held() -> None:
    stays = holder("a", "paused", billed_high=2, starts_with=3)
    book = quota_book(limits(None), [stays], zero_counts=False)
    assert (book.quotas[L4].used, book.added_by("a")) == (2, (L4, 1))


def test_what_is_absent_holds_nothing_though_it_waits_for_capacity() -> None:
    waits = holder("a", "waiting_for_capacity", starts_with=4)
    for absent, held in ((False, 4), (True, 0)):
        book = quota_book(limits(None), [replace(waits, absent=absent)], zero_counts=False)
        assert (book.quotas[L4].used, book.added_by("a")) == (held, (L4, 4 - held))


def test_zero_instances_hold_nothing_though_what_it_starts_with_is_known() -> None:
    book = quota_book(
        limits(None), [holder("a", "scaled_to_zero", starts_with=4)], zero_counts=False
    )
    assert (book.quotas[L4].used, book.freed_by("a")) == (0, ("", 0))
    assert book.added_by("a") == (L4, 4)
