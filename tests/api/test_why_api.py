"""Why, why not, the timeline, and other rules, as the API answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from orchestrator.domain.schedules.model import Window
from orchestrator.engine.engine import Cadence
from orchestrator.services import tokens
from orchestrator.services.tokens import Scope
from orchestrator.store.database import Database
from tests.api.site import ORIGIN, application, problem
from tests.support.stage import Stage, open_stage

NAME = "acme/chat"
PATH = f"/v1/endpoints/{NAME}"


@dataclass
class House:
    """A service over a simulated cloud in which a working day has passed."""

    stage: Stage
    client: TestClient
    secret: str
    adopted_at: datetime
    scheduled_at: datetime

    @property
    def now(self) -> datetime:
        return self.stage.clock.now()

    def ask(self, path: str, **query: Any) -> httpx2.Response:
        params = {name.rstrip("_"): _plain(value) for name, value in query.items()}
        return self.client.get(path, params=params, headers=self._headers)

    def get(self, path: str, **query: Any) -> Any:
        response = self.ask(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: Any) -> httpx2.Response:
        return self.client.post(path, json=body, headers=self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@pytest.fixture(scope="module")
def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    path = tmp_path_factory.mktemp("house") / "store.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite:///{path}", durable=False)
    cadence = Cadence(rest=timedelta(minutes=15), rates=timedelta(days=9))
    stage = open_stage(database, cadence=cadence)
    stage.add("chat", min_replica=0)
    stage.step()
    stage.run(hours=2)
    stage.adopt("chat")
    adopted_at = stage.clock.now()
    stage.run(hours=1)
    stage.schedule(Window(frozenset(range(5)), time(8), time(18)), zone="Europe/Berlin")
    scheduled_at = stage.clock.now()
    stage.run(hours=16)
    stage.schedule(Window(frozenset({6}), time(8), time(18)), name="Sundays", shadow=True)
    stage.run(hours=3)
    with database.write() as session:
        made = tokens.issue(
            session,
            name="reader",
            scope=Scope.READ,
            expires_at=None,
            actor="test",
            now=stage.clock.now(),
        )
    app = application(stage.context, fresh=False)
    with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False) as client:
        yield House(stage, client, made.secret, adopted_at, scheduled_at)
    database.dispose()


def test_now_with_what_each_rule_looked_at(house: House) -> None:
    found = house.get(f"{PATH}/why")
    assert (found["basis"], found["known"], found["wish"]) == ("now", True, "paused")
    assert found["why_not"] is None
    rules = [one["rule"] for one in found["considered"]]
    assert rules[0] == "not_managed"
    assert rules[-1] == "standing"
    asked = next(one for one in found["considered"] if one["rule"] == "schedule")
    office = next(one for one in asked["inputs"]["schedules"] if one["name"] == "Office")
    assert office["timezone"] == "Europe/Berlin"
    assert office["windows_today"] == [
        {
            "start": "2026-11-16T07:00:00Z",
            "end": "2026-11-16T17:00:00Z",
            "local": "Mon 08:00-Mon 18:00",
            "keep_running": False,
        }
    ]
    standing = next(one for one in found["considered"] if one["rule"] == "standing")
    assert (standing["outcome"], standing["inputs"]["actor"]) == ("not_reached", "ana")


def test_of_the_past_by_the_rules_of_then(house: House) -> None:
    before = house.get(f"{PATH}/why", at=house.scheduled_at - timedelta(minutes=20))
    assert (before["basis"], before["rule"], before["wish"]) == ("past", "standing", "available")
    noon = house.get(f"{PATH}/why", at=house.now.replace(hour=12, minute=0))
    assert noon["wish"] == "available"
    assert noon["rule"].startswith("schedule:")
    assert noon["recorded"]["rule"] == noon["rule"]
    assert noon["recorded"]["at"].startswith("2026-11-16T07:00")
    assert noon["known_at"] <= noon["at"]
    assert noon["doubts"] == []
    observed = house.get(f"{PATH}/why", at=house.adopted_at - timedelta(minutes=30))
    assert (observed["known"], observed["rule"], observed["wish"]) == (True, "not_managed", None)


def test_what_cannot_be_known_is_said(house: House) -> None:
    found = house.get(f"{PATH}/why", at="2020-01-01T00:00:00Z")
    assert found["known"] is False
    assert (found["rule"], found["wish"], found["considered"]) == ("unknown", None, [])
    assert found["unknown_because"].startswith("it was first seen at 2026-11-16")


def test_of_the_future_by_the_rules_of_today(house: House) -> None:
    found = house.get(f"{PATH}/why", at="2026-11-17T10:00:00Z")
    assert (found["basis"], found["wish"]) == ("future", "available")


def test_why_not_names_what_stands_in_the_way_and_the_remedy(house: House) -> None:
    told = house.get(f"{PATH}/why", not_="running")["why_not"]
    assert (told["wanted"], told["is_wanted"]) == ("running", False)
    assert [one["rule"] for one in told["obstacles"]] == ["schedule"]
    assert "orchestrator hold chat running" in told["obstacles"][0]["remedy"]
    assert told["by_itself"] == told["obstacles"][0]["until"] == "2026-11-17T07:00:00Z"
    so = house.get(f"{PATH}/why", not_="paused")["why_not"]
    assert (so["is_wanted"], so["obstacles"], so["detail"]) == (
        True,
        [],
        "it is paused, as the rules want",
    )


def test_why_not_goes_on_to_what_would_decide_next(house: House) -> None:
    """At night of a day before the schedule: only the standing wish kept it up."""
    at = house.scheduled_at - timedelta(minutes=20)
    told = house.get(f"{PATH}/why", at=at, not_="paused")["why_not"]
    assert [one["rule"] for one in told["obstacles"]] == ["standing"]
    assert told["obstacles"][0]["remedy"] == "orchestrator endpoints pause chat"
    assert told["by_itself"] is None
    nobody = house.get(f"{PATH}/why", at="2020-01-01T00:00:00Z", not_="paused")["why_not"]
    assert "first seen" in nobody["detail"]


def test_a_word_that_is_no_state_is_refused(house: House) -> None:
    problem(house.ask(f"{PATH}/why", not_="asleep"), 422, "invalid")


def test_the_timeline_goes_on_into_the_future(house: House) -> None:
    start, end = house.now - timedelta(hours=12), house.now + timedelta(hours=24)
    found = house.get(f"{PATH}/timeline", from_=start, to=end)
    spans = found["spans"]
    assert {one["phase"] for one in spans} == {"past", "future"}
    assert [one["start"] for one in spans[1:]] == [one["end"] for one in spans[:-1]]
    ahead = [one for one in spans if one["phase"] == "future"]
    assert [(one["start"], one["status"]) for one in ahead[:2]] == [
        (house.now.isoformat().replace("+00:00", "Z"), "paused"),
        ("2026-11-17T07:00:00Z", "initializing"),
    ]
    assert float(found["future_cost"]["high"]) > 0
    assert (found["past_cost"]["basis"], found["future_cost"]["basis"]) == ("metered", "expected")
    for one in spans:
        basis = {"past": "metered", "future": "expected"}[one["phase"]]
        assert one["cost"] is None or one["cost"]["basis"] == basis
    assert found["assumption"]
    past = house.get(f"{PATH}/timeline", from_=start)
    assert past["future_cost"] is None
    assert past["assumption"] == ""
    cost = house.get(f"{PATH}/cost", from_=start)
    assert past["past_cost"]["amount"] == cost["total"]["amount"]


def test_before_the_first_look_there_is_no_figure(house: House) -> None:
    found = house.get(f"{PATH}/timeline", from_="2020-01-01T00:00:00Z", to="2021-01-01T00:00:00Z")
    assert [(one["status"], one["cost"]) for one in found["spans"]] == [("", None)]
    assert (found["past_cost"], found["future_cost"]) == (None, None)


def test_a_timeline_far_ahead_is_refused(house: House) -> None:
    far = house.now + timedelta(days=93)
    found = problem(house.ask(f"{PATH}/timeline", to=far), 422, "invalid")
    assert found["field"] == "to"


def test_other_rules_are_compared_and_nothing_is_saved(house: House) -> None:
    body = {
        "from": house.adopted_at.isoformat(),
        "selector": {"endpoint": NAME},
        "schedule": {"timezone": "UTC", "windows": ["mon-fri 10:00-12:00"], "drain_minutes": 0},
        "instead": True,
    }
    response = house.post("/v1/reports/what-if", body)
    assert response.status_code == 200, response.text
    found = response.json()
    compared = found["items"][0]["compared"]
    assert compared["other"]["hours_awake"]["expected"] == pytest.approx(2, abs=0.01)
    assert compared["metered"]["hours_awake"]["expected"] > 10
    assert float(found["saved"]["amount"]) > 0
    assert found["assumptions"]
    sides = {side: found[side]["basis"] for side in ("metered", "again", "other", "saved")}
    assert sides.pop("metered") == "metered"
    assert set(sides.values()) == {"expected"}
    spared = float(found["again"]["amount"]) - float(found["other"]["amount"])
    assert float(found["saved"]["amount"]) == pytest.approx(spared, abs=1e-6)
    assert [one["name"] for one in house.get("/v1/schedules")["items"]] == ["Office", "Sundays"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "2026-11-16T00:00:00Z"}, "schedule"),
        ({"from": "2027-01-01T00:00:00Z", "instead": True}, "from"),
        ({"from": "2026-11-16T00:00:00Z", "instead": True}, "selector"),
        ({"from": "2026-11-16T00:00:00Z", "rules": ["Nobody"]}, "rules"),
    ],
)
def test_a_question_that_makes_no_sense_names_the_field(
    house: House, body: dict[str, Any], field: str
) -> None:
    assert problem(house.post("/v1/reports/what-if", body), 422, "invalid")["field"] == field


def test_rules_in_shadow_are_reported(house: House) -> None:
    found = house.get("/v1/reports/shadow", from_=house.adopted_at)
    lines = found["items"]
    assert [(one["rule"]["name"], one["endpoint"]["name"]) for one in lines] == [
        ("Sundays", "chat")
    ]
    assert lines[0]["hours_in_shadow"] == pytest.approx(3, abs=0.1)
    rule = lines[0]["rule"]["id"]
    assert house.get("/v1/reports/shadow", from_=house.adopted_at, rule=rule)["items"] == lines
    assert house.get("/v1/reports/shadow", from_=house.adopted_at, rule="no")["items"] == []
