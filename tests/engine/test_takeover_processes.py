"""Workers that die, freeze and lose their connections: others take over, and nothing is doubled."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.sandbox.faults import slow
from orchestrator.store import migrate
from orchestrator.store.database import Database
from tests.support.pooler import Pooler
from tests.support.postgres import PostgresServer
from tests.support.workers import STOP, Fleet, Worker, open_fleet, wait_for


def each_once(fleet: Fleet, *workers: Worker) -> None:
    """Every endpoint was changed exactly once by these workers together."""
    done = Counter(call.name for worker in workers for call in fleet.changes(worker))
    assert done == {row.name: 1 for row in fleet.rows()}


def pause_all(fleet: Fleet) -> None:
    fleet.click("pause", *[row.name for row in fleet.rows()])


def test_a_killed_worker_is_followed_by_another(postgres_url: str, tmp_path: Path) -> None:
    with open_fleet(postgres_url, tmp_path, accounts=3) as fleet, fleet.worker() as one:
        fleet.adopt()
        wait_for(lambda: fleet.owned_by(one), "all accounts are one's")
        with fleet.worker() as two:
            wait_for(lambda: fleet.owned_by(one, two), "a fair share")
            pause_all(fleet)
            one.kill()
            before = len(fleet.changes(one))
            wait_for(lambda: fleet.owned_by(two), "a take-over")
            wait_for(fleet.at_rest, "rest")
            assert len(fleet.changes(one)) == before
            each_once(fleet, one, two)


@pytest.mark.parametrize(("where", "begun"), [("before", 0), ("after", 1)])
def test_a_worker_frozen_between_writing_and_sending(
    postgres_url: str, tmp_path: Path, where: str, begun: int
) -> None:
    with open_fleet(postgres_url, tmp_path) as fleet, fleet.worker(where=where) as one:
        fleet.adopt()
        (tmp_path / STOP).touch()
        pause_all(fleet)
        wait_for(lambda: one.stopped, "the worker stops before it sends")
        assert not fleet.changes(one)
        with fleet.worker() as two:
            wait_for(lambda: fleet.owned_by(two), "a take-over")
            wait_for(fleet.at_rest, "rest")
            one.send(signal.SIGCONT)
            wait_for(lambda: noticed(one), "the old owner notices")
            wait_for(fleet.at_rest, "rest again")
            assert fleet.owned_by(two)
        each_once(fleet, two)
        # Only what had passed its last check may still be sent, where its connection lives on.
        assert len(fleet.changes(one)) <= begun


def noticed(worker: Worker) -> bool:
    log = worker.log.read_text()
    return "a claim was lost" in log and "a pass was broken off" in log


def test_a_lost_connection_is_made_again(postgres_url: str, tmp_path: Path) -> None:
    with open_fleet(postgres_url, tmp_path) as fleet, fleet.worker() as one, fleet.worker() as two:
        wait_for(lambda: fleet.owned_by(one) or fleet.owned_by(two), "an owner")
        owner = one if fleet.owned_by(one) else two
        (before,) = fleet.claims().values()
        fleet.adopt()
        fleet.end_backends(owner, direct=True)
        wait_for(lambda: "connection was lost" in owner.log.read_text(), "the loss is noticed")
        pause_all(fleet)
        wait_for(fleet.at_rest, "rest")
        # On a busy machine the other may be quicker than the new connection: by a new epoch.
        (after,) = fleet.claims().values()
        assert after == before or (after[0] != before[0] and after[1] > before[1])
        each_once(fleet, one, two)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Return a Postgres that the test may restart."""
    server = PostgresServer.at_new_folder()
    server.ensure_started()
    yield server
    server.stop()


def test_a_restart_of_the_database_is_survived(own_server: PostgresServer, tmp_path: Path) -> None:
    url = own_server.url(own_server.create())
    database = Database(url)
    migrate.upgrade(database)
    database.dispose()
    with open_fleet(url, tmp_path) as fleet, fleet.worker() as one, fleet.worker() as two:
        fleet.adopt()
        own_server.restart()
        fleet.database.dispose()
        pause_all(fleet)
        wait_for(fleet.at_rest, "rest")
        each_once(fleet, one, two)
        assert {row.health for row in fleet.accounts()} == {"ok"}


def test_a_stopped_worker_hands_over(postgres_url: str, tmp_path: Path) -> None:
    with open_fleet(postgres_url, tmp_path, accounts=2) as fleet, fleet.worker() as one:
        fleet.adopt()
        with fleet.worker() as two:
            wait_for(lambda: fleet.owned_by(one, two), "a fair share")
            one.send(signal.SIGTERM)
            one.send(signal.SIGTERM)
            one.process.join(30)
            assert one.process.exitcode == 0
            wait_for(lambda: fleet.owned_by(two), "a handing over")
            assert {epoch for _, epoch in fleet.claims().values()} <= {2, 3}
            assert fleet.workers() == 1


def test_a_worker_ends_though_its_cloud_does_not_answer(postgres_url: str, tmp_path: Path) -> None:
    with (
        open_fleet(postgres_url, tmp_path) as fleet,
        fleet.worker(stop_within_s="1") as one,
    ):
        fleet.adopt()
        fleet.world.faults.add(slow(60), method="POST")
        pause_all(fleet)
        wait_for(lambda: len(fleet.changes(one)) == 1, "a call under way")
        one.send(signal.SIGTERM)
        one.process.join(30)
        assert one.process.exitcode == 7
        assert "ended with a call under way" in one.log.read_text()


def test_a_pooler_is_refused_and_a_direct_address_helps(
    postgres_url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    name = re.split(r"[/?]", postgres_url)[3]
    with (
        Pooler(postgres_server.folder, name) as pooler,
        open_fleet(postgres_url, tmp_path) as fleet,
        fleet.worker(database_url=pooler.url) as refused,
        fleet.worker(database_url=pooler.url, database_direct_url=postgres_url) as one,
    ):
        refused.process.join(30)
        assert refused.process.exitcode == 4
        said = refused.log.read_text().splitlines()[-1]
        assert "connection pooler" in said
        assert "ORCHESTRATOR_DATABASE_DIRECT_URL" in said
        fleet.adopt()
        pause_all(fleet)
        wait_for(fleet.at_rest, "rest")
        each_once(fleet, one)


@pytest.mark.parametrize("command", [("worker",), ("serve", "--port", "0", "--no-engine")])
def test_a_second_process_on_sqlite_is_refused(
    sqlite_url: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    with open_fleet(sqlite_url, tmp_path) as fleet, fleet.worker() as one:
        fleet.adopt()
        with fleet.worker(arguments=command) as second:
            second.process.join(30)
            assert second.process.exitcode == 4
            said = second.log.read_text().splitlines()[-1]
        assert f"process {one.process.pid} works on" in said
        assert "SQLite serves one process" in said
        assert one.process.pid != os.getpid()
