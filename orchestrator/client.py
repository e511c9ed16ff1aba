"""For programs: lease an endpoint, work while it serves, and give it back.

from orchestrator.client import Client

with Client() as client, client.lease("search-prod", ttl="10m", reason="nightly eval") as lease:
    evaluate(lease.url)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from orchestrator.cli import client as http
from orchestrator.cli import urls
from orchestrator.cli.errors import CliError
from orchestrator.services.errors import ServiceError
from orchestrator.services.lengths import parse

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

_LONGEST_POLL_S = 30
_LONGEST_ANSWER_S = 60.0
# So many silent tries of a renewal fit into what is left of a lease when it is first renewed.
_TRIES = 4
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_DEAD = frozenset({"overruled", "failed", "released", "revoked", "expired"})


class ClientError(Exception):
    """A request was refused, or could not be made; `code` is the problem's, empty without one."""

    def __init__(self, message: str, *, code: str = "", status: int = 0, remedy: str = "") -> None:
        super().__init__(f"{message} ({remedy})" if remedy else message)
        self.code, self.status, self.remedy = code, status, remedy

    @property
    def is_passing(self) -> bool:
        """Tell whether the same request may succeed a little later."""
        return self.status == 0 or self.status in _PASSING


class LeaseLostError(ClientError):
    """The lease ended while the program still needed it."""


class NotServingError(ClientError):
    """The endpoint does not serve: it failed, is overruled, or took too long."""


class Timer(Protocol):
    """Seconds that only go forward, and waiting for some of them; tests give their own."""

    def now(self) -> float:
        """Return the seconds since some moment."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long, at most until `stop` is set; tell whether it is."""


