"""Bindings: rules and endpoints find each other, and act from the next edge."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from orchestrator.services import bindings
from orchestrator.services.bindings import NEVER
from orchestrator.services.selectors import Selector
from orchestrator.store.tables import Binding, Endpoint, IdlePolicy, Label, Schedule
from tests.support import rows
from tests.support.rows import NOON

HOUR = timedelta(hours=1)
LATER = NOON + HOUR


def schedule(selector: dict[str, Any], start: str = "08:00", **values: Any) -> Schedule:
    window = {"days": list(range(7)), "start": start, "end": "19:00", "keep_running": False}
    given: dict[str, Any] = {
        "id": "sch_1",
        "name": "hours",
        "timezone": "UTC",
        "windows": [window],
        "selector": selector,
        "effective_from": NOON,
        "created_at": NOON,
        "created_by": "ada",
        "updated_at": NOON,
    }
    return Schedule(**{**given, **values})


def policy(selector: dict[str, Any]) -> IdlePolicy:
    return IdlePolicy(
        id="pol_1",
        name="idle",
        timeout_minutes=30,
        selector=selector,
        effective_from=NOON,
        created_at=NOON,
        created_by="ada",
        updated_at=NOON,
    )


def managed(name: str, **values: Any) -> Endpoint:
    return rows.endpoint(name, **{"managed": True, **values})


def bound(session: Session) -> dict[tuple[str, str], datetime | None]:
    session.flush()
    return {(b.rule_id, b.endpoint_id): b.acts_from for b in session.exec(select(Binding))}


def put(session: Session, *values: Any) -> None:
    for value in values:
        session.add(value)
        session.flush()


def test_a_label_from_the_cloud_binds_only_under_its_own_key(session: Session) -> None:
    ours, theirs = {"labels": {"team": "a"}}, {"labels": {"cloud:team": "a"}}
    put(
        session,
        managed("one"),
        managed("two"),
        Label(endpoint_id="ep_one", key="team", value="a"),
        Label(endpoint_id="ep_two", key="cloud:team", value="a", source="cloud"),
        schedule(ours),
        schedule(theirs, id="sch_2", name="other"),
    )
    bindings.sync_endpoints(session, ["ep_one", "ep_two"], NOON)
    assert set(bound(session)) == {("sch_1", "ep_one"), ("sch_2", "ep_two")}


def test_a_new_match_acts_from_the_next_edge_and_keeps_that_edge(session: Session) -> None:
    put(session, managed("one"), schedule({"account": "acc_lab"}), policy({"endpoint": "ep_one"}))
    bindings.sync_endpoints(session, ["ep_one"], NOON)
    first = {("sch_1", "ep_one"): NOON + 7 * HOUR, ("pol_1", "ep_one"): None}
    assert bound(session) == first
    bindings.sync_endpoints(session, ["ep_one"], LATER + 8 * HOUR)
    assert bound(session) == first


def test_without_an_edge_it_never_acts_by_itself(session: Session) -> None:
    put(session, managed("one"), schedule({"account": "acc_lab"}, windows=[]))
    bindings.sync_endpoints(session, ["ep_one"], NOON)
    assert bound(session) == {("sch_1", "ep_one"): NEVER}


@pytest.mark.parametrize("values", [{"managed": False}, {"deleted_at": NOON}])
def test_only_managed_endpoints_are_bound(session: Session, values: dict[str, Any]) -> None:
    put(session, managed("one"), schedule({"account": "acc_lab"}))
    bindings.sync_endpoints(session, ["ep_one"], NOON)
    row = session.get_one(Endpoint, "ep_one")
    for name, value in values.items():
        setattr(row, name, value)
    put(session, row)
    bindings.sync_endpoints(session, ["ep_one"], LATER)
    assert bound(session) == {}


def test_a_rule_that_is_off_or_removed_is_let_go(session: Session) -> None:
    rule = schedule({"account": "acc_lab"})
    put(session, managed("one"), rule)
    bindings.sync_endpoints(session, ["ep_one"], NOON)
    rule.enabled = False
    put(session, rule)
    bindings.sync_endpoints(session, ["ep_one"], LATER)
    assert bound(session) == {}


def test_endpoints_that_are_not_named_stay_as_they_are(session: Session) -> None:
    put(session, managed("one"), managed("two"), schedule({"account": "acc_lab"}))
    bindings.sync_endpoints(session, ["ep_one", "ep_gone"], NOON)
    assert set(bound(session)) == {("sch_1", "ep_one")}


def test_a_rule_in_force_takes_in_new_matches_only_at_its_edge(session: Session) -> None:
    rule = schedule({"account": "acc_lab"})
    put(session, managed("one"), rule)
    bindings.sync_rule(session, rule, NOON, apply_now=["ep_one"])
    put(session, managed("two"))
    bindings.sync_rule(session, rule, LATER, before=None)
    assert bound(session) == {
        ("sch_1", "ep_one"): NOON + 7 * HOUR,
        ("sch_1", "ep_two"): NOON + 7 * HOUR,
    }


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (Selector(account_id="acc_lab"), True),
        (Selector(account_id="acc_x"), False),
        (Selector(endpoint_id="ep_one"), True),
        (Selector(endpoint_id="ep_two"), False),
        (Selector(labels={"team": "a"}), True),
        (Selector(labels={"team": "b"}), False),
        (Selector(labels={"team": "a", "stage": "x"}), False),
        (Selector("acc_lab", "ep_one", {"team": "a"}), True),
        (Selector("acc_lab", "ep_two", {"team": "a"}), False),
    ],
)
def test_every_condition_of_a_selector_counts(selector: Selector, matches: bool) -> None:
    labels = [Label(endpoint_id="ep_one", key="team", value="a")]
    assert selector.matches(managed("one"), labels) is matches
