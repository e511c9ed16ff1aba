"""The fleet of the demo is what it says it is."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import httpx2
import pytest

from orchestrator.sandbox.fleet import (
    OWNER_TOKEN,
    QUOTAS,
    SERVICE_TOKEN,
    VIEWER_TOKEN,
    demo_world,
)
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World
from tests.sandbox.scene import START


@pytest.fixture
def world() -> World:
    return demo_world(START)


def _get(world: World, token: str, path: str) -> httpx2.Response:
    transport = InProcessTransport(world)
    return httpx2.Client(transport=transport, base_url="http://hf.test").get(
        path, headers={"authorization": f"Bearer {token}"}
    )


def test_has_about_thirty_endpoints_in_two_organizations(world: World) -> None:
    assert 25 <= sum(world.shelf.size(name) for name in ("acme", "acme-research")) <= 35
    assert min(world.shelf.size(name) for name in ("acme", "acme-research")) >= 8


def test_has_every_kind_of_hardware_and_state(world: World) -> None:
    found = list(world.shelf.by_number.values())
    kinds = {endpoint.spec["compute"]["instanceType"] for endpoint in found}
    assert kinds >= {
        "nvidia-l4",
        "nvidia-a10g",
        "nvidia-a100",
        "nvidia-l40s",
        "nvidia-t4",
        "nvidia-h200",
        "inf2",
        "intel-spr",
        "intel-icl",
    }
    states = Counter(endpoint.state for endpoint in found)
    assert states.keys() == {"running", "paused", "scaledToZero", "failed"}
    assert states["failed"] == 1
    offers = [world.catalog.offer(endpoint.hardware_id) for endpoint in found]
    assert any(offer.status == "deprecated" for offer in offers)


def test_names_a_team_and_an_owner_everywhere(world: World) -> None:
    for endpoint in world.shelf.by_number.values():
        keys = {tag.split("=")[0] for tag in endpoint.spec["tags"]}
        assert keys == {"team", "owner"}, endpoint.name


def test_has_forgotten_endpoints(world: World) -> None:
    idle = [
        endpoint.name
        for endpoint in world.shelf.by_number.values()
        if endpoint.state == "running"
        and (used := endpoint.last_used(world.instant))
        and world.instant - used > timedelta(days=3) / timedelta(microseconds=1)
    ]
    assert len(idle) >= 5


def test_stays_within_its_quotas(world: World) -> None:
    for namespace in ("acme", "acme-research"):
        for kind, used in world.quotas.used(namespace).items():
            assert used <= QUOTAS.get(kind, used)


def test_wakes_sleeps_and_scales_in_a_week(world: World) -> None:
    world.advance_to(START + timedelta(days=7))
    frames = [frame for found in world.shelf.by_number.values() for frame in found.history()]
    assert Counter(frame.state for frame in frames)["scaledToZero"] > 20
    assert max(frame.ready for frame in frames) >= 3
    running = [found for found in world.shelf.by_number.values() if found.state == "running"]
    assert len(running) > 15


def test_tokens_open_what_they_say(world: World) -> None:
    usage = "/api/organizations/acme/billing/usage"
    for token, expected in ((OWNER_TOKEN, 200), (VIEWER_TOKEN, 403), (SERVICE_TOKEN, 403)):
        assert _get(world, token, "/v2/endpoint/acme").status_code == 200
        assert _get(world, token, usage).status_code == expected


def test_may_have_other_names() -> None:
    world = demo_world(START, namespaces=("one", "two"))
    assert world.shelf.size("one") > world.shelf.size("two") > 0
