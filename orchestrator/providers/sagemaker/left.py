"""Finds endpoints that were paused by deletion, from the tags of what was retained of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.domain.endpoints import NOT_BILLED, LeftBehind, Snapshot
from orchestrator.domain.status import Status
from orchestrator.providers.sagemaker.desk import Answer, Desk, model_names, variants
from orchestrator.providers.sagemaker.findings import Findings, document_of
from orchestrator.providers.sagemaker.models import described_model
from orchestrator.providers.sagemaker.naming import PAUSED_TAG, tag_map
from orchestrator.providers.sagemaker.reading import Facts
from orchestrator.providers.sagemaker.snapshot import Mapper

_log = logging.getLogger(__name__)


def read_left(desk: Desk, mapper: Mapper) -> list[LeftBehind]:
    """Return what retained configurations tell; their endpoint's own tags and scaling are lost.

    Raises ProviderError where tags cannot be searched.
    """
    return [one for name, config in _marked(desk) if (one := _left(desk, mapper, name, config))]


def _marked(desk: Desk) -> Iterator[tuple[str, str]]:
    """Yield the names of paused endpoints and of their configurations."""
    rows = desk.session.pages(
        "resourcegroupstaggingapi",
        "GetResources",
        "ResourceTagMappingList",
        TagFilters=[{"Key": PAUSED_TAG}],
        ResourceTypeFilters=["sagemaker:endpoint-config"],
    )
    for row in rows:
        name = tag_map(row.get("Tags") or ()).get(PAUSED_TAG, "")
        config = str(row.get("ResourceARN", "")).rpartition("/")[2]
        if name and config:
            yield name, config


def _config(desk: Desk, name: str) -> Answer | None:
    """Return a configuration by its name in any case: ARNs may have it in small letters."""
    found = desk.config(name)
    if found is not None:
        return found
    rows = desk.session.pages(
        "sagemaker", "ListEndpointConfigs", "EndpointConfigs", NameContains=name
    )
    named = [str(row.get("EndpointConfigName", "")) for row in rows]
    return next((desk.config(item) for item in named if item.lower() == name.lower()), None)


def _left(desk: Desk, mapper: Mapper, name: str, told_name: str) -> LeftBehind | None:
    config = None if desk.endpoint(name) is not None else _config(desk, told_name)
    if config is None:
        _log.info("%s is marked as paused, but its endpoint is there or its parts are gone", name)
        return None
    config_name = str(config.get("EndpointConfigName") or told_name)
    endpoint = {
        "EndpointName": name,
        "EndpointConfigName": config_name,
        "ProductionVariants": [_as_configured(item) for item in variants(config)],
    }
    found = Findings(
        endpoint, config, config_tags=desk.tags("endpoint-config", config_name, config)
    )
    for model in model_names(config):
        found.models[model] = described = desk.model(model)
        if described is not None:
            found.model_tags[model] = desk.tags("model", model, described)
    return LeftBehind(_snapshot(desk, mapper, found, config), document_of(desk, found))


def _as_configured(variant: Mapping[str, Any]) -> Answer:
    return {
        "VariantName": variant.get("VariantName"),
        "DesiredWeight": variant.get("InitialVariantWeight"),
        "DesiredInstanceCount": variant.get("InitialInstanceCount"),
        "CurrentInstanceCount": 0,
    }


def _snapshot(desk: Desk, mapper: Mapper, found: Findings, config: Answer) -> Snapshot:
    models = tuple(
        described_model(model, desk.redactor, None)
        for model in found.models.values()
        if model is not None
    )
    facts = Facts(endpoint=found.endpoint, config=config, models=models)
    return replace(
        mapper.snapshot(facts),
        status=Status.PAUSED,
        cloud_state="",
        billed=NOT_BILLED,
        ready_replicas=0,
        target_replicas=0,
        gaps=(),
    )
