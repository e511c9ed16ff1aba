"""One unchanged pass over 10,000 endpoints in 20 namespaces: calls, CPU and memory.

The simulated cloud runs in a process of its own and is read over real HTTP. The baseline, in the
same run, fetches the same pages with the bare HTTP client and parses their JSON.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Literal

import httpx2
import psutil
from sqlmodel import select

from orchestrator.clock import SystemClock
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.providers.registry import ProviderHooks
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.world import World
from orchestrator.services import adoption, bindings
from orchestrator.services.clouds import provider_maker
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.requests import Asked
from orchestrator.settings import Settings
from orchestrator.store import migrate
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Account, Endpoint, Schedule

TOKEN = "benchmark"
STATES: tuple[Literal["running", "paused", "scaledToZero"], ...] = (
    "running",
    "paused",
    "scaledToZero",
)


def serve(
    namespaces: int, endpoints: int, address: multiprocessing.SimpleQueue[str], done: Event
) -> None:
    """Serve a world with `endpoints` in all, in another process."""
    start = datetime.now(UTC)
    world = World(start=start)
    names = [f"org-{number:02}" for number in range(namespaces)]
    for name in names:
        world.add_namespace(name, kind="org")
    world.add_user("robot", token=TOKEN, role="write", orgs=names)
    for number in range(endpoints):
        state = STATES[number % 3]
        world.add_endpoint(
            names[number % namespaces],
            endpoint_payload(
                f"model-{number:05}",
                min_replica=0 if state == "scaledToZero" else 1,
                tags=[f"team=t{number % 12}"],
            ),
            state=state,
            created_at=start - timedelta(days=30),
            used_at=start - timedelta(hours=number % 50 + 1),
        )
    with SandboxServer(world, lambda: datetime.now(UTC)) as server:
        address.put(server.url)
        done.wait()


def connect(database: Database, namespaces: int, url: str) -> None:
    """Store the accounts."""
    now = datetime.now(UTC)
    with database.write() as session:
        for number in range(namespaces):
            name = f"org-{number:02}"
            session.add(
                Account(
                    id=new_id("acc", now),
                    name=name,
                    provider="huggingface",
                    namespace=name,
                    credential_ref="env:BENCHMARK",
                    created_at=now,
                    options={"api_url": f"{url}/v2", "hub_url": url},
                )
            )


def manage(database: Database) -> None:
    """Adopt half of the fleet under one schedule that wants nothing changed now."""
    now = datetime.now(UTC)
    with database.write() as session:
        rows = session.exec(select(Endpoint)).all()
        adoption.adopt_many(session, rows[::2], Asked("benchmark", now, "half of the fleet"))
        schedule = Schedule(
            id=new_id("sch", now),
            name="Office",
            timezone="Europe/Berlin",
            windows=[{"days": [0, 1, 2, 3, 4], "start": "08:00", "end": "19:00"}],
            shadow=False,
            effective_from=now,
            created_at=now,
            created_by="benchmark",
            updated_at=now,
        )
        session.add(schedule)
        session.flush()
        bindings.sync_rule(session, schedule, now)


def cpu_of(work: Callable[[], object]) -> tuple[float, float]:
    """Return CPU and wall seconds of `work` in this process."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def bare_reading(url: str, namespaces: int) -> int:
    """Fetch and parse all pages with the bare client; return the number of calls."""
    calls = 0
    with httpx2.Client(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        for number in range(namespaces):
            cursor = None
            while True:
                query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
                answer = client.get(f"{url}/v2/endpoint/org-{number:02}", params=query)
                page = answer.json()
                calls += 1
                cursor = page.get("nextCursor")
                if not cursor:
                    break
    return calls


def rss_mb() -> float:
    """Return this process's resident memory in MB."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


def measure(namespaces: int, endpoints: int, passes: int) -> None:
    """Run the benchmark and print its figures."""
    os.environ["BENCHMARK"] = TOKEN
    method = multiprocessing.get_context("spawn")
    address: multiprocessing.SimpleQueue[str] = method.SimpleQueue()
    done = method.Event()
    cloud = method.Process(target=serve, args=(namespaces, endpoints, address, done))
    cloud.start()
    url = address.get()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/store.db")
        migrate.upgrade(database)
        connect(database, namespaces, url)
        clock = SystemClock()
        hooks = ProviderHooks(clock=clock)
        settings = Settings(state_dir=Path(folder))
        pool = ProviderPool(provider_maker(settings, hooks))
        engine = Engine(
            Context(database, clock, settings, pool),
            Cadence(rest=timedelta(hours=1), rates=timedelta(hours=9)),
        )
        idle = rss_mb()
        first, _ = cpu_of(lambda: engine.step(clock.now()))
        manage(database)
        engine.nudge()
        engine.step(clock.now())
        for number in range(passes):
            engine.nudge()
            before = _calls(database)
            cpu, wall = cpu_of(lambda: engine.step(clock.now()))
            calls = _calls(database) - before
            bare, _ = cpu_of(lambda: bare_reading(url, namespaces))
            most = psutil.Process().memory_info().rss / 1e6 - idle
            print(
                f"pass {number + 1}: {calls} calls, {cpu:.2f} s CPU, {wall:.2f} s wall, "
                f"+{most:.0f} MB over idle; bare read and parse {bare:.2f} s CPU; "
                f"ratio {cpu / bare:.1f}"
            )
        print(f"first sight of the fleet: {first:.2f} s CPU")
        pool.close()
        database.dispose()
    done.set()
    cloud.join()


def _calls(database: Database) -> int:
    with database.read() as session:
        return sum(account.calls for account in session.exec(select(Account)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespaces", type=int, default=20)
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--passes", type=int, default=3)
    arguments = parser.parse_args()
    measure(arguments.namespaces, arguments.endpoints, arguments.passes)
