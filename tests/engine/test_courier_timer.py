"""The courier's timer: one slow target does not hold up another, nor the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from orchestrator.channels.message import Message, Outcome
from orchestrator.engine import courier_timer
from orchestrator.engine.courier_timer import CourierTimer
from orchestrator.store.database import Database
from tests.support.mailroom import Mailroom

LONGEST_S = 20


@pytest.fixture
def room(sqlite_database: Database) -> Mailroom:
    return Mailroom(sqlite_database)


@pytest.fixture
def timer(room: Mailroom) -> Iterator[CourierTimer]:
    made = CourierTimer(room.courier, room.clock, timedelta(milliseconds=20))
    made.start()
    yield made
    made.stop()


def test_a_slow_target_delays_no_other_and_not_the_end(
    room: Mailroom, timer: CourierTimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_timer, "LEAVE_AFTER_S", 0.1)
    inside, told, gate = threading.Event(), threading.Event(), threading.Event()

    def slow(_: Message) -> Outcome:
        inside.set()
        gate.wait(LONGEST_S)
        return Outcome()

    def quick(message: Message) -> Outcome:
        if message.text.startswith("second"):
            told.set()
        return Outcome()

    room.answers = {"ops": slow, "pager": quick}
    room.target()
    room.target("pager")
    room.tell("operation.failed", "first")
    assert inside.wait(LONGEST_S)
    room.tell("operation.failed", "second")
    assert told.wait(LONGEST_S)
    assert len(room.sent["ops"]) == 1
    timer.stop()
    gate.set()


def test_a_store_that_fails_is_tried_again(
    room: Mailroom, timer: CourierTimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del timer
    failed, told = threading.Event(), threading.Event()

    def fail(*_: object) -> bool:
        failed.set()
        raise ConnectionError

    def take(_: Message) -> Outcome:
        told.set()
        return Outcome()

    room.answers["ops"] = take
    room.target()
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.store.notifications.any_waiting", fail)
        room.tell("operation.failed")
        assert failed.wait(LONGEST_S)
    assert told.wait(LONGEST_S)
