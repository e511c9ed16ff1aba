"""Reads all that belongs to one endpoint: configuration, models, tags, scaling, components."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from orchestrator.clock import Clock
from orchestrator.providers.base import (
    CredentialsError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.redaction import Redactor
from orchestrator.providers.sagemaker.failures import (
    DeniedError,
    is_unknown_operation,
    says_no_endpoint,
)
from orchestrator.providers.sagemaker.memory import Memory
from orchestrator.providers.sagemaker.models import Model, described_model, model_of_component
from orchestrator.providers.sagemaker.naming import ENDPOINT_TAG, FOREIGN, SECRETS_TAG
from orchestrator.providers.sagemaker.session import AwsSession
from orchestrator.providers.sagemaker.sweep import Row, Sweep, Tags, read_tags

# The tagging service may be this far behind.
FRESH_FOR = timedelta(minutes=15)
_OURS = re.compile(r".+-[0-9a-f]{8}")
# What an endpoint can be judged without while a service beside SageMaker's core is out.
_DISPENSABLE = ("tags", "scaling", "scaling policies")
T = TypeVar("T")


@dataclass(slots=True)
class Facts:
    """One endpoint as AWS described it; `gaps` names what could not be read."""

    endpoint: Row
    config: Row = field(default_factory=dict)
    pending_config: Row = field(default_factory=dict)
    models: tuple[Model, ...] = ()
    tags: Tags = field(default_factory=dict)
    targets: Sequence[Row] = ()
    policies: Sequence[Row] = ()
    components: Sequence[Row] = ()
    gaps: list[str] = field(default_factory=list)

    @property
    def half_told(self) -> bool:
        """Return whether its configuration was answered without what tells what it hosts."""
        return bool(self.config) and not _has_variants(self.config)

    @property
    def hosts_components(self) -> bool:
        """Return whether this is an endpoint for inference components: no variant has a model."""
        variants = self.config.get("ProductionVariants") or ()
        return bool(variants) and not any(
            item.get("ModelName") or item.get("ServerlessConfig") for item in variants
        )


class Reader:
    """Reads endpoints of one account; keeps descriptions of what cannot change.

    A configuration or model cannot be changed, but it can be deleted and made again under its
    name. So what is kept counts for one state of one endpoint: its name, creation and last change.
    """

    def __init__(self, session: AwsSession, redactor: Redactor, clock: Clock) -> None:
        self._session = session
        self._redactor = redactor
        self._clock = clock
        self._configs: Memory[Row] = Memory()
        self._models: Memory[Model] = Memory()
        # What usage is counted by: see `metric_keys`.
        self._keys: Memory[tuple[dict[str, str], ...]] = Memory()

    def read(self, name: str, sweep: Sweep | None = None) -> Facts | None:
        """Return an endpoint, None when AWS says plainly that it is not there.

        What is refused besides the endpoint itself becomes a gap. Raises ProviderError.
        """
        endpoint = self._describe(name)
        if endpoint is None:
            return None
        facts = Facts(endpoint)
        sweep = sweep or Sweep(self._session)
        self._read_config(facts)
        if facts.hosts_components:
            facts.components = self._optional(
                facts, "components", lambda: self._components(name), ()
            )
        self._read_models(facts)
        self._read_tags(facts, sweep)
        self._read_scaling(facts, sweep)
        self._keys.put(name, _metric_keys(facts))
        return facts

    def metric_keys(self, name: str) -> tuple[dict[str, str], ...]:
        """Return the dimensions that an endpoint's requests are counted by, read if not known.

        Empty for an endpoint that is not there.
        """
        known = self._keys.get(name)
        if known is None:
            facts = self.read(name)
            known = _metric_keys(facts) if facts else ()
        return known

    def _describe(self, name: str) -> Row | None:
        try:
            found = self._session.read("sagemaker", "DescribeEndpoint", EndpointName=name)
        except NotFoundError as error:
            if says_no_endpoint(error):
                return None
            raise UnavailableError(f"AWS left open whether {name} exists: {error}") from None
        told = found.get("EndpointName")
        if not isinstance(told, str) or told.lower() != name.lower():
            raise UnavailableError(f"AWS answered with another endpoint when asked for {name}")
        return found

    def _read_config(self, facts: Facts) -> None:
        name = str(facts.endpoint.get("EndpointConfigName") or "")
        if not name:
            facts.gaps.append("EndpointConfigName")
            return

        def describe() -> Row:
            return self._session.read(
                "sagemaker", "DescribeEndpointConfig", EndpointConfigName=name
            )

        key = (name, *_state(facts.endpoint))
        facts.config = self._optional(
            facts, "config", lambda: self._configs.recall(key, describe, _has_variants), {}
        )
        if facts.half_told:
            facts.gaps.append("config: ProductionVariants")
        if _is_later(facts.config.get("CreationTime"), facts.endpoint.get("LastModifiedTime")):
            facts.gaps.append("config: made again after the endpoint took it")
        self._read_pending_config(facts)

    def _read_pending_config(self, facts: Facts) -> None:
        """Read the configuration of a deployment under way: the disks of its instances."""
        pending = facts.endpoint.get("PendingDeploymentSummary") or {}
        name = str(pending.get("EndpointConfigName") or "")
        if not name:
            return

        def describe() -> Row:
            return self._session.read(
                "sagemaker", "DescribeEndpointConfig", EndpointConfigName=name
            )

        key = (name, *_state(facts.endpoint))
        facts.pending_config = self._optional(
            facts, "pending config", lambda: self._configs.recall(key, describe, _has_variants), {}
        )

    def _read_models(self, facts: Facts) -> None:
        """Read the models of variants and components; containers of components tell themselves."""
        found: dict[str, Model] = {}
        for owner in (*(facts.config.get("ProductionVariants") or ()), *facts.components):
            for name in _model_names(owner):
                key = (name, *_state(facts.endpoint), str(owner.get("LastModifiedTime")))
                unread: Model | None = None
                model = self._optional(facts, "model", partial(self._model, name, key), unread)
                if model is not None:
                    found[name] = model
            inline = model_of_component(owner, self._redactor)
            if inline is not None:
                found[inline.name] = inline
        facts.models = tuple(found.values())

    def _model(self, name: str, key: tuple[str, ...]) -> Model | None:
        def describe() -> Model:
            raw = self._session.read("sagemaker", "DescribeModel", ModelName=name)
            names = self._secret_names(name, str(raw.get("ModelArn") or ""))
            return described_model(raw, self._redactor, names)

        return self._models.recall(key, describe, lambda found: bool(found.image))

    def _secret_names(self, model: str, arn: str) -> frozenset[str] | None:
        """Return which settings of a model of ours are secrets; None: it cannot be told."""
        if not _OURS.fullmatch(model):
            return FOREIGN
        try:
            tags = read_tags(self._session, arn or self._session.arn("model", model))
        except DeniedError:
            return None
        return frozenset(tags.get(SECRETS_TAG, "").split()) if ENDPOINT_TAG in tags else FOREIGN

    def _components(self, endpoint: str) -> Sequence[Row]:
        rows = self._session.pages(
            "sagemaker",
            "ListInferenceComponents",
            "InferenceComponents",
            EndpointNameEquals=endpoint,
            SortBy="Name",
            SortOrder="Ascending",
            MaxResults=100,
        )
        found = []
        for row in rows:
            named = {"InferenceComponentName": row["InferenceComponentName"]}
            try:
                found.append(self._session.read("sagemaker", "DescribeInferenceComponent", **named))
            except NotFoundError:
                continue
        return found

    def _read_tags(self, facts: Facts, sweep: Sweep) -> None:
        arn = str(facts.endpoint.get("EndpointArn") or "")
        if not arn:
            facts.gaps.append("EndpointArn")
            return
        changed = utc(facts.endpoint.get("LastModifiedTime"))
        fresh = changed is None or self._clock.now() - changed < FRESH_FOR
        facts.tags = self._optional(facts, "tags", lambda: sweep.tags(arn, fresh=fresh), {})

    def _read_scaling(self, facts: Facts, sweep: Sweep) -> None:
        resources = _scalable(facts)
        if not resources:
            return
        facts.targets = self._optional(facts, "scaling", lambda: sweep.targets(resources), [])
        scaled = [str(row.get("ResourceId")) for row in facts.targets]
        if scaled:
            facts.policies = self._optional(
                facts, "scaling policies", lambda: self._policies(sweep, scaled), ()
            )

    def _policies(self, sweep: Sweep, resources: Sequence[str]) -> Sequence[Row]:
        return [self._with_alarms(row) for row in sweep.policies(resources)]

    def _with_alarms(self, policy: Row) -> Row:
        """Return a policy with the alarms that call it, asked for where it names none itself."""
        if policy.get("PolicyType") != "StepScaling" or policy.get("Alarms"):
            return policy
        named = {"ActionPrefix": policy.get("PolicyARN")}
        found = self._session.read("cloudwatch", "DescribeAlarms", **named)
        return {**policy, "Alarms": found.get("MetricAlarms") or []}

    def _optional(self, facts: Facts, what: str, read: Callable[[], T], without: T) -> T:
        """Return what is read; what is refused is a gap.

        An outage is one only for what an endpoint can be judged without; else it is an error.
        """
        try:
            return read()
        except ThrottledError:
            raise
        except UnavailableError as error:
            if what not in _DISPENSABLE and not is_unknown_operation(error):
                raise
            reason = "could not be read"
        except DeniedError:
            reason = "not allowed to read"
        except CredentialsError:
            raise
        except RefusedError as error:
            reason = "is gone" if isinstance(error, NotFoundError) else "AWS refuses to tell"
        facts.gaps.append("tags" if what == "tags" else f"{what}: {reason}")
        return without


def _has_variants(config: Row) -> bool:
    """Tell whether a configuration was answered whole: an answer cut short is asked for again."""
    return bool(config.get("ProductionVariants"))


def utc(value: object) -> datetime | None:
    """Return an instant of botocore's, which is in the zone of this machine, in UTC."""
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _state(endpoint: Row) -> tuple[str, ...]:
    names = ("EndpointName", "CreationTime", "LastModifiedTime")
    return tuple(str(endpoint.get(name)) for name in names)