class MonotonicTimer:
    """The timer of this machine."""

    def now(self) -> float:
        """Return the seconds since some moment."""
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long, at most until `stop` is set; tell whether it is."""
        return stop.wait(seconds)


class Client:
    """Speaks to one server; without arguments to the one that the environment names.

    That is `ORCHESTRATOR_SERVER_URL` and `ORCHESTRATOR_TOKEN`, as for the command line.
    """

    def __init__(
        self,
        server_url: str | None = None,
        token: str | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
        timer: Timer | None = None,
    ) -> None:
        if server_url is None or token is None:
            from orchestrator import settings  # noqa: PLC0415 - not needed where both are given

            found = settings.load().with_overrides(server_url=server_url)
            server_url, token = found.api_url, token or http.stored_token(found)
        self._http = http.ApiClient(server_url, token, transport)
        self.timer: Timer = timer or MonotonicTimer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    def lease(
        self, endpoint: str, *, ttl: str = "10m", reason: str = "", wait: str = "30m"
    ) -> Lease:
        """Return a lease for a `with` block: acquired on entry, renewed in it, released after it.

        Entry waits until the endpoint serves, at most `wait`. Raises ClientError for lengths that
        cannot be read; entry raises ClientError where it is refused, or NotServingError.
        """
        body = {"endpoint": endpoint, "ttl": ttl, "reason": reason}
        return Lease(self, body, _length(ttl, "ttl"), _length(wait, "wait"))

    def get(self, path: str, query: http.Query | None = None) -> Any:
        """Return the answer to a read. Raises ClientError."""
        return self.send("GET", path, query=query)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: http.Query | None = None,
        timeout_s: float = _LONGEST_ANSWER_S,
    ) -> Any:
        """Send one request and return its answer; a change happens once. Raises ClientError.

        `timeout_s` is how long a silent server is waited for.
        """
        try:
            return self._http.send(
                method, path, query=query, body=body, timeout_s=timeout_s
            ).payload
        except http.ApiProblemError as error:
            code = str(error.problem.get("code") or "")
            raise ClientError(
                str(error), code=code, status=error.status, remedy=error.remedy
            ) from None
        except CliError as error:
            raise ClientError(str(error), remedy=error.remedy) from None


class Lease:
    """One endpoint kept running for a `with` block.

    `lost` turns true when the server ended the lease, or when it was not renewed in time: what is
    done from then on may meet a sleeping endpoint. The end of the block then raises
    LeaseLostError, unless it raises an error of its own.
    """

    def __init__(
        self, client: Client, body: Mapping[str, str], ttl: timedelta, wait: timedelta
    ) -> None:
        self._client, self._body = client, body
        self._ttl, self._wait = ttl.total_seconds(), wait.total_seconds()
        self._patience = min(_LONGEST_ANSWER_S, self._ttl)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._deadline = 0.0
        self._why = ""
        self.id = ""
        self.url = ""
        self.renewals = 0

    @property
    def lost(self) -> bool:
        """Tell whether the endpoint may be asleep although the block has not ended."""
        return bool(self.why)

    @property
    def why(self) -> str:
        """Return why the lease is lost; empty while it is not."""
        if not self._why and self._client.timer.now() >= self._deadline:
            return "it was not renewed in time"
        return self._why

    def check(self) -> None:
        """Raise LeaseLostError when the lease is lost; for long work to call now and then."""
        if self.lost:
            raise LeaseLostError(f"the lease of {self._body['endpoint']} is lost: {self.why}")

    def __enter__(self) -> Self:
        sent = self._client.timer.now()
        leases = urls.path("leases")
        found = self._client.send("POST", leases, body=self._body, timeout_s=self._patience)
        self.id = str(found["id"])
        self._note(found, sent)
        self._thread = threading.Thread(target=self._renew, name=f"lease-{self.id}", daemon=True)
        self._thread.start()
        try:
            self._until_it_serves(found)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._why = self.why
        self._end()
        why = self._why
        if error is None and why:
            raise LeaseLostError(f"the lease of {self._body['endpoint']} was lost: {why}")

    def _until_it_serves(self, found: Mapping[str, Any]) -> None:
        timer = self._client.timer
        latest = timer.now() + self._wait
        while found["status"] != "serving":
            told = f"{self._body['endpoint']} does not serve: {found['detail']}"
            if found["status"] in _DEAD:
                raise NotServingError(told, code=str(found["status"]))
            left = latest - timer.now()
            if left <= 0:
                raise NotServingError(told, code="timed_out")
            self.check()
            query = {"wait": max(1, min(int(left), _LONGEST_POLL_S))}
            try:
                found = self._client.get(urls.path("leases", self.id), query)
            except ClientError as error:
                if not error.is_passing:
                    raise
                timer.wait(self._stop, 1.0)
        self.url = str(found["url"])

    def _renew(self) -> None:
        timer, delay = self._client.timer, self._ttl / 3
        while not timer.wait(self._stop, delay):
            delay = self._ttl / 3
            try:
                self._renew_once()
            except ClientError as error:
                if error.code == "lease_at_its_longest":
                    return  # it lasts to its deadline, and no longer
                if not error.is_passing:
                    self._why = str(error)
                    return
                if self.lost:
                    self._why = f"it was not renewed in time: {error}"
                    return
                log.warning("the lease %s was not renewed, and is tried again: %s", self.id, error)
                delay = max(self._ttl / 20, 1.0)

    def _renew_once(self) -> None:
        sent = self._client.timer.now()
        # A silent server must leave time for more tries before the lease is over.
        patience = min(_LONGEST_ANSWER_S, self._ttl * 2 / 3 / _TRIES)
        found = self._client.send(
            "POST",
            urls.path("leases", self.id, "renew"),
            body={"ttl": self._body["ttl"]},
            timeout_s=patience,
        )
        self._note(found, sent)
        self.renewals += 1

    def _note(self, found: Mapping[str, Any], sent: float) -> None:
        """Reckon the deadline from before the request: it is never later than the server's."""
        try:
            self._deadline = sent + float(found["seconds_left"])
        except (KeyError, TypeError, ValueError):
            raise ClientError("the server's answer tells no end of the lease") from None

    def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._ttl)
        try:
            ended = self._client.send(
                "DELETE", urls.path("leases", self.id), timeout_s=self._patience
            )
        except ClientError as error:
            log.warning("the lease %s was not released, and ends by itself: %s", self.id, error)
            return
        # The server's clock counts: where it goes otherwise, the lease may have ended unnoticed.
        if ended["status"] in ("expired", "revoked"):
            self._why = self._why or f"the server says that it is {ended['status']}"


def _length(text: str, field: str) -> timedelta:
    try:
        return parse(text, field)
    except ServiceError as error:
        raise ClientError(
            f"{field}: {error.detail}", code=error.code, remedy=error.remedy or ""
        ) from None
