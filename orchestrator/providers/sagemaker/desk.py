"""What the changing half of the driver works with: a session, and look-ups that may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.providers.base import BusyError, ConflictError, NotFoundError, Right
from orchestrator.providers.redaction import Redactor
from orchestrator.providers.sagemaker.failures import says_no_endpoint
from orchestrator.providers.sagemaker.naming import tag_map
from orchestrator.providers.sagemaker.session import AwsSession
from orchestrator.providers.sagemaker.specs import Place

# States that pass by themselves and in which AWS refuses every change.
MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})

# The field that tells an ARN, by the kind that is in it.
_ARNS = {"endpoint": "EndpointArn", "endpoint-config": "EndpointConfigArn", "model": "ModelArn"}

Answer = dict[str, Any]
# The rights to some actions on things whose names begin with a text; see `rights.rights_for`.
Rights = Callable[[Sequence[str], str], Sequence[Right]]
# The quotas by instance type, told how many of each are needed; see `quotas.Quotas.known`.
Limits = Callable[[Mapping[str, int]], Mapping[str, int]]


def _untold(_: Sequence[str], __: str) -> Sequence[Right]:
    return ()


@dataclass(frozen=True, slots=True)
class Desk:
    """One account; `role` is the default execution role of what is created, or "".

    `limits` are the quotas by instance type, read anew where they are less than what is needed.
    `rights` tells before a pause which of the rights that it needs are missing. `installation` is
    what an endpoint that is created bears.
    """

    session: AwsSession
    redactor: Redactor
    limits: Limits
    role: str = ""
    rights: Rights = _untold
    installation: str = ""

    @property
    def place(self) -> Place:
        """Return where this is, for checks."""
        return Place(self.session.namespace, self.session.region, self.role)

    def find(self, service: str, operation: str, **params: Any) -> Answer | None:
        """Return what a read answers, or None when AWS says that it is not there."""
        try:
            return self.session.read(service, operation, **params)
        except NotFoundError:
            return None

    def endpoint(self, name: str) -> Answer | None:
        """Return an endpoint as AWS describes it; None only for AWS's own words of absence."""
        try:
            return self.existing(name)
        except NotFoundError as error:
            if not says_no_endpoint(error):
                raise
            return None

    def config(self, name: str) -> Answer | None:
        """Return an endpoint configuration."""
        return self.find("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name)

    def model(self, name: str) -> Answer | None:
        """Return a model, with its environment in clear: never to be kept or logged."""
        return self.find("sagemaker", "DescribeModel", ModelName=name)

    def existing(self, name: str) -> Answer:
        """Return an endpoint. Raises NotFoundError."""
        return self.session.read("sagemaker", "DescribeEndpoint", EndpointName=name)

    def arn(self, kind: str, name: str, described: Mapping[str, Any] | None = None) -> str:
        """Return the ARN of an `endpoint`, `endpoint-config` or `model`, best as AWS tells it."""
        told = (described or {}).get(_ARNS[kind])
        return str(told) if told else self.session.arn(kind, name)

    def tags(
        self, kind: str, name: str, described: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Return the tags of an `endpoint`, `endpoint-config` or `model`."""
        arn = self.arn(kind, name, described)
        return tag_map(self.session.pages("sagemaker", "ListTags", "Tags", ResourceArn=arn))

    def components(self, endpoint: str) -> list[Answer]:
        """Return the inference components of an endpoint as AWS describes them."""
        rows = self.session.pages(
            "sagemaker",
            "ListInferenceComponents",
            "InferenceComponents",
            EndpointNameEquals=endpoint,
        )
        names = [str(row["InferenceComponentName"]) for row in rows]
        found = (
            self.find("sagemaker", "DescribeInferenceComponent", InferenceComponentName=name)
            for name in names
        )
        return [component for component in found if component is not None]


def variants(described: Mapping[str, Any]) -> list[Answer]:
    """Return the production variants of an endpoint or configuration."""
    return list(described.get("ProductionVariants") or ())


def has_components(config: Mapping[str, Any]) -> bool:
    """Return whether an endpoint of this configuration hosts inference components."""
    found = variants(config)
    return bool(found) and all("ModelName" not in variant for variant in found)


def keeps_instances(config: Mapping[str, Any]) -> str:
    """Return why instances stay when all copies of components are gone, "" when they go too."""
    for variant in variants(config):
        managed = variant.get("ManagedInstanceScaling") or {}
        if managed.get("Status") != "ENABLED":
            return "its instances are not scaled with its components"
        if managed.get("MinInstanceCount") != 0:
            return f"at least {managed.get('MinInstanceCount')} of its instances stay"
    return ""


def model_names(config: Mapping[str, Any]) -> list[str]:
    """Return the models of a configuration, each once."""
    every = [*variants(config), *(config.get("ShadowProductionVariants") or ())]
    return list(dict.fromkeys(str(item["ModelName"]) for item in every if item.get("ModelName")))


def containers(model: Mapping[str, Any]) -> Iterator[Answer]:
    """Return the containers of a model."""
    primary = model.get("PrimaryContainer")
    yield from [primary] if primary else (model.get("Containers") or ())


def require_still(endpoint: Mapping[str, Any], *, failed_too: bool = False) -> None:
    """Raise BusyError while an endpoint moves; ConflictError for a failed one, unless allowed."""
    name, status = endpoint.get("EndpointName"), endpoint.get("EndpointStatus")
    if status in MOVING:
        raise BusyError(f"endpoint {name} is {status}: AWS accepts no change until that is over")
    if status == "Failed" and not failed_too:
        raise ConflictError(f"endpoint {name} has failed: it can only be deleted")
