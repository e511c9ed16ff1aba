"""Every fault of a cloud, at every kind of call: what is left behind, and what it is taken for.

docs/ambiguity.md names these cases; tests/test_documents.py holds the two together.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from orchestrator.domain.endpoints import EndpointChange, Hardware
from orchestrator.sandbox import faults
from orchestrator.sandbox.switches import Switches
from orchestrator.services import creation
from orchestrator.store.database import Database
from orchestrator.store.tables import Endpoint
from tests.engine.plays import CALM, CLOUDS, AwsPlay, Play, Prepared, check_band
from tests.support.aws_stage import open_aws_stage
from tests.support.promises import check_explained
from tests.support.stage import open_stage

# So old is what a stale read shows; the bounds of the ledger know nothing of that.
STALE_S = 120
# While an update rolls both fleets are billed; of AWS that is so without saying.
BOTH_BILLED = Switches(update_doubles_billing=True)
REFUSALS = {
    "conflict": faults.error(409, "it is being changed by another request"),
    "refused": faults.error(400, "this is not possible"),
    "redirect that keeps the method": faults.page(307),
}

# How a change may be met. Those that a cloud calls by words of its own are made in `worded`.
CHANGE_FAULTS = {
    "timeout before": faults.timeout_before(),
    "timeout after": faults.timeout_after(),
    "dropped before": faults.drop_before(),
    "dropped after": faults.drop_after(),
    "truncated": faults.truncate(),
    "server error before": faults.error(500),
    "server error after": faults.error(500, after_commit=True),
    "unavailable": faults.error(503),
    "gateway error after": faults.error(504, after_commit=True),
    "throttled": faults.error(429, "Too Many Requests"),
    "throttled with a time": faults.error(429, "Too Many Requests", retry_after=40),
    "proxy page": faults.page(200),
    "proxy page after": faults.page(200, after_commit=True),
    "proxy error page": faults.page(502),
    "redirect": faults.page(302),
    "redirect after": faults.page(302, after_commit=True),
    "slow": faults.slow(45),
    "extra field": faults.extra_field("surprise", {"a": [1]}),
    "unknown word": faults.unknown_state("hibernating"),
}
READ_FAULTS = {
    "timeout": faults.timeout_before(),
    "dropped": faults.drop_before(),
    "truncated": faults.truncate(),
    "server error": faults.error(500),
    "unavailable": faults.error(503, retry_after=20),
    "throttled": faults.error(429, "Too Many Requests"),
    "throttled with a time": faults.error(429, "Too Many Requests", retry_after=40),
    "conflict": faults.error(409, "the endpoint is being changed by another request"),
    "proxy page": faults.page(200),
    "proxy error page": faults.page(502),
    "not found by a proxy": faults.page(404),
    "redirect": faults.page(302),
    "slow": faults.slow(45),
    "stale": faults.stale_read(STALE_S),
    "unknown word": faults.unknown_state("hibernating"),
    "extra field": faults.extra_field("surprise", {"a": [1]}),
}
LISTING_FAULTS = {
    "empty": faults.empty_listing(),
    "rows lost": faults.partial_listing(1),
    "many rows lost": faults.partial_listing(3, lose_cursor=True),
    "a row twice": faults.repeated_row(),
}


# What the driver of SageMaker tells from another word no more than its treatment differs.
ALIKE = (
    *("dropped before", "server error before", "unavailable", "gateway error after"),
    *("proxy page after", "proxy error page", "redirect after", "throttled with a time"),
)


def cases(words: Iterable[str]) -> pytest.MarkDecorator:
    """Meet every word on both clouds."""
    found = [
        pytest.param(
            cloud,
            word,
            id=f"{cloud}-{word}",
            marks=[pytest.mark.soak] if cloud == "sagemaker" and word in ALIKE else [],
        )
        for word in words
        for cloud in ("huggingface", "sagemaker")
    ]
    return pytest.mark.parametrize(("cloud", "word"), found)


@pytest.fixture(scope="module")
def prepared(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Prepared]:
    """Return what makes a cloud with one endpoint for each kind of change, once of each cloud."""

    @cache
    def prepare(cloud: str) -> Prepared:
        store = tmp_path_factory.mktemp("play") / "store.db"
        shutil.copyfile(sqlite_template, store)
        database = Database(f"sqlite:///{store}", durable=False)
        play = CLOUDS[cloud](
            open_aws_stage(database, cadence=CALM)
            if cloud == "sagemaker"
            else open_stage(database, switches=BOTH_BILLED, cadence=CALM)
        )
        play.prepare()
        database.dispose()
        return Prepared(cloud, store, play.stage.world.snapshot(), play.stage)

    return prepare


@pytest.fixture
def play(prepared: Callable[[str], Prepared], cloud: str, tmp_path: Path) -> Iterator[Play]:
    """Return a copy of the prepared cloud and store."""
    made = prepared(cloud).play(tmp_path / "store.db")
    yield made
    made.stage.database.dispose()


@cases(CHANGE_FAULTS)
def test_a_change_that_meets_a_fault_is_made_once(play: Play, word: str) -> None:
    play.break_changes(CHANGE_FAULTS[word])
    play.ask()
    play.stage.run(minutes=40)
    outcomes = [(op.endpoint_name, op.status, op.outcome) for op in play.stage.operations()]
    assert {status for _, status, _ in outcomes} == {"succeeded"}, outcomes
    play.check()


@cases(REFUSALS)
def test_a_refusal_ends_the_operation_and_a_wish_is_tried_anew(play: Play, word: str) -> None:
    play.break_changes(REFUSALS[word], always=True)
    play.ask()
    play.stage.run(minutes=2)
    play.stage.world.faults.clear()
    refused = {op.endpoint_name for op in play.stage.operations() if op.status == "failed"}
    # A redirect is nothing that AWS itself says: there it is a doubt, and no refusal.
    doubt = isinstance(play, AwsPlay) and word.startswith("redirect")
    assert {"pauses", "changes"} & refused == (set() if doubt else {"pauses", "changes"})
    assert play.committed("pauses") == play.committed("goes") == play.committed("changes") == []
    failures = [op for op in play.stage.operations() if op.status == "failed"]
    assert len(play.stage.events("operation.failed")) == len(failures)
    play.stage.run(minutes=40)
    ended = {row.name: row.status for row in play.rows()}
    assert (ended["pauses"], ended["resumes"], ended["goes"]) == ("paused", "running", "deleted")
    assert all(play.committed(name) == play.once[name] for name in ("pauses", "resumes", "goes"))
    # A creation or a change that was refused is for a person to make again.
    assert ended.get(play.spec.name) == (None if play.spec.name in refused else "running")
    check_explained(play.stage)
    play.stage.step()
    play.check_update()
    play.check_ledger()


@cases(READ_FAULTS | LISTING_FAULTS)
def test_a_listing_that_meets_a_fault_loses_nothing(play: Play, word: str) -> None:
    play.break_call("listing", (READ_FAULTS | LISTING_FAULTS)[word])
    play.look_through_a_fault(STALE_S if word == "stale" else 0)


@cases(READ_FAULTS)
def test_a_read_that_meets_a_fault_is_believed_of_nothing(play: Play, word: str) -> None:
    play.break_call("read", READ_FAULTS[word])
    play.look_through_a_fault(STALE_S if word == "stale" else 0)


def test_an_update_under_an_unknown_word_has_both_fleets_in_the_ledger(
    sqlite_database: Database,
) -> None:
    stage = open_stage(sqlite_database, switches=BOTH_BILLED, cadence=CALM)
    stage.add("web", startup_s=1200)
    stage.run(minutes=9)
    stage.adopt("web")
    stage.world.faults.add(faults.unknown_state(), method="GET")
    with stage.database.write() as session:
        row = session.get_one(Endpoint, stage.endpoint("web").id)
        cheaper = EndpointChange(hardware=Hardware("aws", "us-east-1", "nvidia-t4", "x1"))
        creation.request_update(session, row, cheaper, stage.asked())
    stage.run(minutes=40)
    stage.step()
    assert stage.endpoint("web").status == "unknown"
    check_band(stage, [(line.name, line.nano_usd) for line in stage.bill()], 0)
