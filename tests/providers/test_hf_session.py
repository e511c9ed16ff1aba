"""The session: time-outs, headers, redirects, the token, and what is tried again."""

from __future__ import annotations

import logging

import httpx2
import pytest

from orchestrator.providers.base import CredentialsError, RefusedError, UnavailableError
from orchestrator.providers.huggingface.session import Session, Timeouts
from tests.providers.wire import TOKEN, Wire, endpoint, refusal


def timeouts_of(request: httpx2.Request) -> dict[str, float]:
    timeout: dict[str, float] = request.extensions["timeout"]
    return timeout


class TestRequests:
    def test_every_call_has_time_outs(self) -> None:
        wire = Wire(endpoint())
        wire.provider().get_endpoint("demo")
        expected = {"connect": 5.0, "read": 30.0, "write": 10.0, "pool": 5.0}
        assert timeouts_of(wire.requests[0]) == expected

    def test_time_outs_can_be_set(self) -> None:
        wire = Wire(endpoint())
        wire.provider(connect_timeout_s="1", read_timeout_s="2.5").get_endpoint("demo")
        expected = {"connect": 1.0, "read": 2.5, "write": 10.0, "pool": 5.0}
        assert timeouts_of(wire.requests[0]) == expected

    def test_says_who_it_is(self) -> None:
        wire = Wire(endpoint())
        wire.provider().get_endpoint("demo")
        assert wire.requests[0].headers["user-agent"].startswith("endpoint-orchestrator/")
        assert wire.requests[0].headers["authorization"] == f"Bearer {TOKEN}"

    def test_the_addresses_are_those_of_the_account(self) -> None:
        wire = Wire({"name": "acme", "type": "org", "items": [], "nextCursor": None})
        provider = wire.provider(
            api_url="http://127.0.0.1:8123/v2/", hub_url="http://127.0.0.1:8124"
        )
        provider.list_endpoints()
        provider.identity()
        assert str(wire.requests[0].url).startswith("http://127.0.0.1:8123/v2/endpoint/acme?")
        assert str(wire.requests[1].url) == "http://127.0.0.1:8124/api/whoami-v2"

    def test_a_rotated_token_is_picked_up(self) -> None:
        tokens = iter(["first", "second"])
        wire = Wire(endpoint())
        provider = wire.provider(resolve=lambda _: next(tokens))
        provider.get_endpoint("demo")
        provider.get_endpoint("demo")
        sent = [request.headers["authorization"] for request in wire.requests]
        assert sent == ["Bearer first", "Bearer second"]

    def test_unresolved_credentials_send_nothing(self) -> None:
        def resolve(reference: str) -> str:
            raise CredentialsError(f"{reference} is not set")

        wire = Wire(endpoint())
        with pytest.raises(CredentialsError, match="env:X"):
            wire.provider(resolve=resolve).pause_endpoint("demo")
        assert wire.requests == []

    def test_close_releases_the_connections(self) -> None:
        provider = Wire(endpoint()).provider()
        provider.close()
        with pytest.raises(RuntimeError, match="closed"):
            provider.get_endpoint("demo")


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_are_not_followed(self, status: int) -> None:
        location = {"location": "https://elsewhere.example/v2/endpoint/acme/demo"}
        wire = Wire(httpx2.Response(status, headers=location))
        with pytest.raises(RefusedError, match=r"elsewhere\.example"):
            wire.provider().get_endpoint("demo")
        assert len(wire.requests) == 1

    @pytest.mark.parametrize("status", [307, 308])
    def test_a_change_that_was_sent_elsewhere_was_not_made(self, status: int) -> None:
        wire = Wire(httpx2.Response(status, headers={"location": "https://elsewhere.example"}))
        with pytest.raises(RefusedError):
            wire.provider().pause_endpoint("demo")

    @pytest.mark.parametrize("location", ["", "http://[", "/v3/endpoint"])
    def test_odd_locations_are_survived(self, location: str) -> None:
        wire = Wire(httpx2.Response(308, headers={"location": location}))
        with pytest.raises(RefusedError):
            wire.provider().get_endpoint("demo")


class TestRetries:
    @pytest.mark.parametrize(
        "first",
        [
            httpx2.ConnectError("refused"),
            httpx2.ReadTimeout("slow"),
            httpx2.RemoteProtocolError("cut"),
            httpx2.DecodingError("not gzip"),
            refusal(500),
            refusal(503),
            httpx2.Response(200, content=b'{"name": "de'),
            httpx2.Response(200, json=["demo"]),
        ],
    )
    def test_a_read_that_fails_is_tried_again(self, first: httpx2.Response | Exception) -> None:
        wire = Wire(first, endpoint())
        assert wire.provider().get_endpoint("demo") is not None
        assert wire.slept == [0.5]

    def test_a_read_is_given_up_after_three_attempts(self) -> None:
        wire = Wire(httpx2.ReadTimeout("slow"))
        with pytest.raises(UnavailableError):
            wire.provider().get_endpoint("demo")
        assert (len(wire.requests), wire.slept) == (3, [0.5, 1.0])

    @pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
    def test_a_refused_read_is_not_tried_again(self, status: int) -> None:
        wire = Wire(refusal(status))
        with pytest.raises(RefusedError):
            wire.provider().get_endpoint("demo")
        assert (len(wire.requests), wire.slept) == (1, [])


class TestSecrecy:
    def test_nothing_of_the_provider_shows_the_token(self) -> None:
        provider = Wire(endpoint()).provider()
        session: Session = provider._session
        for thing in (provider, session, vars(provider), vars(session), session._client.headers):
            assert TOKEN not in repr(thing)

    def test_nothing_is_logged_of_it(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        wire = Wire(refusal(403, f"token {TOKEN} lacks it"), {"vendors": []})
        provider = wire.provider()
        provider.hardware()
        provider.delete_endpoint("demo")
        assert caplog.text
        assert TOKEN not in caplog.text


def test_the_defaults_are_those_that_were_agreed() -> None:
    assert Timeouts() == Timeouts(connect=5, read=30, write=10, pool=5)
