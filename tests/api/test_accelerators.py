"""Hardware without its accelerator: the price list has it, or the request is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.endpoints import EndpointChange, Hardware
from orchestrator.services import creation
from orchestrator.store.tables import Account, Offer, Operation
from tests.api.rule_files import apply, file
from tests.api.site import L4, NOON, Site, endpoint, problem

A10 = "aws/us-east-1/nvidia-a10g/x1"
BARE = {"vendor": "aws", "region": "us-east-1", "instance_type": "nvidia-a10g"}
HARDWARE = {**BARE, "instance_size": "x1"}
FRESH: dict[str, Any] = {
    "account": "lab",
    "name": "fresh",
    "repository": "acme/model",
    "hardware": HARDWARE,
    "scaling": {"min_replicas": 1, "max_replicas": 1},
}
MOVE: dict[str, Any] = {"hardware": HARDWARE}
WRITES = [("POST", "/v1/endpoints", FRESH), ("PATCH", "/v1/endpoints/ep_search", MOVE)]


def listed(site: Site, accelerator: str) -> None:
    for key in (L4, A10):
        site.seed(
            Offer(
                account_id="acc_lab",
                hardware_key=key,
                accelerator=accelerator,
                accelerators=1,
                nano_per_hour=1_000_000_000,
                status="available",
                read_at=NOON,
            )
        )


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_it_is_taken_from_the_price_list(
    lab: Site, method: str, path: str, body: dict[str, Any]
) -> None:
    listed(lab, "gpu")
    would = lab.ask(method, f"{path}?dry_run=true", json=body).json()["would"]
    assert would["payload"]["hardware"] == {**HARDWARE, "accelerator": "gpu"}
    made = lab.ask(method, path, json=body)
    assert made.status_code == 202
    with lab.database.read() as session:
        request = session.get_one(Operation, made.json()["id"]).request
    assert request["spec"]["hardware"]["accelerator"] == "gpu"


@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_where_nobody_knows_it_the_field_and_the_remedy_are_named(
    lab: Site, method: str, path: str, body: dict[str, Any], offered: bool
) -> None:
    if offered:
        listed(lab, "")
    for query in ("", "?dry_run=true"):
        found = problem(lab.ask(method, path + query, json=body), 422, "invalid")
        assert found["field"] == "hardware.accelerator"
        assert "GET /v1/hardware" in found["remedy"]
    assert lab.get("/v1/operations")["items"] == []


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_slip_in_the_hardware_is_told_before(
    lab: Site, method: str, path: str, body: dict[str, Any]
) -> None:
    listed(lab, "gpu")
    wrong = {**body, "hardware": {**HARDWARE, "instance_size": "x9"}}
    found = problem(lab.ask(method, path, json=wrong), 422, "invalid")
    assert (found["field"], "x1" in found["remedy"]) == ("hardware", True)


def test_a_rules_file_needs_none_either(lab: Site) -> None:
    listed(lab, "gpu")
    lab.seed(endpoint("chat"))
    apply(lab, file(endpoints={"lab/chat": {"spec": {"hardware": HARDWARE}}}))
    (made,) = lab.get("/v1/operations")["items"]
    with lab.database.read() as session:
        request = session.get_one(Operation, made["id"]).request
    assert request["spec"]["hardware"]["accelerator"] == "gpu"


def test_what_a_request_names_itself_stays(lab: Site) -> None:
    listed(lab, "gpu")
    hardware = Hardware("aws", "us-east-1", "nvidia-a10g", "x1", "neuron")
    with lab.database.read() as session:
        account = session.get_one(Account, "acc_lab")
    whole, _ = creation.prepared(lab.context, account, EndpointChange(hardware=hardware))
    assert whole.hardware == hardware
