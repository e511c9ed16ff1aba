"""Signed webhooks: one POST, no redirects, no private machines unless that is allowed."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx2

from orchestrator.channels import addresses, signing
from orchestrator.channels.message import AddressError, Message, Outcome
from orchestrator.channels.quiet import TooLongError, within
from orchestrator.clock import Clock
from orchestrator.logs import redact_text

LIMIT_S = 15.0
CONNECT_S, READ_S = 5.0, 10.0
PIECE = 120
MOST_RETRY_AFTER_S = 3600
# The receiver works, and will never take this very message.
REFUSALS = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver: its address, and its secrets in base64, the present one first."""

    url: str
    secrets: Sequence[str]
    private: bool = False


def send(hook: Webhook, message: Message, clock: Clock) -> Outcome:
    """Post one message; the answer's body is kept only as a short piece of the error."""
    found: list[Outcome] = []
    try:
        keys = [signing.key_of(secret) for secret in hook.secrets]
        proof = signing.headers(message.id, clock.now(), message.payload, keys)
        within(LIMIT_S, lambda: found.append(_post(hook, message.payload, proof)))
    except (AddressError, TooLongError) as error:
        return Outcome(str(error))
    except OSError as error:
        return Outcome(f"its name cannot be found ({type(error).__name__})")
    except httpx2.InvalidURL:
        return Outcome("it is not a web address")
    except httpx2.HTTPError as error:
        return Outcome(_shown(str(error) or type(error).__name__, hook.url))
    return found[0]


def _post(hook: Webhook, body: bytes, proof: dict[str, str]) -> Outcome:
    numbers = addresses.reachable(hook.url, private=hook.private)
    for number in numbers[:-1]:
        try:
            return _post_to(number, hook, body, proof)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            continue  # the next of its addresses may answer
    return _post_to(numbers[-1], hook, body, proof)


def _post_to(number: str, hook: Webhook, body: bytes, proof: dict[str, str]) -> Outcome:
    """Post to the address that was checked: the name may lead elsewhere a moment later."""
    url = httpx2.URL(hook.url)
    headers = {
        "Host": url.netloc.decode("ascii").rpartition("@")[2],
        "Content-Type": "application/json",
        "User-Agent": "endpoint-orchestrator",
        **proof,
    }
    if url.userinfo:
        pair = f"{url.username}:{url.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    with (
        httpx2.Client(
            timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
            verify=_authorities() if url.scheme == "https" else False,
        ) as client,
        client.stream(
            "POST",
            url.copy_with(host=number, userinfo=b""),
            content=body,
            headers=headers,
            extensions={"sni_hostname": url.host},
        ) as response,
    ):
        return _judge(response, hook.url)


@cache
def _authorities() -> ssl.SSLContext:
    """Return who vouches for receivers: SSL_CERT_FILE may name a company's own authority."""
    return httpx2.create_ssl_context()


def _judge(response: httpx2.Response, url: str) -> Outcome:
    if response.is_success:
        return Outcome()
    status = response.status_code
    piece = next(response.iter_bytes(PIECE), b"") if not response.is_redirect else b""
    said = _shown(piece.decode("utf-8", "replace"), url)
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    error = f"HTTP {status} {title}".strip() + (f": {said}" if said else "")
    if response.is_redirect:
        error += ": redirects are not followed; give the address that it leads to"
    return Outcome(error, status in REFUSALS, _retry_after(response))


def _retry_after(response: httpx2.Response) -> timedelta | None:
    text = response.headers.get("retry-after", "")
    if not text.isascii() or not text.isdigit():
        return None
    return timedelta(seconds=min(int(text[:9]), MOST_RETRY_AFTER_S))


def _shown(text: str, url: str) -> str:
    """Return a text of others on one short line, without secrets and without the address."""
    parts = urlsplit(url)
    for told in (url, parts.path, parts.query, parts.password, parts.username):
        if told and told != "/":
            text = text.replace(told, "…")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return redact_text(line)[:PIECE]
