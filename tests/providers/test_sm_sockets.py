"""The driver over real connections, with boto3's own transport and the SageMaker of the sandbox."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.domain.endpoints import EndpointChange
from orchestrator.domain.status import Status
from orchestrator.providers.account import ProviderAccount, ProviderHooks
from orchestrator.providers.base import AmbiguousError, Provider, UnavailableError
from orchestrator.providers.registry import make_provider
from orchestrator.sandbox.faults import Fault, drop_after, drop_before, error, truncate
from orchestrator.sandbox.server import SandboxServer
from tests.providers.sm_world import ACCOUNT, KEY, REGION, SECRET, SmWorld


@pytest.fixture
def scene() -> SmWorld:
    return SmWorld()


def connect(scene: SmWorld, url: str) -> Provider:
    hooks = ProviderHooks(clock=scene, resolve=lambda _: f"{KEY}:{SECRET}")
    options = {"endpoint_url": url, "max_attempts": "1"}
    account = ProviderAccount("1", "m", "sagemaker", ACCOUNT, REGION, "env:X", options)
    return make_provider(account, hooks)


@pytest.fixture
def provider(scene: SmWorld) -> Iterator[Provider]:
    with SandboxServer(scene.world) as server:
        driver = connect(scene, server.url)
        yield driver
        driver.close()


def test_endpoints_are_listed_and_read_at_once(scene: SmWorld, provider: Provider) -> None:
    for number in range(6):
        scene.add(f"e{number}")
    listing = provider.list_endpoints()
    assert (listing.complete, len(listing.sightings)) == (True, 6)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda sighting: sighting.snapshot(), listing.sightings))
    assert {snapshot.status for snapshot in found} == {Status.RUNNING}
    assert provider.identity().namespaces == (ACCOUNT,)
    assert provider.calls()["sagemaker:DescribeEndpoint"] == 7


@pytest.mark.parametrize(
    ("fault", "made"),
    [(drop_after(), True), (truncate(), True), (error(502, "no"), False), (drop_before(), False)],
)
def test_a_broken_answer_leaves_a_change_in_doubt(
    scene: SmWorld, provider: Provider, fault: Fault, *, made: bool
) -> None:
    scene.add("chat")
    change = EndpointChange(tags=("team=new",))
    with scene.fault(fault, "AddTags"), pytest.raises(AmbiguousError):
        provider.update_endpoint("chat", change)
    snapshot = provider.get_endpoint("chat")
    assert snapshot is not None
    assert (snapshot.tags == ("team=new",)) is made
    assert len([call for call in scene.world.calls if call.path.endswith("/AddTags")]) == 1


@pytest.mark.parametrize("fault", [drop_after(), truncate(), error(503)])
def test_a_broken_read_says_nothing_about_an_endpoint(
    scene: SmWorld, provider: Provider, fault: Fault
) -> None:
    scene.add("chat")
    with scene.fault(fault, "DescribeEndpoint"), pytest.raises(UnavailableError):
        provider.get_endpoint("chat")
    assert provider.get_endpoint("chat") is not None


def test_a_closed_port_was_certainly_not_reached(scene: SmWorld) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = connect(scene, f"http://127.0.0.1:{port}")
    with pytest.raises(UnavailableError, match="was not reached"):
        driver.delete_endpoint("chat")
    assert isinstance(driver.list_endpoints().error, UnavailableError)
    driver.close()
