"""The Hub's part: who am I, and what the bill says.

Of a bill line's fields some were never seen in the wild: `entityId` is the endpoint's id, `label`
its name, `quantity` replica-hours with `unitLabel` `hour`. A period is a calendar month in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from orchestrator.sandbox.accounts import BILLING, User
from orchestrator.sandbox.context import Context, route
from orchestrator.sandbox.instants import hex_id, rfc3339, to_instant
from orchestrator.sandbox.ledger import BillLine
from orchestrator.sandbox.messages import ApiError, Response, json_response


def whoami(context: Context) -> Response:
    """The user behind the token, with organizations."""
    user = context.world.accounts.identify(context.request.token)
    limits = context.world.whoami_limit.hit(user.token, context.world.instant)
    answer = json_response(200, _person(context, user))
    return Response(200, {**answer.headers, **limits}, answer.body)


def _person(context: Context, user: User) -> dict[str, Any]:
    namespaces = context.world.accounts.namespaces
    return {
        "type": "user",
        "id": hex_id(0, "person", user.name),
        "name": user.name,
        "fullname": user.name,
        "canPay": user.can_pay,
        "billingMode": "prepaid",
        "orgs": [
            {
                "type": "org",
                "id": hex_id(0, "org", org),
                "name": org,
                "fullname": org,
                "plan": "team",
                "canPay": namespaces[org].can_pay,
                "roleInOrg": user.org_role,
            }
            for org in user.orgs
        ],
        "auth": {
            "type": "access_token",
            "accessToken": {"displayName": "orchestrator", "role": user.role},
        },
    }


def personal_usage(context: Context) -> Response:
    """The bill of the user's own namespace."""
    user = context.world.accounts.identify(context.request.token)
    return _usage(context, user, user.name, "user")


def organization_usage(context: Context) -> Response:
    """The bill of an organization, for its admins."""
    user = context.world.accounts.identify(context.request.token)
    if context.namespace not in user.orgs or user.org_role != "admin":
        raise ApiError(403, "Only admins of the organization see its bill")
    return _usage(context, user, context.namespace, "org")


def _usage(context: Context, user: User, namespace: str, kind: str) -> Response:
    if not user.may(BILLING):
        raise ApiError(403, f"The token lacks the permission {BILLING}")
    start, end = _period(context, namespace)
    lines = context.world.bill(namespace, start=start, end=end)
    period = {
        "_id": _period_id(namespace, start),
        "entityType": kind,
        "entityName": namespace,
        "periodStart": rfc3339(to_instant(start)),
        "periodEnd": rfc3339(to_instant(end)),
    }
    shown = [_line(line, labels=context.world.switches.usage_labels) for line in lines]
    return json_response(200, {"usage": {"Endpoints": shown}, "period": period})


def _period(context: Context, namespace: str) -> tuple[datetime, datetime]:
    wanted = context.request.query.get("periodId")
    for start, end in _months(context.world.now):
        if wanted is None or wanted == _period_id(namespace, start):
            return start, end
    raise ApiError(404, "Billing period not found")


def _months(now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The present month and the 35 before it, newest first."""
    for back in range(36):
        months = now.year * 12 + now.month - 1 - back
        yield _first(months), _first(months + 1)


def _first(months: int) -> datetime:
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _period_id(namespace: str, start: datetime) -> str:
    return hex_id(0, "period", namespace, start.isoformat())


def _line(line: BillLine, *, labels: bool) -> dict[str, Any]:
    _, vendor, kind, size = line.product.split("/")
    micros = (Decimal(line.nano_usd) / 1000).quantize(Decimal(1), ROUND_HALF_EVEN)
    shown: dict[str, Any] = {
        "entityId": line.endpoint_id,
        "label": line.name if labels else None,
        "product": line.product,
        "productPrettyName": f"Inference Endpoints {vendor} {kind} {size}",
        "quantity": round(line.replica_seconds / 3600, 6),
        "unitLabel": "hour",
        "unitCostMicroUSD": int(line.usd_per_hour * 1_000_000),
        "totalCostMicroUSD": int(micros),
        "startedAt": rfc3339(to_instant(line.started_at)),
        "active": line.stopped_at is None,
        "freeGrant": False,
    }
    if line.stopped_at is not None:
        shown["stoppedAt"] = rfc3339(to_instant(line.stopped_at))
    return shown


ROUTES = (
    route("GET", "/api/whoami-v2", whoami),
    route("GET", "/api/settings/billing/usage", personal_usage),
    route("GET", "/api/organizations/{namespace}/billing/usage", organization_usage),
)
