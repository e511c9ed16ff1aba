"""What every driver must do, whatever its cloud: a suite to subclass with a `harness` fixture.

A harness is a simulated cloud with a console beside the driver and faults to switch on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Literal, Protocol

import pytest

from orchestrator.domain.endpoints import (
    EndpointChange,
    EndpointSpec,
    JsonObject,
    Scaling,
    Snapshot,
)
from orchestrator.domain.status import AWAKE, IN_TRANSITION, Status
from orchestrator.providers.base import (
    AmbiguousError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    Provider,
    ProviderError,
    RefusedError,
    SpecError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.permit import WithdrawnError, standing

Fault = Literal[
    "answer_lost",
    "answer_late",
    "error_after_change",
    "error_before_change",
    "answer_cut_off",
    "never_arrives",
    "down",
    "throttled",
    "token_revoked",
    "unknown_state",
    "no_state",
    "no_replica_counts",
    "page_shorter",
    "pages_shift",
    "second_page_down",
]
Act = Literal["pause", "resume", "scale_to_zero", "delete"]
# A fault during which a change may or may not have been made, and whether it was.
DOUBTS: dict[Fault, bool] = {
    "answer_lost": True,
    "answer_late": True,
    "error_after_change": True,
    "answer_cut_off": True,
    "error_before_change": False,
    "never_arrives": False,
}


class Harness(Protocol):
    """One simulated cloud; `secrets` are texts that must never be seen outside of it."""

    secrets: tuple[str, ...]
    page_size: int

    def provider(self) -> Provider:
        """Return the driver, always the same account."""
        ...

    def spec(self, name: str) -> EndpointSpec:
        """Return an endpoint that can be created, may go to zero, and has secrets in it."""
        ...

    def add(self, name: str, status: Status = Status.RUNNING) -> None:
        """Put an endpoint with secrets into the cloud, not through the driver."""
        ...

    def console(self, name: str, act: Act) -> None:
        """Do something as another person would."""
        ...

    def truth(self, name: str) -> Status | None:
        """Return the status in the cloud itself, None for no endpoint."""
        ...

    # An endpoint whose cloud can only stop it by deleting it is absent while it is paused.

    def settle(self) -> None:
        """Let time pass until nothing is in transition."""
        ...

    def changes(self) -> int:
        """Return how many changes of endpoints reached the cloud and were made.

        What is made or noted beside them (a model, a tag) does not count.
        """
        ...

    def fault(self, fault: Fault) -> AbstractContextManager[None]:
        """Switch a fault on for a while; changes meet it in the call that changes an endpoint."""
        ...


Change = Callable[[Provider, JsonObject], object]
MORE_REPLICAS = EndpointChange(scaling=Scaling(1, 3))
CHANGES: dict[str, Change] = {
    "pause": lambda provider, kept: provider.pause_endpoint("demo", kept),
    "scale_to_zero": lambda provider, _: provider.scale_to_zero("demo"),
    "update": lambda provider, _: provider.update_endpoint("demo", MORE_REPLICAS),
    "delete": lambda provider, kept: provider.delete_endpoint("demo", kept),
}


def document(harness: Harness, name: str = "demo") -> JsonObject:
    """Return what has to be stored before a pause."""
    return harness.provider().contract(name).document


def asleep(harness: Harness, kept: JsonObject, name: str = "demo") -> bool:
    """Tell whether a pause has ended: it bills nothing, and nothing but a resume wakes it."""
    there = harness.provider().get_endpoint(name)
    if there is None:
        return bool(kept)
    return harness.truth(name) is Status.PAUSED and there.billed.high == 0


def seen(harness: Harness, name: str = "demo") -> Snapshot:
    snapshot = harness.provider().get_endpoint(name)
    assert snapshot is not None
    return snapshot


class ListingConformance:
    """Listings are whole, or say that they are not."""

    def test_an_empty_account_is_complete(self, harness: Harness) -> None:
        listing = harness.provider().list_endpoints()
        assert (listing.sightings, listing.complete, listing.error) == ((), True, None)

    def test_every_endpoint_is_listed_once_over_several_pages(self, harness: Harness) -> None:
        names = {f"e{number}" for number in range(2 * harness.page_size + 1)}
        for name in names:
            harness.add(name)
        listing = harness.provider().list_endpoints()
        assert sorted(names) == sorted(sighting.name for sighting in listing.sightings)
        assert listing.complete
        assert listing.calls >= 3
        assert listing.cloud_time is not None

    def test_digests_stand_still_until_something_changes(self, harness: Harness) -> None:
        for name in ("a", "b"):
            harness.add(name)
        before = {item.name: item.digest for item in harness.provider().list_endpoints().sightings}
        again = {item.name: item.digest for item in harness.provider().list_endpoints().sightings}
        assert before == again
        harness.console("a", "pause")
        after = {item.name: item.digest for item in harness.provider().list_endpoints().sightings}
        assert after.get("a") != before["a"]
        assert after["b"] == before["b"]

    def test_a_row_reads_as_a_direct_look(self, harness: Harness) -> None:
        harness.add("demo")
        (row,) = harness.provider().list_endpoints().sightings
        assert row.snapshot() == seen(harness)

    @pytest.mark.parametrize("fault", ["page_shorter", "pages_shift", "second_page_down"])
    def test_what_is_missing_is_admitted(self, harness: Harness, fault: Fault) -> None:
        for number in range(harness.page_size + 5):
            harness.add(f"e{number}")
        with harness.fault(fault):
            listing = harness.provider().list_endpoints()
        assert not listing.complete
        assert listing.problem
        assert listing.sightings

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ("down", UnavailableError),
            ("throttled", ThrottledError),
            ("token_revoked", CredentialsError),
            ("never_arrives", UnavailableError),
            ("answer_cut_off", UnavailableError),
        ],
    )
    def test_it_never_raises(
        self, harness: Harness, fault: Fault, kind: type[ProviderError]
    ) -> None:
        harness.add("demo")
        with harness.fault(fault):
            listing = harness.provider().list_endpoints()
        assert isinstance(listing.error, kind)
        assert not listing.complete

    def test_calls_are_counted_once(self, harness: Harness) -> None:
        harness.provider().calls()
        listing = harness.provider().list_endpoints()
        assert sum(harness.provider().calls().values()) == listing.calls
        assert sum(harness.provider().calls().values()) == 0


class ReadingConformance:
    """Looking at one endpoint."""

    def test_an_endpoint_that_is_not_there_is_none(self, harness: Harness) -> None:
        assert harness.provider().get_endpoint("nobody") is None

    def test_a_deleted_endpoint_is_none(self, harness: Harness) -> None:
        harness.add("demo")
        harness.console("demo", "delete")
        harness.settle()
        assert harness.provider().get_endpoint("demo") is None

    @pytest.mark.parametrize("fault", ["down", "never_arrives", "answer_cut_off", "throttled"])
    def test_an_outage_is_not_absence(self, harness: Harness, fault: Fault) -> None:
        harness.add("demo")
        with harness.fault(fault), pytest.raises(UnavailableError):
            harness.provider().get_endpoint("demo")

    def test_bad_credentials_are_not_absence(self, harness: Harness) -> None:
        harness.add("demo")
        with harness.fault("token_revoked"), pytest.raises(CredentialsError):
            harness.provider().get_endpoint("demo")

    def test_an_unknown_state_survives_with_its_word(self, harness: Harness) -> None:
        harness.add("demo")
        with harness.fault("unknown_state"):
            snapshot = seen(harness)
        assert snapshot.status is Status.UNKNOWN
        assert snapshot.cloud_state not in ("", *Status)
        assert snapshot.billed.low == 0
        assert snapshot.billed.high >= 1

    def test_a_missing_state_survives_and_is_named(self, harness: Harness) -> None:
        harness.add("demo")
        with harness.fault("no_state"):
            snapshot = seen(harness)
        assert snapshot.status is Status.UNKNOWN
        assert snapshot.gaps

    def test_missing_counts_widen_the_bill(self, harness: Harness) -> None:
        harness.add("demo")
        with harness.fault("no_replica_counts"):
            snapshot = seen(harness)
        assert snapshot.gaps
        assert snapshot.billed.low == 0
        assert snapshot.billed.high >= 1

    def test_a_running_endpoint_is_billed_and_on_priced_hardware(self, harness: Harness) -> None:
        harness.add("demo")
        snapshot = seen(harness)
        assert snapshot.billed.expected >= 1
        prices = {offer.hardware.key: offer for offer in harness.provider().hardware()}
        assert prices[snapshot.hardware.key].nano_per_hour

    def test_reading_changes_nothing(self, harness: Harness) -> None:
        harness.add("demo")
        provider = harness.provider()
        before = harness.changes()
        provider.identity()
        provider.list_endpoints()
        seen(harness)
        provider.hardware()
        provider.contract("demo")
        provider.rights()
        at = provider.list_endpoints().cloud_time
        assert at is not None
        provider.usage(["demo"], at - timedelta(hours=1), at)
        assert harness.changes() == before


class ChangingConformance:
    """Changes do what they say, and may be repeated."""

    def test_what_is_created_comes_up_as_asked(self, harness: Harness) -> None:
        spec = harness.spec("demo")
        created = harness.provider().create_endpoint(spec)
        assert created.name == "demo"
        assert created.status in IN_TRANSITION | AWAKE
        harness.settle()
        snapshot = seen(harness)
        assert snapshot.status is Status.RUNNING
        assert snapshot.hardware.key == spec.hardware.key
        assert snapshot.scaling is not None
        assert snapshot.scaling.min_replicas == spec.scaling.min_replicas
        assert snapshot.scaling.max_replicas == spec.scaling.max_replicas
        assert set(spec.tags) <= set(snapshot.tags)

    def test_a_taken_name_is_a_conflict_and_changes_nothing(self, harness: Harness) -> None:
        harness.add("demo")
        before = seen(harness)
        with pytest.raises(ConflictError):
            harness.provider().create_endpoint(harness.spec("demo"))
        assert seen(harness) == before

    def test_pausing_twice_is_pausing(self, harness: Harness) -> None:
        harness.add("demo")
        kept = document(harness)
        harness.provider().pause_endpoint("demo", kept)
        harness.settle()
        assert asleep(harness, kept)
        harness.provider().pause_endpoint("demo", kept)
        harness.settle()
        assert asleep(harness, kept)

    def test_resuming_twice_is_resuming(self, harness: Harness) -> None:
        harness.add("demo")
        kept = document(harness)
        harness.provider().pause_endpoint("demo", kept)
        harness.settle()
        harness.provider().resume_endpoint("demo", kept)
        harness.provider().resume_endpoint("demo", kept)
        harness.settle()
        assert harness.truth("demo") is Status.RUNNING
        again = harness.provider().resume_endpoint("demo", kept)
        assert again is not None
        assert again.status is Status.RUNNING

    def test_a_pause_keeps_the_configuration(self, harness: Harness) -> None:
        harness.add("demo")
        before, kept = seen(harness), document(harness)
        harness.provider().pause_endpoint("demo", kept)
        harness.settle()
        harness.provider().resume_endpoint("demo", kept)
        harness.settle()
        assert harness.provider().restore("demo", kept).differences == ()
        after = seen(harness)
        assert (after.spec, after.scaling) == (before.spec, before.scaling)
        assert (after.tags, after.hardware) == (before.tags, before.hardware)
        assert harness.provider().restore("demo", kept).done == ()

    def test_a_contract_changes_nothing_and_says_what_is_kept(self, harness: Harness) -> None:
        harness.add("demo")
        before, made = seen(harness), harness.changes()
        contract = harness.provider().contract("demo")
        assert (seen(harness), harness.changes()) == (before, made)
        assert contract.kept
        assert contract.obstacles == ()
        assert bool(contract.document) is harness.provider().capabilities.contracts

    def test_a_good_spec_is_accepted_and_a_bad_name_refused(self, harness: Harness) -> None:
        spec = harness.spec("demo")
        assert all(isinstance(warning, str) for warning in harness.provider().check(spec))
        with pytest.raises(SpecError) as caught:
            harness.provider().check(replace(spec, name="Not a name!"))
        assert caught.value.field == "name"
        assert caught.value.remedy

    def test_going_to_zero(self, harness: Harness) -> None:
        harness.add("demo")
        provider = harness.provider()
        if not seen(harness).to_zero:
            with pytest.raises(RefusedError):
                provider.scale_to_zero("demo")
            return
        provider.scale_to_zero("demo")
        provider.scale_to_zero("demo")
        harness.settle()
        assert harness.truth("demo") is Status.SCALED_TO_ZERO
        provider.resume_endpoint("demo")
        harness.settle()
        assert harness.truth("demo") is Status.RUNNING

    def test_an_update_changes_what_is_set_and_nothing_else(self, harness: Harness) -> None:
        harness.add("demo")
        before = seen(harness)
        assert before.scaling is not None
        scaling = replace(before.scaling, max_replicas=before.scaling.max_replicas + 1)
        harness.provider().update_endpoint("demo", EndpointChange(scaling=scaling))
        harness.settle()
        after = seen(harness)
        assert after.scaling == scaling
        assert after.spec["model"] == before.spec["model"]
        assert (after.access, after.hardware) == (before.access, before.hardware)

    def test_an_empty_update_changes_nothing(self, harness: Harness) -> None:
        harness.add("demo")
        before = harness.changes()
        harness.provider().update_endpoint("demo", EndpointChange())
        assert harness.changes() == before

    def test_deleting_twice_is_deleting(self, harness: Harness) -> None:
        harness.add("demo")
        harness.provider().delete_endpoint("demo")
        harness.settle()
        harness.provider().delete_endpoint("demo")
        assert harness.truth("demo") is None

    @pytest.mark.parametrize("change", ["pause", "scale_to_zero", "update"])
    def test_nothing_can_be_done_to_what_is_not_there(self, harness: Harness, change: str) -> None:
        with pytest.raises(NotFoundError):
            CHANGES[change](harness.provider(), {})


class DoubtConformance:
    """A lost answer is ambiguous; the driver does not ask twice; a look tells."""

    @pytest.mark.parametrize("fault", DOUBTS)
    @pytest.mark.parametrize("change", CHANGES)
    def test_a_change(self, harness: Harness, change: str, fault: Fault) -> None:
        harness.add("demo")
        before, made, kept = seen(harness), harness.changes(), document(harness)
        if change == "scale_to_zero" and not before.to_zero:
            with pytest.raises(RefusedError):
                CHANGES[change](harness.provider(), kept)
            assert harness.changes() == made
            return
        with harness.fault(fault), pytest.raises(AmbiguousError):
            CHANGES[change](harness.provider(), kept)
        assert harness.changes() == made + DOUBTS[fault]
        now = harness.provider().get_endpoint("demo")
        assert (now != before) is DOUBTS[fault]

    @pytest.mark.parametrize("fault", DOUBTS)
    def test_a_create_is_found_by_its_name(self, harness: Harness, fault: Fault) -> None:
        with harness.fault(fault), pytest.raises(AmbiguousError):
            harness.provider().create_endpoint(harness.spec("demo"))
        assert (harness.provider().get_endpoint("demo") is not None) is DOUBTS[fault]

    def test_a_throttled_change_was_not_made(self, harness: Harness) -> None:
        harness.add("demo")
        made, kept = harness.changes(), document(harness)
        with harness.fault("throttled"), pytest.raises(ThrottledError):
            harness.provider().pause_endpoint("demo", kept)
        assert harness.changes() == made


def withdrawn_at(number: int, call: Callable[[], object]) -> bool:
    """Make a call that is not wanted from its n-th change on; tell whether that ended it."""
    left = iter(range(1, number))

    def check() -> None:
        if next(left, None) is None:
            raise WithdrawnError

    with standing(check):
        try:
            call()
        except WithdrawnError:
            return True
    return False


class WithdrawalConformance:
    """Before each changing call it is asked whether that is still wanted; the last one decides."""

    @pytest.mark.parametrize("change", CHANGES)
    def test_what_is_not_wanted_is_not_sent(self, harness: Harness, change: str) -> None:
        harness.add("demo")
        before, made, kept = seen(harness), harness.changes(), document(harness)
        if change == "scale_to_zero" and not before.to_zero:
            return
        assert withdrawn_at(1, lambda: CHANGES[change](harness.provider(), kept))
        assert harness.changes() == made
        assert seen(harness) == before

    def test_a_create_makes_its_endpoint_last(self, harness: Harness) -> None:
        driver, spec, number = harness.provider(), harness.spec("demo"), 1
        while withdrawn_at(number, lambda: driver.create_endpoint(spec)):
            assert driver.get_endpoint("demo") is None
            number += 1
        assert harness.changes() == 1

    def test_a_pause_stops_its_endpoint_last(self, harness: Harness) -> None:
        harness.add("demo")
        driver, kept, number = harness.provider(), document(harness), 1
        while withdrawn_at(number, lambda: driver.pause_endpoint("demo", kept)):
            assert harness.truth("demo") is Status.RUNNING
            number += 1
        harness.settle()
        assert asleep(harness, kept)


class SecrecyConformance:
    """Secrets stay in the cloud and in the request that takes them there."""

    def test_none_in_snapshots_and_listings(self, harness: Harness) -> None:
        harness.provider().create_endpoint(harness.spec("demo"))
        harness.add("other")
        listing = harness.provider().list_endpoints()
        rows = [item.snapshot() for item in listing.sightings]
        contracts = [harness.provider().contract("other"), document(harness, "other")]
        shown = repr([listing, rows, seen(harness), contracts])
        for secret in harness.secrets:
            assert secret not in shown

    def test_none_in_the_driver(self, harness: Harness) -> None:
        provider = harness.provider()
        shown = repr([provider, vars(provider), provider.identity(), provider.capabilities])
        for secret in harness.secrets:
            assert secret not in shown

    @pytest.mark.parametrize("fault", [*DOUBTS, "throttled", "token_revoked", "down"])
    def test_none_in_errors(self, harness: Harness, fault: Fault) -> None:
        with harness.fault(fault), pytest.raises(ProviderError) as caught:
            harness.provider().create_endpoint(harness.spec("demo"))
        error: BaseException | None = caught.value
        while error is not None:
            for secret in harness.secrets:
                assert secret not in f"{error!s} {error!r} {vars(error)!r}"
            error = error.__cause__ or error.__context__


class ProviderConformance(
    ListingConformance,
    ReadingConformance,
    ChangingConformance,
    DoubtConformance,
    WithdrawalConformance,
    SecrecyConformance,
):
    """All of it."""
