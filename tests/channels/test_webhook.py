"""Webhooks over real sockets of this machine: what is sent, and what a failure tells."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.channels import signing, webhook
from orchestrator.channels.message import Message, Outcome
from orchestrator.channels.webhook import Webhook
from orchestrator.clock import ManualClock
from tests.support.receiver import SECRET, Receiver

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MESSAGE = Message("msg_1", "warning", "a title", "a text", b'{"type":"test"}')


def send(receiver: Receiver, **changes: object) -> Outcome:
    hook = replace(Webhook(receiver.url, [SECRET], private=True), **changes)  # type: ignore[arg-type] # fields by name
    return webhook.send(hook, MESSAGE, ManualClock(NOW))


def test_a_message_arrives_signed(receiver: Receiver) -> None:
    assert send(receiver).delivered
    (got,) = receiver.seen
    assert (got.path, got.body) == ("/in", MESSAGE.payload)
    expected = signing.headers("msg_1", NOW, got.body, [signing.key_of(SECRET)])
    assert {name: got.headers[name] for name in expected} == expected
    assert got.headers["content-type"] == "application/json"


def test_the_checked_machine_is_spoken_to_under_its_name(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def look_up(host: str, *args: object, **kwargs: object) -> list[tuple[object, ...]]:
        del args, kwargs
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", receiver.port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = f"http://ada:word@hooks.example.org:{receiver.port}/in"
    assert send(receiver, url=url).delivered
    assert asked[0] == "hooks.example.org"
    assert set(asked[1:]) <= {"127.0.0.1"}  # the name is not looked up again
    headers = receiver.seen[0].headers
    assert headers["host"] == f"hooks.example.org:{receiver.port}"
    assert headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("status", "refused"), [(400, True), (413, True), (422, True), (404, False), (503, False)]
)
def test_a_refused_message_is_told_from_a_broken_receiver(
    receiver: Receiver, status: int, refused: bool
) -> None:
    receiver.status = status
    outcome = send(receiver)
    assert outcome.error.startswith(f"HTTP {status} ")
    assert outcome.refused is refused


def test_of_an_answer_a_short_piece_is_kept_without_secrets(receiver: Receiver) -> None:
    receiver.status, receiver.text = 500, b"token=" + b"abcdef123456 at /in\n" + b"x" * 5000
    error = send(receiver).error
    assert "token=[redacted]" in error
    assert "/in" not in error
    assert "abcdef" not in error
    assert len(error) < 200


def test_retry_after_is_told(receiver: Receiver) -> None:
    receiver.status, receiver.answer_headers = 429, {"Retry-After": "120"}
    assert send(receiver).retry_after == timedelta(minutes=2)
    receiver.answer_headers = {"Retry-After": "9" * 30}
    assert send(receiver).retry_after == timedelta(hours=1)
    receiver.answer_headers = {"Retry-After": "soon"}
    assert send(receiver).retry_after is None


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.answer_headers = 307, {"Location": receiver.url}
    assert "redirects are not followed" in send(receiver).error
    assert len(receiver.seen) == 1


def test_a_private_machine_is_not_asked(receiver: Receiver) -> None:
    assert "allow_private_webhooks" in send(receiver, private=False).error
    assert receiver.seen == []


def test_a_slow_receiver_is_left(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "LIMIT_S", 0.3)
    receiver.gate.clear()
    assert "no answer within" in send(receiver).error


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    outcome = send(Receiver(port))
    assert outcome.error
    assert not outcome.refused


@pytest.mark.parametrize("url", ["http://", "nonsense", "http://127.0.0.1:x/in"])
def test_a_referenced_address_may_be_nonsense(url: str) -> None:
    assert "web address" in send(Receiver(), url=url).error


def test_a_weak_secret_sends_nothing(receiver: Receiver) -> None:
    assert "openssl" in send(receiver, secrets=["c2hvcnQ="]).error
    assert receiver.seen == []
