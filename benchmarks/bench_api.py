"""The API at 10,000 endpoints: list, filter, page through, overview; p50 and p99 over real HTTP.

The server runs in a process of its own (uvicorn, one worker, no engine) over SQLite, and over
Postgres where `--postgres URL` names a database server. The baseline, in the same run, selects the
same rows of the table by the driver alone. Statements are counted per request.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2
import uvicorn
from sqlalchemy import event, insert, text
from sqlmodel import SQLModel

from orchestrator import logs
from orchestrator.api.app import create_app
from orchestrator.clock import SystemClock
from orchestrator.services import tokens
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.tokens import Scope
from orchestrator.settings import Settings
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Endpoint, Label, MeterInterval, Rate

L4 = "aws/us-east-1/nvidia-l4/x1"
NANO = 800_000_000
STATUSES = ("running", "paused", "scaled_to_zero", "failed")
HEADER = "X-Statements"
COLUMNS = "id, name, account_id, status, hardware_key, min_replicas, max_replicas, billed_high"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many endpoints in how many accounts, with how many ledger rows each; requests of each."""

    endpoints: int
    accounts: int
    intervals: int
    requests: int


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request; `where` selects the same rows for the baseline."""

    name: str
    path: str
    where: str = "deleted_at IS NULL"
    limit: int = 50


CASES = (
    Case("list, 50 rows", "/v1/endpoints?limit=50"),
    Case("list, 500 rows", "/v1/endpoints?limit=500", limit=500),
    Case(
        "label",
        "/v1/endpoints?limit=50&label=team%3Dt3",
        "id IN (SELECT endpoint_id FROM label WHERE key = 'team' AND value = 't3')",
    ),
    Case("status", "/v1/endpoints?limit=50&status=failed", "status = 'failed'"),
    Case("account", "/v1/endpoints?limit=50&account=acc-3", "account_id = 'acc_3'"),
    Case("text", "/v1/endpoints?limit=50&name=-0777", "lower(name) LIKE '%-0777%'"),
    Case("dearest first", "/v1/endpoints?limit=50&sort=-burn"),
    Case("overview", "/v1/overview"),
    Case("overview page", "/"),
)


def fill(database: Database, sizes: Sizes, now: datetime) -> None:
    """Store the fleet: a month of ledger for every endpoint."""
    month = now - timedelta(days=29)
    accounts = [_account(number, month, now) for number in range(sizes.accounts)]
    rates = [_rate(number, month) for number in range(sizes.accounts)]
    numbers = range(sizes.endpoints)
    owner = {number: f"acc_{number % sizes.accounts}" for number in numbers}
    with database.write() as session:
        for table, rows in (
            (Account, accounts),
            (Rate, rates),
            (Endpoint, [_endpoint(number, owner[number], now) for number in numbers]),
            (Label, [_label(number) for number in numbers]),
            (
                MeterInterval,
                [
                    row
                    for number in numbers
                    for row in _ledger(number, owner[number], sizes.intervals, month, now)
                ],
            ),
        ):
            _insert(session, table, rows)


def _insert(session: Any, table: type[SQLModel], rows: Sequence[SQLModel]) -> None:
    columns = table.__table__.columns.keys()  # type: ignore[attr-defined] # made by the base class
    values = [{name: getattr(row, name) for name in columns} for row in rows]
    for value in values:
        if value.get("id", "") is None:
            del value["id"]
    for start in range(0, len(values), 5000):
        session.execute(insert(table), values[start : start + 5000])


def _account(number: int, month: datetime, now: datetime) -> Account:
    return Account(
        id=f"acc_{number}",
        name=f"acc-{number}",
        provider="huggingface",
        namespace=f"org-{number}",
        credential_ref="env:BENCHMARK",
        created_at=month,
        confirmed_at=now,
        observed_at=now,
        health="ok",
    )


def _rate(number: int, month: datetime) -> Rate:
    return Rate(
        id=f"rat_{number}",
        account_id=f"acc_{number}",
        hardware_key=L4,
        nano_per_hour=NANO,
        effective_at=month,
        source="benchmark",
    )


def _endpoint(number: int, account: str, now: datetime) -> Endpoint:
    status = STATUSES[number % 4]
    up = 1 if status == "running" else 0
    return Endpoint(
        id=f"ep_{number:05}",
        account_id=account,
        name=f"model-{number:05}",
        managed=number % 2 == 0,
        status=status,
        cloud_state=status,
        status_since=now - timedelta(hours=1),
        hardware_key=L4,
        min_replicas=1,
        max_replicas=2,
        billed_low=up,
        billed_expected=up,
        billed_high=up,
        spec={"name": f"model-{number:05}", "env": {f"KEY_{i}": "x" * 20 for i in range(20)}},
        first_seen_at=now - timedelta(days=29),
        confirmed_at=now,
        wish="running",
    )


def _label(number: int) -> Label:
    return Label(endpoint_id=f"ep_{number:05}", key="team", value=f"t{number % 12}")


def _ledger(
    number: int, account: str, count: int, month: datetime, now: datetime
) -> Iterator[MeterInterval]:
    """Yield on and off in turn; the last one is open."""
    running = number % 4 == 0
    length = (now - month) / count
    for place in range(count):
        up = int(((count - 1 - place) % 2 == 0) == running)
        start = (month + place * length).replace(microsecond=0)
        end = None if place == count - 1 else (month + (place + 1) * length).replace(microsecond=0)
        yield MeterInterval(
            endpoint_id=f"ep_{number:05}",
            account_id=account,
            started_at=start,
            ended_at=end,
            status="running" if up else "paused",
            evidence="observed",
            hardware_key=L4,
            rate_id=f"rat_{number % 20}" if up else None,
            replicas_low=up,
            replicas=up,
            replicas_high=up,
            burn_low=up * NANO,
            burn=up * NANO,
            burn_high=up * NANO,
        )


def serve(url: str, folder: str, port: int, ready: Event, done: Event) -> None:
    """Serve the store until `done`; every answer tells how many statements it took."""
    logs.configure(level="error", fmt="json")
    database = Database(url)
    count = [0]
    event.listen(
        database.engine, "before_cursor_execute", lambda *_: count.__setitem__(0, count[0] + 1)
    )
    settings = Settings(state_dir=Path(folder), database_url=url, log_level="error")
    context = Context(database, SystemClock(), settings, ProviderPool(_no_cloud))
    app = create_app(context, settings)

    @app.middleware("http")
    async def tell(request: Any, call_next: Callable[[Any], Any]) -> Any:
        before = count[0]
        response = await call_next(request)
        response.headers[HEADER] = str(count[0] - before)
        return response

    config = uvicorn.Config(app, port=port, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    _when(done, lambda: setattr(server, "should_exit", True))
    ready.set()
    server.run()


def _no_cloud(account: Account) -> Any:
    raise RuntimeError(f"no call to a cloud is made here: {account.name}")


def _when(done: Event, then: Callable[[], None]) -> None:
    def wait() -> None:
        done.wait()
        then()

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def served(url: str, folder: str, port: int) -> Iterator[str]:
    """Serve the store in another process and yield the address."""
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    process = spawn.Process(target=serve, args=(url, folder, port, ready, done))
    process.start()
    try:
        ready.wait(60)
        yield f"http://127.0.0.1:{port}"
    finally:
        done.set()
        process.join(10)
        if process.is_alive():
            process.kill()


def measure(call: Callable[[], Any], times: int) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        spent.append((time.perf_counter() - begun) * 1000)
    cuts = quantiles(spent, n=100, method="inclusive")
    return cuts[49], cuts[98]


def bare(database: Database, case: Case) -> Callable[[], Any]:
    """Return a bare select of the rows of a case, on an open connection."""
    query = f"SELECT {COLUMNS} FROM endpoint WHERE {case.where} ORDER BY name LIMIT {case.limit}"  # noqa: S608 - constants

    def call() -> Any:
        with database.engine.connect() as connection:
            return connection.execute(text(query)).all()

    return call


def run(url: str, folder: str, port: int, sizes: Sizes) -> None:
    """Fill a store, serve it, and print the figures."""
    database = Database(url)
    migrate.upgrade(database)
    now = datetime.now(UTC).replace(microsecond=0)
    fill(database, sizes, now)
    if database.dialect == "postgresql":
        with database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    with database.write() as session:
        issued = tokens.issue(
            session, name="benchmark", scope=Scope.ADMIN, expires_at=None, actor="b", now=now
        )
    print(f"\n{database.dialect}: {sizes.endpoints} endpoints, {sizes.intervals} ledger rows each")
    titles = ("p50 ms", "p99 ms", "bare p50", "bare p99", "statements")
    print(f"{'request':<18} " + " ".join(f"{title:>10}" for title in titles))
    with (
        served(url, folder, port) as address,
        httpx2.Client(base_url=address, timeout=60) as client,
    ):
        _wait(client)
        headers = {"Authorization": f"Bearer {issued.secret}"}
        for case in CASES:
            _report(client, headers, case, database, sizes)
        _page_through(client, headers, sizes)
    database.dispose()


def _wait(client: httpx2.Client) -> None:
    for _ in range(200):
        try:
            client.get("/healthz")
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return


def _report(
    client: httpx2.Client, headers: dict[str, str], case: Case, database: Database, sizes: Sizes
) -> None:
    if case.path == "/":
        signed = client.post("/login", data={"token": headers["Authorization"].split()[1]})
        if signed.status_code >= 400:
            print(f"{case.name:<18} not measured: signing in gave {signed.status_code}")
            return
    statements = 0

    def call() -> None:
        nonlocal statements
        answer = client.get(case.path, headers=headers)
        answer.raise_for_status()
        statements = int(answer.headers[HEADER])

    call()
    slow = case.path in ("/", "/v1/overview")
    times = max(10, sizes.requests // 5) if slow else sizes.requests
    p50, p99 = measure(call, times)
    line = f"{case.name:<18} {p50:10.1f} {p99:10.1f}"
    if slow:
        print(f"{line} {'':>10} {'':>10} {statements:10}")
        return
    bare_50, bare_99 = measure(bare(database, case), sizes.requests)
    print(f"{line} {bare_50:10.2f} {bare_99:10.2f} {statements:10}")


def _page_through(client: httpx2.Client, headers: dict[str, str], sizes: Sizes) -> None:
    begun, cursor, seen, pages = time.perf_counter(), "", 0, 0
    while True:
        query = {"limit": "500", **({"cursor": cursor} if cursor else {})}
        answer = client.get("/v1/endpoints", params=query, headers=headers).json()
        seen, pages = seen + len(answer["items"]), pages + 1
        cursor = answer["next_cursor"] or ""
        if not cursor:
            break
    if seen != sizes.endpoints:
        raise SystemExit(f"paging through gave {seen} of {sizes.endpoints}")
    print(f"page through all: {pages} pages in {time.perf_counter() - begun:.2f} s")


def main() -> None:
    """Read the sizes and run on each database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--intervals", type=int, default=3, help="ledger rows of each endpoint")
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    parser.add_argument("--port", type=int, default=8793)
    parser.add_argument("--postgres", help="address of an empty database; SQLite alone without")
    given = parser.parse_args()
    sizes = Sizes(given.endpoints, given.accounts, given.intervals, given.requests)
    with tempfile.TemporaryDirectory() as folder:
        run(f"sqlite:///{folder}/bench.db", folder, given.port, sizes)
        if given.postgres:
            run(given.postgres, folder, given.port + 1, sizes)


if __name__ == "__main__":
    main()
