"""What an answer other than success becomes."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointChange
from orchestrator.providers.base import (
    CapacityError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from tests.providers.wire import TOKEN, Wire, endpoint, refusal


def error_of_read(answer: httpx2.Response | Exception) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        Wire(answer).provider().get_endpoint("demo")
    return caught.value


def error_of_change(answer: httpx2.Response | Exception) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        Wire(answer).provider().update_endpoint("demo", EndpointChange(task="x"))
    return caught.value


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "words", "kind"),
        [
            (400, "minReplica must not be greater than maxReplica", RefusedError),
            (401, "A valid user or organization token is required", CredentialsError),
            (402, "Payment required", CapacityError),
            (403, "The token lacks the permission", CredentialsError),
            (403, "insufficient permissions", CredentialsError),
            (403, "Quota exceeded for nvidia-a100", CapacityError),
            (400, "You have reached your quota", CapacityError),
            (422, "no available instance of this type", CapacityError),
            (400, "Scheduling failure: not enough hardware capacity", CapacityError),
            (404, "Endpoint acme/demo not found", NotFoundError),
            (404, "Organization acme not found", CredentialsError),
            (409, "name already exists", ConflictError),
            (422, "Failed to deserialize: invalid type", RefusedError),
            (418, "teapot", RefusedError),
        ],
    )
    def test_changes(self, status: int, words: str, kind: type[ProviderError]) -> None:
        error = error_of_change(refusal(status, words, x_request_id="req-1"))
        assert type(error) is kind
        assert (error.status, error.request_id) == (status, "req-1")
        assert words in str(error)
        assert "update endpoint demo" in str(error)

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, RefusedError),
            (401, CredentialsError),
            (403, CredentialsError),
            (500, UnavailableError),
            (502, UnavailableError),
            (503, UnavailableError),
            (504, UnavailableError),
            (408, UnavailableError),
            (501, RefusedError),
        ],
    )
    def test_reads(self, status: int, kind: type[ProviderError]) -> None:
        assert type(error_of_read(refusal(status))) is kind

    @pytest.mark.parametrize(
        ("status", "words", "remedy"),
        [
            (401, "no", "check the token"),
            (403, "no", "inference.endpoints.write"),
            (403, "namespace has no payment method", "add a payment method"),
            (404, "Namespace acme not found", "check the account's namespace"),
        ],
    )
    def test_the_remedy_is_said(self, status: int, words: str, remedy: str) -> None:
        assert remedy in str(error_of_change(refusal(status, words)))

    @pytest.mark.parametrize(
        "body",
        [
            b'{"error": ["one", "two"]}',
            b'{"error": {"code": 7}}',
            b'{"errors": [{"message": "one"}]}',
            b'{"errors": [5]}',
            b'["one"]',
            b'"one"',
            b"null",
            b"7",
            b"plain words",
            b"<html>busy</html>",
            b"\xff\xfe\x00",
            b"",
        ],
    )
    def test_no_form_of_body_breaks_the_mapping(self, body: bytes) -> None:
        assert type(error_of_change(httpx2.Response(400, content=body))) is RefusedError

    def test_a_plain_text_refusal_is_shown(self) -> None:
        text = "Failed to deserialize the JSON body into the target type"
        assert text in str(error_of_change(httpx2.Response(422, text=text)))

    def test_long_words_are_cut(self) -> None:
        assert len(str(error_of_change(refusal(400, "x" * 5000)))) < 700


class TestAbsence:
    @pytest.mark.parametrize(
        "answer",
        [
            refusal(404, "Endpoint acme/demo not found"),
            refusal(404, "not found"),
            refusal(404, "No endpoint demo in the namespace acme"),
            httpx2.Response(404, text="endpoint not found"),
        ],
    )
    def test_plain_words_are_absence(self, answer: httpx2.Response) -> None:
        assert Wire(answer).provider().get_endpoint("demo") is None

    @pytest.mark.parametrize(
        "answer",
        [
            httpx2.Response(404),
            httpx2.Response(404, json={}),
            httpx2.Response(404, json=[]),
            httpx2.Response(404, html="<h1>Not Found</h1>"),
        ],
    )
    def test_a_404_without_words_of_the_api_is_no_absence(self, answer: httpx2.Response) -> None:
        wire = Wire(answer)
        with pytest.raises(UnavailableError):
            wire.provider().get_endpoint("demo")
        assert len(wire.requests) == 1

    def test_a_namespace_that_is_not_there_is_no_absence(self) -> None:
        assert isinstance(error_of_read(refusal(404, "Namespace acme not found")), CredentialsError)

    def test_another_endpoint_in_the_answer_is_no_answer(self) -> None:
        with pytest.raises(UnavailableError):
            Wire(endpoint("other")).provider().get_endpoint("demo")


class TestThrottling:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"retry-after": "55"}, 55),
            ({"retry-after": " 1.5 "}, 1.5),
            ({"retry-after": "0"}, 0),
            ({"retry-after": "Tue, 01 Sep 2026 12:00:30 GMT"}, 30),
            ({"retry-after": "Tue, 01 Sep 2026 11:00:00 GMT"}, 0),
            (
                {
                    "retry-after": "Tue, 01 Sep 2026 12:10:30 GMT",
                    "date": "Tue, 01 Sep 2026 12:10:00 GMT",
                },
                30,
            ),
            ({"ratelimit": '"api";r=0;t=42'}, 42),
            ({"ratelimit": '"api";r=0;t=42', "retry-after": "7"}, 7),
            ({"retry-after": "99999999999999"}, 86400),
            ({"retry-after": "Fri, 01 Sep 2028 12:00:00 GMT"}, 86400),
        ],
    )
    def test_the_wait_is_read(self, headers: dict[str, str], seconds: float) -> None:
        error = error_of_change(httpx2.Response(429, headers=headers))
        assert isinstance(error, ThrottledError)
        assert error.retry_after == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "headers",
        [{}, {"retry-after": "soon"}, {"retry-after": "-5"}, {"ratelimit": '"api";r=3;t=9'}],
    )
    def test_without_a_usable_wait_there_is_none(self, headers: dict[str, str]) -> None:
        error = error_of_change(httpx2.Response(429, headers=headers))
        assert isinstance(error, ThrottledError)
        assert error.retry_after is None

    def test_a_throttled_change_is_not_sent_again(self) -> None:
        wire = Wire(refusal(429, retry_after="1"))
        with pytest.raises(ThrottledError):
            wire.provider().pause_endpoint("demo")
        assert len(wire.requests) == 1

    def test_a_read_waits_as_told(self) -> None:
        wire = Wire(refusal(429, retry_after="3"), endpoint())
        assert wire.provider().get_endpoint("demo") is not None
        assert wire.slept == [3.0]

    def test_a_read_gives_up_at_once_when_told_to_wait_longer_than_the_cap(self) -> None:
        wire = Wire(refusal(429, retry_after="11"))
        with pytest.raises(ThrottledError) as caught:
            wire.provider(retry_cap_s="10").get_endpoint("demo")
        assert caught.value.retry_after == timedelta(seconds=11)
        assert wire.slept == []

    def test_a_read_gives_up_after_three_attempts(self) -> None:
        wire = Wire(refusal(429, retry_after="1"))
        with pytest.raises(ThrottledError):
            wire.provider().get_endpoint("demo")
        assert (len(wire.requests), wire.slept) == (3, [1.0, 1.0])

    def test_a_list_does_not_wait_for_ever(self) -> None:
        numbers = iter(range(1000))

        def page(_: httpx2.Request) -> dict[str, object]:
            return {"items": [endpoint(f"e{next(numbers)}")], "nextCursor": f"c{next(numbers)}"}

        wait = refusal(429, retry_after="9")
        wire = Wire(*[answer for _ in range(20) for answer in (wait, page)])
        listing = wire.provider(retry_cap_s="10").list_endpoints()
        assert isinstance(listing.error, ThrottledError)
        assert sum(wire.slept) <= 30
        assert len(listing.sightings) == 3

    def test_a_503_with_a_wait_is_honoured_on_reads(self) -> None:
        wire = Wire(refusal(503, retry_after="4"), endpoint())
        wire.provider().get_endpoint("demo")
        assert wire.slept == [4.0]


class TestSecrecy:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500])
    def test_a_token_that_the_cloud_repeats_is_masked(self, status: int) -> None:
        words = f"token {TOKEN} (Bearer {TOKEN}) may not touch this endpoint"
        for error in (error_of_change(refusal(status, words)), _error_or_none(status, words)):
            assert TOKEN not in f"{error!s} {error!r}"

    def test_a_token_in_a_transport_error_is_masked(self) -> None:
        error = error_of_change(httpx2.ReadError(f"bad header Bearer {TOKEN}"))
        assert TOKEN not in str(error)

    @pytest.mark.parametrize("answer", [refusal(500, TOKEN), httpx2.ReadTimeout(TOKEN)])
    def test_no_cause_or_context_carries_it_either(
        self, answer: httpx2.Response | Exception
    ) -> None:
        error: BaseException | None = error_of_change(answer)
        while error is not None:
            assert TOKEN not in f"{error!s} {error!r}"
            error = error.__cause__ or error.__context__

    def test_a_password_in_an_address_is_masked(self) -> None:
        error = error_of_change(refusal(400, "cannot pull https://ada:hunter2@registry/x"))
        assert "hunter2" not in str(error)


def _error_or_none(status: int, words: str) -> ProviderError | None:
    try:
        Wire(refusal(status, words)).provider().get_endpoint("demo")
    except ProviderError as error:
        return error
    return None
