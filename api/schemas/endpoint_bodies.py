"""What endpoints are created, changed and adopted with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Body, Labels, Reason
from orchestrator.api.schemas.endpoints import EndpointOut
from orchestrator.api.schemas.lifetimes import ExpiryBody
from orchestrator.api.schemas.operations import HoldOut, Ref
from orchestrator.api.schemas.texts import like
from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware, Scaling

Part = Annotated[
    str,
    like(
        r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        "Hardware is named by letters from a to z, digits and . _ -, 64 characters at most, such "
        "as nvidia-l4; GET /v1/hardware lists what there is.",
    ),
]
Repository = Annotated[
    str,
    like(
        r"^([A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?|s3://[a-z0-9][a-z0-9.-]+/[\w./=-]*)$",
        "A repository is written as owner/name, such as acme/model, or as s3://bucket/key.",
        max_length=400,
        description="A repository of the Hub, or, where the cloud can load from it, s3://….",
    ),
]
Short = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[list[Annotated[str, Field(max_length=4000)]], Field(max_length=100)]
Variables = Annotated[
    dict[
        Annotated[
            str,
            like(
                r"^[A-Za-z_][A-Za-z0-9_]{0,127}$",
                "A variable is named by letters from a to z, digits and _, with no digit first, "
                "128 characters at most, such as MAX_LENGTH.",
            ),
        ],
        Annotated[str, Field(max_length=20_000)],
    ],
    Field(
        max_length=200,
        description="Values are never stored or shown. A reference, env:NAME or file:/path, is "
        "resolved by the server at the call and survives a restart; it needs the scope admin.",
    ),
]
Image = Annotated[dict[str, Any], Field(min_length=1, max_length=4, examples=[{"huggingface": {}}])]
Options = Annotated[
    dict[str, str | int | bool | list[str]],
    Field(
        max_length=40,
        examples=[{}],
        description="Settings that only this cloud has; never secrets. See the cloud's page.",
    ),
]
Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=385)]],
    Field(max_length=50, examples=[["team=search"]], description="The cloud's own tags."),
]
Access = Literal["authenticated", "public", "private"]
Owner = Annotated[str, Field(max_length=120, examples=["alice@example.org"])]


class HardwareBody(Body):
    """What a replica shall run on; see GET /v1/hardware."""

    vendor: Part = Field(examples=["aws"])
    region: Part = Field(examples=["us-east-1"])
    instance_type: Part = Field(examples=["nvidia-l4"])
    instance_size: Part = Field(examples=["x1"])
    accelerator: Annotated[
        str,
        Field(
            max_length=40,
            examples=["gpu"],
            description="Left out, the one that the account's price list has for the rest.",
        ),
    ] = ""

    def value(self) -> Hardware:
        """Return it as the domain's value."""
        return Hardware(
            self.vendor, self.region, self.instance_type, self.instance_size, self.accelerator
        )


class ScalingBody(Body):
    """Bounds of replicas, and the cloud's own idle timer in minutes (null: none)."""

    min_replicas: int = Field(ge=0, le=100, examples=[0])
    max_replicas: int = Field(ge=1, le=100, examples=[1])
    scale_to_zero_minutes: int | None = Field(None, ge=1, le=10_080, examples=[15])

    def value(self) -> Scaling:
        """Return it as the domain's value."""
        return Scaling(self.min_replicas, self.max_replicas, self.scale_to_zero_minutes)


class CreateBody(Body):
    """A new endpoint."""

    account: Annotated[str, Field(max_length=120, description="Id or name.", examples=["acme"])]
    name: Annotated[str, Field(max_length=63, examples=["search-prod"])]
    repository: Repository = Field(examples=["Qwen/Qwen3-4B"])
    hardware: HardwareBody
    scaling: ScalingBody
    task: Short | None = Field(None, examples=["text-generation"])
    revision: Short | None = None
    framework: Short | None = None
    access: Access | None = None
    image: Image | None = None
    environment: Variables = Field(default_factory=dict, examples=[{"MAX_LENGTH": "4096"}])
    secrets: Variables = Field(default_factory=dict, examples=[{"API_KEY": "env:SEARCH_API_KEY"}])
    command: Words = Field(default_factory=list)
    arguments: Words = Field(default_factory=list)
    options: Options = Field(default_factory=dict)
    tags: Tags = Field(default_factory=list)
    labels: Labels = Field(default_factory=dict)
    owner: Owner = ""
    expiry: ExpiryBody | None = Field(
        None, description="When it expires; left out as the expiry policies over it say."
    )
    reason: Reason = ""

    def spec(self) -> EndpointSpec:
        """Return it as the driver's value; what was left out takes the driver's default."""
        chosen: dict[str, Any] = {
            name: value
            for name, value in (
                ("framework", self.framework),
                ("access", self.access),
                ("image", self.image),
            )
            if value is not None
        }
        return EndpointSpec(
            name=self.name,
            repository=self.repository,
            hardware=self.hardware.value(),
            scaling=self.scaling.value(),
            task=self.task,
            revision=self.revision,
            environment=self.environment,
            secrets=self.secrets,
            command=tuple(self.command),
            arguments=tuple(self.arguments),
            options=self.options,
            tags=tuple(self.tags),
            **chosen,
        )


