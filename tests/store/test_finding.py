"""Lists and look-ups: filters mean what they say, and pages neither skip nor repeat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import SQLModel

from orchestrator.store import accounts, endpoints, freeze, holds, operations, tokens
from orchestrator.store.database import Database
from orchestrator.store.endpoints import EndpointFilter, Sort
from orchestrator.store.freeze import Freeze
from orchestrator.store.operations import OperationFilter
from orchestrator.store.paging import Position
from orchestrator.store.tables import ApiToken, Hold, Label, Setting
from tests.support.rows import NOON, account, endpoint, interval, operation

HOUR = timedelta(hours=1)


def label(endpoint_name: str, key: str, value: str, source: str = "ours") -> Label:
    return Label(endpoint_id=f"ep_{endpoint_name}", key=key, value=value, source=source)


def hold(number: int, until: float, name: str = "alpha") -> Hold:
    return Hold(
        id=f"hld_{number}",
        endpoint_id=f"ep_{name}",
        wish="running",
        starts_at=NOON - HOUR,
        until=NOON + until * HOUR,
        actor="ada",
        reason="test",
    )


def fill(database: Database, *rows: SQLModel) -> None:
    with database.write() as session:
        for row in rows:
            session.add(row)
            session.flush()


@pytest.fixture
def fleet(database: Database) -> Database:
    """Return a store with two accounts, a removed one, and endpoints of every kind."""
    fill(
        database,
        account("lab"),
        account("shop"),
        account("gone", removed_at=NOON),
        endpoint("alpha", status="running", managed=True, hardware_key="aws/eu/nvidia-l4/x1"),
        endpoint("alpha_2", status="paused", managed=True, hardware_key="aws/eu/nvidia-t4/x1"),
        endpoint("beta", status="running", account_id="acc_shop"),
        endpoint("Gamma", status="failed", account_id="acc_shop"),
        endpoint("ghost", status="deleted", deleted_at=NOON),
        endpoint("lost", status="running", account_id="acc_gone", managed=True),
        label("alpha", "team", "search"),
        label("alpha_2", "team", "search"),
        label("alpha_2", "stage", "test"),
        label("beta", "cloud:team", "search", "cloud"),
        interval(endpoint_id="ep_alpha", burn=500),
        interval(endpoint_id="ep_beta", account_id="acc_shop", burn=900),
        interval(endpoint_id="ep_Gamma", account_id="acc_shop", burn=None),
    )
    return database


def found(database: Database, wanted: EndpointFilter, sort: Sort = Sort.NAME) -> list[str]:
    with database.read() as session:
        return [one.endpoint.name for one in endpoints.search(session, wanted, sort=sort)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EndpointFilter(), {"alpha", "alpha_2", "beta", "Gamma"}),
        (EndpointFilter(account_id="acc_lab"), {"alpha", "alpha_2"}),
        (EndpointFilter(statuses=("running", "failed")), {"alpha", "beta", "Gamma"}),
        (EndpointFilter(managed=True), {"alpha", "alpha_2"}),
        (EndpointFilter(managed=False), {"beta", "Gamma"}),
        (EndpointFilter(name="AMM"), {"Gamma"}),
        (EndpointFilter(name="a_2"), {"alpha_2"}),
        (EndpointFilter(name="a%2"), set()),
        (EndpointFilter(hardware="nvidia-l4"), {"alpha"}),
        (EndpointFilter(labels=(("team", "search"),)), {"alpha", "alpha_2"}),
        (EndpointFilter(labels=(("team", "search"), ("stage", "test"))), {"alpha_2"}),
        (EndpointFilter(labels=(("stage", None),)), {"alpha_2"}),
        (EndpointFilter(labels=(("cloud:team", "search"),)), {"beta"}),
        (EndpointFilter(deleted=True), {"alpha", "alpha_2", "beta", "Gamma", "ghost"}),
        (EndpointFilter(deleted=True, statuses=("deleted",)), {"ghost"}),
        (EndpointFilter(account_id="acc_gone"), set()),
    ],
)
def test_filters_mean_what_they_say(
    fleet: Database, wanted: EndpointFilter, expected: set[str]
) -> None:
    assert set(found(fleet, wanted)) == expected


def test_the_dearest_come_first_and_what_does_not_run_last(fleet: Database) -> None:
    order = found(fleet, EndpointFilter(), Sort.BURN_DOWN)
    assert order[:2] == ["beta", "alpha"]
    assert set(order[2:]) == {"alpha_2", "Gamma"}


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_of_endpoints_neither_skip_nor_repeat(fleet: Database, sort: Sort, size: int) -> None:
    whole = found(fleet, EndpointFilter(), sort)
    paged: list[str] = []
    position: Position | None = None
    for _ in range(len(whole)):
        with fleet.read() as session:
            page = endpoints.search(
                session, EndpointFilter(), sort=sort, after=position, limit=size
            )
        if not page:
            break
        paged += [one.endpoint.name for one in page]
        position = page[-1].position
    assert paged == whole


def test_a_row_that_comes_between_two_pages_moves_no_other(fleet: Database) -> None:
    with fleet.read() as session:
        first = endpoints.search(session, EndpointFilter(), sort=Sort.STATUS, limit=2)
    fill(fleet, endpoint("aaa", status="cancelled"))
    with fleet.read() as session:
        after = first[-1].position
        second = endpoints.search(session, EndpointFilter(), sort=Sort.STATUS, after=after)
    assert [one.endpoint.name for one in [*first, *second]] == ["Gamma", "alpha_2", "alpha", "beta"]


def test_a_name_finds_the_newest_of_its_generations(fleet: Database) -> None:
    fill(fleet, endpoint("ghost", id="ep_ghost2", generation=2))
    with fleet.read() as session:
        newest = endpoints.by_name(session, "lab", "ghost")
        live = endpoints.live_by_name(session, "acc_lab", "ghost")
        assert endpoints.by_name(session, "gone", "lost") is None
    assert newest is not None
    assert live is not None
    assert newest.id == live.id == "ep_ghost2"


def test_our_labels_are_replaced_and_those_of_the_cloud_stay(fleet: Database) -> None:
    fill(fleet, label("alpha", "cloud:team", "old", "cloud"))
    with fleet.write() as session:
        endpoints.replace_our_labels(session, "ep_alpha", {"team": "shop", "tier": "1"})
        endpoints.add_our_labels(session, "ep_beta", {"team": "shop"})
    with fleet.read() as session:
        labels = endpoints.labels_of(session, ["ep_alpha", "ep_beta"])
    held = {name: {row.key: row.value for row in rows} for name, rows in labels.items()}
    assert held == {
        "ep_alpha": {"cloud:team": "old", "team": "shop", "tier": "1"},
        "ep_beta": {"cloud:team": "search", "team": "shop"},
    }


def test_removed_accounts_are_out_of_sight_but_keep_their_name(fleet: Database) -> None:
    with fleet.read() as session:
        assert [one.name for one in accounts.live(session)] == ["lab", "shop"]
        assert accounts.get(session, "acc_gone") is None
        assert accounts.by_name(session, "gone") is None
        assert accounts.name_taken(session, "gone")
        assert accounts.by_place(session, "huggingface", "gone", "") is None
        assert accounts.by_place(session, "huggingface", "lab", "") is not None
        assert set(accounts.by_ids(session, ["acc_gone", "acc_none"])) == {"acc_gone"}


def test_only_holds_in_force_count_and_ending_is_remembered(fleet: Database) -> None:
    fill(fleet, hold(1, until=1), hold(2, until=0), hold(3, until=2), hold(4, until=1, name="beta"))
    with fleet.write() as session:
        active = holds.active_of(session, ["ep_alpha"], NOON)
        assert [one.id for one in active["ep_alpha"]] == ["hld_1", "hld_3"]
        holds.end_all(session, "ep_alpha", NOON, "ada")
    with fleet.read() as session:
        assert set(holds.all_active(session, NOON)) == {"ep_beta"}
        ended = holds.get(session, "hld_1")
        untouched = holds.get(session, "hld_2")
    assert ended is not None
    assert (ended.ended_at, ended.ended_by) == (NOON, "ada")
    assert untouched is not None
    assert untouched.ended_at is None


def test_operations_are_found_by_what_they_are(fleet: Database) -> None:
    fill(
        fleet,
        operation(1, endpoint_id="ep_alpha", status="succeeded", idempotency_key="k"),
        operation(2, endpoint_id="ep_alpha", status="running"),
        operation(3, endpoint_id="ep_beta", account_id="acc_shop", kind="resume"),
    )
    with fleet.read() as session:

        def ids(**wanted: Any) -> list[str]:
            rows = operations.page(session, OperationFilter(**wanted), None, 10)
            return [row.id for row in rows]

        assert ids() == ["op_3", "op_2", "op_1"]
        assert ids(endpoint_id="ep_alpha") == ["op_2", "op_1"]
        assert ids(statuses=operations.ACTIVE) == ["op_3", "op_2"]
        assert ids(kind="resume", account_id="acc_lab") == []
        assert set(operations.active_of(session, ["ep_alpha", "ep_beta"])) == {
            "ep_alpha",
            "ep_beta",
        }
        assert operations.by_key(session, "ada", "k") is not None
        assert operations.by_key(session, "bob", "k") is None


def test_freezing_everywhere_is_kept_and_lifted(database: Database) -> None:
    on = Freeze(NOON, "ada", "incident 42")
    with database.write() as session:
        assert freeze.everywhere(session) is None
        freeze.set_everywhere(session, on)
    with database.write() as session:
        assert freeze.everywhere(session) == on
        freeze.clear_everywhere(session, NOON + HOUR)
    with database.read() as session:
        assert freeze.everywhere(session) is None
        assert session.get(Setting, freeze.KEY) is not None


def test_revoked_and_expired_tokens_are_no_admins(database: Database) -> None:
    def token(name: str, **values: Any) -> ApiToken:
        given: dict[str, Any] = {"scope": "admin", "created_at": NOON, "digest": name}
        return ApiToken(**{"id": f"tok_{name}", "name": name, **given, **values})

    fill(
        database,
        token("good", expires_at=NOON + HOUR),
        token("endless"),
        token("over", expires_at=NOON),
        token("revoked", revoked_at=NOON - HOUR),
        token("reader", scope="read"),
    )
    with database.read() as session:
        admins = tokens.usable_admins(session, NOON)
    assert {one.name for one in admins} == {"good", "endless"}
