"""An endpoint as the API shows it, with its bytes kept until they change."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from orchestrator.sandbox.endpoint import Endpoint, Frame, Spec
from orchestrator.sandbox.instants import hex_id, rfc3339
from orchestrator.sandbox.switches import Switches

MASK = "********"
_FOREVER = 1 << 62
_USED = '"lastUsedAt":"@"'


class Renderer:
    """Makes items; `base_url` is where the data plane is reached, `skew` moves the cloud's clock.

    Both may be set at any time; skew is in microseconds.
    """

    def __init__(self, switches: Switches, seed: int) -> None:
        self._switches = switches
        self._seed = seed
        self._base_url = "http://sandbox.invalid"
        self.skew = 0
        self._items: dict[int, _Item] = {}

    @property
    def base_url(self) -> str:
        """The address of the server, without a trailing slash."""
        return self._base_url

    @base_url.setter
    def base_url(self, value: str) -> None:
        self._base_url = value.rstrip("/")
        self._items.clear()

    def url(self, endpoint: Endpoint) -> str:
        """The data-plane address of an endpoint."""
        return f"{self._base_url}/data/{endpoint.id}"

    def when(self, instant: int) -> str:
        """An instant as the cloud prints it."""
        return rfc3339(instant)

    def item(self, endpoint: Endpoint, now: int) -> bytes:
        """The JSON of an endpoint now."""
        known = self._items.get(endpoint.number)
        if known is None or known.frame is not endpoint.frame:
            known = self._items[endpoint.number] = _Item(self, endpoint)
        if now >= known.valid_until or known.requests != len(endpoint.requests):
            known.refresh(self, endpoint, now)
        return known.body

    def forget(self, endpoint: Endpoint) -> None:
        """Drop what is kept of a deleted endpoint."""
        self._items.pop(endpoint.number, None)

    def past(self, endpoint: Endpoint, instant: int) -> dict[str, Any] | None:
        """The endpoint as it was at an instant; None if it was not there."""
        frame = endpoint.frame_at(instant)
        if frame is None:
            return None
        shown = self.fields(endpoint, frame)
        used = endpoint.last_used(instant)
        if used is not None:
            shown["status"]["lastUsedAt"] = self.when(used)
        return shown

    def fields(self, endpoint: Endpoint, frame: Frame) -> dict[str, Any]:
        """Everything but `lastUsedAt`."""
        spec = masked(endpoint.specs[frame.spec])
        turn = len(endpoint.frames) % max(len(spec["tags"]), 1)
        tags = spec["tags"][turn:] + spec["tags"][:turn]
        return {**spec, "tags": tags, "status": self._status(endpoint, frame)}

    def _status(self, endpoint: Endpoint, frame: Frame) -> dict[str, Any]:
        status: dict[str, Any] = {
            "createdAt": self.when(endpoint.created_at),
            "createdBy": self._person(endpoint.created_by),
            "updatedAt": self.when(frame.updated_at),
            "updatedBy": self._person(frame.updated_by),
            "private": None,
            "state": frame.state,
            "message": frame.message,
            "readyReplica": frame.ready,
            "targetReplica": 0 if frame.state == "pending" else frame.target,
            "inferenceMetricsEnabled": True,
        }
        if frame.error is not None:
            status["errorMessage"] = frame.error
        if frame.addressed and (frame.state != "paused" or self._switches.url_while_paused):
            status["url"] = self.url(endpoint)
        return status

    def _person(self, name: str) -> dict[str, str]:
        return {"id": hex_id(0, "person", name), "name": name}


class _Item:
    """The bytes of one endpoint, and until when they hold."""

    __slots__ = ("_head", "_tail", "body", "frame", "requests", "valid_until")

    def __init__(self, renderer: Renderer, endpoint: Endpoint) -> None:
        self.frame = endpoint.frame
        shown = renderer.fields(endpoint, self.frame)
        shown["status"]["lastUsedAt"] = "@"
        text = json.dumps(shown, separators=(",", ":"))
        head, _, tail = text.rpartition(_USED)
        self._head, self._tail = head, tail
        self.body, self.requests, self.valid_until = b"", 0, 0

    def refresh(self, renderer: Renderer, endpoint: Endpoint, now: int) -> None:
        used = endpoint.last_used(now)
        mark = "" if used is None else _USED.replace("@", renderer.when(used))
        head = self._head if mark else self._head.removesuffix(",")
        self.body = f"{head}{mark}{self._tail}".encode()
        self.requests = len(endpoint.requests)
        arrival = None
        if self.frame.reachable:
            arrival = endpoint.next_request(now)
        self.valid_until = _FOREVER if arrival is None else arrival


def masked(spec: Spec) -> Spec:
    """A copy of the settings without the values of secrets and credentials."""
    shown = deepcopy(spec)
    model = shown["model"]
    model["secrets"] = dict.fromkeys(model["secrets"], MASK)
    for container in model["image"].values():
        if "credentials" in container:
            container["credentials"] = {**container["credentials"], "password": MASK}
    return shown
