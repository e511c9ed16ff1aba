"""The courier: at least once, in order, without one target holding up another."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest

from orchestrator.channels.message import Message, Outcome
from orchestrator.domain.notices import Severity
from orchestrator.services import notifications
from orchestrator.services.selectors import Selector
from orchestrator.store import events
from orchestrator.store.database import Database
from tests.support import rows
from tests.support.mailroom import BROKEN, Mailroom
from tests.support.stage import Killed


@pytest.fixture
def room(sqlite_database: Database) -> Mailroom:
    return Mailroom(sqlite_database)


@pytest.fixture
def either(database: Database) -> Mailroom:
    """Return a mailroom over SQLite and Postgres in turn."""
    return Mailroom(database)


def broken(_: Message) -> Outcome:
    return BROKEN


def killed(_: Message) -> Outcome:
    raise Killed


def test_an_event_reaches_its_targets_once(either: Mailroom) -> None:
    either.target()
    either.target("chat", webhook=False)
    either.tell("operation.failed", "pause of search failed: no answer")
    either.tell("operation.succeeded", "nobody is told of this")
    either.run()
    either.run(seconds=5)
    (ops,), (chat,) = either.sent["ops"], either.sent["chat"]
    assert ops.id == chat.id == either.notices()[0].id
    assert chat.title == "[critical] operation failed: lab/search"
    content = json.loads(ops.payload)
    assert content["type"] == "operation.failed"
    assert content["timestamp"] == rows.NOON.isoformat()
    assert content["data"]["endpoint"] == {"id": "ep_search", "name": "search", "owner": ""}
    assert content["data"]["account"]["name"] == "lab"
    assert {one.status for one in either.deliveries()} == {"delivered"}
    assert either.of().delivered_at == rows.NOON


def test_the_notice_is_there_only_with_its_event(room: Mailroom) -> None:
    room.target()

    def freeze_and_die() -> None:
        with room.database.write() as session:
            events.record(session, at=rows.NOON, kind="freeze.on", actor="ana", message="frozen")
            session.flush()
            raise Killed

    with pytest.raises(Killed):
        freeze_and_die()
    room.run()
    assert room.notices() == []
    assert room.events("freeze.on") == []


def test_a_death_after_sending_sends_again_under_the_same_id(either: Mailroom) -> None:
    either.target()
    either.tell("operation.failed")
    either.answers["ops"] = killed
    with pytest.raises(Killed):
        either.run()
    del either.answers["ops"]
    either.run(either.another(), seconds=30)
    assert len(either.sent["ops"]) == 1  # the dead process may still be sending, for all we know
    either.run(either.another(), minutes=5)
    first, second = either.sent["ops"]
    assert first == second
    assert [one.status for one in either.deliveries()] == ["delivered"]


@pytest.mark.parametrize("point", ["waiting", "lease", "held"])
def test_a_death_at_any_step_loses_nothing(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    room.target()
    room.tell("operation.failed")

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"orchestrator.store.notifications.{point}", die)
        with pytest.raises(Killed):
            room.run()
    room.run(room.another(), minutes=6)
    assert {message.id for message in room.sent["ops"]} == {room.notices()[0].id}
    assert [one.status for one in room.deliveries()] == ["delivered"]


def test_a_failing_target_rests_and_does_not_delay_another(room: Mailroom) -> None:
    room.target()
    room.target("pager")
    room.answers["ops"] = broken
    for number in range(3):
        room.tell("operation.failed", f"number {number}", endpoint_id=None)
    room.run()
    assert room.texts("pager") == ["number 0", "number 1", "number 2"]
    assert room.texts() == ["number 0"]
    target = room.of()
    assert (target.failures, target.last_error) == (1, BROKEN.error)
    assert target.failing_since == rows.NOON
    room.run(seconds=9)
    assert len(room.sent["ops"]) == 1
    room.run(seconds=1)
    assert len(room.sent["ops"]) == 2


def test_the_rest_grows_and_is_spread_by_chance(room: Mailroom) -> None:
    room.target()
    room.answers["ops"] = broken
    room.tell("operation.failed")
    rests = []
    for _ in range(10):
        room.run()
        until = room.until()
        assert until is not None
        rests.append(round((until - room.clock.now()).total_seconds()))
        room.clock.set(until)
    assert rests == [10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800]
    room.chance = 0.0
    room.run()
    assert room.until() == room.clock.now() + timedelta(minutes=22, seconds=30)


def test_a_target_may_ask_for_a_longer_rest(room: Mailroom) -> None:
    room.target()
    rest = timedelta(minutes=7)
    room.answers["ops"] = lambda _: Outcome("HTTP 429 Too Many Requests", retry_after=rest)
    room.tell("operation.failed")
    room.run()
    assert room.until() == rows.NOON + rest


def test_the_order_of_an_endpoint_is_kept_over_a_failure(room: Mailroom) -> None:
    room.target()
    refused = Outcome("HTTP 422 Unprocessable Content", refused=True)
    room.answers["ops"] = lambda message: refused if "first" in message.text else Outcome()
    room.tell("operation.failed", "first")
    room.tell("operation.failed", "second")
    room.tell("operation.failed", "elsewhere", endpoint_id="ep_chat")
    room.run()
    room.run(seconds=5)
    assert room.texts() == ["first", "elsewhere"]
    del room.answers["ops"]
    room.run(seconds=5)
    assert room.texts() == ["first", "elsewhere", "first", "second"]


def test_a_message_that_fails_often_lets_others_pass(room: Mailroom) -> None:
    room.target()
    room.answers["ops"] = lambda message: BROKEN if message.text.startswith("first") else Outcome()
    room.tell("operation.failed", "first")
    room.tell("operation.failed", "second")
    for _ in range(9):
        room.run(minutes=6)
    assert room.texts()[:7] == ["first"] * 6 + ["second"]
    assert [one.status for one in room.deliveries()] == ["pending", "delivered"]


def test_a_refused_message_leaves_the_target_well(room: Mailroom) -> None:
    room.target()
    refused = Outcome("HTTP 422 Unprocessable Content", refused=True)
    room.answers["ops"] = lambda message: refused if "odd" in message.text else Outcome()
    room.tell("operation.failed", "odd")
    room.tell("operation.failed", "elsewhere", endpoint_id="ep_chat")
    room.run()
    assert room.texts() == ["odd", "elsewhere"]
    assert room.of().failing_since is None
    assert room.deliveries("pending")[0].last_error == refused.error


def test_after_days_it_is_given_up_with_an_event_and_may_be_asked_for(room: Mailroom) -> None:
    room.target()
    room.answers["ops"] = broken
    for number in range(3):
        room.tell("operation.failed", f"number {number}")
    room.run()
    room.run(hours=73)
    assert {one.status for one in room.deliveries()} == {"failed"}
    (event,) = room.events("notification.failed")
    assert event.message.startswith("3 not delivered to ops within 3 days: HTTP 500")
    del room.answers["ops"]
    with room.database.write() as session:
        notifications.retry(session, room.deliveries()[1].id, room.asked())
    room.run()
    assert room.texts()[-1] == "number 1"
    assert room.of().failing_since is None


def test_others_are_told_of_a_target_that_fails(room: Mailroom) -> None:
    room.target()
    room.target("pager")
    room.answers["ops"] = broken
    room.tell("operation.failed")
    for _ in range(5):
        room.run(minutes=6)
    told = [text for text in room.texts("pager") if "cannot be notified" in text]
    assert told == [f"ops cannot be notified: {BROKEN.error}"]
    del room.answers["ops"]
    room.run(hours=1)
    assert len(room.events("notification.target_recovered")) == 1
    assert not [text for text in room.texts() if "cannot be notified" in text]


def test_an_error_of_our_own_is_a_failure_and_no_busy_loop(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.target()
    room.tell("operation.failed")

    def fault(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.services.messages.of_notice", fault)
        room.run()
    assert "ZeroDivisionError" in room.of().last_error
    assert room.until() == rows.NOON + timedelta(seconds=10)
    room.run(seconds=10)
    assert len(room.sent["ops"]) == 1


def test_two_processes_do_not_send_the_same(either: Mailroom) -> None:
    either.target()
    for number in range(20):
        either.tell("operation.failed", f"number {number}")
    inside, go_on = threading.Event(), threading.Event()

    def slow(_: Message) -> Outcome:
        inside.set()
        go_on.wait(10)
        return Outcome()

    either.answers["ops"] = slow
    first = threading.Thread(target=either.courier.run, args=(rows.NOON,))
    first.start()
    assert inside.wait(10)
    either.another().run(rows.NOON)
    assert len(either.sent["ops"]) == 1
    go_on.set()
    first.join()
    assert either.texts() == [f"number {number}" for number in range(20)]


def test_a_process_that_lost_its_lease_stops(room: Mailroom) -> None:
    room.target()
    room.tell("operation.failed", "first")
    room.tell("operation.failed", "second")
    takes_over: list[object] = []

    def thaw(message: Message) -> Outcome:
        if not takes_over:
            takes_over.append(message)
            room.clock.set(rows.NOON + timedelta(minutes=10))
            room.another().run(room.clock.now())
        return Outcome()

    room.answers["ops"] = thaw
    room.run()
    assert room.texts() == ["first", "first", "second"]


class TestFilters:
    def test_kinds_and_severity(self, room: Mailroom) -> None:
        room.target("deletions", kinds=["endpoint.deletion_*", "freeze.on"])
        room.target("grave", least_severity=Severity.CRITICAL)
        for kind in ("endpoint.deletion_announced", "freeze.off", "freeze.on", "rate.changed"):
            room.tell(kind, kind)
        room.run()
        assert room.texts("deletions") == ["endpoint.deletion_announced", "freeze.on"]
        assert room.texts("grave") == ["freeze.on"]

    def test_endpoints(self, room: Mailroom) -> None:
        room.target("team", selector=Selector(labels={"team": "search"}))
        room.target("adas", owner="ada")
        room.target("lab", selector=Selector(account_id="acc_lab"))
        room.target("other", selector=Selector(account_id="acc_other"))
        room.target("one", selector=Selector(endpoint_id="ep_chat"))
        room.tell("operation.failed", "search")
        room.tell("operation.failed", "chat", endpoint_id="ep_chat")
        room.tell("account.unreachable", "account", endpoint_id=None)
        room.tell("freeze.on", "all", endpoint_id=None, account_id=None)
        room.run()
        assert room.texts("team") == ["search"]
        assert room.texts("adas") == ["chat"] == room.texts("one")
        assert room.texts("lab") == ["search", "chat", "account", "all"]
        assert room.texts("other") == ["all"]

    def test_what_nobody_wants_leaves_no_trace_but_its_event(self, room: Mailroom) -> None:
        room.tell("operation.failed")
        room.run()
        room.target()
        room.run(minutes=1)
        assert (room.sent, room.notices()) == ({}, [])
        assert len(room.events("operation.failed")) == 1

    def test_a_new_target_is_not_told_of_the_past(self, room: Mailroom) -> None:
        room.tell("operation.failed")
        room.clock.set(rows.NOON + timedelta(seconds=1))
        room.target()
        room.run()
        assert room.sent == {}

    @pytest.mark.parametrize(("status", "told"), [("failed", 1), ("running", 0)])
    def test_an_endpoint_that_fails_is_news(self, room: Mailroom, status: str, told: int) -> None:
        room.target()
        room.tell("endpoint.status_changed", data={"from": "updating", "to": status})
        room.run()
        assert len(room.sent["ops"]) == told

    def test_one_that_is_switched_off_waits_and_one_that_is_removed_gets_nothing(
        self, room: Mailroom
    ) -> None:
        room.target()
        room.target("gone")
        room.answers = {"ops": broken, "gone": broken}
        room.tell("operation.failed")
        room.run()
        with room.database.write() as session:
            notifications.find(session, "ops").enabled = False
            notifications.remove(session, notifications.find(session, "gone"), room.asked())
        room.run(hours=1)
        assert (len(room.sent["ops"]), len(room.sent["gone"])) == (1, 1)
        assert sorted(one.status for one in room.deliveries()) == ["dropped", "pending"]


class TestSummaries:
    def test_people_get_a_summary_and_programs_get_each(self, room: Mailroom) -> None:
        room.target()
        room.target("chat", webhook=False, per_minute=5)
        with room.database.write() as session:
            for number in range(200):
                kind = "operation.failed" if number % 100 == 50 else "decision.refused"
                message = f"number {number}"
                events.record(session, at=rows.NOON, kind=kind, actor="engine", message=message)
        for _ in range(3):
            room.run()
        assert room.texts() == [f"number {number}" for number in range(200)]
        assert room.texts("chat")[:4] == ["number 0", "number 1", "number 2", "number 3"]
        assert len(room.sent["chat"]) == 5
        last = room.sent["chat"][-1]
        assert last.title == "[critical] 196 more events"
        assert last.text == "- number 50\n- number 150\nand 194 of decision.refused"
        assert room.deliveries("pending") == []

    def test_more_follows_when_the_minute_is_over(self, room: Mailroom) -> None:
        room.target("chat", webhook=False, per_minute=2)
        for number in range(3):
            room.tell("decision.refused", f"number {number}")
        room.run()
        room.tell("decision.refused", "later")
        room.run(seconds=59)
        assert len(room.sent["chat"]) == 2
        room.run(seconds=1)
        assert room.texts("chat")[-1] == "later"

    def test_deletions_are_named_though_it_takes_minutes(self, room: Mailroom) -> None:
        room.target("chat", webhook=False, per_minute=1)
        for number in range(100):
            room.tell("endpoint.deletion_announced", f"end of number {number}")
        for minute in range(1, 4):
            room.run(seconds=61)
            assert len(room.sent["chat"]) == minute
        text = "\n".join(message.text for message in room.sent["chat"])
        assert [
            number for number in range(100) if f"end of number {number}\n" not in text + "\n"
        ] == []
        assert room.deliveries("pending") == []

    def test_a_summary_that_fails_is_made_again(self, room: Mailroom) -> None:
        room.target("chat", webhook=False, per_minute=1)
        room.answers["chat"] = broken
        for number in range(3):
            room.tell("decision.refused", f"number {number}")
        room.run()
        assert {one.attempts for one in room.deliveries()} == {1}
        del room.answers["chat"]
        room.run(minutes=2)
        assert {one.status for one in room.deliveries()} == {"delivered"}
        assert len(room.sent["chat"]) == 2


def test_old_ones_are_forgotten_but_for_what_is_still_needed(either: Mailroom) -> None:
    either.target()
    either.tell("operation.failed", "done")
    either.tell("endpoint.deletion_announced", "kept while the endpoint is there")
    either.run()
    either.answers["ops"] = broken
    either.tell("operation.failed", "still on its way")
    either.run()
    with either.database.write() as session:
        notifications.find(session, "ops").enabled = False
    either.run(days=31)
    assert [one.message for one in either.notices()] == [
        "kept while the endpoint is there",
        "still on its way",
    ]
    assert len(either.deliveries()) == 2


def test_secrets_in_events_are_not_sent(room: Mailroom) -> None:
    room.target()
    room.tell("operation.failed", "said password=hunter2secret", data={"token": "abc"})
    room.run()
    (message,) = room.sent["ops"]
    assert b"hunter2secret" not in message.payload
    assert "hunter2secret" not in message.text
    assert json.loads(message.payload)["data"]["details"] == {"token": "[redacted]"}
