"""`orchestrator bulk`: the list, the question, the outcomes, and how it ends."""

from __future__ import annotations

from typing import Any

from orchestrator.cli.errors import ExitCode
from tests.cli.answers import line_with
from tests.cli.conftest import Cli, StubApi, operation, page

BULK = "/v1/endpoints/bulk"


def item(name: str, outcome: str = "accepted", **values: Any) -> dict[str, Any]:
    return {
        "endpoint": {"id": f"ep_{name}", "name": name},
        "account": {"id": "acc_1", "name": "acme"},
        "status": "running",
        "outcome": outcome,
        "detail": "pause asked for",
        "code": None,
        "remedy": None,
        "operation": None,
        "held_until": None,
        "cost_change": {"amount": "-0.800000000", "currency": "USD"},
        "unpriced": False,
        **values,
    }


def answer(*items: dict[str, Any], made: bool) -> dict[str, Any]:
    refused = sum(one["outcome"] == "refused" for one in items)
    return {
        "id": "blk_1" if made else None,
        "action": "pause",
        "until": None,
        "accepted": len(items) - refused,
        "unchanged": 0,
        "refused": refused,
        "blast_radius": {
            "changed": len(items) - refused,
            "share_of_managed": 20,
            "share_of_awake": 40,
            "stopped_per_hour": {"amount": "0.800000000", "currency": "USD"},
            "started_per_hour": {"amount": "0.000000000", "currency": "USD"},
            "unpriced": 1,
        },
        "confirm": "c0ffee",
        "confirm_needed": None,
        "items": list(items),
    }


REFUSED = item("b", "refused", detail="b is only observed.", code="not_managed", remedy="Adopt it.")


def stub_bulk(stub: StubApi, *items: dict[str, Any]) -> None:
    would = answer(*items, made=False)
    stub.on("POST", BULK, {"dry_run": True, "would": would}, answer(*items, made=True))


def test_a_dry_run_shows_the_list_and_sends_nothing_else(api_cli: Cli, stub: StubApi) -> None:
    stub_bulk(stub, item("a"), REFUSED)
    result = api_cli("bulk", "pause", "--label", "team=search", "--dry-run")
    assert result.code == ExitCode.OK
    assert "-$0.80/h" in line_with(result.out, "acme/a")
    assert "b is only observed. Adopt it." in line_with(result.out, "acme/b")
    assert (
        "1 endpoint would change: 20 % of the managed endpoints, 40 % of those awake" in result.out
    )
    assert "stops $0.80/h, starts $0.00/h, 1 without a known price" in result.out
    (only,) = stub.seen
    assert only.param("dry_run") == ["true"]
    assert only.body == {"action": "pause", "selector": {"labels": {"team": "search"}}}


def test_the_previewed_list_is_the_one_that_is_confirmed(api_cli: Cli, stub: StubApi) -> None:
    stub_bulk(stub, item("a", operation="op_1"))
    result = api_cli("bulk", "pause", "--account", "acme", "--managed", "--reason", "over", "--yes")
    assert result.code == ExitCode.OK
    sent = stub.last("POST", BULK)
    assert sent.body == {
        "action": "pause",
        "selector": {"account": "acme", "managed": True},
        "reason": "over",
        "confirm": "c0ffee",
    }
    assert sent.param("dry_run") == []
    assert "orchestrator operations list --bulk blk_1" in result.out


def test_a_refusal_of_any_endpoint_is_told_by_the_exit_code(api_cli: Cli, stub: StubApi) -> None:
    stub_bulk(stub, item("a"), REFUSED)
    result = api_cli("bulk", "pause", "--all", "--yes")
    assert result.code == ExitCode.REFUSED
    assert "1 endpoint refused" in result.err


def test_without_a_yes_nothing_is_done(api_cli: Cli, stub: StubApi) -> None:
    stub_bulk(stub, item("a"))
    result = api_cli("bulk", "scale-to-zero", "--id", "ep_a")
    assert result.code == ExitCode.USAGE
    assert "Scale to zero 1 endpoint? needs a yes" in result.err
    assert [seen.param("dry_run") for seen in stub.seen] == [["true"]]


def test_waiting_follows_every_operation_and_tells_which_failed(
    api_cli: Cli, stub: StubApi
) -> None:
    stub_bulk(stub, item("a", operation="op_1"), item("c", operation="op_2"))
    stub.on("GET", "/v1/operations/op_1", operation(id="op_1", status="succeeded"))
    stub.on("GET", "/v1/operations/op_2", operation(id="op_2", status="failed", outcome="no room"))
    result = api_cli("bulk", "pause", "--label", "team=search", "--yes", "--wait")
    assert result.code == ExitCode.FAILED
    assert "c: failed no room" in result.err


def test_json_is_the_answer_of_the_api_alone(api_cli: Cli, stub: StubApi) -> None:
    stub_bulk(stub, item("a"))
    result = api_cli("bulk", "pause", "--id", "ep_a", "--yes", "-o", "json")
    assert result.json["id"] == "blk_1"


def test_quiet_prints_the_operations(api_cli: Cli, stub: StubApi) -> None:
    stub_bulk(stub, item("a", operation="op_1"), REFUSED)
    assert api_cli("bulk", "pause", "--id", "ep_a", "--yes", "-q").out == "op_1\n"


def test_a_selector_is_needed(api_cli: Cli, stub: StubApi) -> None:
    result = api_cli("bulk", "pause", "--managed")
    assert result.code == ExitCode.USAGE
    assert "--all" in result.err
    assert stub.seen == []


def test_operations_are_listed_by_bulk_request(api_cli: Cli, stub: StubApi) -> None:
    stub.on("GET", "/v1/operations", page(operation()))
    api_cli("operations", "list", "--bulk", "blk_1")
    assert stub.last("GET", "/v1/operations").param("bulk") == ["blk_1"]
