"""A file of rules leaves the store to others: rehearsed beside it, limited, read once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from orchestrator.api import rules_file
from orchestrator.services import rules_as_code, rules_beside
from orchestrator.store.tables import Label
from tests.api.rule_files import FILE, SCHEDULE, actions, apply, exported, file, one, refused
from tests.api.site import Site, endpoint, problem

COUNT = 12
DAYS = {"ours": {"dates": {"2026-12-24": "Eve"}}}
IDLE = {"timeout_minutes": 30, "selector": {"account": "lab"}}


def schedules(count: int) -> dict[str, object]:
    return {f"shift {number}": SCHEDULE for number in range(count)}


def is_free(site: Site) -> bool:
    """Tell whether somebody else could write now."""
    other = sqlite3.connect(site.database.url.database or "", timeout=0, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    else:
        return True
    finally:
        other.close()


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def free(lab: Site, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return whether the store was free, whenever a file has been worked out and is not ended."""
    found: list[bool] = []
    work = rules_as_code.apply

    def watched(*given: Any, **named: Any) -> Any:
        done = work(*given, **named)
        found.append(is_free(lab))
        return done

    monkeypatch.setattr(rules_as_code, "apply", watched)
    return found


def test_others_write_while_a_file_is_worked_out(lab: Site, free: list[bool]) -> None:
    apply(lab, FILE, dry_run=True)
    apply(lab, file(schedules=schedules(3)))
    refused(lab, file(policies={"none": {"timeout_minutes": 5, "selector": {"account": "no"}}}))
    assert free == [True, True]


def test_what_asks_a_cloud_is_done_in_one_transaction(lab: Site, free: list[bool]) -> None:
    apply(lab, FILE)
    assert free == [True, False]
    assert len(lab.events("rules.applied")) == 1


@pytest.mark.parametrize(("times", "works"), [(1, 2), (99, 4)])
def test_what_changes_meanwhile_counts(
    lab: Site, monkeypatch: pytest.MonkeyPatch, times: int, works: int
) -> None:
    """After some vain attempts it is worked out with the store locked: none is in its way."""
    work = rules_as_code.apply
    seen: list[int] = []

    def overtaken(*given: Any, **named: Any) -> Any:
        done = work(*given, **named)
        seen.append(len(seen))
        if len(seen) <= times and is_free(lab):
            lab.seed(endpoint(f"late{len(seen)}"))
        return done

    monkeypatch.setattr(rules_as_code, "apply", overtaken)
    made = one(apply(lab, file(schedules=schedules(1))), "shift 0")
    assert len(seen) == works
    assert (
        f"begins to cover late1, {'late2, late3, ' if times > 1 else ''}search" in made["notes"][0]
    )
    acts = [row["acts"] for row in lab.get("/v1/schedules/shift 0")["endpoints"]]
    assert acts == [True] * min(works, len(acts))
    assert len(lab.events("schedule.saved")) == 1


def test_what_is_written_is_what_one_transaction_would_write(
    lab: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Created, changed, renamed away by pruning, with events and versions: all the same."""
    first = file(calendars=DAYS, schedules=schedules(3), policies={"idle": IDLE})
    other = SCHEDULE | {"windows": ["mon 01:00-02:00"], "calendars": ["ours"]}
    second = file(schedules={"shift 1": other, "new": SCHEDULE}, policies={"idle": IDLE})
    apply(lab, first)
    apply(lab, second, prune=True)
    kinds = [one.kind for one in lab.events()]
    rules = exported(lab)
    monkeypatch.setattr(rules_beside, "worked_out", lambda *_: None)
    with lab.database.write() as session:
        for table in ("binding", "applied_rule", "rule_revision", "schedule", "idle_policy"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - a list
        session.connection().exec_driver_sql("DELETE FROM calendar")
    apply(lab, first)
    apply(lab, second, prune=True)
    assert exported(lab) == rules
    since = [one.kind for one in lab.events()][len(kinds) :]
    assert since == [kind for kind in kinds if kind.split(".")[0] not in ("token", "endpoint")]


def test_a_rehearsal_tells_what_comes_and_leaves_no_trace(lab: Site) -> None:
    lab.seed(endpoint("idle"), Label(endpoint_id="ep_idle", key="team", value="search"))
    apply(lab, file(schedules=schedules(2)))
    before = lab.dump()
    told = apply(lab, FILE, dry_run=True)
    assert lab.dump() == before
    done = apply(lab, FILE, confirm=told["confirm"])
    assert (actions(told), told["confirm"]) == (actions(done), done["confirm"])
    assert "create" in actions(done).values()


def test_a_rehearsal_sees_what_it_has_removed(lab: Site) -> None:
    apply(lab, file(schedules=schedules(3)))
    left = file(schedules=schedules(1))
    told = apply(lab, left, dry_run=True, prune=True)
    assert sorted(actions(told).values()) == ["remove", "remove", "same"]
    assert apply(lab, left, prune=True)["confirm"] == told["confirm"]


def test_a_file_has_so_many_rules_at_most(lab: Site) -> None:
    most = rules_file.MOST_RULES
    many = {f"s{number}": SCHEDULE for number in range(most)}
    told = refused(lab, file(calendars=DAYS, schedules=many))
    assert f"501 rules, and a file may have {most} at most. Split it" in told["the file"]


def test_a_file_binds_so_much_at_most(lab: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.seed(endpoint("other"))
    monkeypatch.setattr(rules_as_code, "MOST_COVERED", 5)
    lab.get("/v1/rules")
    body = {"text": file(schedules=schedules(3))}
    before = lab.dump()
    told = problem(lab.post("/v1/rules/apply", body), 422, "invalid")
    assert (told["field"], "Nothing was changed" in told["remedy"]) == ("text", True)
    assert lab.dump() == before
    apply(lab, file(schedules=schedules(2)))


def test_endpoints_are_read_once_for_all_rules(lab: Site) -> None:
    def reads(count: int) -> int:
        with statements() as seen:
            apply(lab, file(schedules=schedules(count)))
        return sum("\nFROM endpoint " in one or "\nFROM label" in one for one in seen)

    few = reads(3)
    assert 0 < few == reads(COUNT)


def test_the_same_key_is_answered_alike_while_the_first_is_worked_out(
    lab: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client's time was up, and it asks again; what it sees by then is no longer to confirm."""
    text = file(schedules={"a": SCHEDULE})
    body = {"text": text, "confirm": apply(lab, text, dry_run=True)["confirm"]}
    real, first = rules_beside.worked_out, list[Any]()

    def ask() -> Any:
        return lab.ask("POST", "/v1/rules/apply", json=body, headers={"Idempotency-Key": "k1"})

    def overtaken(*arguments: Any) -> Any:
        if not first:
            first.append(None)
            first[0] = ask()
        return real(*arguments)

    monkeypatch.setattr(rules_beside, "worked_out", overtaken)
    second = ask()
    assert (first[0].status_code, second.status_code) == (200, 200)
    assert second.json() == first[0].json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(lab.events("schedule.saved")) == 1
    assert not lab.events("request.refused")
    other = lab.ask("POST", "/v1/rules/apply", json=body, headers={"Idempotency-Key": "k2"})
    assert other.status_code == 409
    assert len(lab.events("request.refused")) == 1
