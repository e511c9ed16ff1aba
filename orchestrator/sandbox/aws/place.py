"""What one account has in one region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.sandbox.aws.component import Component
from orchestrator.sandbox.aws.endpoint import AwsEndpoint
from orchestrator.sandbox.record import decode, encode

Document = dict[str, Any]


@dataclass(slots=True)
class Thing:
    """A model or an endpoint configuration: the parameters of its creation, and its tags."""

    name: str
    arn: str
    created_at: int
    document: Document
    tags: dict[str, str] = field(default_factory=dict)

    def snapshot(self) -> Document:
        """The thing as JSON values."""
        return {
            "name": self.name,
            "arn": self.arn,
            "created_at": self.created_at,
            "document": encode(self.document),
            "tags": self.tags,
        }

    @classmethod
    def restore(cls, state: Document) -> Thing:
        """The thing that `snapshot` described."""
        return cls(**{**state, "document": decode(state["document"])})


@dataclass(slots=True)
class Place:
    """Models, configurations, endpoints and what hangs on them, by name.

    `gone` are deleted endpoints, kept for the bill. The documents of Application Auto Scaling are
    keyed by `resource|dimension` and, but for targets, `|name`; alarms by name.
    Its timers are those of the scheduled actions.
    """

    account_id: str
    region: str
    number: int
    models: dict[str, Thing] = field(default_factory=dict)
    configs: dict[str, Thing] = field(default_factory=dict)
    endpoints: dict[str, AwsEndpoint] = field(default_factory=dict)
    components: dict[str, Component] = field(default_factory=dict)
    gone: list[AwsEndpoint] = field(default_factory=list)
    gone_components: list[Component] = field(default_factory=list)
    targets: dict[str, Document] = field(default_factory=dict)
    policies: dict[str, Document] = field(default_factory=dict)
    scheduled_actions: dict[str, Document] = field(default_factory=dict)
    activities: list[Document] = field(default_factory=list)
    alarms: dict[str, Document] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)

    @property
    def partition(self) -> str:
        """The first part of an ARN: `aws`, or `aws-cn` in China."""
        return "aws-cn" if self.region.startswith("cn-") else "aws"

    def arn(self, kind: str, name: str, service: str = "sagemaker") -> str:
        """`arn:aws:sagemaker:region:account:endpoint/name`; the name in lower case, as AWS does."""
        shown = name.lower() if service == "sagemaker" and kind != "inference-component" else name
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{kind}/{shown}"

    def alarm_arn(self, name: str) -> str:
        """The ARN of a CloudWatch alarm."""
        return f"arn:{self.partition}:cloudwatch:{self.region}:{self.account_id}:alarm:{name}"

    def all_endpoints(self) -> Iterator[AwsEndpoint]:
        """The endpoints with the deleted ones."""
        yield from self.gone
        yield from self.endpoints.values()

    def all_components(self) -> Iterator[Component]:
        """The inference components with the deleted ones."""
        yield from self.gone_components
        yield from self.components.values()

    def components_of(self, endpoint: AwsEndpoint) -> list[Component]:
        """The inference components that sit on an endpoint now."""
        return [one for one in self.components.values() if one.endpoint_number == endpoint.number]

    def tagged(self) -> Iterator[tuple[str, dict[str, str]]]:
        """The ARN and the tags of everything that can have tags."""
        for kind in (self.models, self.configs, self.endpoints, self.components):
            yield from ((one.arn, one.tags) for one in kind.values())

    def snapshot(self) -> Document:
        """The place as JSON values."""
        documents = {key: encode(getattr(self, key)) for key in _DOCUMENTS}
        things = {
            key: [one.snapshot() for one in getattr(self, key).values()]
            for key in (*_THINGS, *_LIVE)
        }
        gone = {key: [one.snapshot() for one in getattr(self, key)] for key in _GONE}
        return {
            "account_id": self.account_id,
            "region": self.region,
            "number": self.number,
            "timers": dict(sorted(self.timers.items())),
            **things,
            **gone,
            **documents,
        }

    @classmethod
    def restore(cls, state: Document) -> Place:
        """The place that `snapshot` described."""
        place = cls(state["account_id"], state["region"], state["number"])
        place.timers = state["timers"]
        for key in _DOCUMENTS:
            setattr(place, key, decode(state[key]))
        for key, kind in {**_THINGS, **_LIVE}.items():
            setattr(place, key, {one.name: one for one in map(kind.restore, state[key])})
        for key, kind in _GONE.items():
            setattr(place, key, [*map(kind.restore, state[key])])
        return place


_DOCUMENTS = ("targets", "policies", "scheduled_actions", "activities", "alarms")
_THINGS: dict[str, Any] = {"models": Thing, "configs": Thing}
_LIVE: dict[str, Any] = {"endpoints": AwsEndpoint, "components": Component}
_GONE: dict[str, Any] = {"gone": AwsEndpoint, "gone_components": Component}
