"""A store that is older than it should be: known as such, frozen, and put right by a person."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session

from orchestrator.engine.engine import Cadence
from orchestrator.engine.restored import MARK_FILE, HighWater
from orchestrator.services import freezing, restores
from orchestrator.services.restores import FREEZER, Report
from orchestrator.store import backup, events, freeze, migrate, restorations
from orchestrator.store.database import Database
from orchestrator.store.tables import Account
from tests.support.aws_stage import AwsStage, open_aws_stage
from tests.support.stage import MONDAY, NAMESPACE, Stage, open_stage

SLOW = Cadence(transition=timedelta(minutes=1), rates=timedelta(days=1))


class Past:
    """What a stage's store held at some time, to be put back later."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage, self._file = stage, folder / "past.zip"
        self.taken_at = stage.clock.now()
        with stage.database.write() as session:
            restorations.ensure_name(session, self.taken_at)
        backup.write(stage.database, self._file, program="1", now=self.taken_at)

    def copy_back(self) -> None:
        """Put it back as a copy of the file would, while the engine is away."""
        with backup.restored(self._stage.database, self._file):
            pass
        self._stage.restart()

    def restore(self) -> None:
        """Put it back as the command does."""
        stage = self._stage
        with backup.restored(stage.database, self._file) as connection, Session(connection) as own:
            restores.mark_store(own, "restore", self.taken_at, stage.clock.now())
            own.commit()
        stage.restart()


def away(stage: Stage, **span: float) -> None:
    """Let time pass while the engine is down."""
    stage.clock.set(stage.clock.now() + timedelta(**span))
    stage.world.advance_to(stage.clock.now())


def thaw(stage: Stage, account: str | None = None) -> None:
    with stage.database.write() as session:
        freezing.switch_off(session, account, stage.asked())


def report(stage: Stage) -> Report:
    with stage.database.read() as session:
        return restores.reports(session, stage.clock.now())[0]


def frozen(stage: Stage) -> str:
    """Return why the account of a stage is frozen; empty where it is not."""
    with stage.database.read() as session:
        found = freeze.of_account(session.get_one(Account, stage.account.id))
    return "" if found is None else found.reason


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    """Return a stage with two managed endpoints, on a Monday morning."""
    stage = open_stage(sqlite_database, start=MONDAY + timedelta(hours=9), cadence=SLOW)
    stage.add("chat")
    stage.add("code")
    stage.run(minutes=2)
    stage.adopt("chat", "code")
    return stage


