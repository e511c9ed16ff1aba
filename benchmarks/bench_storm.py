"""All endpoints of a large fleet are to be paused at one instant, under tight rate limits.

Two real workers share 20 accounts on Postgres; the simulated cloud lets each account make so many
calls a second that its own floor dominates. Printed beside that floor: how late the pauses are,
what was missed or doubled by the cloud's own log, refusals for calling too often, and CPU.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil
from sqlalchemy import func
from sqlmodel import col, select

from orchestrator.sandbox.calls import Call
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.switches import Switches
from orchestrator.sandbox.world import World
from orchestrator.services import adoption, bindings, nudges
from orchestrator.services.requests import Asked
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Claim, Endpoint, Schedule

# The test suite's servers and workers, which are no part of the program.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.postgres import PostgresServer
from tests.support.workers import FORKS, run

PATIENCE_S = 900.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the fleet is, and what the cloud allows each account."""

    endpoints: int
    accounts: int
    rate: float
    burst: int
    workers: int

    def floor(self, place: int) -> float:
        """Return how late, in seconds, the pause at this place in its account must be."""
        return max(0.0, (place - self.burst) / self.rate)


def now() -> datetime:
    return datetime.now(UTC)


def build(sizes: Sizes) -> World:
    """Return the cloud: every account has a token, and so a limit, of its own."""
    start = now().replace(microsecond=0)
    limits = Switches(calls_per_second=sizes.rate, call_burst=sizes.burst)
    world = World(start=start, switches=limits)
    for number in range(sizes.accounts):
        org = f"org-{number:02}"
        world.add_namespace(org, kind="org")
        world.add_user(f"robot-{number}", token=f"storm-{number}", role="write", orgs=[org])
        for place in range(sizes.endpoints // sizes.accounts):
            payload = endpoint_payload(f"model-{number:02}-{place:03}")
            used = start - timedelta(hours=1)
            world.add_endpoint(org, payload, state="running", created_at=start, used_at=used)
    return world


def connect(database: Database, sizes: Sizes, url: str) -> None:
    with database.write() as session:
        for number in range(sizes.accounts):
            session.add(
                Account(
                    id=new_id("acc", now()),
                    name=f"org-{number:02}",
                    provider="huggingface",
                    namespace=f"org-{number:02}",
                    credential_ref=f"env:STORM_{number}",
                    created_at=now(),
                    options={"api_url": f"{url}/v2", "hub_url": url},
                )
            )


def adopt_all(database: Database, edge: datetime) -> None:
    """Manage everything under one schedule that ends at `edge`, without draining."""
    at = now()
    with database.write() as session:
        rows = session.exec(select(Endpoint)).all()
        adoption.adopt_many(session, rows, Asked("benchmark", at, "the whole fleet"))
        begin = edge - timedelta(hours=2)
        schedule = Schedule(
            id=new_id("sch", at),
            name="Storm",
            timezone="UTC",
            windows=[
                {
                    "days": list(range(7)),
                    "start": begin.strftime("%H:%M"),
                    "end": edge.strftime("%H:%M"),
                }
            ],
            drain_minutes=0,
            shadow=False,
            effective_from=at - timedelta(hours=3),
            created_at=at,
            created_by="benchmark",
            updated_at=at,
        )
        session.add(schedule)
        session.flush()
        bindings.sync_rule(session, schedule, at)
    nudges.leave(database, at)


@contextmanager
def worker(url: str, folder: Path, number: int, sizes: Sizes) -> Iterator[ForkServerProcess]:
    environment = {
        "ORCHESTRATOR_DATABASE_URL": url,
        "ORCHESTRATOR_STATE_DIR": str(folder),
        **{f"STORM_{place}": f"storm-{place}" for place in range(sizes.accounts)},
    }
    log = str(folder / f"worker-{number}.log")
    process = FORKS.Process(target=run, args=(["worker"], environment, log, ""))
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join()


def wait_for(what: str, database: Database, world: World, sizes: Sizes) -> None:
    deadline = time.monotonic() + PATIENCE_S
    conditions = {
        "seen": lambda: _count(database, Endpoint) == sizes.endpoints,
        "claimed": lambda: _owners(database) == sizes.workers,
        "paused": lambda: len(pauses(world.calls)) == sizes.endpoints,
    }
    while not conditions[what]():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.5)


