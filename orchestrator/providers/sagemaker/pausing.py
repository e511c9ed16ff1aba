"""Pauses endpoints: by deletion, with everything kept that makes them again, or natively."""

from __future__ import annotations

from orchestrator.domain.endpoints import JsonObject
from orchestrator.providers.base import (
    ChangedError,
    ConflictError,
    NotFoundError,
    RefusedError,
)
from orchestrator.providers.permit import ask_again
from orchestrator.providers.sagemaker.components import pause_components
from orchestrator.providers.sagemaker.contract import obstacles
from orchestrator.providers.sagemaker.desk import Desk, has_components, require_still
from orchestrator.providers.sagemaker.findings import document_of, read_findings
from orchestrator.providers.sagemaker.kept import config_name, differences
from orchestrator.providers.sagemaker.naming import KEPT_TAG, PAUSED_TAG, tag_list


def pause(desk: Desk, name: str, kept: JsonObject) -> None:
    """Stop all replicas of an endpoint; what is paused already stays so.

    Raises ChangedError before anything is done when `kept` is not what AWS has now.
    """
    found = desk.endpoint(name)
    if found is None or found.get("EndpointStatus") == "Deleting":
        _paused_before(desk, name, kept, gone=found is None)
        return
    require_still(found, failed_too=True)
    config = desk.config(str(found["EndpointConfigName"]))
    if config is not None and has_components(config):
        require_still(found)
        pause_components(desk, name, config)
        return
    _pause_by_deletion(desk, name, kept)


def is_marked(desk: Desk, name: str, kept: JsonObject) -> bool:
    """Return whether the kept configuration says that we paused the endpoint."""
    config = config_name(kept)
    found = desk.config(config) if config else None
    if found is None:
        return False
    return desk.tags("endpoint-config", config, found).get(PAUSED_TAG) == name


def _paused_before(desk: Desk, name: str, kept: JsonObject, *, gone: bool) -> None:
    if is_marked(desk, name, kept):
        return
    if gone:
        raise NotFoundError(f"endpoint {name} does not exist in {desk.session.region}")
    raise ConflictError(f"endpoint {name} is being deleted, and not by a pause")


def _pause_by_deletion(desk: Desk, name: str, kept: JsonObject) -> None:
    if not kept:
        raise RefusedError(
            f"endpoint {name} can only be stopped by deleting it: read its contract first, and "
            "store the document"
        )
    now = read_findings(desk, name)
    forbidding = list(obstacles(now))
    if forbidding:
        raise RefusedError(f"endpoint {name} cannot be paused: {'; '.join(forbidding)}")
    document = document_of(desk, now)
    if now.endpoint.get("EndpointStatus") == "Failed":
        same = all(document[part] == kept.get(part) for part in ("config", "models"))
    else:
        same = document["digest"] == kept.get("digest")
    if not same:
        changed = differences(dict(kept), document)
        raise ChangedError(f"endpoint {name} is not what was kept: {'; '.join(changed[:5])}")
    config = str(now.endpoint["EndpointConfigName"])
    desk.session.change(
        "sagemaker",
        "AddTags",
        ResourceArn=desk.arn("endpoint-config", config, now.config),
        Tags=tag_list({PAUSED_TAG: name, KEPT_TAG: str(kept.get("digest"))}),
    )
    ask_again()
    delete_endpoint(desk, name)


def unmark(desk: Desk, name: str, config: str) -> bool:
    """Take the marks of an endpoint's pause off a configuration; return whether it had them."""
    found = desk.config(config)
    if found is None or desk.tags("endpoint-config", config, found).get(PAUSED_TAG) != name:
        return False
    desk.session.change(
        "sagemaker",
        "DeleteTags",
        ResourceArn=desk.arn("endpoint-config", config, found),
        TagKeys=[PAUSED_TAG, KEPT_TAG],
    )
    return True


def delete_endpoint(desk: Desk, name: str) -> None:
    """Delete an endpoint and nothing else; gone already is success."""
    try:
        desk.session.change("sagemaker", "DeleteEndpoint", EndpointName=name)
    except NotFoundError:
        return
