"""The table of billed replicas."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.endpoints import BilledReplicas, Scaling
from orchestrator.domain.status import Status
from orchestrator.providers.huggingface.billing import (
    Billing,
    BillingTerms,
    billed_replicas,
    rollout_of,
)

BOUNDS = Scaling(1, 4)
HF_STATES = [
    Status.PENDING,
    Status.INITIALIZING,
    Status.RUNNING,
    Status.UPDATING,
    Status.UPDATE_FAILED,
    Status.FAILED,
    Status.PAUSED,
    Status.SCALED_TO_ZERO,
    Status.UNKNOWN,
]
counts = st.none() | st.integers(0, 6)
terms = st.builds(
    BillingTerms,
    initializing=st.sampled_from(Billing),
    pending=st.sampled_from(Billing),
    failed=st.sampled_from(Billing),
)


def billed(
    status: Status,
    ready: int | None,
    target: int | None,
    *,
    scaling: Scaling | None = BOUNDS,
    terms: BillingTerms | None = None,
) -> tuple[int, int, int]:
    found = billed_replicas(
        status, ready=ready, target=target, scaling=scaling, terms=terms or BillingTerms()
    )
    return found.low, found.expected, found.high


@pytest.mark.parametrize(
    ("status", "ready", "target", "expected"),
    [
        (Status.RUNNING, 2, 2, (2, 2, 2)),
        (Status.RUNNING, 1, 3, (1, 3, 3)),
        (Status.RUNNING, 3, 1, (1, 3, 3)),
        (Status.RUNNING, 0, 2, (0, 2, 2)),
        (Status.RUNNING, 0, 0, (0, 1, 4)),
        (Status.RUNNING, None, None, (0, 1, 4)),
        (Status.RUNNING, None, 2, (0, 2, 4)),
        (Status.RUNNING, 2, None, (0, 2, 4)),
        (Status.INITIALIZING, 0, 1, (0, 1, 1)),
        (Status.INITIALIZING, 0, 3, (0, 3, 3)),
        (Status.INITIALIZING, 0, 0, (0, 1, 4)),
        (Status.INITIALIZING, None, None, (0, 1, 4)),
        (Status.PENDING, 0, 0, (0, 0, 0)),
        (Status.PENDING, 0, 2, (0, 0, 0)),
        (Status.PENDING, 2, 2, (0, 2, 4)),
        (Status.PENDING, None, 1, (0, 0, 5)),
        (Status.UPDATING, 2, 2, (2, 2, 4)),
        (Status.UPDATING, 0, 1, (0, 1, 1)),
        (Status.UPDATING, 2, None, (2, 2, 6)),
        (Status.UPDATING, None, 2, (0, 2, 6)),
        (Status.UPDATE_FAILED, 1, 1, (1, 1, 2)),
        (Status.UPDATE_FAILED, 0, 1, (0, 0, 1)),
        (Status.FAILED, 0, 1, (0, 0, 0)),
        (Status.FAILED, 1, 1, (1, 1, 1)),
        (Status.FAILED, None, 1, (0, 0, 4)),
        (Status.PAUSED, 0, 0, (0, 0, 0)),
        (Status.PAUSED, 0, 3, (0, 0, 0)),
        (Status.PAUSED, 2, 2, (0, 2, 2)),
        (Status.PAUSED, None, 2, (0, 0, 4)),
        (Status.SCALED_TO_ZERO, 0, 0, (0, 0, 0)),
        (Status.SCALED_TO_ZERO, None, 0, (0, 0, 4)),
        (Status.UNKNOWN, 0, 1, (0, 0, 4)),
        (Status.UNKNOWN, 1, 2, (0, 1, 5)),
        (Status.UNKNOWN, None, None, (0, 0, 8)),
    ],
)
def test_the_table(
    status: Status, ready: int | None, target: int | None, expected: tuple[int, int, int]
) -> None:
    assert billed(status, ready, target) == expected


@pytest.mark.parametrize(
    ("billing", "ready", "target", "expected"),
    [
        (Billing.BILLED, 0, 2, (2, 2, 2)),
        (Billing.BILLED, 0, 0, (0, 1, 4)),
        (Billing.BILLED, 1, 2, (2, 2, 2)),
        (Billing.FREE, 0, 2, (0, 0, 0)),
        (Billing.FREE, 1, 2, (0, 1, 1)),
        (Billing.FREE, None, 2, (0, 0, 4)),
        (Billing.UNSURE, 0, 2, (0, 2, 2)),
    ],
)
def test_the_account_can_know_about_initializing(
    billing: Billing, ready: int | None, target: int, expected: tuple[int, int, int]
) -> None:
    terms = BillingTerms(initializing=billing)
    assert billed(Status.INITIALIZING, ready, target, terms=terms) == expected


def test_free_starts_count_only_ready_replicas_of_a_growing_endpoint() -> None:
    terms = BillingTerms(initializing=Billing.FREE)
    assert billed(Status.RUNNING, 1, 3, terms=terms) == (1, 1, 3)
    assert billed(Status.UPDATING, 1, 2, terms=terms) == (1, 1, 3)


@pytest.mark.parametrize(
    ("billing", "expected"),
    [(Billing.FREE, (0, 0, 0)), (Billing.UNSURE, (0, 0, 2)), (Billing.BILLED, (2, 2, 2))],
)
def test_the_account_can_know_about_failed(
    billing: Billing, expected: tuple[int, int, int]
) -> None:
    assert billed(Status.FAILED, 0, 2, terms=BillingTerms(failed=billing)) == expected


@pytest.mark.parametrize(
    ("billing", "expected"),
    [(Billing.FREE, (0, 0, 0)), (Billing.UNSURE, (0, 2, 2)), (Billing.BILLED, (2, 2, 2))],
)
def test_the_account_can_know_about_pending(
    billing: Billing, expected: tuple[int, int, int]
) -> None:
    assert billed(Status.PENDING, 0, 2, terms=BillingTerms(pending=billing)) == expected


@settings(deadline=None)
@given(st.sampled_from(HF_STATES), counts, counts, st.booleans(), terms)
def test_bounds_are_always_in_order(
    status: Status, ready: int | None, target: int | None, scaled: bool, terms: BillingTerms
) -> None:
    found = billed_replicas(
        status, ready=ready, target=target, scaling=BOUNDS if scaled else None, terms=terms
    )
    assert isinstance(found, BilledReplicas)


@settings(deadline=None)
@given(st.sampled_from(HF_STATES), st.integers(0, 6), st.integers(0, 6), terms)
def test_not_knowing_a_count_never_narrows_the_bounds(
    status: Status, ready: int, target: int, terms: BillingTerms
) -> None:
    """The unknown count lies within the scaling, as counts of a settled endpoint do."""
    ready, target = min(ready, BOUNDS.max_replicas), min(target, BOUNDS.max_replicas)
    low, _, high = billed(status, ready, target, terms=terms)
    for known_ready, known_target in ((None, target), (ready, None), (None, None)):
        wide_low, _, wide_high = billed(status, known_ready, known_target, terms=terms)
        assert wide_low <= low
        assert wide_high >= high


def test_under_an_unknown_word_a_new_fleet_may_be_as_large_as_its_bounds() -> None:
    """The count that is told may be of before an update to other, dearer machines."""
    status = Status.UNKNOWN
    whole = BilledReplicas(*billed(status, 1, 1))
    rollout = rollout_of(status, whole, ready=1, target=1, scaling=BOUNDS)
    assert rollout is not None
    assert rollout.billed == BilledReplicas(0, 0, 4)
