"""Which instances of a SageMaker endpoint are billed, with bounds where documents are silent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.endpoints import NOT_BILLED, BilledReplicas
from orchestrator.providers.sagemaker.billing import (
    Billing,
    BillingTerms,
    Instances,
    beside,
    billed_instances,
)
from orchestrator.providers.sagemaker.states import STATUSES

SERVING = ("InService", "OutOfService", "SystemUpdating", "UpdateRollbackFailed")
COUNT = st.none() | st.integers(0, 9)


def billed(state: str, counts: Instances, **terms: Billing) -> tuple[int, int, int]:
    found = billed_instances(state, counts, BillingTerms(**terms))
    return found.low, found.expected, found.high


class TestStates:
    @pytest.mark.parametrize("state", SERVING)
    def test_what_serves_is_billed_by_its_instances(self, state: str) -> None:
        assert billed(state, Instances(2, 2, 4)) == (2, 2, 2)
        assert billed(state, Instances(1, 3, 4)) == (1, 1, 3)
        assert billed(state, Instances(3, 1, 4)) == (1, 3, 3)

    def test_no_instance_costs_nothing(self) -> None:
        assert billed_instances("InService", Instances(0, 0, 4)) == NOT_BILLED

    def test_creating_is_an_open_question(self) -> None:
        starting = Instances(0, 2, 2)
        assert billed("Creating", starting) == (0, 0, 2)
        assert billed("Creating", starting, creating=Billing.BILLED) == (2, 2, 2)
        assert billed("Creating", starting, creating=Billing.FREE) == (0, 0, 0)

    @pytest.mark.parametrize("state", ["Updating", "RollingBack"])
    def test_a_deployment_runs_both_fleets(self, state: str) -> None:
        assert billed(state, Instances(2, 2, 2, pending=1, pending_desired=2)) == (2, 3, 4)
        assert billed(state, Instances(2, 2, 2, pending=None, pending_desired=None)) == (2, 2, 4)
        assert billed(state, Instances(1, 3, 3)) == (1, 1, 3)

    def test_failed_may_have_the_old_fleet(self) -> None:
        assert billed("Failed", Instances(2, 2, 2)) == (0, 2, 2)
        assert billed("Failed", Instances(2, 2, 2), failed=Billing.BILLED) == (2, 2, 2)
        assert billed("Failed", Instances(2, 2, 2), failed=Billing.FREE) == (0, 0, 0)

    def test_deleting_has_a_tail(self) -> None:
        assert billed("Deleting", Instances(2, 2, 2)) == (0, 0, 2)
        assert billed("Deleting", Instances(2, 2, 2), deleting=Billing.BILLED) == (2, 2, 2)
        assert billed("Deleting", Instances(2, 2, 2), deleting=Billing.FREE) == (0, 0, 0)

    def test_an_unknown_word_excludes_nothing(self) -> None:
        assert billed("Dreaming", Instances(1, 1, 4)) == (0, 1, 4)
        assert billed("", Instances(None, None, 3)) == (0, 0, 3)

    def test_a_deployment_under_an_unknown_word_runs_both_fleets(self) -> None:
        counts = Instances(2, 2, 2, pending=1, pending_desired=3)
        assert billed("Dreaming", counts) == (0, 3, 5)
        assert beside("Dreaming", counts) == BilledReplicas(0, 1, 3)
        assert beside("Dreaming", Instances(2, 2, 2)) == NOT_BILLED


class TestMissingCounts:
    @pytest.mark.parametrize("state", [*SERVING, "Updating", "Failed", "Deleting", "Creating"])
    def test_they_widen_to_nothing_and_to_the_most(self, state: str) -> None:
        low, _, high = billed(state, Instances(None, None, 3))
        assert low == 0
        assert high >= 3

    def test_one_that_is_missing_widens_too(self) -> None:
        assert billed("InService", Instances(1, None, 3)) == (0, 1, 3)
        assert billed("InService", Instances(None, 1, 3)) == (0, 3, 3)

    @given(
        state=st.sampled_from([*STATUSES, "New"]),
        current=COUNT,
        desired=COUNT,
        pending=COUNT,
        wanted=COUNT,
        top=st.integers(1, 9),
        terms=st.builds(BillingTerms, *[st.sampled_from(Billing)] * 3),
    )
    def test_bounds_are_always_in_order(
        self,
        *,
        state: str,
        current: int | None,
        desired: int | None,
        pending: int | None,
        wanted: int | None,
        top: int,
        terms: BillingTerms,
    ) -> None:
        counts = Instances(current, desired, top, pending, wanted)
        found = billed_instances(state, counts, terms)
        assert isinstance(found, BilledReplicas)
        if state in SERVING and None not in (current, desired):
            assert found.high == max(current or 0, desired or 0)
