"""A client of the REST API that turns every failure into one line and one exit code."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

import httpx2

from orchestrator.cli import urls
from orchestrator.cli.errors import CliError, ExitCode

if TYPE_CHECKING:
    from orchestrator.settings import Settings

Query = Mapping[str, str | int | bool | Sequence[str] | None]
Scalar = str | int | float | bool | None
PAGE = 200
_SENDS = 3
_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `payload` is None when it has no body."""

    status: int
    payload: Any


class ApiProblemError(CliError):
    """The server refused; `problem` is its RFC 9457 document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        message = _detail(status, problem)
        remedy = problem.get("remedy") or _DEFAULT_REMEDIES.get(status, "")
        super().__init__(_redacted(message), _exit_code(status), _redacted(str(remedy)))
        self.status = status
        self.problem = problem


def _detail(status: int, problem: Mapping[str, Any]) -> str:
    """Return the problem in one sentence, with every field that was refused."""
    detail = problem.get("detail") or problem.get("title") or f"the server answered {status}"
    field = problem.get("field")
    texts = [str(detail) if not field or str(field) in str(detail) else f"{field}: {detail}"]
    for item in problem.get("errors") or []:
        text = f"{item.get('field')}: {item.get('message')}"
        if text not in texts:
            texts.append(text)
    return "; ".join(texts)


_DEFAULT_REMEDIES = {
    401: "set ORCHESTRATOR_TOKEN to a token of this server",
    403: "use a token with a wider scope",
}


class ApiClient:
    """Speaks to one server. Changes carry an idempotency key, so a lost answer is asked again."""

    def __init__(
        self, base_url: str, token: str | None, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self.base_url = base_url.rstrip("/")
        # The server's clock at its last answer: what ages of its figures are told by.
        self.server_time: datetime | None = None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(
            base_url=self.base_url,
            headers={"Accept": "application/json", "User-Agent": "orchestrator-cli", **headers},
            timeout=httpx2.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            # A proxy of the environment must not see what stays on this machine.
            trust_env=not urls.is_loopback(self.base_url),
            # Reading the certificates of all authorities takes longer than a local answer.
            verify=self.base_url.startswith("https://"),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Any:
        """Return the answer to a read."""
        return self.send("GET", path, query=query).payload

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        timeout_s: float = _READ_TIMEOUT_S,
    ) -> Answer:
        """Send one request. Raises CliError: ApiProblemError when refused, or server unreachable.

        A change whose answer was lost is sent again with the same key, so it happens once.
        """
        headers = {} if method == "GET" else {"Idempotency-Key": str(uuid.uuid4())}
        timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))
        for last in (False,) * (_SENDS - 1) + (True,):
            try:
                response = self._http.request(
                    method,
                    path,
                    params=_flat(query),
                    json=body,
                    headers=headers,
                    timeout=timeout,
                )
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                raise self._unreachable(error) from None
            except httpx2.TimeoutException:
                raise self._silent(method, timeout_s) from None
            except httpx2.RequestError as error:
                if last:
                    raise self._unreachable(error) from None
            else:
                self.server_time = _date(response) or self.server_time
                return _answer(response)
        raise AssertionError("the last send returns or raises")

    def pages(self, path: str, query: Query | None = None, limit: int = 0) -> dict[str, Any]:
        """Return a whole list as one page: all items, or the first `limit` of them."""
        merged: dict[str, Any] | None = None
        for page in self._each_page(path, dict(query or {}), limit):
            if merged is None:
                merged = dict(page)
            else:
                merged["items"] = merged["items"] + page["items"]
                merged["next_cursor"] = page.get("next_cursor")
            if limit and len(merged["items"]) >= limit:
                break
        return merged or {"items": [], "next_cursor": None}

    def _each_page(self, path: str, query: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
        left = limit
        while True:
            query["limit"] = min(left, PAGE) if limit else PAGE
            page = self.get(path, query)
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise _stranger(f"{self.base_url} answered with no list")
            yield page
            left -= len(page["items"])
            query["cursor"] = page.get("next_cursor")
            if not query["cursor"]:
                return

    def _unreachable(self, error: httpx2.RequestError) -> CliError:
        reason = _redacted(str(error)) or type(error).__name__
        remedy = (
            "start it with `orchestrator serve`, or name another with --server"
            if urls.is_loopback(self.base_url)
            else "check --server or ORCHESTRATOR_SERVER_URL, and the network"
        )
        return CliError(
            f"no answer from the server at {self.base_url}: {reason}", ExitCode.UNREACHABLE, remedy
        )

    def _silent(self, method: str, timeout_s: float) -> CliError:
        remedy = (
            "try again"
            if method == "GET"
            else "the change may have been made; see `orchestrator operations list`"
        )
        return CliError(
            f"the server at {self.base_url} did not answer within {timeout_s:g} s",
            ExitCode.UNREACHABLE,
            remedy,
        )


def stored_token(settings: Settings) -> str | None:
    """Return the token of the settings; a server on this machine may have the admin's file."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    if not urls.is_loopback(settings.api_url):
        return None
    try:
        return settings.admin_token_file.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _redacted(text: str) -> str:
    from orchestrator.logs import redact_text  # noqa: PLC0415 - only failures need it

    return redact_text(text)


def _flat(query: Query | None) -> list[tuple[str, Scalar]]:
    pairs: list[tuple[str, Scalar]] = []
    for key, value in (query or {}).items():
        if value is None or value == "":
            continue
        values = [value] if isinstance(value, str | int) else list(value)
        pairs += [
            (key, str(item).lower() if isinstance(item, bool) else str(item)) for item in values
        ]
    return pairs


def _date(response: httpx2.Response) -> datetime | None:
    try:
        at = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _answer(response: httpx2.Response) -> Answer:
    try:
        payload = response.json() if response.content else None
    except ValueError:
        payload = None
    if response.is_success and (isinstance(payload, dict) or not response.content):
        return Answer(response.status_code, payload)
    if response.is_success or response.is_redirect:
        told = f"{response.status_code} and {'no JSON' if payload is None else 'other JSON'}"
        raise _stranger(f"{response.request.url.host} answered {told}")
    raise ApiProblemError(response.status_code, payload if isinstance(payload, dict) else {})


def _stranger(told: str) -> CliError:
    return CliError(
        f"{told}: no orchestrator answers there",
        ExitCode.UNREACHABLE,
        "is this the orchestrator's address? check --server",
    )


def _exit_code(status: int) -> ExitCode:
    if status in (401, 403):
        return ExitCode.AUTH
    if status in (404, 410):
        return ExitCode.NOT_FOUND
    if status in (502, 503, 504):
        return ExitCode.UNREACHABLE
    return ExitCode.REFUSED if 400 <= status < 500 else ExitCode.UNEXPECTED
