"""Real worker processes over one Postgres and one simulated cloud, which can be stopped anywhere.

They are forked from a process that has everything imported, which saves a second for each.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text
from sqlmodel import col, select

from orchestrator.engine import taking
from orchestrator.sandbox.accounts import token_id
from orchestrator.sandbox.calls import Call
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from orchestrator.services import adoption, clicks, nudges
from orchestrator.services.requests import Asked
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Claim, Endpoint, Operation
from orchestrator.store.tables import Worker as WorkerRow

PATIENCE_S = 60.0
LEASE_S = 3
CHECKS = 2  # of every call: before a connection is sought, and before its first byte
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["orchestrator.cli.main", "orchestrator.cli.runtime", __name__])
# The file that makes a worker stop at its place; a worker that takes over by lease alone.
STOP, LEASE_ONLY = "stop-here", "lease-only"


def now() -> datetime:
    return datetime.now(UTC)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition of another process, which no virtual clock reaches."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.03)


def run(arguments: list[str], environment: Mapping[str, str], log: str, where: str) -> None:
    """Be the program, in a process of its own; `where` names a place at which to stop."""
    os.environ.update(environment)
    with Path(log).open("a", buffering=1) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    if where == LEASE_ONLY:
        taking.GRACE_S = 1e9
    elif where:
        _stop_at(where, Path(log).parent / STOP)
    from orchestrator.cli.main import run as program  # noqa: PLC0415 - after the environment

    sys.exit(program(arguments))


class _Changing(threading.local):
    """Whether this thread is about to send a change."""

    on = False


def _stop_at(where: str, marker: Path) -> None:
    """Stop this process `before` or `after` its last check of a change, while `marker` exists."""
    from orchestrator.providers.huggingface import session  # noqa: PLC0415 - only in the child

    checked = vars(session)["check_permit"]
    send: Any = session.Session._send
    changing, checks = _Changing(), list[str]()

    def stop(at: str) -> None:
        if at == where:
            with suppress(FileNotFoundError):
                marker.unlink()
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def check() -> None:
        if changing.on and not checks:
            stop("before")
        checked()
        if changing.on:
            checks.append("passed")
            if len(checks) == CHECKS:
                stop("after")

    def sending(self: object, call: session.Call, secret: str) -> object:
        if call.method == "GET":
            return send(self, call, secret)
        checks.clear()
        changing.on = True
        try:
            return send(self, call, secret)
        finally:
            changing.on = False

    vars(session)["check_permit"] = check
    session.Session._send = sending  # type: ignore[method-assign, assignment]  # wrapped


@dataclass(slots=True)
class Worker:
    """One process; `token_id` is how the cloud's log names its calls."""

    process: ForkServerProcess
    token_id: str
    log: Path

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    @property
    def stopped(self) -> bool:
        return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)

    def kill(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


class Fleet:
    """Accounts `org-0` … with endpoints that wait for clicks, and the workers over them."""

    def __init__(self, url: str, folder: Path, world: World, endpoints: int) -> None:
        self.url, self.folder, self.world, self.endpoints = url, folder, world, endpoints
        self.orgs = tuple(world.accounts.namespaces)
        self.database = Database(url, durable=False)
        self._started = 0

    @contextmanager
    def worker(
        self, *, where: str = "", arguments: tuple[str, ...] = ("worker",), **settings: str
    ) -> Iterator[Worker]:
        """Run a worker with a token of its own; it is killed at the end."""
        self._started += 1
        token = f"token-{self._started}"
        self.world.add_user(f"robot-{self._started}", token=token, role="write", orgs=self.orgs)
        log = self.folder / f"worker-{self._started}.log"
        environment = {
            "ORCHESTRATOR_DATABASE_URL": self.url,
            "ORCHESTRATOR_STATE_DIR": str(self.folder),
            "ORCHESTRATOR_OBSERVE_INTERVAL_S": "1",
            "ORCHESTRATOR_TRANSITION_INTERVAL_S": "1",
            "ORCHESTRATOR_CLAIM_LEASE_S": str(LEASE_S),
            "CLOUD_TOKEN": token,
            **{f"ORCHESTRATOR_{name.upper()}": value for name, value in settings.items()},
        }
        process = FORKS.Process(target=run, args=(list(arguments), environment, str(log), where))
        process.start()
        worker = Worker(process, token_id(token), log)
        try:
            yield worker
        finally:
            worker.kill()

    def adopt(self) -> None:
        """Wait until all endpoints were seen, and manage them."""
        wait_for(lambda: len(self.rows()) == self.endpoints, "the first look")
        with self.database.write() as session:
            for row in session.exec(select(Endpoint)):
                adoption.adopt(session, row, Asked("ana", now(), "test"))

    def click(self, verb: str, *names: str) -> None:
        request = getattr(clicks, f"request_{verb}")
        with self.database.write() as session:
            for row in session.exec(select(Endpoint).where(col(Endpoint.name).in_(names))):
                request(session, row, Asked("ana", now(), "test"))
        nudges.leave(self.database, now())

    def rows(self) -> list[Endpoint]:
        with self.database.read() as session:
            return list(session.exec(select(Endpoint).order_by(col(Endpoint.name))))

    def at_rest(self) -> bool:
        """Tell whether all that people wanted is done, and no call is due.

        A pause is not yet confirmed then: the last replicas are billed for some seconds.
        """
        with self.database.read() as session:
            active = col(Operation.status).in_(["pending", "running"])
            if session.exec(select(Operation).where(active)).first() is not None:
                return False
        return all(
            row.status == row.wish == self.world.endpoint(self.org(row), row.name).state
            for row in self.rows()
        )

    def accounts(self) -> list[Account]:
        with self.database.read() as session:
            return list(session.exec(select(Account)))

    def workers(self) -> int:
        """Return how many workers are entered."""
        with self.database.read() as session:
            return len(session.exec(select(WorkerRow)).all())

    def org(self, row: Endpoint) -> str:
        with self.database.read() as session:
            return session.get_one(Account, row.account_id).namespace

    def claims(self) -> dict[str, tuple[str, int]]:
        """Return owner and epoch of every account, by name."""
        with self.database.read() as session:
            query = select(Account.name, Claim.owner, Claim.epoch).join(Claim)
            return {name: (owner, epoch) for name, owner, epoch in session.exec(query)}

    def owners(self) -> set[int]:
        """Return the process ids of the owners of all accounts, 0 for nobody."""
        found = {owner for owner, _ in self.claims().values()}
        return {int(owner.split(":")[1]) if owner else 0 for owner in found}

    def owned_by(self, *workers: Worker) -> bool:
        """Tell whether exactly these workers own all accounts."""
        complete = len(self.claims()) == len(self.orgs)
        return complete and self.owners() == {worker.process.pid for worker in workers}

    def changes(self, worker: Worker) -> list[Call]:
        """Return the calls of a worker that asked the cloud for a change."""
        return [c for c in self.world.calls.mutating() if c.token_id == worker.token_id]

    def end_backends(self, worker: Worker, *, direct: bool) -> None:
        """End connections of a worker from outside: the direct one, or all."""
        with self.database.engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE split_part(application_name, ':', 2) = :pid AND (NOT :direct OR"
                    " pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'))"
                ),
                {"pid": str(worker.process.pid), "direct": direct},
            )


@contextmanager
def open_fleet(url: str, folder: Path, *, accounts: int = 1, endpoints: int = 2) -> Iterator[Fleet]:
    """Yield a fleet of running endpoints `e-0` … in every account; nobody works it yet."""
    started = now().replace(microsecond=0)
    world = World(start=started)
    for number in range(accounts):
        org = f"org-{number}"
        world.add_namespace(org, kind="org")
        for place in range(endpoints):
            payload = endpoint_payload(f"e-{number}-{place}")
            world.add_endpoint(org, payload, state="running", created_at=started, startup_s=0.5)
    with SandboxServer(world, now) as cloud:
        fleet = Fleet(url, folder, world, accounts * endpoints)
        with fleet.database.write() as session:
            session.add_all([_account(name, cloud.url) for name in fleet.orgs])
        try:
            yield fleet
        finally:
            fleet.database.dispose()


def _account(name: str, url: str) -> Account:
    return Account(
        id=new_id("acc", now()),
        name=name,
        provider="huggingface",
        namespace=name,
        credential_ref="env:CLOUD_TOKEN",
        created_at=now(),
        options={"api_url": f"{url}/v2", "hub_url": url},
    )
