"""The driver of one Hugging Face namespace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.clock import Clock
from orchestrator.domain.endpoints import (
    Contract,
    EndpointChange,
    EndpointSpec,
    Handover,
    Hardware,
    HardwareOffer,
    JsonObject,
    LeftBehind,
    Restored,
    Snapshot,
    Usage,
)
from orchestrator.domain.status import Status
from orchestrator.providers.base import (
    NOTHING_KEPT,
    AmbiguousError,
    Capabilities,
    Identity,
    Listing,
    NotFoundError,
    RefusedError,
    Right,
    UnavailableError,
)
from orchestrator.providers.errors import EchoMismatchError
from orchestrator.providers.huggingface.checks import check_spec
from orchestrator.providers.huggingface.hardware import read_offers
from orchestrator.providers.huggingface.identity import read_identity, read_rights
from orchestrator.providers.huggingface.listing import read_listing
from orchestrator.providers.huggingface.payloads import create_payload, update_payload
from orchestrator.providers.huggingface.session import Call, Session, path
from orchestrator.providers.huggingface.snapshot import Mapper
from orchestrator.providers.huggingface.spec import contains, kept_spec
from orchestrator.providers.huggingface.usage import asked_span, read_usage

_log = logging.getLogger(__name__)
# No figures are published: a model of some gigabytes is pulled and loaded within minutes.
USUAL_S = {
    "create": 600,
    "resume": 600,
    "update": 600,
    "pause": 120,
    "scale_to_zero": 120,
    "delete": 120,
}


class HuggingFaceProvider:
    """Speaks the Inference Endpoints API v2 for one namespace; keeps no state between calls.

    Not through `HfApi`: its session is shared by the whole process, has no time-outs and follows
    redirects, its listing reads one page, and its updates cannot send null.
    """

    def __init__(
        self,
        *,
        namespace: str,
        session: Session,
        mapper: Mapper,
        clock: Clock,
        api_url: str,
        hub_url: str,
    ) -> None:
        self.capabilities = Capabilities(usual_s=USUAL_S)
        self._namespace = namespace
        self._session = session
        self._mapper = mapper
        self._clock = clock
        self._api_url = api_url
        self._hub_url = hub_url

    def __repr__(self) -> str:
        return f"HuggingFaceProvider(namespace={self._namespace!r}, api_url={self._api_url!r})"

    def identity(self) -> Identity:
        """Return who the token is. The Hub limits this call heavily: keep the answer."""
        call = Call("GET", f"{self._hub_url}/api/whoami-v2", "say who the token is")
        return read_identity(self._session.read(call), self._namespace)

    def rights(self) -> Sequence[Right]:
        """Return the rights of the token; the Hub limits this call heavily: keep the answer."""
        call = Call("GET", f"{self._hub_url}/api/whoami-v2", "say what the token may do")
        return read_rights(self._session.read(call), self._namespace)

    def list_endpoints(self) -> Listing:
        """Return every endpoint of the namespace, all pages."""
        return read_listing(self._at(), self._session, self._mapper, self._clock)

    def get_endpoint(self, name: str) -> Snapshot | None:
        """Return one endpoint; None only for a 404 with the API's own words in it."""
        doing = f"read endpoint {name}"
        try:
            raw = self._session.read(Call("GET", self._at(name), doing))
        except NotFoundError:
            return None
        if raw.get("name") != name:
            raise UnavailableError(f"Hugging Face answered with another endpoint, asked to {doing}")
        return self._mapper.snapshot(raw)

    def left_behind(self) -> Sequence[LeftBehind]:
        """Return nothing: a paused endpoint stays in the listing."""
        return ()

    def check(
        self, spec: EndpointSpec | EndpointChange, current: JsonObject = NOTHING_KEPT
    ) -> tuple[str, ...]:
        """Return warnings on a spec or change. Raises SpecError for what would be refused."""
        del current
        return check_spec(spec)

    def create_endpoint(self, spec: EndpointSpec) -> Snapshot:
        """Create an endpoint.

        Raises ConflictError when the name is taken, and EchoMismatchError when the endpoint came
        into being with another access or hardware than was asked for.
        """
        payload = create_payload(spec)
        call = Call("POST", self._at(), f"create endpoint {spec.name}", body=payload)
        return _checked_echo(self._changed(call, spec.name), spec.access, spec.hardware)

    def update_endpoint(self, name: str, change: EndpointChange) -> Snapshot:
        """Send the fields of `change` that are set; without any, only read.

        Raises EchoMismatchError when access or hardware became something else.
        """
        payload = update_payload(change)
        if not payload:
            return self._existing(name)
        call = Call("PUT", self._at(name), f"update endpoint {name}", body=payload)
        return _checked_echo(self._changed(call, name), change.access, change.hardware)

    def shows(self, seen: Snapshot, change: EndpointChange) -> bool:
        """Tell whether an endpoint has all that a change sets; secrets are never told."""
        if change.secrets is not None:
            return False
        asked = kept_spec(update_payload(change), self._mapper.redactor)
        return "omitted" not in asked and contains(seen.spec, asked)

    def contract(self, name: str) -> Contract:
        """Return that a pause keeps all; only places in the queue for hardware are given up."""
        self._existing(name)
        return Contract(
            kept=("configuration", "address", "environment and secrets", "logs"),
            risks=("hardware may be short when it is resumed",),
        )

    def pause_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> Snapshot:
        """Stop all replicas; nothing wakes it but a resume."""
        del kept
        return self._act(name, "pause", lambda status: status is Status.PAUSED)

    def resume_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> Snapshot:
        """Start a paused or scaled-to-zero endpoint; already running is success."""
        del kept
        asleep = {Status.PAUSED, Status.SCALED_TO_ZERO}
        return self._act(name, "resume", lambda status: status not in asleep)

    def restore(self, name: str, kept: JsonObject) -> Restored:
        """Return that there is nothing to put back: this cloud keeps a paused endpoint whole."""
        del name, kept
        return Restored()

    def handover(self, name: str, kept: JsonObject) -> Handover:
        """Return nothing: a paused endpoint stays there, whole."""
        del name, kept
        return Handover()

    def scale_to_zero(self, name: str) -> Snapshot:
        """Stop all replicas; the next request wakes it."""
        return self._act(name, "scale-to-zero", lambda status: status is Status.SCALED_TO_ZERO)

    def delete_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> None:
        """Delete it with its configuration, logs and metrics; gone already is success."""
        del kept
        call = Call("DELETE", self._at(name), f"delete endpoint {name}", empty_ok=True)
        try:
            self._session.change(call)
        except NotFoundError:
            _log.info("endpoint %s/%s was gone before it was deleted", self._namespace, name)

    def hardware(self) -> list[HardwareOffer]:
        """Return the price list with quotas, or the public one without them where refused."""
        base = f"{self._api_url}/provider"
        own = Call("GET", f"{base}/{path(self._namespace)}", "list hardware", exact=True)
        try:
            return read_offers(self._session.read(own), quotas=True)
        except RefusedError as error:
            _log.warning("hardware of %s without quotas: %s", self._namespace, error)
        public = Call("GET", base, "list public prices", exact=True, anonymous=True)
        return read_offers(self._session.read(public), quotas=False)

    def usage(
        self, names: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, Usage | None]:
        """Return counted requests of `[start, end)`; None when this plan or token is not told."""
        return {name: self._usage(name, start, end) for name in names}

    def _usage(self, name: str, start: datetime, end: datetime) -> Usage | None:
        since, until = asked_span(start, end)
        span = {"start": _rfc3339(since), "stop": _rfc3339(until)}
        call = Call("POST", f"{self._at(name)}/metrics", f"count requests of {name}", body=span)
        try:
            raw = self._session.read(call)
        except RefusedError as error:
            if error.status in (403, 404, 405, 501):
                return None
            raise
        except UnavailableError as error:
            if error.status == 404:
                return None
            raise
        return read_usage(raw, start, end)

    def calls(self) -> Mapping[str, int]:
        """Return how many calls were made since this was asked last, by what they were for."""
        return self._session.counted()

    def close(self) -> None:
        """Release connections."""
        self._session.close()

    def _at(self, *name: str) -> str:
        return f"{self._api_url}/endpoint/{path(self._namespace, *name)}"

    def _act(self, name: str, verb: str, done: Callable[[Status], bool]) -> Snapshot:
        """Call a verb; when it is refused because that is so "already", reading it decides."""
        call = Call("POST", f"{self._at(name)}/{verb}", f"{verb} endpoint {name}")
        try:
            return self._changed(call, name)
        except RefusedError as error:
            if error.status not in (400, 409) or "already" not in str(error).lower():
                raise
            snapshot = self._existing(name)
            if not done(snapshot.status):
                raise
            return snapshot

    def _changed(self, call: Call, name: str) -> Snapshot:
        raw: Mapping[str, Any] = self._session.change(call)
        if raw.get("name") != name:
            raise AmbiguousError(
                f"Hugging Face answered with another endpoint when asked to {call.doing}"
            )
        return self._mapper.snapshot(raw)

    def _existing(self, name: str) -> Snapshot:
        snapshot = self.get_endpoint(name)
        if snapshot is None:
            raise NotFoundError(f"endpoint {name} does not exist in {self._namespace}", status=404)
        return snapshot


def _checked_echo(snapshot: Snapshot, access: str | None, hardware: Hardware | None) -> Snapshot:
    """Compare with what was asked: the cloud replaces access words it does not know, silently."""
    asked: dict[str, str] = {}
    echoed: dict[str, str] = {}
    if access is not None and snapshot.access != access:
        asked["access"], echoed["access"] = access, snapshot.access
    if hardware is not None and not _same(hardware.key, snapshot.hardware.key):
        asked["hardware"], echoed["hardware"] = hardware.key, snapshot.hardware.key
    if not asked:
        return snapshot
    raise EchoMismatchError(
        f"endpoint {snapshot.name} EXISTS, but not as asked: asked for {asked}, got {echoed}",
        snapshot=snapshot,
        asked=asked,
        echoed=echoed,
    )


def _same(asked: str, echoed: str) -> bool:
    parts = zip(asked.split("/"), echoed.split("/"), strict=True)
    return all("?" in pair or pair[0] == pair[1] for pair in parts)


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