def _count(database: Database, table: type[Endpoint]) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def _owners(database: Database) -> int:
    with database.read() as session:
        owners = session.exec(select(Claim.owner).where(col(Claim.owner) != "")).all()
    return len(set(owners))


def pauses(calls: Iterable[Call]) -> dict[tuple[str, str], list[datetime]]:
    """Return when the cloud carried pauses out, by namespace and name."""
    found: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for call in list(calls):
        if call.mutating and call.committed:
            found[call.namespace, call.name].append(call.at)
    return found


def cpu_of(processes: Sequence[ForkServerProcess]) -> float:
    times = [psutil.Process(process.pid).cpu_times() for process in processes]
    return float(sum(one.user + one.system for one in times))


def report(sizes: Sizes, world: World, edge: datetime, cpu: float) -> None:
    done = pauses(world.calls)
    late: list[float] = []
    over: list[float] = []
    for number in range(sizes.accounts):
        org = f"org-{number:02}"
        first = sorted(min(at) for (space, _), at in done.items() if space == org)
        for place, at in enumerate(first, start=1):
            late.append((at - edge).total_seconds())
            over.append(late[-1] - sizes.floor(place))
    each = sizes.endpoints // sizes.accounts
    floors = [sizes.floor(place) for place in range(1, each + 1)]
    calls = [call for call in world.calls if call.at >= edge]
    kinds = Counter("throttled" if call.status == 429 else call.method for call in calls)
    print(f"lateness      {_spread(late)}")
    print(f"its floor     {_spread(floors)}")
    print(f"over floor    {_spread(over)}")
    print(f"the last one  {max(late) / max(floors):.2f} times the floor")
    print(f"missed        {sizes.endpoints - len(done)}")
    print(f"doubled       {sum(len(at) > 1 for at in done.values())}")
    print(f"calls         {dict(kinds)} after the edge")
    print(f"CPU           {cpu:.1f} s of all workers, {1000 * cpu / sizes.endpoints:.1f} ms each")


def _spread(values: Sequence[float]) -> str:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return f"p50 {cuts[49]:6.1f} s   p99 {cuts[98]:6.1f} s   max {max(values):6.1f} s"


def storm(sizes: Sizes, url: str, folder: Path) -> None:
    database = Database(url)
    migrate.upgrade(database)
    world = build(sizes)
    with SandboxServer(world, now) as cloud, ExitStack() as stack:
        stack.callback(database.dispose)
        connect(database, sizes, cloud.url)
        workers = [
            stack.enter_context(worker(url, folder, number, sizes))
            for number in range(sizes.workers)
        ]
        wait_for("seen", database, world, sizes)
        wait_for("claimed", database, world, sizes)
        ahead = now() + timedelta(seconds=90)
        edge = ahead.replace(second=0, microsecond=0)
        adopt_all(database, edge)
        print(f"{sizes.endpoints} endpoints, {sizes.accounts} accounts, {sizes.workers} workers")
        time.sleep(max((edge - now()).total_seconds(), 0))
        before = cpu_of(workers)
        wait_for("paused", database, world, sizes)
        time.sleep(5)  # whatever is sent twice
        report(sizes, world, edge, cpu_of(workers) - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=2000)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1.5, help="calls a second and account")
    parser.add_argument("--burst", type=int, default=10, help="calls at once")
    parser.add_argument("--workers", type=int, default=2)
    sizes = Sizes(**vars(parser.parse_args()))
    server = PostgresServer.at_new_folder()
    server.ensure_started()
    try:
        with tempfile.TemporaryDirectory() as folder:
            storm(sizes, server.url(server.create()), Path(folder))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