def _is_later(one: object, other: object) -> bool:
    first, second = utc(one), utc(other)
    return first is not None and second is not None and first > second


def _model_names(owner: Row) -> list[str]:
    """Return the models that a variant, or the specification of a component, names."""
    specification = owner.get("Specification")
    nested = specification if isinstance(specification, Mapping) else {}
    more = owner.get("Specifications") or ()
    names: list[Any] = [owner.get("ModelName"), nested.get("ModelName")]
    names += [item.get("ModelName") for item in more]
    return list(dict.fromkeys(str(name) for name in names if name))


def _scalable(facts: Facts) -> list[str]:
    """Return what of an endpoint Application Auto Scaling may scale."""
    if facts.components:
        return [
            f"inference-component/{item.get('InferenceComponentName')}" for item in facts.components
        ]
    if facts.hosts_components:
        return []
    name = facts.endpoint.get("EndpointName")
    return [f"endpoint/{name}/variant/{variant}" for variant in _variants(facts)]


def _variants(facts: Facts) -> list[str]:
    described = facts.endpoint.get("ProductionVariants") or facts.config.get("ProductionVariants")
    return [str(item.get("VariantName")) for item in described or ()]


def _metric_keys(facts: Facts) -> tuple[dict[str, str], ...]:
    name = str(facts.endpoint.get("EndpointName"))
    keys = [{"EndpointName": name, "VariantName": variant} for variant in _variants(facts)]
    if not facts.hosts_components:
        return tuple(keys)
    names = [str(item.get("InferenceComponentName")) for item in facts.components]
    return (*keys, *({"InferenceComponentName": item} for item in names))
