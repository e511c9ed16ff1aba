"""Creates endpoints, step by step, so that a repeated create goes on with the first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.endpoints import EndpointSpec
from orchestrator.providers.base import (
    AmbiguousError,
    BusyError,
    CapacityError,
    ConflictError,
    NotFoundError,
    ProviderError,
    RefusedError,
    SpecError,
    ThrottledError,
    UnavailableError,
)
from orchestrator.providers.pacing import HeldBackError
from orchestrator.providers.permit import WithdrawnError, ask_again, unasked
from orchestrator.providers.sagemaker import scaling
from orchestrator.providers.sagemaker.bodies import Plan, Request, plan_of
from orchestrator.providers.sagemaker.components import finish_component
from orchestrator.providers.sagemaker.desk import Desk
from orchestrator.providers.sagemaker.naming import ENDPOINT_TAG, UNFINISHED_TAG, VARIANT
from orchestrator.providers.sagemaker.specs import check

_log = logging.getLogger(__name__)

# By the field that names them: the kind, and the operations that read, make and delete them.
_KINDS = {
    "ModelName": ("model", "DescribeModel", "CreateModel", "DeleteModel"),
    "EndpointConfigName": (
        "endpoint configuration",
        "DescribeEndpointConfig",
        "CreateEndpointConfig",
        "DeleteEndpointConfig",
    ),
}


def create(desk: Desk, spec: EndpointSpec) -> None:
    """Create an endpoint, or go on with one of ours. Raises ConflictError for a taken name."""
    plan = checked_plan(desk, spec)
    found = desk.endpoint(spec.name)
    if found is None:
        _make(desk, plan)
        return
    tags = desk.tags("endpoint", spec.name, found)
    same = found.get("EndpointConfigName") == plan.config["EndpointConfigName"]
    if tags.get(ENDPOINT_TAG) != spec.name or not (same or UNFINISHED_TAG in tags):
        raise ConflictError(f"endpoint {spec.name} exists already, and is not what was asked for")
    if found.get("EndpointStatus") == "Deleting":
        raise BusyError(f"endpoint {spec.name} is being deleted: its name is free after that")
    if UNFINISHED_TAG in tags and found.get("EndpointStatus") == "InService":
        _finish(desk, spec, plan, desk.arn("endpoint", spec.name, found))


def checked_plan(desk: Desk, spec: EndpointSpec) -> Plan:
    """Return the requests of a creation. Raises RefusedError for what could not work."""
    try:
        check(desk.place, spec, {})
        return plan_of(desk.place, spec, desk.redactor.key, desk.installation)
    except SpecError as error:
        raise RefusedError(f"{error.field}: {error}; {error.remedy}") from None


def ensure(desk: Desk, field: str, request: Request) -> bool:
    """Make a model or configuration unless it is there; return whether this call has made it.

    Raises ConflictError when one of this name is there that is something else.
    """
    _, _, make, _ = _KINDS[field]
    if _is_there(desk, field, request):
        return False
    try:
        desk.session.change("sagemaker", make, **request)
    except ConflictError:
        # An earlier attempt of ours, of which no answer came, has arrived in between.
        if not _is_there(desk, field, request):
            raise
        return False
    return True


def remove(desk: Desk, field: str, name: str) -> None:
    """Delete a model or configuration; gone already is success."""
    try:
        desk.session.change("sagemaker", _KINDS[field][3], **{field: name})
    except NotFoundError:
        _log.info("%s %s was gone before it was deleted", _KINDS[field][0], name)


def contains(whole: object, part: object) -> bool:
    """Return whether an answer has all that a request said; AWS adds defaults of its own."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            contains(whole.get(key), value) for key, value in part.items()
        )
    if isinstance(part, list):
        if not isinstance(whole, list) or len(whole) != len(part):
            return False
        return all(contains(mine, its) for mine, its in zip(whole, part, strict=True))
    return bool(whole == part)


