"""The HTTP session of one account: time-outs, the token, safe retries, and readable errors."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx2

from orchestrator import __version__
from orchestrator.clock import Clock
from orchestrator.domain.pace import Bounds
from orchestrator.providers.account import CallWatch, Timing
from orchestrator.providers.base import (
    ProviderError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.huggingface.failures import (
    NOT_SENT,
    failure,
    http_date,
    lost,
    quota_of,
    unreadable,
)
from orchestrator.providers.pacing import HeldBackError, Pacer, Ticket
from orchestrator.providers.permit import ask_again, check_permit, check_standing, note_call

ATTEMPTS = 3
FIRST_DELAY_S = 0.5
# No limit of these APIs is documented; the Hub's is 500 calls in 5 minutes, told in its headers.
MANAGEMENT, METRICS, HUB = "management", "metrics", "hub"
BOUNDS = {
    MANAGEMENT: Bounds(start=10.0, burst=20.0),
    METRICS: Bounds(start=10.0, burst=20.0),
    HUB: Bounds(start=500 / 300, burst=5.0),
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, for the next bytes in each direction, for the pool."""

    connect: float = 5.0
    read: float = 30.0
    write: float = 10.0
    pool: float = 5.0


@dataclass(slots=True)
class Tally:
    """What a series of calls came to: number, seconds waited, and the `Date` of the last answer."""

    calls: int = 0
    waited_s: float = 0.0
    cloud_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `doing` completes "asked to …" in messages, `exact` reads prices as Decimal."""

    method: str
    url: str
    doing: str
    params: Mapping[str, str | int] | None = None
    body: Mapping[str, Any] | None = None
    exact: bool = False
    anonymous: bool = False
    empty_ok: bool = False

    @property
    def purpose(self) -> str:
        """What the call is counted as: the first words of its purpose, which name no endpoint."""
        return " ".join(self.doing.split()[:2])

    @property
    def api(self) -> str:
        """The API whose rate limit this call counts for."""
        if self.url.endswith("/metrics"):
            return METRICS
        return HUB if "/api/" in self.url else MANAGEMENT


def path(*parts: str) -> str:
    """Return URL path parts, encoded. Raises RefusedError for a part that means another path."""
    for part in parts:
        if part in ("", ".", ".."):
            raise RefusedError(f"{part!r} cannot be a name: names are of the form a-z, 0-9 and -.")
    return "/".join(quote(part, safe="", errors="surrogatepass") for part in parts)


class Session:
    """Sends calls with the token of one account; keeps connections, no other state.

    Redirects are never followed, so that the token stays with the hosts it was given for.
    """

    def __init__(
        self,
        *,
        token: Callable[[], str],
        clock: Clock,
        sleep: Callable[[float], None],
        pacer: Pacer,
        watch: CallWatch,
        timeouts: Timeouts,
        retry_cap_s: float,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._token = token
        self._clock = clock
        self._sleep = sleep
        self._pacer = pacer
        self._watch = watch
        self._retry_cap = timedelta(seconds=retry_cap_s)
        self._counting = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._client = httpx2.Client(
            transport=transport,
            timeout=httpx2.Timeout(
                connect=timeouts.connect,
                read=timeouts.read,
                write=timeouts.write,
                pool=timeouts.pool,
            ),
            follow_redirects=False,
            headers={"user-agent": f"endpoint-orchestrator/{__version__}"},
        )

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def counted(self) -> Mapping[str, int]:
        """Return the calls sent since this was asked last, by the first words of their purpose."""
        with self._counting:
            counts, self._counts = self._counts, Counter()
        return counts

    def read(self, call: Call, tally: Tally | None = None) -> dict[str, Any]:
        """Return the JSON object that a call without side effects answers, after up to 3 attempts.

        Raises UnavailableError, ThrottledError, or a RefusedError.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(call, tally, change=False)
            except HeldBackError:
                raise
            except UnavailableError as error:
                delay = self._delay(attempt, error)
                if delay is None or not self._may_wait(delay, tally):
                    raise
                if isinstance(error, ThrottledError):
                    continue  # its pace makes it wait
            self._sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    def change(self, call: Call) -> dict[str, Any]:
        """Return the JSON object that a change answers; sent again only if it was not sent.

        Raises AmbiguousError when the outcome is unknown, UnavailableError when certainly nothing
        was received, or a RefusedError.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                return self._changed(call)
            except _NotSentError:
                self._sleep(_backoff(attempt))
        return self._changed(call)

    def _changed(self, call: Call) -> dict[str, Any]:
        ask_again()
        answer = self._once(call, None, change=True)
        note_call(call.purpose)
        return answer

    def _delay(self, attempt: int, error: UnavailableError) -> float | None:
        """Return the seconds to the next attempt, None when this was the last one."""
        if attempt == ATTEMPTS or error.status == 404:
            return None
        wanted = error.retry_after if isinstance(error, ThrottledError) else None
        if wanted is None:
            return _backoff(attempt)
        return wanted.total_seconds() if wanted <= self._retry_cap else None

    def _may_wait(self, delay: float, tally: Tally | None) -> bool:
        """Return whether a series of calls, such as the pages of a list, may still wait so long."""
        if tally is None:
            return True
        tally.waited_s += delay
        return tally.waited_s <= 3 * self._retry_cap.total_seconds()

    def _once(self, call: Call, tally: Tally | None, *, change: bool) -> dict[str, Any]:
        with self._watch.call(call.api, call.purpose) as timing:
            return self._timed(call, tally, timing, change=change)

    def _timed(
        self, call: Call, tally: Tally | None, timing: Timing, *, change: bool
    ) -> dict[str, Any]:
        secret = "" if call.anonymous else self._token()
        ticket = self._pacer.admit(call.api, change=change)
        if change:
            check_standing()
        timing.sent()
        if tally is not None:
            tally.calls += 1
        with self._counting:
            self._counts[call.purpose] += 1
        sent = self._send(call, secret)
        if isinstance(sent, httpx2.RequestError):
            error = lost(sent, doing=call.doing, change=change)
            raise _NotSentError(str(error)) if isinstance(sent, NOT_SENT) else error
        if tally is not None:
            tally.cloud_time = http_date(sent.headers.get("date", "")) or tally.cloud_time
        failed = None if sent.is_success else self._failure(sent, call, secret, change=change)
        self._learn(ticket, sent, failed)
        if failed is not None:
            raise failed
        return _decoded(sent, call, change=change)

    def _failure(
        self, sent: httpx2.Response, call: Call, secret: str, *, change: bool
    ) -> ProviderError:
        now = self._clock.now()
        return failure(sent, doing=call.doing, change=change, secret=secret, now=now)

    def _learn(self, ticket: Ticket, sent: httpx2.Response, failed: ProviderError | None) -> None:
        throttled = failed if isinstance(failed, ThrottledError) else None
        self._pacer.answered(
            ticket,
            refused=throttled is not None,
            wait=throttled.retry_after if throttled is not None else None,
            quota=quota_of(sent),
        )

    def _send(self, call: Call, secret: str) -> httpx2.Response | httpx2.RequestError:
        """Return the failure as a value: raised, it would carry the request with its headers."""
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        check_permit()
        try:
            return self._client.request(
                call.method,
                call.url,
                params=call.params,
                json=call.body,
                headers=headers,
                extensions={"trace": _last_check},
            )
        except httpx2.RequestError as error:
            return error


def _last_check(event: str, info: Mapping[str, Any]) -> None:
    """Ask again before the first byte: to connect, or to wait for a connection, takes a while."""
    del info
    if event.endswith("send_request_headers.started"):
        check_permit()


def _backoff(attempt: int) -> float:
    """Return the seconds to wait after an attempt, counted from 1."""
    return FIRST_DELAY_S * float(2 ** (attempt - 1))


class _NotSentError(UnavailableError):
    """The connection was not established, so that nothing can have been received."""


def _decoded(response: httpx2.Response, call: Call, *, change: bool) -> dict[str, Any]:
    if call.empty_ok and not response.content.strip():
        return {}
    why = "its body is not the JSON object that was expected"
    try:
        data = json.loads(response.content, parse_float=Decimal if call.exact else None)
    except (ValueError, RecursionError):
        data = None
        why = "its body is not JSON, or was cut off"
    if isinstance(data, dict):
        return data
    if call.empty_ok:
        return {}
    raise _unreadable(response, call, change=change, why=why)


def _unreadable(response: httpx2.Response, call: Call, *, change: bool, why: str) -> ProviderError:
    return unreadable(response, doing=call.doing, change=change, why=why)
