"""Maps what Hugging Face answers, or fails to answer, to the errors of the protocol."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (  # type: ignore[attr-defined] # public, but not in an __all__
    hf_raise_for_status,
    parse_ratelimit_headers,
)

from orchestrator.domain.pace import Quota
from orchestrator.providers.base import (
    AmbiguousError,
    CapacityError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.redaction import redact

# Raised before a byte of the request was sent: the cloud certainly knows nothing of it.
NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
_LONGEST_MESSAGE = 500
_LONGEST_WAIT_S = 24 * 3600
# The words for "no quota" and "no capacity" are not documented, so any status may carry them.
_CAPACITY = re.compile(
    r"(?i)\bquota|\bcapacity\b|out of stock|\bcredits?\b"
    r"|(insufficient|not enough|no (more )?available) "
    r"(resource|instance|hardware|replica|accelerator|gpu|fund|balance)"
)
_PAYMENT = re.compile(r"(?i)\bpayment|\bbilling|\bpay\b")
_OF_THE_NAMESPACE = re.compile(r"(?i)\b(namespace|organi[sz]ation|user|account)\b")


def failure(
    response: httpx2.Response, *, doing: str, change: bool, secret: str, now: datetime
) -> ProviderError:
    """Return the error for an answer other than 2xx; `doing` says what was tried."""
    status = response.status_code
    words, request_id = _server_words(response)
    text = redact(words, (secret,))[:_LONGEST_MESSAGE]
    message = f"Hugging Face answered {status} when asked to {doing}" + (
        f": {text}" if text else ""
    )
    if response.has_redirect_location or 300 <= status < 400:
        return _redirected(response, message, change=change, request_id=request_id)
    if status == 429 or (status == 503 and not change and "retry-after" in response.headers):
        wait = retry_after(response, now)
        return ThrottledError(message, retry_after=wait, status=status, request_id=request_id)
    if status == 501 and not change:
        return RefusedError(message, status=status, request_id=request_id)
    if status >= 500 or status in (408, 425) or (status == 404 and not words):
        kind = AmbiguousError if change else UnavailableError
        return kind(message, status=status, request_id=request_id)
    kind_refused, remedy = _refusal(status, words)
    return kind_refused(message + remedy, status=status, request_id=request_id)


def lost(error: httpx2.RequestError, *, doing: str, change: bool) -> ProviderError:
    """Return the error for a request without an answer: certainly not sent, or in doubt."""
    reason = f"{type(error).__name__}: {redact(str(error)) or 'no details'}"
    if isinstance(error, NOT_SENT):
        return UnavailableError(f"Hugging Face was not reached to {doing} ({reason})")
    kind = AmbiguousError if change else UnavailableError
    return kind(f"The answer of Hugging Face was lost when asked to {doing} ({reason})")


def unreadable(response: httpx2.Response, *, doing: str, change: bool, why: str) -> ProviderError:
    """Return the error for a 2xx answer whose body cannot be used."""
    kind = AmbiguousError if change else UnavailableError
    return kind(
        f"Hugging Face answered {response.status_code} when asked to {doing}, but {why}",
        status=response.status_code,
        request_id=_request_id(response),
    )


def retry_after(response: httpx2.Response, now: datetime) -> timedelta | None:
    """Return how long the cloud wants us to wait, up to a day.

    Reads `Retry-After` (seconds or a date, RFC 9110) or the `t=` of an exhausted IETF
    `ratelimit`; a date is held against the cloud's own `Date`.
    """
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return timedelta(seconds=min(float(value), _LONGEST_WAIT_S))
    until = http_date(value)
    if until is not None:
        wait = until - (http_date(response.headers.get("date", "")) or now)
        return max(timedelta(0), min(wait, timedelta(seconds=_LONGEST_WAIT_S)))
    limit = parse_ratelimit_headers(response.headers)
    if limit is not None and limit.remaining == 0:
        return timedelta(seconds=min(limit.reset_in_seconds, _LONGEST_WAIT_S))
    return None


def quota_of(response: httpx2.Response) -> Quota | None:
    """Return what the IETF rate-limit headers tell of the quota; None without them."""
    try:
        told = parse_ratelimit_headers(response.headers)
    except (ValueError, TypeError):
        return None
    if told is None or told.remaining < 0 or told.reset_in_seconds > _LONGEST_WAIT_S:
        return None
    return Quota(told.remaining, float(told.reset_in_seconds), told.limit)


def http_date(value: str) -> datetime | None:
    """Return an HTTP date as UTC, None when it is none."""
    try:
        instant = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _server_words(response: httpx2.Response) -> tuple[str, str]:
    """Return the server's message and request id, as the official client reads them."""
    try:
        hf_raise_for_status(response)
    except HfHubHTTPError as error:
        return error.server_message or "", error.request_id or ""
    except (AttributeError, TypeError, ValueError, LookupError):
        # The official client trips over JSON bodies of another form than an object, and such a
        # body is no plain word on whether something exists.
        words = "" if response.status_code == 404 else response.text.strip()
        return words, _request_id(response)
    return "", _request_id(response)


def _request_id(response: httpx2.Response) -> str:
    headers = response.headers
    names = ("x-request-id", "x-amzn-trace-id", "x-amz-cf-id")
    return next((headers[name] for name in names if headers.get(name)), "")


def _redirected(
    response: httpx2.Response, message: str, *, change: bool, request_id: str
) -> ProviderError:
    location = response.headers.get("location", "")
    try:
        host = httpx2.URL(location).host or "the same host"
    except httpx2.InvalidURL:
        host = "an unreadable address"
    # 301, 302 and 303 may answer a request that was carried out; 307 and 308 never do.
    kind = AmbiguousError if change and response.status_code in (301, 302, 303) else RefusedError
    return kind(
        f"{message} (a redirect to {host}; the token is not sent there, check the account's URLs)",
        status=response.status_code,
        request_id=request_id,
    )


def _refusal(status: int, words: str) -> tuple[type[RefusedError], str]:
    """Return the class of a 4xx answer, and the remedy to show with it."""
    if status == 402 or (status in (400, 403, 409, 422) and _CAPACITY.search(words)):
        return CapacityError, ""
    if status == 401:
        return CredentialsError, " (check the token that the account refers to)"
    if status == 403 and _PAYMENT.search(words):
        return CredentialsError, " (add a payment method to the namespace)"
    if status == 403:
        return CredentialsError, " (the token needs the right inference.endpoints.write here)"
    if status == 404:
        return _absent(words)
    return (ConflictError if status == 409 else RefusedError), ""


def _absent(words: str) -> tuple[type[RefusedError], str]:
    if _OF_THE_NAMESPACE.search(words) and "endpoint" not in words.lower():
        return CredentialsError, " (check the account's namespace)"
    return NotFoundError, ""
