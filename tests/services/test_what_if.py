"""Other rules over the same days: the model agrees with the meter, and says what it cannot know."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, delete, select

from orchestrator.costs.figures import Figure
from orchestrator.domain.schedules.model import CronPoint, PointAction
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.model import Window as Open
from orchestrator.engine.engine import Cadence
from orchestrator.sandbox.traffic import Traffic, Window
from orchestrator.services import (
    differences,
    expiry_policies,
    policies,
    shadow_report,
    whatif,
    whatif_request,
)
from orchestrator.services.errors import ServiceError
from orchestrator.services.other_rules import Others
from orchestrator.services.requests import Asked
from orchestrator.services.selectors import Selector
from orchestrator.services.timeline import timeline
from orchestrator.services.whatif import Comparison
from orchestrator.services.whatif_expiry import DraftExpiry
from orchestrator.services.whatif_request import DraftPolicy, DraftSchedule, Wanted
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint, UsageSample
from tests.support.stage import Stage, open_stage

NAME = "chat"
BUSY_HOURS = (8, 9, 11, 15, 19)
NANO_PER_HOUR = 800_000_000
EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True)
class Story:
    """Two days of an endpoint that naps after 30 minutes, and a schedule in shadow over it."""

    database: Database
    endpoint: Endpoint
    start: datetime
    end: datetime
    policy: str
    shadow: str

    def compare(self, wanted: Wanted) -> Comparison:
        with self.database.read() as session:
            others, rows = whatif_request.prepared(session, wanted, self.end)
            found = whatif.what_if(session, rows[0], others, end=self.end, now=self.end)
        assert found.compared is not None
        return found.compared

    def wanted(self, **given: object) -> Wanted:
        selector = Selector(endpoint_id=self.endpoint.id)
        return Wanted(self.start, self.end, selector, **given)  # type: ignore[arg-type] # of it


@pytest.fixture(scope="module")
def story(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    path = tmp_path_factory.mktemp("story") / "store.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite:///{path}", durable=False)
    stage = open_stage(
        database,
        cadence=Cadence(
            rest=timedelta(minutes=4), transition=timedelta(seconds=40), rates=timedelta(days=9)
        ),
    )
    hours = [(day, hour) for day in range(14) for hour in BUSY_HOURS]
    traffic = Traffic([Window(day * 144 + hour * 6 + 2, 3 + hour % 4, 1.0) for day, hour in hours])
    stage.add(NAME, min_replica=0, traffic=traffic, startup_s=120)
    stage.step()
    stage.adopt(NAME)
    stage.step()
    start = stage.clock.now()
    policy = stage.idle_policy(30)
    shadow = stage.schedule(Open(EVERY_DAY, time(7), time(18)), name="Day", shadow=True)
    stage.run(hours=35)
    end = stage.clock.now()
    yield Story(database, stage.endpoint(NAME), start, end, policy.id, shadow.id)
    database.dispose()


def test_the_same_rules_again_cost_what_was_metered(story: Story) -> None:
    found = story.compare(story.wanted(without=[story.shadow]))
    metered, again, other = found.metered, found.again, found.other
    assert again == other  # a rule in shadow does nothing
    assert metered.cost.nano > 0
    assert abs(again.hours.expected - metered.hours.expected) / metered.hours.expected < 0.05
    assert abs(again.cost.nano - metered.cost.nano) / metered.cost.nano < 0.05
    assert again.cost.low <= metered.cost.nano <= again.cost.high
    assert again.cold_starts.expected == metered.cold_starts.expected == len(BUSY_HOURS) + 2
    assert found.saved == Figure()


def test_without_its_policy_it_never_sleeps(story: Story) -> None:
    found = story.compare(story.wanted(without=["Nap"]))
    hours = (found.end - found.start).total_seconds() / 3600
    assert found.other.hours.low == found.other.hours.high == pytest.approx(hours, abs=0.01)
    assert found.other.cold_starts.high == 0
    assert (found.waited.high, found.refused.high) == (0, 0)
    expected = found.other.hours.expected * NANO_PER_HOUR
    assert found.other.cost.nano == pytest.approx(expected, rel=0.001)
    slept = found.other.hours.expected - found.metered.hours.expected
    assert found.saved.nano == pytest.approx(-slept * NANO_PER_HOUR, rel=0.01)


def test_a_draft_takes_the_place_of_all_rules(story: Story) -> None:
    """Windows from 8 to 10: two hours a day, and whoever comes later meets a paused endpoint."""
    windows = Windows("UTC", (Open(EVERY_DAY, time(8), time(10), keep_running=True),), 0)
    draft = DraftSchedule("short", windows)
    found = story.compare(story.wanted(schedule=draft, instead=True))
    # Two mornings of two hours lie in 35 hours.
    assert found.other.hours.expected == pytest.approx(4, abs=0.02)
    assert found.other.cold_starts.expected == 2
    recorded = found.courses.demand.count(found.start, found.end)
    morning = sum(3 + hour % 4 for hour in (8, 9))
    assert found.refused.expected == pytest.approx(recorded.expected - 2 * morning, abs=1)


def test_a_cron_point_of_a_draft_holds_until_the_next_one(story: Story) -> None:
    stop = CronPoint("0 12 * * *", PointAction.STOP)
    start = CronPoint("0 13 * * *", PointAction.START)
    draft = DraftSchedule("noon", Windows("UTC", (), 0, (stop, start)))
    found = story.compare(story.wanted(schedule=draft, without=[story.policy]))
    asleep = differences.asleep(found.courses.expected)
    noon = story.start.replace(hour=12, minute=0, second=0, microsecond=0)
    assert asleep == [(noon, noon + timedelta(hours=1))]


def test_a_shorter_timeout_sleeps_more_and_starts_no_less(story: Story) -> None:
    def draft(minutes: int) -> Wanted:
        policy = DraftPolicy("draft", minutes, 0, "scale_to_zero")
        return story.wanted(policy=policy, without=[story.policy])

    hours, starts = [], []
    for minutes in (15, 30, 60, 180):
        found = story.compare(draft(minutes))
        hours.append(found.other.hours.expected)
        starts.append(found.other.cold_starts.expected)
    assert hours == sorted(hours)
    assert starts == sorted(starts, reverse=True)
    assert hours[0] < hours[-1]


def test_a_draft_keeps_its_quiet_hours(story: Story) -> None:
    quiet = policies.QuietHours("UTC", (Open(EVERY_DAY, time(8), time(20)),))
    draft = DraftPolicy("draft", 15, 0, "scale_to_zero", quiet)
    found = story.compare(story.wanted(policy=draft, without=[story.policy]))
    asleep = differences.asleep(found.courses.expected)
    assert asleep
    assert all(not 8 <= start.hour < 20 for start, _ in asleep)
    evening = story.start.replace(hour=20, minute=0, second=0, microsecond=0)
    assert evening in [start for start, _ in asleep]


def test_a_draft_of_a_time_to_live_ends_it_at_its_age(story: Story) -> None:
    born = story.endpoint.cloud_created_at or story.endpoint.first_seen_at
    age = int((story.start - born).total_seconds()) // 3600 + 20
    draft = DraftExpiry(f"{age}h")
    found = story.compare(story.wanted(expiry=draft, without=[story.policy]))
    asleep = differences.asleep(found.courses.expected)
    assert asleep == [(born + timedelta(hours=age), found.end)]
    assert found.refused.expected > 0
    endless = story.compare(story.wanted(without=[story.policy]))
    assert found.saved.nano > endless.saved.nano
    with story.database.read() as session:
        others, _ = whatif_request.prepared(session, story.wanted(expiry=draft), story.end)
    assert "nobody would have put it off" in whatif_request.assumptions(others)[-1]


def test_what_ended_long_before_sleeps_for_the_whole_span(story: Story) -> None:
    found = story.compare(story.wanted(expiry=DraftExpiry("2020-01-01"), instead=True))
    assert found.other.hours.high == pytest.approx(0, abs=0.1)


def test_a_saved_expiry_policy_may_be_asked_for_by_name(story: Story) -> None:
    with story.database.engine.connect() as connection:
        session = Session(connection)
        asked = Asked("mia", story.end)
        selector = Selector(endpoint_id=story.endpoint.id)
        for name, ttl in (("Trials", "20h"), ("Endless", "")):
            expiry_policies.create(
                session, expiry_policies.Draft(name, selector, default_ttl=ttl), asked
            )
        trials, _ = whatif_request.prepared(session, story.wanted(rules=["Trials"]), story.end)
        gone, _ = whatif_request.prepared(session, story.wanted(without=["Trials"]), story.end)
        with pytest.raises(ServiceError) as caught:
            whatif_request.prepared(session, story.wanted(rules=["Endless"]), story.end)
        session.rollback()
    assert trials.ends[story.endpoint.id].actor == "policy Trials"
    assert gone.unended == {"policy Trials"}
    assert "lets nothing expire" in caught.value.detail


def test_what_was_not_recorded_is_a_band_and_not_a_guess(story: Story) -> None:
    """Without any record of use the meter is left: at zero nobody came, what woke was asked for."""
    with story.database.engine.connect() as connection:
        session = Session(connection)
        session.exec(delete(UsageSample))
        others = Others(story.start)
        row = session.exec(select(Endpoint)).one()
        found = whatif.what_if(session, row, others, end=story.end, now=story.end).compared
        session.rollback()
    assert found is not None
    metered, again = found.metered.hours.expected, found.again.hours
    assert found.unknown.total_seconds() / 3600 == pytest.approx(metered, abs=0.5)
    assert again.low < metered < again.high
    # Of a time awake it is not known when its last request came: it naps later, once each time.
    late = (found.metered.cold_starts.expected + 1) * 0.5
    assert metered < again.expected <= metered + late
    # On two mornings what woke it came before that later nap.
    assert found.again.cold_starts.expected == found.metered.cold_starts.expected - 2
    assert found.again.cost.low < found.again.cost.nano <= found.again.cost.high
    assert found.saved == Figure()


def test_shadow_mode_tells_when_it_would_have_slept_and_who_came(story: Story) -> None:
    with story.database.read() as session:
        rows = session.exec(select(Endpoint)).all()
        lines = shadow_report.report(session, rows, start=story.start, end=story.end)
    assert [(one.rule_id, one.kind, one.endpoint.name) for one in lines] == [
        (story.shadow, "schedule", NAME)
    ]
    line = lines[0]
    assert line.proposed >= 2  # outside of its windows, and inside again
    assert line.in_shadow_s == pytest.approx((story.end - story.start).total_seconds(), abs=300)
    evening = story.start.replace(hour=18, minute=0, second=0, microsecond=0)
    night = next(one for one in line.sleeps if one.start == evening)
    assert night.paused
    assert night.end == evening + timedelta(hours=13)
    # The requests at 19:20 met nobody, and what they cost is saved.
    assert night.requests.expected == 3 + 19 % 4
    assert line.compared.refused.expected >= night.requests.expected
    assert night.saved.nano > 0.5 * NANO_PER_HOUR


def test_a_report_of_shadow_that_is_too_much_work_is_refused(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whatif_request, "MOST_DAYS", 0)
    with story.database.read() as session:
        rows = session.exec(select(Endpoint)).all()
        with pytest.raises(ServiceError) as caught:
            shadow_report.report(session, rows, start=story.start, end=story.end)
    assert (caught.value.status, caught.value.field) == (422, "from")


def test_the_timeline_joins_what_was_and_what_will_be(story: Story) -> None:
    ahead = story.end + timedelta(hours=24)
    with story.database.read() as session:
        row = session.exec(select(Endpoint)).one()
        found = timeline(session, row, story.start, ahead, story.end)
    assert found.stretches[0].start == story.start
    assert found.stretches[-1].end == ahead
    for one, following in zip(found.stretches[:-1], found.stretches[1:], strict=True):
        assert one.end == following.start
    phases = [one.phase for one in found.stretches]
    assert phases == sorted(phases, reverse=True)
    assert found.past is not None
    assert found.future is not None
    assert found.past.nano == story.compare(story.wanted(instead=True)).metered.cost.nano
    assert found.future.low <= found.future.nano <= found.future.high
    assert found.future.high > 0
    assert "no request comes" in found.assumption
    idle = [one for one in found.stretches if one.rule == f"idle:{story.policy}"]
    assert idle
    assert all(one.reason.startswith("Nap") for one in idle)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "schedule"),
        ({"expiry": DraftExpiry("soon")}, "expiry.ttl"),
        ({"expiry": DraftExpiry("9999-12-31")}, "expiry.ttl"),
        ({"rules": ["nothing of that name"]}, "rules"),
        ({"without": ["nothing of that name"]}, "without"),
    ],
)
def test_what_cannot_be_asked_is_named(story: Story, given: dict[str, object], field: str) -> None:
    with pytest.raises(ServiceError) as caught:
        story.compare(story.wanted(**given))
    assert caught.value.field == field
    assert caught.value.remedy


def test_nothing_is_compared_of_a_time_of_which_nothing_is_kept(story: Story) -> None:
    before = story.start - timedelta(days=10)
    with story.database.read() as session:
        row = session.exec(select(Endpoint)).one()
        others = Others(before, instead=True)
        none = whatif.what_if(session, row, others, end=before + timedelta(days=5), now=story.end)
        part = whatif.what_if(session, row, others, end=story.end, now=story.end)
    assert none.compared is None
    assert [(one.start, one.end) for one in none.not_compared] == [
        (before, before + timedelta(days=5))
    ]
    assert part.compared is not None
    assert [one.end for one in part.not_compared] == [part.compared.start]


def test_a_protected_endpoint_would_not_have_changed(stage_of_one: Stage) -> None:
    stage = stage_of_one
    start = stage.clock.now()
    with stage.database.write() as session:
        row = session.exec(select(Endpoint)).one()
        row.protected = True
        session.add(row)
    stage.run(hours=3)
    others = Others(start + timedelta(minutes=30), instead=True)
    with stage.database.read() as session:
        row = session.exec(select(Endpoint)).one()
        found = whatif.what_if(session, row, others, end=stage.clock.now(), now=stage.clock.now())
    assert found.protected
    assert found.compared is not None
    assert found.compared.again == found.compared.other


@pytest.fixture
def stage_of_one(sqlite_database: Database) -> Stage:
    stage = open_stage(
        sqlite_database, cadence=Cadence(rest=timedelta(minutes=20), rates=timedelta(days=9))
    )
    stage.add(NAME, min_replica=0)
    stage.step()
    stage.adopt(NAME)
    stage.idle_policy(30)
    return stage
