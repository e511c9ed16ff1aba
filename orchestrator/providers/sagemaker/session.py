"""Calls to AWS for one account and region: time-outs, retries of reads, readable errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError
from botocore.parsers import ResponseParserError

from orchestrator.domain.pace import Bounds
from orchestrator.providers.account import ProviderAccount, ProviderHooks, Timing
from orchestrator.providers.base import (
    BusyError,
    CredentialsError,
    ProviderError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.pacing import HeldBackError, Ticket
from orchestrator.providers.permit import check_standing, note_call
from orchestrator.providers.redaction import MASK
from orchestrator.providers.sagemaker.clients import Clients
from orchestrator.providers.sagemaker.failures import UnreadableError, failure, http_date, lost
from orchestrator.providers.sagemaker.options import SageMakerOptions

MOST_PAGES = 1000
# botocore sends once: repeating reads, and the pace after a refusal, are decided here alone.
ATTEMPTS = 3
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 10.0
# AWS limits each action of an account and region by itself, and publishes no number for these.
# SageMaker's own canaries were throttled at some reads every 5 seconds, so the start is modest.
BOUNDS, CHANGE_BOUNDS = Bounds(start=10.0, burst=20.0), Bounds(start=5.0, burst=5.0)
# What these make is used by no endpoint yet.
_INERT = {"CreateModel", "CreateEndpointConfig"}
_READS = ("Describe", "List", "Get", "Simulate", "Lookup")
_SHORTEST_MASKED = 8
_PUBLIC = ("HF_MODEL_ID", "SM_ON_MODEL", "SM_VLLM_MODEL")


class AwsSession:
    """Sends calls with the credentials of one account; keeps connections and the account's id.

    Messages of errors never hold keys, nor values of a model's environment that were sent.
    """

    def __init__(
        self, account: ProviderAccount, hooks: ProviderHooks, options: SageMakerOptions
    ) -> None:
        self.region = account.region
        self.namespace = account.namespace
        self.options = options
        self._clock = hooks.clock
        self._sleep = hooks.sleep
        self._attempts = options.max_attempts or ATTEMPTS
        self._pacer = hooks.pacer(account, _bounds)
        self._watch = hooks.watch(account)
        self._clients = Clients(account, hooks, options)
        self._lock = threading.Lock()
        self._account_id = ""
        self.cloud_time: datetime | None = None

    def __repr__(self) -> str:
        return f"AwsSession(account={self.namespace!r}, region={self.region!r})"

    @property
    def account_id(self) -> str:
        """Return the id of the credentials' account, asked once. Raises ProviderError."""
        if not self._account_id:
            found = self.read("sts", "GetCallerIdentity").get("Account")
            if not isinstance(found, str) or not found:
                raise UnavailableError("AWS did not tell the account of the credentials")
            self._account_id = found
        return self._account_id

    def verify_account(self) -> None:
        """Raise CredentialsError when the credentials belong to another account than ours."""
        if self.namespace and self.account_id != self.namespace:
            raise CredentialsError(
                f"The credentials belong to AWS account {self.account_id}, not to "
                f"{self.namespace}: correct the account's namespace or its credentials."
            )

    @property
    def partition(self) -> str:
        """Return the partition of the region, `aws` for a region that botocore does not know."""
        return partition_of(self.region)

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of one of our resources; SageMaker writes names there in small letters."""
        owner = self.namespace or self.account_id
        return f"arn:{self.partition}:sagemaker:{self.region}:{owner}:{kind}/{name.lower()}"

    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Return the answer of a call without side effects, sent again where that may help.

        Raises UnavailableError, ThrottledError, or a RefusedError.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(service, operation, params, change=False)
            except (BusyError, HeldBackError):
                raise
            except UnavailableError as error:
                delay = _delay(attempt, error)
                if attempt == self._attempts or delay > LONGEST_DELAY_S:
                    raise
                if isinstance(error, ThrottledError):
                    continue  # its pace makes it wait
            self._sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    def read_raw(
        self, service: str, operation: str, /, **params: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the answer, and its JSON with the fields that botocore does not know."""
        parsed = self.read(service, operation, **params)
        return parsed, self._clients.last_raw()

    def pages(
        self, service: str, operation: str, result_key: str, /, **params: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield all items over all pages; an empty page does not end them.

        Raises UnavailableError for a page without the list, or pages that go round in circles.
        """
        for page in self.each_page(service, operation, **params):
            items = page.get(result_key)
            if not isinstance(items, list):
                raise UnavailableError(f"a page of {service}:{operation} has no {result_key}")
            yield from items

    def each_page(self, service: str, operation: str, /, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages one by one, up to 1,000. Raises as `pages` does."""
        tokens: set[str] = set()
        for _ in range(MOST_PAGES):
            page = self.read(service, operation, **params)
            yield page
            token = page.get("NextToken") or page.get("PaginationToken")
            if not token:
                return
            if token in tokens:
                raise UnavailableError(f"the pages of {service}:{operation} came back to a page")
            tokens.add(token)
            params["PaginationToken" if "PaginationToken" in page else "NextToken"] = token
        raise UnavailableError(f"{service}:{operation} did not end within {MOST_PAGES} pages")

    def change(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Return the answer of a change, which is sent exactly once, if that is wanted.

        Raises AmbiguousError when the outcome is unknown, UnavailableError (also BusyError, and
        HeldBackError for our own pace) when certainly nothing was done, or a RefusedError.
        ThrottledError says that AWS refused it for its rate: as a rule nothing was done either.
        """
        answer = self._once(service, operation, params, change=True)
        note_call(operation, effective=operation not in _INERT)
        return answer

    def calls(self) -> Mapping[str, int]:
        """Return the requests sent since this was asked last, by `service:Operation`."""
        return self._clients.counted()

    @property
    def sent(self) -> int:
        """Return how many requests were sent since the session was made."""
        return self._clients.sent

    def regions(self) -> tuple[str, ...]:
        """Return the regions of this partition that botocore knows SageMaker in; makes no call."""
        session = self._clients.botocore_session
        return tuple(sorted(session.get_available_regions("sagemaker", self.partition)))

    def close(self) -> None:
        """Release connections."""
        self._clients.close()

    def _once(
        self, service: str, operation: str, params: Mapping[str, Any], *, change: bool
    ) -> dict[str, Any]:
        with self._watch.call(service, operation) as timing:
            return self._timed(service, operation, params, timing, change=change)

    def _timed(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any],
        timing: Timing,
        *,
        change: bool,
    ) -> dict[str, Any]:
        doing = f"{service}:{operation}"
        keys = self._keys(doing)
        ticket = self._pacer.admit(doing, change=change)
        if change:
            check_standing()
        timing.sent()
        answer = self._send(service, operation, params)
        if not isinstance(answer, Exception):
            self._note(answer)
            self._pacer.answered(ticket)
            return answer
        secrets = (*_parts(keys), *_environment(params))
        error = self._error(answer, doing, operation, secrets, change=change)
        self._learn(ticket, answer, error)
        raise error

    def _learn(self, ticket: Ticket, answer: Exception, error: ProviderError) -> None:
        """Tell the pace of an answer; a lost one says nothing of the rate."""
        if isinstance(error, ThrottledError):
            self._pacer.answered(ticket, refused=True, wait=error.retry_after)
        elif isinstance(answer, ClientError):
            self._pacer.answered(ticket)

    def _keys(self, doing: str) -> object:
        """Return the present keys, before a change, so that a failure to get them is no doubt."""
        try:
            return self._clients.credentials()
        except ClientError as error:
            failed: Exception = error
        except BotoCoreError as error:
            failed = error
        except (RuntimeError, OSError) as error:
            failed = CredentialRetrievalError(provider="AWS", error_msg=type(error).__name__)
        raise self._error(failed, f"the keys for {doing}", "", (), change=False)

    def _send(
        self, service: str, operation: str, params: Mapping[str, Any]
    ) -> dict[str, Any] | Exception:
        """Return the failure as a value: raised, it would carry the call with its parameters.

        botocore's parsers trip over fields of a wrong type with errors of their own.
        """
        try:
            client = self._clients.get(service)
            answer: dict[str, Any] = getattr(client, xform_name(operation))(**params)
        except ProviderError:
            raise
        except (ClientError, BotoCoreError, ResponseParserError, UnreadableError) as error:
            return error
        except (AttributeError, TypeError, ValueError, LookupError, OSError) as error:
            return error
        return answer

    def _error(
        self,
        error: Exception,
        doing: str,
        operation: str,
        secrets: tuple[str, ...],
        *,
        change: bool,
    ) -> ProviderError:
        if not isinstance(error, ClientError):
            return lost(error, doing=doing, change=change, secrets=secrets)
        self._note(error.response)
        if error.operation_name != operation:
            # A call that botocore made to get keys; the one that was asked for was not sent.
            doing, change = f"sts:{error.operation_name}", False
        now = self._clock.now()
        return failure(error.response, doing=doing, change=change, secrets=secrets, now=now)

    def _note(self, answer: Mapping[str, Any]) -> None:
        headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
        told = http_date(str(headers.get("date", "")))
        if told is not None:
            with self._lock:
                self.cloud_time = told


def partition_of(region: str) -> str:
    """Return the partition of a region, `aws` for one that botocore does not know."""
    for start, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(start):
            return partition
    return "aws"


def _bounds(api: str) -> Bounds:
    return BOUNDS if api.partition(":")[2].startswith(_READS) else CHANGE_BOUNDS


def _delay(attempt: int, error: UnavailableError) -> float:
    """Return the seconds to wait after an attempt, counted from 1."""
    wanted = error.retry_after if isinstance(error, ThrottledError) else None
    return FIRST_DELAY_S * 2.0 ** (attempt - 1) if wanted is None else wanted.total_seconds()


def _parts(keys: Any) -> tuple[str, ...]:
    return tuple(part for part in (keys.access_key, keys.secret_key, keys.token) if part)


def _environment(value: object, *, inside: bool = False) -> Iterator[str]:
    """Yield the values of every `Environment` in parameters; a refusal may quote them."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not (inside and key in _PUBLIC):
                yield from _environment(item, inside=inside or key == "Environment")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _environment(item, inside=inside)
    elif inside and isinstance(value, str) and len(value) >= _SHORTEST_MASKED and value != MASK:
        yield value
