"""AWS accounts: their keys, rights, regions and quotas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-west-3", "eu-central-1")


@dataclass(slots=True)
class AwsAccount:
    """An account: `access_keys` by key id, `denied` IAM actions such as sagemaker:CreateEndpoint.

    `quotas` counts instances for endpoint usage by region and instance type.
    """

    id: str
    name: str = ""
    access_keys: dict[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    regions: tuple[str, ...] = REGIONS
    quotas: dict[str, dict[str, int]] = field(default_factory=dict)
    default_quota: int = 20

    def quota(self, region: str, instance_type: str) -> int:
        """Instances of a type that all endpoints of a region may have together."""
        return self.quotas.get(region, {}).get(instance_type, self.default_quota)

    def set_quota(self, region: str, instance_type: str, limit: int) -> None:
        """Change one quota."""
        self.quotas.setdefault(region, {})[instance_type] = limit

    def snapshot(self) -> dict[str, Any]:
        """The account as JSON values; its keys open nothing but the simulation."""
        return {**asdict(self), "denied": sorted(self.denied)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> AwsAccount:
        """The account that `snapshot` described."""
        regions = tuple(state["regions"])
        return cls(**{**state, "denied": set(state["denied"]), "regions": regions})
