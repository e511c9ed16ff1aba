"""Maps what AWS answers, or fails to answer, to the errors of the protocol.

SageMaker names few errors in its service model; most are `ValidationException`, so that the
beginning of the message decides together with the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore import exceptions as aws

from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
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
    aws.EndpointConnectionError,
    aws.ConnectTimeoutError,
    aws.ProxyConnectionError,
    aws.BaseEndpointResolverError,
    aws.UnknownServiceError,
)
NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.ProfileNotFound,
    aws.ConfigParseError,
    aws.ConfigNotFound,
    aws.InvalidConfigError,
    aws.TokenRetrievalError,
    aws.NoAuthTokenError,
    aws.RefreshWithMFAUnsupportedError,
    aws.UnknownCredentialError,
)
_LONGEST_MESSAGE = 600
_LONGEST_WAIT_S = 24 * 3600
# Codes without their ending `Exception`, which some services write and some do not.
_THROTTLING = {
    *("Throttling", "Throttled", "RequestThrottled", "TooManyRequests", "RequestLimitExceeded"),
    *("BandwidthLimitExceeded", "SlowDown", "PriorRequestNotComplete"),
}
_DENIED = {"AccessDenied", "UnauthorizedOperation", "NotAuthorized", "Forbidden"}
_BAD_KEYS = {
    *("UnrecognizedClient", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken"),
    *("ExpiredToken", "InvalidSignature", "SignatureDoesNotMatch", "IncompleteSignature"),
    *("AuthFailure", "MissingAuthenticationToken", "RequestExpired", "RequestTimeTooSkewed"),
    *("TokenRefreshRequired", "OptInRequired"),
}
_INTERNAL = {
    *("InternalFailure", "InternalError", "InternalServerError", "InternalServer"),
    *("InternalServiceError", "InternalService", "InternalServiceFault", "ServiceUnavailable"),
    *("RequestTimeout",),
}
_LIMITS = {
    *("ResourceLimitExceeded", "LimitExceeded", "LimitExceededFault", "ServiceQuotaExceeded"),
    *("InsufficientCapacity", "InsufficientInstanceCapacity"),
}
_MISSING = {
    *("ResourceNotFound", "ObjectNotFound", "NotFound", "NoSuchResource", "NoSuchEntity"),
}
_CONFLICTS = {"Conflict", "ResourceAlreadyExists", "AlreadyExists"}
_BUSY = {"ResourceInUse", "ConcurrentUpdate"}
# Beginnings and marks of messages, as SageMaker writes them.
_BUSY_WORDS = re.compile(
    r"(?i)^cannot \w+ in-progress|\bin[- ]progress (endpoint|inference component)"
    r"|^cannot (update|delete|modify) .*\b(creating|updating|deleting|in transition)\b"
    r"|\bin (a )?(transient|transitional) state"
)
_TAKEN_WORDS = re.compile(r"(?i)^cannot create already existing|\balready exists?\b")
_MISSING_WORDS = re.compile(r"(?i)^could not find\b")
_CAPACITY_WORDS = re.compile(
    r"(?i)insufficient .{0,40}capacity|account-level service limit"
    r"|(not enough|insufficient|unable to (provision|obtain)) .{0,40}(resource|capacity|instance)"
)
_NO_ENDPOINT = re.compile(r"""(?i)\bcould not find endpoint\s+["'`]?(?!configuration)""")
# Other texts of absence, with codes of SageMaker's own and about nothing but the endpoint.
_GONE = re.compile(
    r"""(?ix)^(?=.*\bendpoint\b)(?=.*\b(not\ found|does\ not\ exist|could\ not\ find)\b)
    (?!.*(configuration|component|variant|service\ endpoint|vpc\ endpoint))""",
    re.DOTALL,
)
_ABOUT_ENDPOINTS = re.compile(
    r"(?s)answered (?:ValidationException|ValidationError|ResourceNotFound(?:Exception)?)"
    r" when asked to sagemaker:(?:Describe|Delete)Endpoint: (.*)"
)
_UNKNOWN_OPERATION = re.compile(
    r"answered (?:UnknownOperation|InvalidAction|UnsupportedOperation)(?:Exception)? when asked"
)
_PARAMETER = re.compile(r"""parameter (?:in [\w.\[\]]+: "?)?([\w.\[\]-]+)""")


class DeniedError(CredentialsError):
    """The credentials are valid and lack the right to this one call."""