class TestAfterTheCommand:
    def test_nothing_is_done_until_a_person_thaws_and_then_nothing_twice(
        self, stage: Stage, tmp_path: Path
    ) -> None:
        past = Past(stage, tmp_path)
        stage.click("pause", "chat")
        stage.run(minutes=4)
        assert stage.changes() == ["chat pause"]
        stage.schedule()
        away(stage, hours=2)
        past.restore()
        stage.run(minutes=10)
        assert stage.changes() == ["chat pause"]
        assert stage.endpoint("chat").status == "paused"
        assert "not known here" in str(stage.events("store.restored")[-1].message)
        assert [i.evidence for i in stage.intervals("code")].count("unobserved") == 1
        found = report(stage)
        assert [(one.endpoint.name, one.fate) for one in found.touched] == [("chat", "changed")]
        assert found.unseen == []
        thaw(stage)
        stage.click("resume", "chat")
        stage.run(minutes=20)
        assert stage.changes() == ["chat pause", "chat resume"]
        assert stage.endpoint("chat").status == "running"

    def test_what_was_under_way_looks_first(self, stage: Stage, tmp_path: Path) -> None:
        stage.click("pause", "chat")
        stage.click("pause", "code")
        past = Past(stage, tmp_path)
        with stage.database.write() as session:
            freezing.switch_on(session, None, stage.asked())
        away(stage, hours=2)
        stage.world.act(NAMESPACE, "chat", "pause", by="robot")
        away(stage, hours=1)
        stage.world.act(NAMESPACE, "chat", "resume", by="robot")
        away(stage, minutes=30)
        past.restore()
        before = len(stage.changes())
        stage.run(minutes=10)
        assert len(stage.changes()) == before
        thaw(stage)
        stage.run(minutes=10)
        # What was changed since is not paused again by an order from before; the other one is.
        assert stage.changes()[before:] == ["code pause"]
        ended = {op.endpoint_name: op.status for op in stage.operations() if op.kind == "pause"}
        assert ended == {"chat": "superseded", "code": "succeeded"}
        assert stage.events("operation.doubted")

    def test_a_freeze_of_before_stays_known(self, stage: Stage, tmp_path: Path) -> None:
        with stage.database.write() as session:
            freezing.switch_on(session, None, stage.asked("incident 7"))
        Past(stage, tmp_path).restore()
        with stage.database.read() as session:
            found = freeze.everywhere(session)
        assert found is not None
        assert found.by == FREEZER
        assert "frozen by ana: incident 7" in found.reason

    def test_a_deletion_of_before_waits_another_day(self, stage: Stage, tmp_path: Path) -> None:
        with stage.database.write() as session:
            row = stage.endpoint("chat")
            row.delete_after = stage.clock.now() + timedelta(hours=1)
            session.merge(row)
        Past(stage, tmp_path).restore()
        thaw(stage)
        assert stage.endpoint("chat").delete_after == stage.clock.now() + timedelta(hours=24)
        assert stage.events("endpoint.deletion_postponed")


class TestMark:
    def check(self, stage: Stage, state_dir: Path) -> bool:
        return HighWater(state_dir).check(stage.database, stage.clock)

    def act(self, stage: Stage) -> None:
        with stage.database.write() as session:
            events.record(
                session, at=stage.clock.now(), kind="test.happened", actor="ana", message="x"
            )

    def test_a_store_older_than_its_mark_is_frozen_once(self, stage: Stage, tmp_path: Path) -> None:
        assert not self.check(stage, tmp_path)
        past = Past(stage, tmp_path)
        self.act(stage)
        assert not self.check(stage, tmp_path)
        past.copy_back()
        assert self.check(stage, tmp_path)
        with stage.database.read() as session:
            found = freeze.everywhere(session)
        assert found is not None
        assert "replaced by an older one" in found.reason
        assert not self.check(stage, tmp_path)
        thaw(stage)
        assert not self.check(stage, tmp_path)

    def test_a_second_machine_is_not_told_again_but_knows_the_next_one(
        self, stage: Stage, tmp_path: Path
    ) -> None:
        here, there = tmp_path / "here", tmp_path / "there"
        for folder in (here, there):
            folder.mkdir()
        past = Past(stage, tmp_path)
        for _ in range(9):
            self.act(stage)
        assert not self.check(stage, here)
        assert not self.check(stage, there)
        past.copy_back()
        assert self.check(stage, here)
        assert not self.check(stage, there)
        past.copy_back()  # older than the restoration that both have marked
        assert self.check(stage, there)

    def test_a_restore_by_the_command_is_no_news(self, stage: Stage, tmp_path: Path) -> None:
        past = Past(stage, tmp_path)
        self.act(stage)
        self.check(stage, tmp_path)
        past.restore()
        assert not self.check(stage, tmp_path)

    def test_another_store_has_another_mark(self, stage: Stage, tmp_path: Path) -> None:
        self.check(stage, tmp_path)
        other = Database(f"sqlite:///{tmp_path}/other.db", durable=False)
        migrate.upgrade(other)
        assert not HighWater(tmp_path).check(other, stage.clock)
        other.dispose()
        assert not self.check(stage, tmp_path)

    @pytest.mark.parametrize("text", ["", "[]", '{"store": 1}'])
    def test_a_mark_that_cannot_be_read_is_made_anew(
        self, stage: Stage, tmp_path: Path, text: str
    ) -> None:
        (tmp_path / MARK_FILE).write_text(text)
        assert not self.check(stage, tmp_path)
        assert stage.events("store.restored") == []
        assert oct((tmp_path / MARK_FILE).stat().st_mode)[-3:] == "600"


