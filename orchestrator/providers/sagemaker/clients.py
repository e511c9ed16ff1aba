"""botocore's clients of one account: made when first needed, counted, and bridged to a transport.

The bridge hands a signed request to an httpx2 transport in place of the network, so that signing,
serialising and parsing stay botocore's own.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import httpx2
from botocore import exceptions as aws
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from orchestrator import __version__
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.base import CredentialsError
from orchestrator.providers.permit import check_permit
from orchestrator.providers.sagemaker.credentials import Reference, assumed, keys_of
from orchestrator.providers.sagemaker.failures import UnreadableError
from orchestrator.providers.sagemaker.options import SageMakerOptions

POOL_SIZE = 20
# botocore gets the keys of a role by itself, so that it may ask for them again.
KEY_ATTEMPTS = 3
# The price list is served from a few regions only.
_PRICE_REGIONS = {"eu": "eu-central-1", "ap": "ap-south-1", "cn": "cn-northwest-1"}


def price_region(region: str) -> str:
    """Return the region whose price list API is asked about `region`."""
    return _PRICE_REGIONS.get(region.partition("-")[0], "us-east-1")


@lru_cache(maxsize=1)
def _loader() -> Any:
    """Return the reader of service models, shared: one model takes some 10 MB."""
    return botocore.loaders.create_loader()


class Clients:
    """Makes and keeps the clients, which send once and never retry; safe for threads."""

    def __init__(
        self, account: ProviderAccount, hooks: ProviderHooks, options: SageMakerOptions
    ) -> None:
        self._account = account
        self._hooks = hooks
        self._options = options
        self._reference = Reference.read(account.credential_ref)
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._counts: Counter[str] = Counter()
        self.sent = 0
        self._made: dict[str, Any] = {}
        self._session: Any = None
        self._raw = threading.local()

    @property
    def botocore_session(self) -> Any:
        """Return the botocore session. Raises CredentialsError for a profile that is not there."""
        with self._lock:
            if self._session is None:
                self._session = self._new_session()
            return self._session

    def get(self, service: str) -> Any:
        """Return the client of a service."""
        with self._lock:
            if service not in self._made:
                self._made[service] = self._new_client(service)
            return self._made[service]

    def credentials(self) -> Any:
        """Return the keys of this moment. Raises CredentialsError, or an error of botocore."""
        found = self.botocore_session.get_credentials()
        if found is None:
            raise CredentialsError("No AWS credentials were found for this account.")
        return found.get_frozen_credentials()

    def counted(self) -> Mapping[str, int]:
        """Return the requests sent since this was asked last, retries too, by service:Operation."""
        with self._counting:
            counts, self._counts = self._counts, Counter()
        return counts

    def last_raw(self) -> dict[str, Any]:
        """Return the JSON object of this thread's last answer, unparsed; empty for other forms."""
        found: dict[str, Any] = getattr(self._raw, "body", {})
        return found

    def close(self) -> None:
        """Release connections."""
        with self._lock:
            for client in self._made.values():
                client.close()
            self._made.clear()

    def _new_session(self) -> Any:
        session = self._plain_session(self._reference.profile)
        if self._reference.kind == "keys":
            found = keys_of(self._hooks, self._account.credential_ref)
            session.register_component("credential_provider", _Given(found))
        elif self._reference.kind == "role":
            source = self._plain_session(self._reference.profile)
            creator = partial(
                source.create_client,
                region_name=self._account.region,
                endpoint_url=self._options.endpoint_url or None,
            )
            given = _Given(assumed(creator, source.get_credentials(), self._reference, self._hooks))
            session.register_component("credential_provider", given)
        return session

    def _plain_session(self, profile: str | None) -> Any:
        session = botocore.session.Session(profile=profile)
        session.register_component("data_loader", _loader())
        session.set_default_client_config(self._config(KEY_ATTEMPTS))
        session.register("before-send", self._on_send)
        session.register("before-parse", self._on_answer)
        return session

    def _new_client(self, service: str) -> Any:
        region = self._account.region
        return boto3.Session(botocore_session=self.botocore_session).client(
            service,
            region_name=price_region(region) if service == "pricing" else region,
            endpoint_url=self._options.endpoint_url or None,
            config=self._config(1),
        )

    def _config(self, attempts: int) -> Any:
        options = self._options
        return Config(
            connect_timeout=options.connect_timeout_s,
            read_timeout=options.read_timeout_s,
            max_pool_connections=POOL_SIZE,
            retries={"mode": "standard", "total_max_attempts": attempts},
            user_agent_extra=f"endpoint-orchestrator/{__version__}",
        )

    def _on_send(self, request: Any, event_name: str, **_: object) -> Any:
        service, operation = event_name.split(".")[1:]
        with self._counting:
            self.sent += 1
            self._counts[f"{_SHORT.get(service, service)}:{operation}"] += 1
        check_permit()
        if self._hooks.transport is None:
            return None
        return bridge(self._hooks.transport, request, self._options)

    def _on_answer(
        self, operation_model: Any, response_dict: Mapping[str, Any], **_: object
    ) -> None:
        """Keep the JSON, and refuse what botocore would read as an empty answer."""
        self._raw.body = {}
        protocol = operation_model.service_model.resolved_protocol
        body = response_dict["body"]
        if response_dict["status_code"] >= 300 or protocol not in ("json", "rest-json"):
            return
        if not body and operation_model.output_shape is None:
            return
        self._raw.body = _json_object(body)


# The names that botocore's events have for services, as its clients are called.
_SHORT = {
    "application-auto-scaling": "application-autoscaling",
    "resource-groups-tagging-api": "resourcegroupstaggingapi",
}


class _Given:
    """A credential provider with one answer."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError("its body is not JSON, or was cut off") from None
    if not isinstance(found, dict):
        raise UnreadableError("its body is not the JSON object that was expected")
    return found


class _Body:
    """The body of an answer, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def bridge(transport: httpx2.BaseTransport, request: Any, options: SageMakerOptions) -> Any:
    """Send a signed request of botocore's through a transport; raises botocore's own errors."""
    timeout = {"connect": options.connect_timeout_s, "read": options.read_timeout_s}
    outward = httpx2.Request(
        request.method,
        request.url,
        headers=[(str(key), _text(value)) for key, value in request.headers.items()],
        content=request.body or b"",
        extensions={"timeout": timeout},
    )
    failed, url = _TRANSPORT_ERRORS, request.url
    try:
        response = transport.handle_request(outward)
        content = response.read()
    except httpx2.TransportError as error:
        make = next((make for kind, make in failed if isinstance(error, kind)), failed[-1][1])
        raise make(error, url) from None
    return AWSResponse(url, response.status_code, dict(response.headers), _Body(content))


_TRANSPORT_ERRORS: tuple[tuple[type[Exception], Callable[[Exception, str], Exception]], ...] = (
    (httpx2.ConnectTimeout, lambda e, url: aws.ConnectTimeoutError(endpoint_url=url, error=e)),
    (httpx2.ConnectError, lambda e, url: aws.EndpointConnectionError(endpoint_url=url, error=e)),
    (httpx2.ReadTimeout, lambda e, url: aws.ReadTimeoutError(endpoint_url=url, error=e)),
    (httpx2.TransportError, lambda e, url: aws.ConnectionClosedError(endpoint_url=url, error=e)),
)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
