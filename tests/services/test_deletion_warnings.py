"""Deletions wait until their warning has reached somebody who asked for it."""

from __future__ import annotations

import pytest

from orchestrator.channels.message import Outcome
from orchestrator.domain.notices import DELETION_WARNINGS
from orchestrator.services import notifications
from orchestrator.services.selectors import Selector
from orchestrator.services.warnings import undelivered
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from tests.support.mailroom import BROKEN, Mailroom

ANNOUNCED, DUE = DELETION_WARNINGS


@pytest.fixture
def room(sqlite_database: Database) -> Mailroom:
    return Mailroom(sqlite_database)


@pytest.fixture
def strict(sqlite_database: Database) -> Mailroom:
    """Return a mailroom where somebody must be told."""
    return Mailroom(sqlite_database, Settings(require_delivered_warnings=True))


def remove(room: Mailroom, name: str) -> None:
    with room.database.write() as session:
        notifications.remove(session, notifications.find(session, name), room.asked())


def test_a_warning_holds_back_until_it_is_delivered(room: Mailroom) -> None:
    room.target("ops-chat", webhook=False)
    room.answers["ops-chat"] = lambda _: BROKEN
    room.tell(ANNOUNCED)
    assert room.held() == "the warning of 2026-03-02 12:00 UTC is on its way to ops-chat"
    room.run(minutes=1)
    assert room.held() == (
        "the warning of 2026-03-02 12:00 UTC could not be delivered to ops-chat since "
        "2026-03-02 12:01 UTC: HTTP 500 Internal Server Error"
    )
    del room.answers["ops-chat"]
    room.run(minutes=1)
    assert room.held() is None


def test_one_of_several_targets_is_enough(room: Mailroom) -> None:
    room.target("chat", webhook=False)
    room.target("ops")
    room.answers["chat"] = lambda _: BROKEN
    room.tell(ANNOUNCED)
    room.run()
    assert room.held() is None
    room.answers["ops"] = lambda _: Outcome("no answer within 15 s")
    room.tell(DUE)
    room.run(minutes=1)
    reason = room.held() or ""
    assert "chat since" in reason
    assert "ops since" in reason


def test_what_was_given_up_still_holds_back(room: Mailroom) -> None:
    room.target()
    room.answers["ops"] = lambda _: BROKEN
    room.tell(ANNOUNCED)
    room.run()
    room.run(days=4)
    assert [one.status for one in room.deliveries()] == ["failed"]
    assert "HTTP 500" in (room.held() or "")


def test_the_last_warning_counts(room: Mailroom) -> None:
    room.target()
    room.answers["ops"] = lambda _: BROKEN
    room.tell(ANNOUNCED)
    room.run()
    del room.answers["ops"]
    room.tell(DUE)
    room.run(minutes=1)
    assert room.held() is None


def test_a_summary_counts_as_delivered(room: Mailroom) -> None:
    room.target("chat", webhook=False, per_minute=1)
    for _ in range(3):
        room.tell("decision.refused")
    room.tell(ANNOUNCED)
    room.run()
    assert len(room.sent["chat"]) == 1
    assert room.held() is None


@pytest.mark.parametrize("selector", [None, Selector(endpoint_id="ep_chat")])
def test_where_nobody_asked_nothing_is_held_back(room: Mailroom, selector: Selector | None) -> None:
    if selector is not None:
        room.target(selector=selector)
    room.tell(ANNOUNCED)
    assert room.held() is None
    room.run()
    assert room.held() is None


def test_a_removed_target_holds_nothing_back_and_a_disabled_one_does(room: Mailroom) -> None:
    room.target()
    room.answers["ops"] = lambda _: BROKEN
    room.tell(ANNOUNCED)
    room.run()
    with room.database.write() as session:
        notifications.find(session, "ops").enabled = False
    assert "waits for ops, which is switched off" in (room.held() or "")
    remove(room, "ops")
    assert room.held() is None


def test_where_somebody_must_be_told_it_waits_for_a_target(strict: Mailroom) -> None:
    strict.tell(ANNOUNCED)
    strict.run()
    assert "concerns no notification target" in (strict.held(require=True) or "")
    strict.run(hours=1)
    strict.target()
    strict.run()
    assert strict.held(require=True) is None
    assert len(strict.sent["ops"]) == 1


def test_where_somebody_must_be_told_silence_holds_back(strict: Mailroom) -> None:
    assert strict.held(require=True) == "it was never warned of"
    assert strict.held() is None


def test_unwanted_warnings_do_not_stop_what_comes_after_them(strict: Mailroom) -> None:
    strict.tell(ANNOUNCED)
    strict.target(selector=Selector(endpoint_id="ep_chat"))
    strict.run()
    strict.tell("operation.failed", "after", endpoint_id="ep_chat")
    strict.run()
    assert strict.texts() == ["after"]


def test_only_what_is_held_back_is_in_the_answer(room: Mailroom) -> None:
    room.target()
    room.tell(ANNOUNCED)
    with room.database.read() as session:
        found = undelivered(session, ["ep_search", "ep_chat", "ep_unknown"])
    assert list(found) == ["ep_search"]
    with room.database.read() as session:
        assert undelivered(session, []) == {}
