"""The document that makes a deleted endpoint again, as JSON without secret values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from orchestrator.domain.endpoints import JsonObject
from orchestrator.providers.base import RefusedError
from orchestrator.providers.redaction import Redactor, is_redacted
from orchestrator.providers.sagemaker.desk import containers
from orchestrator.providers.sagemaker.naming import ENDPOINT_TAG, FOREIGN, SECRETS_TAG, digest_of

VERSION = 1
# What CreateEndpointConfig and CreateModel take again from what the Describe calls answer.
CONFIG_FIELDS = (
    "EndpointConfigName",
    "ProductionVariants",
    "ShadowProductionVariants",
    "DataCaptureConfig",
    "KmsKeyId",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
    "MetricsConfig",
)
MODEL_FIELDS = (
    "ModelName",
    "PrimaryContainer",
    "Containers",
    "InferenceExecutionConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
)


def creatable(described: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return the part of an answer that makes the same again."""
    return {name: described[name] for name in fields if described.get(name) is not None}


def redacted_environment(
    environment: Mapping[str, str], redactor: Redactor, secret_names: Iterable[str]
) -> dict[str, str]:
    """Return an environment with markers for what was given as a secret or looks like one."""
    secret = frozenset(secret_names)

    def shown(name: str) -> Callable[[str, str], str]:
        if secret == FOREIGN:
            return redactor.foreign
        return redactor.marker if name in secret else redactor.setting

    return {name: shown(name)(name, str(value)) for name, value in sorted(environment.items())}


def secret_names(model_tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return the entries of a model's environment that were given as secrets.

    FOREIGN for a model that others made, of which that is not known.
    """
    if ENDPOINT_TAG not in model_tags:
        return tuple(FOREIGN)
    return tuple(model_tags.get(SECRETS_TAG, "").split())


def hidden_names(environment: Mapping[str, str], redactor: Redactor) -> set[str]:
    """Return the settings of a model that others made whose values are not shown."""
    shown = redacted_environment(environment, redactor, FOREIGN)
    return {name for name, value in shown.items() if is_redacted(value)}


def kept_model(
    described: Mapping[str, Any], tags: Mapping[str, str], redactor: Redactor
) -> dict[str, Any]:
    """Return what makes a model again, but for the secrets in its environment."""
    model: dict[str, Any] = plain(creatable(described, MODEL_FIELDS))
    names = secret_names(tags)
    for container in containers(model):
        if "Environment" in container:
            container["Environment"] = redacted_environment(
                container["Environment"], redactor, names
            )
    return model


def redacted_names(model: Mapping[str, Any]) -> list[str]:
    """Return the entries of an environment whose values are not kept."""
    return sorted(
        name
        for container in containers(model)
        for name, value in (container.get("Environment") or {}).items()
        if is_redacted(value)
    )


def plain(value: Any) -> Any:
    """Return a copy that is JSON; instants become ISO 8601, which botocore takes back."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the digest of its content."""
    content = {name: value for name, value in document.items() if name != "digest"}
    return content | {"digest": digest_of(content)}


def differences(before: object, now: object, at: str = "") -> list[str]:
    """Return in words where two documents differ, by path."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        found: list[str] = []
        for key in sorted({*before, *now}, key=str):
            found += differences(before.get(key), now.get(key), f"{at}.{key}" if at else str(key))
        return found
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [
            line for place, (old, new) in pairs for line in differences(old, new, f"{at}.{place}")
        ]
    return [] if before == now else [f"{at} was {_shown(before)} and is {_shown(now)} now"]


def _shown(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


# What each part of a document cannot be used without.
_NEEDED = {
    "models": ("ModelName",),
    "variants": ("name",),
    "targets": ("ServiceNamespace", "ResourceId", "ScalableDimension"),
    "policies": ("ServiceNamespace", "ResourceId", "ScalableDimension", "PolicyName"),
    "scheduled_actions": (
        "ServiceNamespace",
        "ResourceId",
        "ScalableDimension",
        "ScheduledActionName",
    ),
}


def require_whole(kept: JsonObject) -> None:
    """Raise RefusedError for a document of another version, or one that lacks a needed part."""
    if kept.get("version") != VERSION:
        raise RefusedError(f"the kept document is of version {kept.get('version')}, not {VERSION}")
    missing = [
        f"{part}.{place}.{name}"
        for part, names in _NEEDED.items()
        for place, item in enumerate(kept.get(part) or ())
        for name in names
        if name not in item
    ]
    if config_name(kept) == "":
        missing.append("endpoint.EndpointConfigName")
    if missing:
        raise RefusedError(f"the kept document is damaged, it lacks {', '.join(missing)}")


def config_name(kept: JsonObject) -> str:
    """Return the name of the configuration that a document is about, "" for none."""
    return str((kept.get("endpoint") or {}).get("EndpointConfigName", ""))


def models_of(kept: JsonObject) -> list[Mapping[str, Any]]:
    """Return the models of a document."""
    return list(kept.get("models") or ())


def kept_instances(kept: JsonObject) -> int | None:
    """Return the most instances that an endpoint has while it comes back, None where not told.

    It starts with those of its configuration, and then gets the count that it had.
    """
    config = (kept.get("config") or {}).get("ProductionVariants") or ()
    first = [item.get("InitialInstanceCount") for item in config]
    had = [item.get("count") for item in kept.get("variants") or ()]
    sums = [sum(counts) for counts in (first, had) if counts and None not in counts]
    return max(sums, default=None)