class UnreadableError(Exception):
    """A 2xx answer whose body is not what the service promises; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def failure(
    response: Mapping[str, Any], *, doing: str, change: bool, secrets: Iterable[str], now: datetime
) -> ProviderError:
    """Return the error for botocore's parse of an answer that is not a success."""
    words = response.get("Error") or {}
    about = response.get("ResponseMetadata") or {}
    code, text = str(words.get("Code") or ""), str(words.get("Message") or "")
    status = about.get("HTTPStatusCode")
    # A page of a proxy, or of another server at this address, says nothing to people.
    page = text.lstrip().startswith("<")
    shown = "" if page else redact(text, secrets)[:_LONGEST_MESSAGE]
    message = f"AWS answered {redact(code, secrets) or status} when asked to {doing}"
    message += f": {shown}" if shown else ""
    details: dict[str, Any] = {"status": status, "request_id": str(about.get("RequestId") or "")}
    kind = _kind(code, text, status if isinstance(status, int) else 0, change=change)
    if kind is RefusedError and _tells_absence(message):
        kind = NotFoundError
    if kind is ThrottledError:
        wait = retry_after(about.get("HTTPHeaders") or {}, now)
        return ThrottledError(message, retry_after=wait, **details)
    return kind(message + _REMEDIES.get(kind, ""), **details)


_REMEDIES: Mapping[type[ProviderError], str] = {
    CredentialsError: " (check the credentials that the account refers to)",
    DeniedError: " (allow this action in the IAM policy of the credentials)",
}


def _kind(code: str, text: str, status: int, *, change: bool) -> type[ProviderError]:
    in_doubt: type[ProviderError] = AmbiguousError if change else UnavailableError
    code = code.removesuffix("Exception")
    by_code: tuple[tuple[bool, type[ProviderError]], ...] = (
        (code in _THROTTLING or status == 429, ThrottledError),
        (code in _DENIED, DeniedError),
        (code in _BAD_KEYS, CredentialsError),
        (code in _INTERNAL or status >= 500 or status == 408, in_doubt),
        (code in _LIMITS or bool(_CAPACITY_WORDS.search(text)), CapacityError),
        (code in _BUSY or bool(_BUSY_WORDS.search(text)), BusyError),
        (code in _CONFLICTS or bool(_TAKEN_WORDS.search(text)), ConflictError),
        (code in _MISSING or bool(_MISSING_WORDS.search(text)), NotFoundError),
        # Not from the service itself: a proxy, or another server at this address.
        (status < 400 or (status == 404 and code.isdigit()), in_doubt),
        (status in (401, 403), CredentialsError),
    )
    return next((kind for found, kind in by_code if found), RefusedError)


def lost(error: Exception, *, doing: str, change: bool, secrets: Iterable[str]) -> ProviderError:
    """Return the error for a call without a usable answer: not sent, refused here, or in doubt."""
    if isinstance(error, aws.ParamValidationError):
        return RefusedError(f"{doing} was not sent, its parameters are wrong: {_parameters(error)}")
    reason = f"{type(error).__name__}: {redact(str(error), secrets)[:_LONGEST_MESSAGE]}"
    if isinstance(error, NO_CREDENTIALS):
        return CredentialsError(f"No credentials for {doing} ({reason})")
    if isinstance(error, NOT_SENT):
        return UnavailableError(f"AWS was not reached for {doing} ({reason})")
    kind = AmbiguousError if change else UnavailableError
    if isinstance(error, aws.HTTPClientError | aws.ConnectionError):
        return kind(f"The answer of AWS was lost when asked to {doing} ({reason})")
    if isinstance(error, UnreadableError):
        return kind(f"AWS answered when asked to {doing}, but {error.reason}")
    # A parser that trips may quote the answer, which may hold secrets: only its kind is told.
    return kind(f"AWS answered when asked to {doing}, but unreadably ({type(error).__name__})")


def says_no_endpoint(error: NotFoundError) -> bool:
    """Return whether the words are those for an endpoint that does not exist, and no other."""
    return bool(_NO_ENDPOINT.search(str(error))) or _tells_absence(str(error))


def is_unknown_operation(error: ProviderError) -> bool:
    """Return whether a cloud does not have this call at all: a right or an outage is none."""
    if isinstance(error, NotFoundError | CredentialsError):
        return False
    return error.status in (404, 501) or bool(_UNKNOWN_OPERATION.search(str(error)))


def _tells_absence(message: str) -> bool:
    told = _ABOUT_ENDPOINTS.search(message)
    return told is not None and bool(_GONE.match(told[1]))


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return what `Retry-After` asks for (seconds or a date, RFC 9110), up to a day."""
    value = str(headers.get("retry-after", "")).strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return timedelta(seconds=min(float(value), _LONGEST_WAIT_S))
    until = http_date(value)
    if until is None:
        return None
    wait = until - (http_date(str(headers.get("date", ""))) or now)
    return max(timedelta(0), min(wait, timedelta(seconds=_LONGEST_WAIT_S)))


def http_date(value: str) -> datetime | None:
    """Return an HTTP date as UTC, None when it is none."""
    try:
        instant = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _parameters(error: aws.ParamValidationError) -> str:
    """Return the names of the parameters alone: the report quotes values, which may be secret."""
    names = dict.fromkeys(_PARAMETER.findall(str(error)))
    return ", ".join(names) or "see the API's reference"
