"""All kinds of clouds by name: a new one is a folder beside this file and an entry here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from orchestrator.domain.endpoints import JsonObject
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.base import Provider
from orchestrator.providers.credentials import SHARED_REFERENCES
from orchestrator.providers.huggingface.factory import make_huggingface
from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.providers.sagemaker.kept import kept_instances

__all__ = [
    "CLOUDS",
    "Cloud",
    "ProviderAccount",
    "ProviderFactory",
    "ProviderHooks",
    "is_reference",
    "make_provider",
]


class ProviderFactory(Protocol):
    """Makes the driver of one account; does no I/O. Raises ValueError for wrong settings."""

    def __call__(self, account: ProviderAccount, hooks: ProviderHooks) -> Provider:
        """Return the driver."""
        ...


def _unknown(kept: JsonObject) -> int | None:
    del kept
    return None


@dataclass(frozen=True, slots=True)
class Cloud:
    """One kind of cloud: how its drivers are made, and how people name its credentials.

    `references` is a pattern of the references that only its driver understands, shown to people
    as `reference_help`; `usual_references` are tried where nobody named one. `home_region` is the
    region in which credentials are asked who they are, empty where accounts have no region.
    `start_up_s`: how long a start usually takes until an endpoint serves, before any was measured.
    `zero_holds_quota`: endpoints at zero count against its quotas like those that run.
    `start_calls`: how many calls one start takes until it serves, by the API that has a pace.
    `kept_replicas`: reads how many replicas a paused endpoint starts with from what is kept of it.
    `asks_leave`: what is created there is paused only with its owner's leave to make it again.
    """

    title: str
    make: ProviderFactory
    references: str
    reference_help: str
    usual_references: tuple[str, ...] = ()
    home_region: str = ""
    start_up_s: int = 900
    zero_holds_quota: bool = False
    asks_leave: bool = False
    start_calls: Mapping[str, int] = field(default_factory=dict)
    kept_replicas: Callable[[JsonObject], int | None] = _unknown


CLOUDS: Mapping[str, Cloud] = MappingProxyType(
    {
        "huggingface": Cloud(
            title="Hugging Face",
            make=make_huggingface,
            references=r"hf-cli",
            reference_help="env:NAME, file:/path or hf-cli",
            usual_references=("env:HF_TOKEN", "hf-cli"),
            start_up_s=600,
            zero_holds_quota=True,
            start_calls={"management": 2},
        ),
        "sagemaker": Cloud(
            title="Amazon SageMaker",
            make=make_sagemaker,
            references=r"aws-default|aws-profile:[\w.@+-]{1,128}|aws-role:arn:\S{1,400}",
            reference_help="aws-default, aws-profile:NAME, aws-role:ARN, env:NAME or file:/path",
            usual_references=("aws-default",),
            home_region="us-east-1",
            asks_leave=True,
            # Looked at before it is made, when it is made and when it serves.
            start_calls={
                "sagemaker:CreateEndpoint": 1,
                "sagemaker:DescribeEndpoint": 3,
                "sagemaker:DescribeEndpointConfig": 3,
                "sagemaker:DescribeModel": 3,
                "sagemaker:ListTags": 2,
            },
            kept_replicas=kept_instances,
        ),
    }
)


def is_reference(cloud: Cloud, text: str) -> bool:
    """Tell whether a text has the form of a reference to credentials of this cloud."""
    return re.fullmatch(f"{SHARED_REFERENCES}|{cloud.references}", text) is not None


def make_provider(
    account: ProviderAccount,
    hooks: ProviderHooks,
    clouds: Mapping[str, Cloud] = CLOUDS,
) -> Provider:
    """Return the driver for `account.provider`. Raises ValueError for an unknown kind."""
    cloud = clouds.get(account.provider)
    if cloud is None:
        known = ", ".join(sorted(clouds))
        raise ValueError(
            f"account {account.name!r}: unknown provider {account.provider!r}; known are: {known}"
        )
    return cloud.make(account, hooks)
