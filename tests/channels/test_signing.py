"""Signatures verify with the receiver that the documentation shows, and with no other secret."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.channels import signing
from orchestrator.channels.message import AddressError
from orchestrator.clock import SystemClock
from tests.support.receiver import SECRET

OTHER = base64.b64encode(b"another secret of the tests, as long").decode()
BODY = b'{"type":"endpoint.deleted"}'
DOCUMENT = Path(__file__).parents[2] / "docs" / "notifications.md"


@pytest.fixture(scope="module")
def verify() -> Callable[..., bool]:
    """Return the receiver's function, from the documentation."""
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 - our own documentation
    found: Callable[..., bool] = names["verify"]
    return found


def signed(*secrets: str, at: datetime | None = None) -> dict[str, str]:
    keys = [signing.key_of(secret) for secret in secrets]
    return signing.headers("msg_1", at or SystemClock().now(), BODY, keys)


def test_a_receiver_takes_a_message_once(verify: Callable[..., bool]) -> None:
    seen: set[str] = set()
    assert verify(SECRET, signed(SECRET), BODY, seen=seen)
    assert not verify(SECRET, signed(SECRET), BODY, seen=seen)
    assert seen == {"msg_1"}


def test_while_a_secret_changes_both_verify(verify: Callable[..., bool]) -> None:
    both = signed(f"whsec_{SECRET}", OTHER)
    assert verify(f"whsec_{SECRET}", both, BODY, seen=set())
    assert verify(OTHER, both, BODY, seen=set())


@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp", "body", "secret"])
def test_any_change_is_noticed(verify: Callable[..., bool], part: str) -> None:
    headers, body, secret = signed(SECRET), BODY, SECRET
    if part == "body":
        body += b" "
    elif part == "secret":
        secret = OTHER
    else:
        headers[part] += "1"
    with pytest.raises(ValueError, match="signature is wrong"):
        verify(secret, headers, body, seen=set())


def test_an_old_message_is_noticed(verify: Callable[..., bool]) -> None:
    old = datetime.fromtimestamp(time.time(), UTC) - timedelta(minutes=6)
    with pytest.raises(ValueError, match="old"):
        verify(SECRET, signed(SECRET, at=old), BODY, seen=set())


@pytest.mark.parametrize("secret", ["", "not base64!", "c2hvcnQ=", "A" * 120])
def test_a_weak_secret_is_refused_unseen(secret: str) -> None:
    with pytest.raises(AddressError, match="openssl rand") as caught:
        signing.key_of(secret)
    assert not secret or secret not in str(caught.value)
