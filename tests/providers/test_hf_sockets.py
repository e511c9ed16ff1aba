"""The driver over real connections: what breaks there must mean the same as in process."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from orchestrator.clock import ManualClock
from orchestrator.domain.endpoints import Scaling
from orchestrator.domain.status import Status
from orchestrator.providers.base import AmbiguousError, Provider, UnavailableError
from orchestrator.providers.registry import ProviderAccount, ProviderHooks, make_provider
from orchestrator.sandbox.faults import Fault, drop_after, drop_before, truncate
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from tests.providers.wire import KEY, NOW, TOKEN, a_spec


@pytest.fixture
def world() -> World:
    world = World(start=NOW)
    world.add_user("ada", token=TOKEN, orgs=("acme",))
    return world


def connect(url: str) -> Provider:
    hooks = ProviderHooks(
        clock=ManualClock(NOW), resolve=lambda _: TOKEN, sleep=lambda _: None, digest_key=KEY
    )
    options = {"api_url": f"{url}/v2", "hub_url": url}
    return make_provider(ProviderAccount("1", "m", "huggingface", "acme", options=options), hooks)


@pytest.fixture
def provider(world: World) -> Iterator[Provider]:
    with SandboxServer(world) as server:
        driver = connect(server.url)
        yield driver
        driver.close()


def test_an_endpoint_is_made_listed_and_deleted(provider: Provider) -> None:
    assert provider.identity().name == "ada"
    provider.create_endpoint(a_spec(scaling=Scaling(0, 1)))
    listing = provider.list_endpoints()
    assert [sighting.name for sighting in listing.sightings] == ["demo"]
    assert listing.complete
    provider.delete_endpoint("demo")
    assert provider.get_endpoint("demo") is None


@pytest.mark.parametrize(
    ("fault", "made"), [(drop_after(), True), (truncate(), True), (drop_before(), False)]
)
def test_a_broken_answer_leaves_a_change_in_doubt(
    world: World, provider: Provider, fault: Fault, made: bool
) -> None:
    provider.create_endpoint(a_spec())
    world.faults.add(fault, method="POST", count=1)
    with pytest.raises(AmbiguousError):
        provider.pause_endpoint("demo")
    snapshot = provider.get_endpoint("demo")
    assert snapshot is not None
    assert (snapshot.status is Status.PAUSED) is made
    assert len(world.calls.matching(method="POST", name="demo")) == 1


@pytest.mark.parametrize("fault", [drop_after(), truncate()])
def test_a_broken_read_is_tried_again(world: World, provider: Provider, fault: Fault) -> None:
    world.faults.add(fault, method="GET", count=2)
    listing = provider.list_endpoints()
    assert (listing.complete, listing.calls) == (True, 3)


def test_a_closed_port_was_certainly_not_reached() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = connect(f"http://127.0.0.1:{port}")
    with pytest.raises(UnavailableError, match="was not reached"):
        driver.pause_endpoint("demo")
    assert isinstance(driver.list_endpoints().error, UnavailableError)
    driver.close()
