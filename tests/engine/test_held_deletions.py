"""Engine and courier together: a deletion waits until its warning has reached somebody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.channels.message import Message, Outcome
from orchestrator.engine.courier import Courier
from orchestrator.services import deletion, notifications
from orchestrator.services.context import Context
from orchestrator.services.notifications import Draft
from orchestrator.store.tables import Endpoint, NotificationTarget
from tests.support.stage import Stage

BROKEN = Outcome("HTTP 503 Service Unavailable")


class Ops:
    """One target that answers as it was told last."""

    def __init__(self, context: Context) -> None:
        self.outcome = BROKEN
        self.titles: list[str] = []
        self._context, self._courier = context, Courier(context, self._send, lambda: 0.5)

    def _send(self, target: NotificationTarget, message: Message) -> Outcome:
        del target
        self.titles.append(message.title)
        return self.outcome

    def work(self, stage: Stage, *, minutes: int) -> None:
        """Let engine and courier work by turns, every ten minutes."""
        for _ in range(0, minutes, 10):
            stage.run(minutes=10)
            self._courier.run(stage.clock.now())


@pytest.fixture
def ops(calm: Stage) -> Ops:
    calm.add("search")
    calm.step()
    calm.adopt("search")
    draft = Draft("ops", "webhook", "https://hooks.example.org/in", "env:KEY")
    with calm.database.write() as session:
        notifications.create(session, draft, calm.asked(), private=False)
    return Ops(calm.context)


def delete(stage: Stage) -> None:
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("search").id)
        deletion.request_delete(
            session, row, stage.asked(), confirm="search", grace=timedelta(hours=2)
        )


def test_it_waits_for_the_target_and_goes_on_when_that_has_taken_it(calm: Stage, ops: Ops) -> None:
    delete(calm)
    ops.work(calm, minutes=240)
    assert calm.endpoint("search").deleted_at is None
    assert "search DELETE" not in calm.changes("search")
    refusals = [one.message for one in calm.events("decision.refused")]
    assert any("could not be delivered to ops" in one and "HTTP 503" in one for one in refusals)
    ops.outcome = Outcome()
    ops.work(calm, minutes=60)
    assert calm.endpoint("search").deleted_at is not None
    assert "[critical] endpoint deletion due: acme/search" in ops.titles


def test_a_warning_that_was_taken_holds_nothing_back(calm: Stage, ops: Ops) -> None:
    ops.outcome = Outcome()
    delete(calm)
    ops.work(calm, minutes=100)
    assert calm.endpoint("search").deleted_at is None
    ops.work(calm, minutes=50)
    assert calm.endpoint("search").deleted_at is not None
    assert calm.events("decision.refused") == []