class PatchBody(Body):
    """What may change of an endpoint; what is left out stays, maps and lists are replaced whole."""

    labels: Labels | None = None
    owner: Owner | None = None
    protected: bool | None = None
    scaling: ScalingBody | None = None
    hardware: HardwareBody | None = None
    repository: Repository | None = None
    revision: Short | None = None
    task: Short | None = None
    image: Image | None = None
    environment: Variables | None = None
    secrets: Variables | None = None
    command: Words | None = None
    arguments: Words | None = None
    access: Access | None = None
    options: Options | None = None
    tags: Tags | None = None
    reason: Reason = ""

    def change(self) -> EndpointChange | None:
        """Return the cloud's part of it, or None when there is none."""
        change = EndpointChange(
            hardware=None if self.hardware is None else self.hardware.value(),
            scaling=None if self.scaling is None else self.scaling.value(),
            repository=self.repository,
            revision=self.revision,
            task=self.task,
            image=self.image,
            environment=self.environment,
            secrets=self.secrets,
            command=None if self.command is None else tuple(self.command),
            arguments=None if self.arguments is None else tuple(self.arguments),
            access=self.access,
            options=self.options,
            tags=None if self.tags is None else tuple(self.tags),
        )
        return None if change == EndpointChange() else change


class AdoptBody(Body):
    """What to note of an endpoint when it is taken under management; labels are added."""

    labels: Labels | None = None
    owner: Owner | None = None
    reason: Reason = ""


class SelectorBody(Body):
    """Which endpoints: all conditions that are given must hold."""

    account: Annotated[str, Field(max_length=120)] | None = Field(None, examples=["acme"])
    endpoint: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="Id, or account-name/endpoint-name."
    )
    labels: Annotated[dict[str, str], Field(max_length=20)] = Field(
        default_factory=dict, examples=[{"team": "search"}]
    )


class AdoptManyBody(AdoptBody):
    """Which endpoints to adopt: by selector, or by id."""

    selector: SelectorBody | None = None
    ids: Annotated[list[str], Field(max_length=2000)] | None = None


class ReleaseBody(Body):
    """Why it is given back, and whether one that was deleted to pause it is handed over."""

    reason: Reason = ""
    handover: bool = Field(
        default=False,
        description="Answer with all that makes it again, without secrets, and forget it.",
    )


class UndeleteBody(Body):
    """Why it is brought back."""

    reason: Reason = ""


class UndeletedOut(EndpointOut):
    """An endpoint that was brought back, and the holds that its deletion ended for good."""

    holds_not_revived: list[HoldOut]


class HandoverOut(Answer):
    """All that makes an endpoint again that was deleted to pause it; it is forgotten here."""

    endpoint: Ref
    commands: list[str] = Field(
        description="Commands of the cloud's own tool, in order.",
        examples=[["aws sagemaker create-endpoint --endpoint-name search-prod …"]],
    )
    remains: list[str] = Field(
        description="What is still there at the cloud.",
        examples=[["endpoint configuration search-prod-3f9c1e"]],
    )
    lacks: list[str] = Field(
        description="What is not kept, such as values of secrets.",
        examples=[["the value of HF_TOKEN"]],
    )
    document: dict[str, Any] = Field(description="The kept document, without secret values.")


class ReleasedOut(EndpointOut):
    """An endpoint that is only observed now; `handover` where it was handed over."""

    handover: HandoverOut | None = None
    cloud_goes_on: str = Field("", description="What the cloud is still doing, if anything.")


class SkippedOut(Answer):
    """An endpoint that was not adopted, and why."""

    endpoint: Ref
    reason: str


class AdoptedOut(Answer):
    """What became of a bulk adoption."""

    adopted: list[EndpointOut]
    skipped: list[SkippedOut]