def undo(desk: Desk, made: list[tuple[str, str]]) -> None:
    """Delete what this call has made, the last first; what cannot be deleted is only logged."""
    with unasked():
        for field, name in reversed(made):
            try:
                remove(desk, field, name)
            except ProviderError as error:
                _log.warning("%s %s is left over: %s", _KINDS[field][0], name, error)


def _is_there(desk: Desk, field: str, request: Request) -> bool:
    kind, read, _, _ = _KINDS[field]
    found = desk.find("sagemaker", read, **{field: request[field]})
    if found is None:
        return False
    content = {key: value for key, value in request.items() if key != "Tags"}
    if not contains(found, content):
        raise ConflictError(f"{kind} {request[field]} exists already, with another content")
    return True


def _make(desk: Desk, plan: Plan) -> None:
    """Make what the endpoint needs, and it; without capacity what was made stays for later."""
    made: list[tuple[str, str]] = []
    steps: list[tuple[str, dict[str, Any]]] = [("EndpointConfigName", plan.config)]
    if plan.component is None:
        steps.insert(0, ("ModelName", plan.model))
    try:
        for field, request in steps:
            ask_again()
            if ensure(desk, field, request):
                made.append((field, str(request[field])))
        # Possibly an earlier attempt's: in doubt, so that it counts as ours once it is seen.
        create_endpoint(desk, plan.endpoint, unseen=AmbiguousError)
    except (RefusedError, WithdrawnError) as error:
        later = isinstance(error, CapacityError) or (
            isinstance(error, WithdrawnError) and error.for_now
        )
        if not later:
            undo(desk, made)
        raise


def create_endpoint(
    desk: Desk, request: Request, *, unseen: type[ProviderError] = BusyError
) -> None:
    """Create an endpoint whose configuration was seen a moment ago; one that uses it is success.

    Raises ConflictError when the name is taken by another, `unseen` when that cannot be told yet.
    """
    ask_again()
    try:
        desk.session.change("sagemaker", "CreateEndpoint", **request)
    except ThrottledError as error:
        # The refusal may come from behind what has made it, and no document rules that out.
        error.in_doubt = not isinstance(error, HeldBackError)
        raise
    except ConflictError as error:
        # Possibly from an earlier attempt, of which no answer came; descriptions follow later.
        found = desk.endpoint(request["EndpointName"])
        if found is None and not _is_taken_in_other_letters(desk, request["EndpointName"]):
            raise unseen(f"AWS does not show the endpoint of this name yet: {error}") from None
        if found is None or found.get("EndpointConfigName") != request["EndpointConfigName"]:
            raise
    except NotFoundError as error:
        # AWS reads its own configurations with a delay, and says to try again.
        raise UnavailableError(f"AWS does not see the new configuration yet: {error}") from None


def _is_taken_in_other_letters(desk: Desk, name: str) -> bool:
    """Return whether an endpoint has this name in other letters, small or large: AWS has one."""
    rows = desk.session.pages("sagemaker", "ListEndpoints", "Endpoints", NameContains=name)
    names = [str(row.get("EndpointName", "")) for row in rows]
    return any(other != name and other.lower() == name.lower() for other in names)


def _finish(desk: Desk, spec: EndpointSpec, plan: Plan, arn: str) -> None:
    """Make what can only be made once the endpoint serves, then take the mark away."""
    if plan.component is not None:
        ensure(desk, "ModelName", plan.model)
        if not finish_component(desk, plan.component, spec.scaling):
            return
    elif plan.unfinished:
        scale_classic(desk, spec)
    desk.session.change(
        "sagemaker",
        "DeleteTags",
        ResourceArn=arn,
        TagKeys=[UNFINISHED_TAG],
    )


def scale_classic(desk: Desk, spec: EndpointSpec) -> None:
    """Register the bounds of a variant and the policy that moves its count within them."""
    resource = scaling.variant_resource(spec.name, VARIANT)
    scaling.register(desk.session, resource, spec.scaling)
    name = scaling.load_name(spec.name)
    scaling.put_load_policy(desk.session, resource, spec.scaling, name)
