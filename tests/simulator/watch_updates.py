"""An update that succeeded is what its cloud had, at rest, between the request and its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.endpoint import AwsEndpoint, Stretch
from orchestrator.sandbox.aws.place import Place
from orchestrator.sandbox.endpoint import Endpoint, Frame
from orchestrator.sandbox.instants import to_instant
from orchestrator.sandbox.world import World
from tests.simulator.bystander import Bystander, Row
from tests.simulator.tally import TALLY

# A read may be so old, and still tell what is there.
LAG = timedelta(seconds=90)
_TOLD = "SELECT id, status, finished_at FROM operation WHERE kind = 'update'"
_UPDATE = (
    "SELECT operation.*, account.provider, account.namespace, account.region FROM operation"
    " JOIN account ON account.id = operation.account_id WHERE operation.id = ?"
)
US = "robot"
_CHANGING = ("pending", "initializing", "updating", "updateFailed", "failed")


@dataclass
class UpdateWatch:
    """Compares what was asked for with the history of the clouds, once for each update."""

    book: Bystander
    world: World
    looked_at: datetime
    # Since when each update may have been asked for; None: it has ended and was looked at.
    since: dict[str, datetime | None] = field(default_factory=dict)

    def check(self, now: datetime) -> None:
        """Fail where one has succeeded that its cloud never had."""
        for told in self.book.rows(_TOLD):
            since = self.since.setdefault(told["id"], self.looked_at - LAG)
            if since is None or told["finished_at"] is None:
                continue
            self.since[told["id"]] = None
            if told["status"] == "succeeded":
                row = self.book.rows(_UPDATE, told["id"])[0]
                assert self._was_there(row, since, now), ("it never was as was asked", row)
                TALLY.add("updates kept", row["provider"])
        self.looked_at = now

    def _was_there(self, row: Row, since: datetime, until: datetime) -> bool:
        asked = json.loads(row["request"])["spec"]
        low, high = to_instant(since), to_instant(until)
        if row["provider"] == "sagemaker":
            place = self.world.aws.place(row["namespace"], row["region"])
            return _on_sagemaker(place, row["endpoint_name"], asked, (low, high))
        mine = (
            one
            for one in self.world.shelf.by_number.values()
            if (one.namespace, one.name) == (row["namespace"], row["endpoint_name"])
        )
        return any(
            _shows_on_huggingface(one, frame, asked) or _is_of_others(frame, low)
            for one in mine
            for frame in _within(one.frames, low, high)
        )


def _within(pieces: list[Any], low: int, high: int) -> Iterator[Any]:
    """Yield the stretches of time that reach into a span; each lasts until the next."""
    ends = [one.at for one in pieces[1:]] + [high + 1]
    for one, end in zip(pieces, ends, strict=True):
        if one.at <= high and end > low:
            yield one


def _is_of_others(frame: Frame, since: int) -> bool:
    """Others have changed it since: nobody can tell what it would have become."""
    return frame.updated_at >= since and frame.updated_by != US


def _shows_on_huggingface(endpoint: Endpoint, frame: Frame, asked: Mapping[str, Any]) -> bool:
    if frame.state in _CHANGING or not _is_bounded(endpoint.specs[frame.spec], asked):
        return False
    up = frame.ready and frame.state not in ("paused", "scaledToZero")
    shown = [frame.spec, frame.serving] if up else [frame.spec]
    return all(_fits(endpoint.specs[number], asked) for number in shown)


def _is_bounded(spec: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    bounds, scaling = asked.get("scaling"), spec["compute"]["scaling"]
    return bounds is None or (scaling["minReplica"], scaling["maxReplica"]) == (
        bounds["min_replicas"],
        bounds["max_replicas"],
    )


def _fits(spec: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Tell whether replicas with these settings are what was asked for."""
    compute, model = spec["compute"], spec["model"]
    hardware, told = asked.get("hardware"), model.get("env") or {}
    pairs = [(told.get(key), value) for key, value in _environment(asked)]
    if hardware is not None:
        pairs.append((compute["instanceType"], hardware["instance_type"]))
        pairs.append((compute["instanceSize"], hardware["instance_size"]))
    return all(one == other for one, other in pairs)


def _environment(asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (asked.get("environment") or {}).get("plain", {}).items()


def _on_sagemaker(place: Place, name: str, asked: Mapping[str, Any], span: tuple[int, int]) -> bool:
    every = list(place.all_components())
    return any(
        _Scene(place, one, [c for c in every if c.endpoint_number == one.number], span).saw(asked)
        for one in place.all_endpoints()
        if one.name == name
    )


@dataclass(frozen=True)
class _Scene:
    """An endpoint with its components in a span of time."""

    place: Place
    endpoint: AwsEndpoint
    components: list[Component]
    span: tuple[int, int]

    def saw(self, asked: Mapping[str, Any]) -> bool:
        """Tell whether it was as was asked at some time, and at rest."""
        return any(self._serves(one, asked) for one in _within(self.endpoint.stretches, *self.span))

    def _serves(self, stretch: Stretch, asked: Mapping[str, Any]) -> bool:
        document = self.endpoint.documents[stretch.config]["ProductionVariants"][0]
        kind = (asked.get("hardware") or {}).get("instance_type", document["InstanceType"])
        if stretch.status != "InService" or document["InstanceType"] != kind:
            return False
        if not _is_scaled(stretch, asked, classic=not self.components):
            return False
        if not self.components:
            return _runs(self.place, document["ModelName"], asked)
        return any(
            placement.status == "InService"
            and _runs(self.place, one.specified_in(placement)["ModelName"], asked)
            for one in self.components
            for placement in _within(one.placements, *self._during(stretch))
        )

    def _during(self, stretch: Stretch) -> tuple[int, int]:
        """Return the part of the span in which a stretch lasted."""
        later = self.endpoint.stretches[self.endpoint.stretches.index(stretch) + 1 :]
        end = min([self.span[1], *(one.at - 1 for one in later[:1])])
        return max(self.span[0], stretch.at), end


def _is_scaled(stretch: Stretch, asked: Mapping[str, Any], *, classic: bool) -> bool:
    """Compare counts of instances; bounds of a target have no history."""
    bounds, variant = asked.get("scaling"), stretch.variants[0]
    if bounds is None:
        return True
    low, high = bounds["min_replicas"], bounds["max_replicas"]
    if classic:
        return bool(low != high or variant.current == low)
    return bool((variant.floor, variant.ceiling) == (low, high))


def _runs(place: Place, name: str, asked: Mapping[str, Any]) -> bool:
    """Tell whether a model has the image and the settings; one that is gone tells nothing."""
    model = place.models.get(name)
    if model is None:
        return True
    container = model.document["PrimaryContainer"]
    if asked.get("image") and container["Image"] != asked["image"].get("uri"):
        return False
    told = container.get("Environment") or {}
    return all(told.get(key) == value for key, value in _environment(asked))
