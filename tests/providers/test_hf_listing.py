"""Reading every page of a namespace, and saying when that was not all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import httpx2
import pytest

from orchestrator.domain.status import Status
from orchestrator.providers.base import CredentialsError, ThrottledError, UnavailableError
from orchestrator.providers.huggingface import listing as listing_module
from orchestrator.providers.huggingface.listing import digest_of
from orchestrator.providers.huggingface.snapshot import Mapper
from tests.providers.wire import NOW, Wire, endpoint, refusal


def page(
    names: Sequence[str], cursor: str | None = None, total: int | None = None
) -> dict[str, Any]:
    shown: dict[str, Any] = {"items": [endpoint(name) for name in names], "nextCursor": cursor}
    return shown if total is None else shown | {"totalItems": total}


def names_of(wire: Wire) -> list[str]:
    return [sighting.name for sighting in wire.provider().list_endpoints().sightings]


class TestPages:
    def test_follows_the_cursor_to_the_end(self) -> None:
        wire = Wire(page(["a", "b"], "c1", 3), page(["c"], None, 3))
        listing = wire.provider().list_endpoints()
        assert [sighting.name for sighting in listing.sightings] == ["a", "b", "c"]
        assert (listing.complete, listing.problem, listing.calls) == (True, "", 2)
        assert dict(wire.requests[0].url.params) == {"limit": "100"}
        assert dict(wire.requests[1].url.params) == {"limit": "100", "cursor": "c1"}

    def test_an_empty_namespace_is_complete(self) -> None:
        listing = Wire(page([], None, 0)).provider().list_endpoints()
        assert listing.complete
        assert listing.sightings == ()

    def test_goes_on_after_an_empty_page_with_a_cursor(self) -> None:
        assert names_of(Wire(page([], "c1"), page(["a"]))) == ["a"]

    def test_a_numeric_cursor_is_followed(self) -> None:
        wire = Wire(page(["a"]) | {"nextCursor": 2}, page(["b"]))
        assert names_of(wire) == ["a", "b"]

    def test_a_cursor_that_comes_back_ends_the_reading_as_not_complete(self) -> None:
        wire = Wire(page(["a"], "c1"), page(["b"], "c2"), page(["a"], "c1"))
        listing = wire.provider().list_endpoints()
        assert not listing.complete
        assert "cursor" in listing.problem
        assert len(wire.requests) == 3

    def test_a_list_without_end_is_cut_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing_module, "MOST_PAGES", 5)
        numbers = iter(range(1000))
        wire = Wire(lambda _: page([f"e{next(numbers)}"], f"c{next(numbers)}"))
        listing = wire.provider().list_endpoints()
        assert not listing.complete
        assert listing.calls == 5
        assert "5 pages" in listing.problem

    def test_a_full_page_that_says_nothing_of_more_is_in_doubt(self) -> None:
        full = {"items": [endpoint(f"e{number}") for number in range(100)]}
        assert not Wire(full).provider().list_endpoints().complete
        assert Wire(full | {"nextCursor": None}).provider().list_endpoints().complete


class TestShiftingPages:
    def test_an_item_lost_between_pages_shows_in_the_total(self) -> None:
        listing = Wire(page(["a"], "c1", 3), page(["c"], None, 3)).provider().list_endpoints()
        assert not listing.complete
        assert "2 endpoints were listed of 3" in listing.problem

    def test_an_item_on_two_pages_is_kept_once_and_doubted(self) -> None:
        listing = Wire(page(["a", "b"], "c1"), page(["b", "c"])).provider().list_endpoints()
        assert [sighting.name for sighting in listing.sightings] == ["a", "b", "c"]
        assert not listing.complete

    def test_an_item_on_two_pages_is_fine_when_the_total_agrees(self) -> None:
        wire = Wire(page(["a", "b"], "c1", 3), page(["b", "c"], None, 3))
        assert wire.provider().list_endpoints().complete

    def test_a_total_that_changes_meanwhile_is_doubted(self) -> None:
        listing = Wire(page(["a"], "c1", 3), page(["b"], None, 2)).provider().list_endpoints()
        assert not listing.complete
        assert "changed while" in listing.problem

    def test_the_later_of_two_sightings_counts(self) -> None:
        paused = page(["a"])
        paused["items"][0]["status"]["state"] = "paused"
        listing = Wire(page(["a"], "c1"), paused).provider().list_endpoints()
        assert [sighting.snapshot().status for sighting in listing.sightings] == [Status.PAUSED]


class TestFailures:
    def test_keeps_what_it_has_when_a_page_fails(self) -> None:
        wire = Wire(page(["a"], "c1", 2), refusal(503, "later"))
        listing = wire.provider().list_endpoints()
        assert [sighting.name for sighting in listing.sightings] == ["a"]
        assert not listing.complete
        assert isinstance(listing.error, UnavailableError)
        assert "page 2" in listing.problem
        assert listing.calls == 4
        assert wire.slept == [0.5, 1.0]

    def test_a_page_that_fails_once_is_read_again(self) -> None:
        wire = Wire(refusal(500), page(["a"]))
        listing = wire.provider().list_endpoints()
        assert (listing.complete, listing.calls) == (True, 2)

    def test_a_long_throttling_is_reported_not_slept(self) -> None:
        wire = Wire(refusal(429, "slow down", retry_after="120"))
        listing = wire.provider().list_endpoints()
        assert isinstance(listing.error, ThrottledError)
        assert wire.slept == []

    def test_a_bad_token_is_reported(self) -> None:
        listing = Wire(refusal(401, "A valid token is required")).provider().list_endpoints()
        assert isinstance(listing.error, CredentialsError)
        assert not listing.complete

    def test_missing_credentials_are_reported(self) -> None:
        def resolve(reference: str) -> str:
            raise CredentialsError(f"{reference} is not set")

        wire = Wire(page([]))
        listing = wire.provider(resolve=resolve).list_endpoints()
        assert isinstance(listing.error, CredentialsError)
        assert wire.requests == []

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b'{"items": {}}', b'{"items": [{"name"', b"\xff\xfe", b"<html>"]
    )
    def test_an_unusable_page_is_a_failure(self, body: bytes) -> None:
        listing = Wire(httpx2.Response(200, content=body)).provider().list_endpoints()
        assert isinstance(listing.error, UnavailableError)
        assert not listing.complete

    @pytest.mark.parametrize("item", [None, 7, {}, {"name": ""}, {"name": 5}, ["a"]])
    def test_an_item_without_a_name_makes_it_not_complete(self, item: object) -> None:
        listing = Wire({"items": [item, endpoint("a")], "nextCursor": None}).provider()
        read = listing.list_endpoints()
        assert [sighting.name for sighting in read.sightings] == ["a"]
        assert not read.complete
        assert read.error is None


class TestSightings:
    def test_the_last_use_does_not_change_the_digest(self) -> None:
        used, unused = endpoint(), endpoint(status__lastUsedAt=...)
        assert digest_of(used) == digest_of(unused)
        assert digest_of(used) == digest_of(endpoint(status__lastUsedAt="2026-09-01T12:00:00Z"))

    def test_the_order_of_tags_and_keys_does_not_change_the_digest(self) -> None:
        turned = dict(reversed(endpoint(tags=["a", "b"]).items()))
        assert digest_of(turned) == digest_of(endpoint())

    @pytest.mark.parametrize(
        "change",
        [
            {"status__state": "paused"},
            {"status__readyReplica": 0},
            {"tags": ["a"]},
            {"model__env": {"MAX_BATCH": "9"}},
            {"surprise": 1},
        ],
    )
    def test_everything_else_does(self, change: dict[str, Any]) -> None:
        assert digest_of(endpoint(**change)) != digest_of(endpoint())

    def test_computing_a_digest_leaves_the_item_as_it_is(self) -> None:
        raw = endpoint()
        before = deepcopy(raw)
        digest_of(raw)
        assert raw == before

    def test_snapshots_are_made_only_when_asked_for(self) -> None:
        with patch.object(Mapper, "snapshot", autospec=True) as made:
            listing = Wire(page(["a", "b"])).provider().list_endpoints()
            assert made.call_count == 0
            listing.sightings[0].snapshot()
            assert made.call_count == 1

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("2026-09-01T11:59:00.123456789Z", datetime(2026, 9, 1, 11, 59, 0, 123456, UTC)),
            (None, None),
            ("yesterday", None),
            (5, None),
        ],
    )
    def test_last_use_is_read_from_the_row(self, value: object, expected: datetime | None) -> None:
        wire = Wire({"items": [endpoint(status__lastUsedAt=value)], "nextCursor": None})
        assert wire.provider().list_endpoints().sightings[0].last_used_at == expected

    def test_the_snapshot_is_that_of_a_direct_read(self) -> None:
        listing = Wire(page(["demo"])).provider().list_endpoints()
        assert listing.sightings[0].snapshot() == Wire(endpoint()).provider().get_endpoint("demo")


class TestTimes:
    def test_tells_local_instants_and_the_clouds_clock(self) -> None:
        wire = Wire()
        later = datetime(2026, 9, 1, 12, 0, 3, tzinfo=UTC)

        def answer(_: httpx2.Request) -> httpx2.Response:
            wire.clock.set(later)
            date = "Tue, 01 Sep 2026 12:05:00 GMT"
            return httpx2.Response(200, json=page([]), headers={"date": date})

        wire.answers.append(answer)
        listing = wire.provider().list_endpoints()
        assert (listing.asked_at, listing.answered_at) == (NOW, later)
        assert listing.cloud_time == datetime(2026, 9, 1, 12, 5, tzinfo=UTC)

    @pytest.mark.parametrize("headers", [{}, {"date": "soon"}, {"date": ""}])
    def test_without_a_date_the_clouds_clock_is_unknown(self, headers: dict[str, str]) -> None:
        wire = Wire(httpx2.Response(200, json=page([]), headers=headers))
        assert wire.provider().list_endpoints().cloud_time is None


def test_never_raises_a_provider_error_whatever_the_transport_does() -> None:
    failures: list[Callable[[str], Exception]] = [
        httpx2.ConnectError,
        httpx2.ReadTimeout,
        httpx2.RemoteProtocolError,
        httpx2.DecodingError,
        httpx2.PoolTimeout,
    ]
    for failure in failures:
        listing = Wire(failure("broken")).provider().list_endpoints()
        assert isinstance(listing.error, UnavailableError)
        assert listing.calls == 3
