"""What counts against a quota: by which number of replicas, and in which states."""

from __future__ import annotations

import pytest

from orchestrator.domain.quotas import Holder, Limit, quota_book
from orchestrator.domain.stagger import Quota

KEY, BIG = "aws/us-east-1/nvidia-l4/x1", "aws/us-east-1/nvidia-l4/x4"
L4 = "aws/nvidia-l4"


def holder(name: str, status: str = "running", key: str = KEY, **more: int) -> Holder:
    replicas = {"min_replicas": 1, "max_replicas": 3, "target_replicas": 2, **more}
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
