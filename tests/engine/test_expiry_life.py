"""Expiry in virtual time: warned, paused, extended, resumed, and deleted after a grace."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from orchestrator.domain.endpoints import EndpointSpec, Hardware, Scaling
from orchestrator.domain.status import Wish
from orchestrator.engine.engine import Cadence
from orchestrator.services import (
    creation,
    deletion,
    expiry,
    expiry_policies,
    freezing,
    holding,
    leases,
)
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.services.expiry import Extended, Wanted
from orchestrator.services.leases import Bounds
from orchestrator.services.selectors import Selector
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint
from tests.support.stage import Stage, open_stage

CALM = Cadence(rest=timedelta(minutes=30), transition=timedelta(minutes=3), rates=timedelta(days=1))
HOUR = timedelta(hours=1)
L4 = Hardware("aws", "us-east-1", "nvidia-l4", "x1", "gpu")


@pytest.fixture
def calm(sqlite_database: Database) -> Stage:
    stage = open_stage(sqlite_database, cadence=CALM)
    stage.add("chat")
    stage.run(minutes=2)
    stage.adopt("chat")
    return stage


def expire(stage: Stage, text: str, **wanted: Any) -> Extended:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        asked = stage.asked("a trial")
        done = expiry.set_expiry(session, row, Wanted(text, **wanted), asked)
    stage.engine.nudge()
    return done


def extend(stage: Stage, text: str) -> Extended:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("chat").id)
        return expiry.extend(session, row, Wanted(text), stage.asked("not done yet"))


def told(stage: Stage) -> list[str]:
    names = ("endpoint.expir", "endpoint.delet", "endpoint.undel")
    return [event.kind for event in stage.events("endpoint.") if event.kind.startswith(names)]


def chat(stage: Stage) -> Endpoint:
    return stage.endpoint("chat")


def test_it_is_warned_of_paused_extended_and_deleted_in_the_end(calm: Stage) -> None:
    expire(calm, "5h", delete_grace="4h")
    ends = chat(calm).expires_at
    assert ends is not None
    calm.run(hours=4, minutes=30)
    assert told(calm) == ["endpoint.expiry_set", "endpoint.expiry_warned"]
    assert calm.state("chat") == "running"
    warning = calm.events("endpoint.expiry_warned")[0]
    assert (warning.at, "extend chat --for 3d" in warning.message) == (ends - HOUR, True)
    calm.run(hours=1)
    row = chat(calm)
    assert (row.status, row.decided_rule, row.wish) == ("paused", "deletion", "running")
    assert told(calm)[2:] == ["endpoint.expired", "endpoint.deletion_announced"]
    assert "it expired at" in calm.events("endpoint.deletion_announced")[0].message
    with pytest.raises(ServiceError) as refused:
        calm.click("resume", "chat")
    assert (refused.value.code, "/extend" in str(refused.value.remedy)) == ("being_deleted", True)

    back = extend(calm, "3h")
    assert back.operation is not None
    assert back.operation.kind == "resume"
    calm.run(hours=1)
    row = chat(calm)
    assert (row.status, row.delete_after, row.expiry["extensions"]) == ("running", None, 1)
    calm.run(hours=4)
    assert chat(calm).delete_after is not None
    calm.run(hours=6)
    assert calm.changes() == ["chat pause", "chat resume", "chat pause", "chat DELETE"]
    assert told(calm)[-2:] == ["endpoint.deletion_due", "endpoint.deleted"]


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("verb", ["pause", "chat"])
def test_whenever_the_process_dies_it_ends_the_same(calm: Stage, place: str, verb: str) -> None:
    """Dies at the pause, or at the deletion, before or after the cloud took it."""
    expire(calm, "2h", delete_grace="2h")
    left = [1, 1]

    def fatal(request: httpx2.Request) -> bool:
        wanted = request.method in ("POST", "DELETE") and request.url.path.endswith(f"/{verb}")
        if wanted and left:
            left.pop()
            return True
        return False

    setattr(calm.wire, place, fatal)
    calm.run(hours=7)
    assert calm.deaths == (2 if place == "before" else 1)
    assert chat(calm).status == "deleted"
    assert told(calm).count("endpoint.expired") == 1
    assert told(calm).count("endpoint.deletion_announced") == 1
    assert told(calm)[-1] == "endpoint.deleted"


def test_what_was_down_for_long_warns_first_and_gives_the_notice(calm: Stage) -> None:
    expire(calm, "5h")
    calm.clock.set(calm.clock.now() + 30 * HOUR)
    calm.run(minutes=40)
    assert told(calm)[1:] == ["endpoint.expiry_warned"]
    assert calm.state("chat") == "running"
    pauses_at = calm.events("endpoint.expiry_warned")[0].at + HOUR
    assert chat(calm).next_edge_at == pauses_at
    calm.run_until(pauses_at + timedelta(minutes=5))
    assert calm.state("chat") == "paused"


def test_a_short_life_is_warned_of_half_way(calm: Stage) -> None:
    expire(calm, "20m")
    calm.run(minutes=12)
    warned = calm.events("endpoint.expiry_warned")[0].at
    assert warned - calm.events("endpoint.expiry_set")[0].at == timedelta(minutes=10)
    assert chat(calm).next_edge_wish == "paused"
    calm.run(minutes=12)
    assert calm.state("chat") == "paused"


def test_without_a_wish_for_it_nothing_is_deleted_and_it_stays_paused(calm: Stage) -> None:
    expire(calm, "2h")
    calm.run(hours=8)
    assert calm.changes() == ["chat pause"]
    assert chat(calm).decided_rule == "expired"
    with pytest.raises(ServiceError) as refused:
        calm.click("resume", "chat")
    assert (refused.value.code, "/extend" in str(refused.value.remedy)) == ("expired", True)
    extend(calm, "1d")
    calm.run(minutes=30)
    assert calm.state("chat") == "running"
    assert chat(calm).expires_at == calm.events("endpoint.expiry_extended")[0].at + 24 * HOUR


def test_what_was_paused_after_its_first_warning_alone_sleeps_on(calm: Stage) -> None:
    expire(calm, "2h")
    calm.run(hours=3)
    with calm.database.write() as session:
        row = session.get_one(Endpoint, chat(calm).id)
        early = (calm.clock.now() - 24 * HOUR).isoformat()
        row.expiry = {**row.expiry, "first_warned_at": early, "warned_at": early}
        session.add(row)
    before = told(calm)
    calm.run(hours=4)
    assert (calm.changes(), chat(calm).decided_rule) == (["chat pause"], "expired")
    assert told(calm) == before
    extend(calm, "1d")
    calm.run(minutes=30)
    assert calm.state("chat") == "running"


def test_a_protected_one_is_only_proposed_to_be_paused(calm: Stage) -> None:
    with calm.database.write() as session:
        row = session.get_one(Endpoint, chat(calm).id)
        creation.change_ours(session, row, calm.asked(), labels=None, owner=None, protected=True)
    expire(calm, "2h", delete_grace="1h")
    calm.run(hours=6)
    assert (calm.state("chat"), calm.changes()) == ("running", [])
    proposal = calm.events("decision.proposed")[0]
    assert proposal.data["rule"] == "expired"


def test_without_its_protection_it_is_warned_of_anew(calm: Stage) -> None:
    test_a_protected_one_is_only_proposed_to_be_paused(calm)
    with calm.database.write() as session:
        row = session.get_one(Endpoint, chat(calm).id)
        creation.change_ours(session, row, calm.asked(), labels=None, owner=None, protected=False)
    taken_off = calm.clock.now()
    calm.run(minutes=40)
    assert calm.state("chat") == "running"
    assert calm.events("endpoint.expiry_warned")[-1].at >= taken_off
    calm.run(minutes=50)
    assert calm.state("chat") == "paused"


def test_a_hold_that_was_there_before_outlasts_it(calm: Stage) -> None:
    with calm.database.write() as session:
        row = session.get_one(Endpoint, chat(calm).id)
        until = calm.clock.now() + 4 * HOUR
        holding.request_hold(session, row, Wish.RUNNING, until, calm.asked("a demo"))
    expire(calm, "2h")
    calm.run(hours=3)
    assert (calm.state("chat"), chat(calm).decided_rule) == ("running", "hold")
    calm.run(hours=2)
    assert calm.state("chat") == "paused"
    assert [event.kind for event in calm.events("hold.")] == ["hold.started", "hold.expired"]


def test_brought_back_from_its_grace_it_is_not_deleted_again(calm: Stage) -> None:
    expire(calm, "1h", delete_grace="4h")
    calm.run(hours=2)
    with calm.database.write() as session:
        row = session.get_one(Endpoint, chat(calm).id)
        deletion.undelete(session, row, calm.asked("needed after all"))
    calm.run(hours=8)
    row = chat(calm)
    assert (row.status, row.delete_after, row.decided_rule) == ("paused", None, "expired")


def test_a_freeze_stops_it_and_an_extension_in_time_is_heeded(calm: Stage) -> None:
    expire(calm, "2h", delete_grace="1h")
    with calm.database.write() as session:
        freezing.switch_on(session, None, calm.asked("an incident"))
    calm.run(hours=4)
    assert (calm.changes(), chat(calm).delete_after) == ([], None)
    extend(calm, "2h")
    with calm.database.write() as session:
        freezing.switch_off(session, None, calm.asked("over"))
    calm.run(hours=1)
    assert calm.state("chat") == "running"


def test_a_deletion_waits_for_its_warning_as_any_other(calm: Stage) -> None:
    calm.context.settings = calm.context.settings.model_copy(
        update={"require_delivered_warnings": True}
    )
    expire(calm, "1h", delete_grace="1h")
    calm.run(hours=5)
    assert (calm.state("chat"), chat(calm).status) == ("paused", "paused")
    assert "no notification target" in calm.events("decision.refused")[0].message


def test_a_refused_deletion_is_told_once(calm: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        del given, named
        raise conflict("operation_in_progress", "an update of chat is under way")

    expire(calm, "1h", delete_grace="1h")
    monkeypatch.setattr(deletion, "request_delete", refuse)
    calm.run(hours=4)
    assert told(calm).count("endpoint.expiry_refused") == 1
    monkeypatch.undo()
    calm.run(hours=3)
    assert chat(calm).status == "deleted"


def test_leases_unite_and_the_rules_come_back_with_the_last(calm: Stage) -> None:
    calm.click("pause", "chat")
    calm.run(minutes=20)
    for minutes in (40, 55):
        with calm.database.write() as session:
            row = session.get_one(Endpoint, chat(calm).id)
            span = timedelta(minutes=minutes)
            leases.acquire(session, row, span, calm.asked("evaluation"), Bounds())
    calm.run(minutes=45)
    assert (calm.state("chat"), chat(calm).decided_rule) == ("running", "hold")
    calm.run(minutes=30)
    assert (calm.state("chat"), chat(calm).decided_rule) == ("paused", "standing")
    assert [event.kind for event in calm.events("lease.")] == [
        *["lease.acquired"] * 2,
        *["lease.expired"] * 2,
    ]
    calm.run(hours=3)
    assert len(calm.events("lease.expired")) == 2


def test_a_lease_counts_as_use(calm: Stage) -> None:
    calm.idle_policy(20, action="pause")
    with calm.database.write() as session:
        row = session.get_one(Endpoint, chat(calm).id)
        leases.acquire(session, row, HOUR, calm.asked("evaluation"), Bounds())
    ends = calm.clock.now() + HOUR
    calm.run_until(ends + timedelta(minutes=18))
    assert calm.state("chat") == "running"
    calm.run(hours=1, minutes=30)
    assert calm.state("chat") == "paused"


def create(stage: Stage, name: str, wanted: Wanted | None, **labels: str) -> None:
    spec = EndpointSpec(name, "org/model-1b", L4, Scaling(1, 1))
    with stage.database.write() as session:
        account = session.get_one(Account, stage.account.id)
        asked = stage.asked("a trial")
        creation.request_create(
            session, account, spec, asked, labels=labels, owner="ana", expiry=wanted
        )


def test_a_life_is_given_at_birth_as_asked_or_by_policy(calm: Stage) -> None:
    with calm.database.write() as session:
        draft = expiry_policies.Draft(
            "trials", Selector(labels={"team": "trials"}), max_ttl="3d", delete_grace="7d"
        )
        expiry_policies.create(session, draft, calm.asked())
    now = calm.clock.now()
    create(calm, "asked", Wanted("2d", delete_grace="none"), team="trials")
    create(calm, "unasked", None, team="trials")
    create(calm, "free", None)
    with pytest.raises(ServiceError) as refused:
        create(calm, "long", Wanted("4d"), team="trials")
    assert (refused.value.code, "policy trials: 3d" in refused.value.detail) == (
        "expiry_limited",
        True,
    )
    calm.run(hours=1)
    asked, unasked = calm.endpoint("asked"), calm.endpoint("unasked")
    assert (asked.expires_at, asked.expiry["grace_s"]) == (now + 48 * HOUR, None)
    assert unasked.managed_since is not None
    assert unasked.expires_at == unasked.managed_since + 72 * HOUR
    assert (unasked.expiry["actor"], unasked.expiry["grace_s"]) == ("policy trials", 604_800)
    assert calm.endpoint("free").expires_at is None
    assert chat(calm).expires_at is None
