"""Through apprise: taken or not, and no address in any log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from orchestrator.channels import push
from orchestrator.channels.message import Message
from tests.support.receiver import Receiver

MESSAGE = Message("msg_1", "critical", "a title", "a text")
WORD = "pathThatIsSecret"


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """Return what any logger says, at its lowest level."""
    said: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler, root = Keeping(level=0), logging.getLogger()
    talkers = [root, *map(logging.getLogger, ("urllib3", "apprise", "requests"))]
    levels = [one.level for one in talkers]
    apprise = logging.getLogger("apprise")
    for one in (root, apprise):
        one.addHandler(handler)
    for one in talkers:
        one.setLevel(1)
    yield said
    for one in (root, apprise):
        one.removeHandler(handler)
    for one, level in zip(talkers, levels, strict=True):
        one.setLevel(level)


def address(receiver: Receiver, path: str = WORD) -> str:
    return f"json://127.0.0.1:{receiver.port}/{path}"


def test_a_message_is_taken_and_nothing_is_logged(
    receiver: Receiver, everything_logged: list[str]
) -> None:
    receiver.status = 200
    assert push.send(address(receiver), MESSAGE).delivered
    body = json.loads(receiver.seen[0].body)
    assert (body["title"], body["message"], body["type"]) == ("a title", "a text", "failure")
    logging.getLogger("urllib3.connectionpool").debug("POST /%s", WORD)
    assert not [line for line in everything_logged if WORD in line or "127.0.0.1" in line]


def test_a_refusal_tells_no_address(receiver: Receiver, everything_logged: list[str]) -> None:
    receiver.status = 500
    outcome = push.send(address(receiver), MESSAGE)
    assert not outcome.delivered
    assert not [line for line in [*everything_logged, outcome.error] if WORD in line]


def test_a_mail_server_that_is_not_there_is_a_failure(everything_logged: list[str]) -> None:
    url = f"mailto://ada:{WORD}@127.0.0.1:9/?smtp=127.0.0.1&to=ops@example.org&mode=insecure"
    outcome = push.send(url, MESSAGE)
    assert not outcome.delivered
    assert not [line for line in [*everything_logged, outcome.error] if WORD in line]


@pytest.mark.parametrize("url", ["nothing", f"unknown://{WORD}/", "json://"])
def test_an_unknown_address_is_not_repeated(url: str) -> None:
    error = push.send(url, MESSAGE).error
    assert "apprise does not know" in error
    assert WORD not in error


def test_one_target_is_one_service() -> None:
    error = push.send(f"json://127.0.0.1/{WORD}, json://localhost/b", MESSAGE).error
    assert error == "it names several services; make a target for each"


def test_an_attempt_that_hangs_is_left_and_not_joined_by_another(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "LIMIT_S", 0.3)
    receiver.gate.clear()
    url = address(receiver, "slow")
    assert "no answer within" in push.send(url, MESSAGE).error
    assert "still not ended" in push.send(url, MESSAGE).error
    assert len(receiver.seen) == 1


def test_a_fault_of_a_plugin_tells_only_its_kind(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(url: str, message: Message) -> bool:
        del message
        raise RuntimeError(url)

    monkeypatch.setattr(push, "_notify", fault)
    assert (
        push.send(address(receiver), MESSAGE).error == "the service's plugin failed (RuntimeError)"
    )
