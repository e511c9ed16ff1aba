"""Requests to an endpoint's own address, `/data/{endpoint id}/...`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.sandbox.accounts import INFER
from orchestrator.sandbox.context import Context, route
from orchestrator.sandbox.endpoint import Endpoint
from orchestrator.sandbox.messages import ApiError, Response, json_response, text_response


def pass_on(context: Context) -> Response:
    """Hand a request to the endpoint; the `X-Scale-Up-Timeout` header holds it, in seconds."""
    endpoint = context.world.shelf.by_id(context.endpoint_id)
    if endpoint is None:
        raise ApiError(404, "Not Found", plain=True)
    _authorise(context, endpoint)
    health = f"/{context.rest}" == endpoint.spec["healthRoute"]
    answer = context.world.invoke(
        endpoint.namespace, endpoint.name, hold_s=_hold(context), health=health
    )
    if answer.status != 200 or health:
        response = text_response(answer.status, answer.text)
    else:
        response = json_response(200, _completion(context, endpoint))
    return replace(response, wait_s=answer.waited_s)


def _authorise(context: Context, endpoint: Endpoint) -> None:
    kind = endpoint.spec["type"]
    if kind == "public":
        return
    user = context.world.accounts.identify(context.request.token)
    private = kind == "private"
    if private and context.world.switches.private_means == "private_link":
        raise ApiError(403, "The endpoint is reachable through its private link only")
    if private and endpoint.namespace not in user.namespaces:
        raise ApiError(403, "The endpoint is private")
    if not user.may(INFER):
        raise ApiError(403, f"The token lacks the permission {INFER}")


def _hold(context: Context) -> float:
    text = context.request.headers.get("x-scale-up-timeout", "0")
    return float(text) if text.replace(".", "", 1).isdecimal() else 0.0


def _completion(context: Context, endpoint: Endpoint) -> Any:
    text = f"A simulated answer of {endpoint.name}."
    if not context.rest.endswith("completions"):
        return [{"generated_text": text}]
    return {
        "object": "chat.completion",
        "model": endpoint.spec["model"]["repository"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}],
    }


ROUTES = (
    route("*", "/data/{endpoint_id}", pass_on),
    route("*", "/data/{endpoint_id}/{rest}", pass_on),
)
