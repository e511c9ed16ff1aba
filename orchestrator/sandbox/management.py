"""The management API, v2: endpoints, providers, quotas.

After the published OpenAPI document of the service and what `huggingface_hub` 2.4 sends and needs.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from orchestrator.sandbox.catalog import Hardware
from orchestrator.sandbox.context import Context, route
from orchestrator.sandbox.endpoint import Endpoint
from orchestrator.sandbox.instants import hex_id
from orchestrator.sandbox.messages import ApiError, Response, json_response
from orchestrator.sandbox.schema import parse
from orchestrator.sandbox.world import Verb

_JSON = {"content-type": "application/json"}


def list_endpoints(context: Context) -> Response:
    """One page; `tags` (all must match), `search` (part of a name), `cursor`, `limit`."""
    _authorise(context, write=False)
    limit, after = _limit(context), _read_cursor(context.request.query.get("cursor"))
    narrowed = context.past or context.request.query.keys() & {"tags", "search"}
    page = (_found if narrowed else _next)(context, after, limit)
    cursor = json.dumps(_cursor(page.last) if page.more else None).encode()
    body = b'{"items":[%b],"nextCursor":%b,"totalItems":%d}'
    return Response(200, _JSON, body % (b",".join(page.items), cursor, page.total))


@dataclass(frozen=True, slots=True)
class _Page:
    items: list[bytes]
    last: int
    more: bool
    total: int


def _next(context: Context, after: int, limit: int) -> _Page:
    world = context.world
    shown, more = world.shelf.page(context.namespace, after, limit, context.shift)
    items = [world.renderer.item(endpoint, world.instant) for endpoint in shown]
    return _Page(items, shown[-1].number if shown else 0, more, world.shelf.size(context.namespace))


def _found(context: Context, after: int, limit: int) -> _Page:
    found = list(_matching(context))
    seen = sum(number <= after for number, _ in found)
    begin = max(seen + (context.shift if after else 0), 0)
    chosen = found[begin : begin + limit]
    last = chosen[-1][0] if chosen else 0
    return _Page([item for _, item in chosen], last, begin + limit < len(found), len(found))


def _matching(context: Context) -> Iterator[tuple[int, bytes]]:
    query = context.request.query
    tags = {tag for tag in query.get("tags", "").split(",") if tag}
    for endpoint in _at(context):
        frame = endpoint.frame_at(context.instant)
        if frame is None or query.get("search", "") not in endpoint.name:
            continue
        if tags <= set(endpoint.specs[frame.spec]["tags"]):
            yield endpoint.number, _item(context, endpoint)


def _at(context: Context) -> list[Endpoint]:
    """The endpoints that the namespace had at the moment shown."""
    shelf = context.world.shelf
    if not context.past:
        return list(shelf.live(context.namespace))
    return [
        endpoint
        for endpoint in shelf.everything(context.namespace)
        if endpoint.frame_at(context.instant) is not None
    ]


def _item(context: Context, endpoint: Endpoint) -> bytes:
    renderer = context.world.renderer
    if not context.past:
        return renderer.item(endpoint, context.world.instant)
    past = renderer.past(endpoint, context.instant)
    return json.dumps(past, separators=(",", ":")).encode()


def get_endpoint(context: Context) -> Response:
    """One endpoint."""
    _authorise(context, write=False)
    if context.past:
        for endpoint in _at(context):
            if endpoint.name == context.name:
                return Response(200, _JSON, _item(context, endpoint))
    endpoint = context.world.endpoint(context.namespace, context.name)
    if context.past and endpoint.frame_at(context.instant) is None:
        raise ApiError(404, f"Endpoint {context.namespace}/{context.name} not found")
    return Response(200, _JSON, _item(context, endpoint))


def create_endpoint(context: Context) -> Response:
    """Create, and answer with the new endpoint in `pending`."""
    user = _authorise(context, write=True)
    payload = parse(context.request.body)
    context.world.accounts.require_payment(context.namespace)
    endpoint = context.world.add_endpoint(context.namespace, payload, created_by=user)
    return _shown(context, endpoint)


def update_endpoint(context: Context) -> Response:
    """Deep-merge the body into the settings."""
    user = _authorise(context, write=True)
    payload = parse(context.request.body)
    endpoint = context.world.act(
        context.namespace, context.name, "update", by=user, payload=payload
    )
    return _shown(context, endpoint)


def delete_endpoint(context: Context) -> Response:
    """Remove for good; the answer is an empty object."""
    user = _authorise(context, write=True)
    context.world.act(context.namespace, context.name, "delete", by=user)
    return json_response(200, {})


def change_state(context: Context) -> Response:
    """pause, resume or scale-to-zero."""
    user = _authorise(context, write=True)
    verb = context.request.path.rpartition("/")[2]
    if verb == "resume":
        context.world.endpoint(context.namespace, context.name)
        context.world.accounts.require_payment(context.namespace)
    endpoint = context.world.act(context.namespace, context.name, cast(Verb, verb), by=user)
    return _shown(context, endpoint)


def list_replicas(context: Context) -> Response:
    """The replicas; the words for `stage` are not documented, these are `running`, `starting`."""
    _authorise(context, write=False)
    endpoint = context.world.endpoint(context.namespace, context.name)
    count = max(endpoint.ready, endpoint.target if endpoint.state != "paused" else 0)
    return json_response(200, {"items": [_replica(context, endpoint, n) for n in range(count)]})


def _replica(context: Context, endpoint: Endpoint, place: int) -> dict[str, Any]:
    ready = place < endpoint.ready
    return {
        "id": replica_id(context.world.seed, endpoint, place),
        "status": {"stage": "running" if ready else "starting", "live": ready},
    }


def replica_id(seed: int, endpoint: Endpoint, place: int) -> str:
    """`{deployment}-{replica}`, new for every start."""
    deployment = hex_id(seed, endpoint.id, "deployment", endpoint.frame.spec, digits=8)
    return f"{deployment}-{hex_id(seed, endpoint.id, endpoint.starts, place, digits=5)}"


def all_providers(context: Context) -> Response:
    """The price list; public, with zeros for quotas."""
    zeros = {"maxAccelerators": 0, "usedAccelerators": 0}
    vendors = context.world.catalog.vendors(context.world.instant, lambda _: zeros)
    return json_response(200, {"vendors": vendors})


def providers(context: Context) -> Response:
    """The price list with the quotas of a namespace."""
    _authorise(context, write=False)
    world = context.world
    used = world.quotas.used(context.namespace)

    def quota(offer: Hardware) -> dict[str, int]:
        limit = world.quotas.limit(context.namespace, offer.instance_type)
        return {"maxAccelerators": limit, "usedAccelerators": used[offer.instance_type]}

    return json_response(200, {"vendors": world.catalog.vendors(world.instant, quota)})


def quotas(context: Context) -> Response:
    """Accelerators in use and their limits by instance type."""
    _authorise(context, write=False)
    return json_response(200, {"vendors": context.world.quotas.listing(context.namespace)})


def _authorise(context: Context, *, write: bool) -> str:
    accounts = context.world.accounts
    return accounts.authorise(context.request.token, context.namespace, write=write).name


def _shown(context: Context, endpoint: Endpoint) -> Response:
    return Response(200, _JSON, context.world.renderer.item(endpoint, context.world.instant))


def _limit(context: Context) -> int:
    switches = context.world.switches
    text = context.request.query.get("limit", str(switches.default_page))
    if not text.isdecimal() or text == "0":
        raise ApiError(400, "Failed to deserialize query string: limit: invalid digit", plain=True)
    return min(int(text), switches.largest_page)


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(f"after:{number}".encode()).decode()


def _read_cursor(text: str | None) -> int:
    if not text:
        return 0
    try:
        return int(base64.urlsafe_b64decode(text).decode().removeprefix("after:"))
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "Bad Request: invalid cursor") from error


_ENDPOINT = "/v2/endpoint/{namespace}/{name}"

ROUTES = (
    route("GET", "/v2/endpoint/{namespace}", list_endpoints),
    route("POST", "/v2/endpoint/{namespace}", create_endpoint, mutating=True),
    route("GET", _ENDPOINT, get_endpoint),
    route("PUT", _ENDPOINT, update_endpoint, mutating=True),
    route("DELETE", _ENDPOINT, delete_endpoint, mutating=True),
    route("POST", f"{_ENDPOINT}/pause", change_state, mutating=True),
    route("POST", f"{_ENDPOINT}/resume", change_state, mutating=True),
    route("POST", f"{_ENDPOINT}/scale-to-zero", change_state, mutating=True),
    route("GET", f"{_ENDPOINT}/replica", list_replicas),
    route("GET", "/v2/provider", all_providers),
    route("GET", "/v2/provider/quotas/{namespace}", quotas),
    route("GET", "/v2/provider/{namespace}", providers),
)