class TestWhatTheCloudShows:
    """The store was put back by other means, and no mark is there."""

    def test_what_we_changed_later_freezes_the_account(self, stage: Stage, tmp_path: Path) -> None:
        past = Past(stage, tmp_path)
        stage.click("pause", "chat")
        stage.run(minutes=4)
        away(stage, hours=1)
        past.copy_back()
        stage.run(minutes=5)
        assert "changed as robot, which acts for this service alone" in frozen(stage)
        assert "chat" in frozen(stage)
        thaw(stage, stage.account.name)
        stage.run(minutes=5)
        assert frozen(stage) == ""

    def test_what_people_change_meanwhile_is_no_sign(self, stage: Stage) -> None:
        stage.click("pause", "code")
        stage.run(minutes=4)
        away(stage, hours=1)
        stage.world.act(NAMESPACE, "chat", "pause", by="console-user")
        away(stage, hours=1)
        stage.restart()
        stage.run(minutes=5)
        assert frozen(stage) == ""

    def test_where_people_use_our_identity_it_is_no_sign(self, stage: Stage) -> None:
        stage.world.act(NAMESPACE, "code", "pause", by="robot")
        stage.run(minutes=4)
        away(stage, hours=1)
        stage.world.act(NAMESPACE, "chat", "pause", by="robot")
        away(stage, hours=1)
        stage.restart()
        stage.run(minutes=5)
        assert frozen(stage) == ""

    def test_a_call_that_a_death_left_in_doubt_is_no_sign(self, stage: Stage) -> None:
        stage.click("pause", "chat")
        stage.wire.after = lambda request: request.url.path.endswith("/pause")
        stage.run(seconds=1)
        stage.wire.after = lambda _: False
        assert stage.deaths == 1
        away(stage, hours=2)
        stage.run(minutes=5)
        assert frozen(stage) == ""
        assert stage.endpoint("chat").status == "paused"
        assert stage.changes() == ["chat pause"]

    def test_a_pause_by_deletion_that_the_store_does_not_know_of(
        self, sqlite_database: Database, tmp_path: Path
    ) -> None:
        stage: AwsStage = open_aws_stage(sqlite_database, cadence=SLOW)
        stage.add("chat")
        stage.run(minutes=2)
        stage.adopt("chat")
        stage.allow("chat")
        past = Past(stage, tmp_path)
        stage.click("pause", "chat")
        stage.run(minutes=15)
        assert stage.state("chat") == "gone"
        past.copy_back()
        stage.run(minutes=10)
        assert "was paused by this service, which this store does not know" in frozen(stage)
        row = stage.endpoint("chat")
        assert (row.status, row.managed, row.deleted_at) == ("paused", True, None)
        thaw(stage, stage.account.name)
        stage.click("resume", "chat")
        stage.run(minutes=30)
        assert stage.state("chat") == "InService"


class TestClock:
    def test_a_clock_set_back_freezes_until_it_has_caught_up(self, stage: Stage) -> None:
        stage.clock.set(stage.clock.now() - timedelta(minutes=30))
        stage.step()
        assert "earlier than the newest event" in frozen(stage)
        stage.clock.set(stage.clock.now() + timedelta(minutes=31))
        stage.step()
        assert frozen(stage) == ""

    def test_a_person_may_say_that_the_clock_is_right_now(self, stage: Stage) -> None:
        later = stage.clock.now() + timedelta(days=300)
        with stage.database.write() as session:
            events.record(session, at=later, kind="test.happened", actor="ana", message="x")
        stage.step()
        assert "earlier than the newest event" in frozen(stage)
        thaw(stage, stage.account.name)
        stage.step()
        assert frozen(stage) == ""
