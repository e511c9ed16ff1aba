"""A believable fleet of two organizations and an AWS account for the demo and for tests."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, cast

from orchestrator.sandbox.accounts import MANAGE
from orchestrator.sandbox.fleet_aws import add_aws_fleet
from orchestrator.sandbox.instants import draw
from orchestrator.sandbox.lifecycle import Settled
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.world import World

OWNER_TOKEN = "sandbox-owner"  # noqa: S105 - opens nothing but the sandbox
"""Writes in both organizations, sees their bills and calls their endpoints."""
VIEWER_TOKEN = "sandbox-viewer"  # noqa: S105 - opens nothing but the sandbox
"""Reads in both organizations."""
SERVICE_TOKEN = "sandbox-service"  # noqa: S105 - opens nothing but the sandbox
"""Fine-grained: manages endpoints in both organizations, neither calls them nor sees bills."""

QUOTAS: Mapping[str, int] = {
    "nvidia-t4": 8,
    "nvidia-l4": 24,
    "nvidia-a10g": 12,
    "nvidia-l40s": 12,
    "nvidia-a100": 16,
    "nvidia-h100": 0,
    "nvidia-h200": 4,
    "inf2": 4,
}
"""Accelerators that each organization may use."""

_FLEET = "data/demo-fleet.csv"


def demo_world(
    start: datetime,
    *,
    seed: int = 7,
    namespaces: tuple[str, str] = ("acme", "acme-research"),
    switches: Switches | None = None,
) -> World:
    """A world with some fifty endpoints that have been there for days to months."""
    world = World(start=start, seed=seed, switches=switches)
    for name in namespaces:
        world.add_namespace(name, kind="org", quotas=QUOTAS)
    world.add_user("dana", token=OWNER_TOKEN, role="write", orgs=namespaces)
    world.add_user("vic", token=VIEWER_TOKEN, role="read", orgs=namespaces, org_role="read")
    world.add_user(
        "robot", token=SERVICE_TOKEN, role="fineGrained", orgs=namespaces, scopes=(MANAGE,)
    )
    for number, row in enumerate(_rows()):
        _add(world, namespaces[row["organization"] == "research"], row, number)
    add_aws_fleet(world)
    return world


def _rows() -> Iterator[dict[str, str]]:
    text = files("orchestrator.sandbox").joinpath(_FLEET).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


def _add(world: World, namespace: str, row: Mapping[str, str], number: int) -> None:
    hours = 24 * int(row["age_days"]) - 20 * draw(world.seed, "age", number)
    idle = row["idle_days"]
    client = row["client"]
    world.add_endpoint(
        namespace,
        _payload(row),
        created_by=row["owner"],
        traffic=Traffic.recorded(client, seed=world.seed * 1000 + number) if client else None,
        state=cast(Settled, row["state"]),
        created_at=world.start - timedelta(seconds=round(hours * 3600)),
        used_at=world.start - timedelta(seconds=86_400 * int(idle) + 977) if idle else None,
    )


def _payload(row: Mapping[str, str]) -> dict[str, Any]:
    return endpoint_payload(
        row["name"],
        repository=row["repository"],
        hardware=row["hardware"],
        min_replica=int(row["min_replica"]),
        max_replica=int(row["max_replica"]),
        timeout_minutes=int(row["minutes_to_zero"]) if row["minutes_to_zero"] else None,
        tags=[f"team={row['team']}", f"owner={row['owner']}"],
    )
