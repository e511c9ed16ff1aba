"""One unchanged pass over 10,000 endpoints of two clouds: calls, CPU and memory.

Half are in namespaces of Hugging Face, half in regions of one AWS account. The simulated clouds
run in a process of their own and are read over real HTTP. The baseline, in the same run, fetches
the same pages with the bare HTTP client and with boto3, and parses them.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Literal

import boto3
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
AWS_ACCOUNT, AWS_KEY = "111122223333", "AKIAEXAMPLEBENCH"
AWS_SECRET = "benchmark"
REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1")
INSTANCES = ("ml.g5.xlarge", "ml.g6.2xlarge", "ml.inf2.8xlarge")
STATES: tuple[Literal["running", "paused", "scaledToZero"], ...] = (
    "running",
    "paused",
    "scaledToZero",
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many endpoints in how many places: `aws` of all are in the first `regions`."""

    endpoints: int
    aws: int
    namespaces: int
    regions: int

    @property
    def names(self) -> list[str]:
        """Return the namespaces of the first cloud."""
        return [f"org-{number:02}" for number in range(self.namespaces)]


def serve(sizes: Sizes, address: multiprocessing.SimpleQueue[str], done: Event) -> None:
    """Serve a world with all endpoints, in another process."""
    start = datetime.now(UTC)
    world = World(start=start)
    _fill_huggingface(world, sizes, start)
    _fill_aws(world, sizes, start)
    with SandboxServer(world, lambda: datetime.now(UTC)) as server:
        address.put(server.url)
        done.wait()


def _fill_huggingface(world: World, sizes: Sizes, start: datetime) -> None:
    for name in sizes.names:
        world.add_namespace(name, kind="org")
    world.add_user("robot", token=TOKEN, role="write", orgs=sizes.names)
    for number in range(sizes.endpoints - sizes.aws):
        state = STATES[number % 3]
        world.add_endpoint(
            sizes.names[number % sizes.namespaces],
            endpoint_payload(
                f"model-{number:05}",
                min_replica=0 if state == "scaledToZero" else 1,
                tags=[f"team=t{number % 12}"],
            ),
            state=state,
            created_at=start - timedelta(days=30),
            used_at=start - timedelta(hours=number % 50 + 1),
        )


def _fill_aws(world: World, sizes: Sizes, start: datetime) -> None:
    keys = {AWS_KEY: AWS_SECRET}
    world.aws.add_account(AWS_ACCOUNT, access_keys=keys, default_quota=sizes.aws)
    for number in range(sizes.aws):
        world.aws.add_endpoint(
            AWS_ACCOUNT,
            REGIONS[number % sizes.regions],
            f"model-{number:05}",
            instance_type=INSTANCES[number % 3],
            tags={"team": f"t{number % 12}"},
            created_at=start - timedelta(days=30, seconds=number),
        )


def connect(database: Database, sizes: Sizes, url: str) -> None:
    """Store the accounts of both clouds."""
    now = datetime.now(UTC)
    direct = {"api_url": f"{url}/v2", "hub_url": url}
    wanted = [("huggingface", name, "", direct) for name in sizes.names]
    wanted += [
        ("sagemaker", AWS_ACCOUNT, region, {"endpoint_url": url})
        for region in REGIONS[: sizes.regions]
        if sizes.aws
    ]
    with database.write() as session:
        for provider, namespace, region, options in wanted:
            session.add(
                Account(
                    id=new_id("acc", now),
                    name=f"{namespace}-{region}" if region else namespace,
                    provider=provider,
                    namespace=namespace,
                    region=region,
                    credential_ref=f"env:BENCHMARK_{provider.upper()}",
                    created_at=now,
                    options=options,
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


class Bare:
    """Reads the same pages with the bare clients, which are made once as in any service."""

    def __init__(self, sizes: Sizes, url: str) -> None:
        self._sizes, self._url = sizes, url
        self._http = httpx2.Client(headers={"authorization": f"Bearer {TOKEN}"})
        regions = REGIONS[: sizes.regions] if sizes.aws else ()
        session = boto3.Session(aws_access_key_id=AWS_KEY, aws_secret_access_key=AWS_SECRET)
        self._clients = [
            session.client("sagemaker", region_name=region, endpoint_url=url) for region in regions
        ]

    def huggingface(self) -> int:
        """Fetch and parse all pages of all namespaces; return the number of calls."""
        calls = 0
        for name in self._sizes.names:
            cursor = None
            while True:
                query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
                page = self._http.get(f"{self._url}/v2/endpoint/{name}", params=query).json()
                calls += 1
                cursor = page.get("nextCursor")
                if not cursor:
                    break
        return calls

    def aws(self) -> int:
        """Fetch and parse all pages of all regions; return the number of calls."""
        return sum(
            1
            for client in self._clients
            for _ in client.get_paginator("list_endpoints").paginate(
                SortBy="CreationTime", SortOrder="Ascending", MaxResults=100
            )
        )

    def close(self) -> None:
        """Release connections."""
        self._http.close()
        for client in self._clients:
            client.close()


def rss_mb() -> float:
    """Return this process's resident memory in MB."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


def measure(sizes: Sizes, passes: int) -> None:
    """Run the benchmark and print its figures."""
    os.environ["BENCHMARK_HUGGINGFACE"] = TOKEN
    os.environ["BENCHMARK_SAGEMAKER"] = f"{AWS_KEY}:{AWS_SECRET}"
    method = multiprocessing.get_context("spawn")
    address: multiprocessing.SimpleQueue[str] = method.SimpleQueue()
    done = method.Event()
    cloud = method.Process(target=serve, args=(sizes, address, done))
    cloud.start()
    url = address.get()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/store.db")
        migrate.upgrade(database)
        connect(database, sizes, url)
        clock = SystemClock()
        settings = Settings(state_dir=Path(folder))
        pool = ProviderPool(provider_maker(settings, ProviderHooks(clock=clock)))
        cadence = Cadence(rest=timedelta(hours=1), rates=timedelta(hours=9))
        engine = Engine(Context(database, clock, settings, pool), cadence)
        idle = rss_mb()
        cpu, wall = cpu_of(lambda: _see_all(engine, database, clock, sizes))
        print(f"first sight: {_shown(_calls(database))}; {cpu:.1f} s CPU, {wall:.1f} s wall")
        manage(database)
        engine.nudge()
        engine.step(clock.now())
        _steady(engine, database, Bare(sizes, url), idle, passes)
        pool.close()
        database.dispose()
    done.set()
    cloud.join()


def _see_all(engine: Engine, database: Database, clock: SystemClock, sizes: Sizes) -> None:
    """Work until every endpoint was read, which some clouds allow only so many of in a pass."""
    while _known(database) < sizes.endpoints:
        engine.nudge()
        engine.step(clock.now())


def _steady(engine: Engine, database: Database, bare: Bare, idle: float, passes: int) -> None:
    clock = SystemClock()
    for number in range(passes):
        engine.nudge()
        before = _calls(database)
        cpu, wall = cpu_of(lambda: engine.step(clock.now()))
        calls = _calls(database) - before
        plain, _ = cpu_of(bare.huggingface)
        aws, _ = cpu_of(bare.aws)
        print(
            f"pass {number + 1}: {_shown(calls)}; {cpu:.2f} s CPU, {wall:.2f} s wall, "
            f"+{rss_mb() - idle:.0f} MB over idle; bare reading {plain + aws:.2f} s CPU "
            f"(httpx2 {plain:.2f}, boto3 {aws:.2f}); ratio {cpu / (plain + aws):.1f}"
        )
    bare.close()


def _shown(calls: Counter[str]) -> str:
    parts = ", ".join(f"{count} {name}" for name, count in sorted(calls.items()))
    return f"{calls.total()} calls ({parts})"


def _calls(database: Database) -> Counter[str]:
    with database.read() as session:
        total: Counter[str] = Counter()
        for account in session.exec(select(Account)):
            total.update(account.call_counts)
    return total


def _known(database: Database) -> int:
    with database.read() as session:
        return sum(account.endpoint_count for account in session.exec(select(Account)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=10_000, help="of both clouds together")
    parser.add_argument("--aws", type=int, help="how many of them are in AWS; default half")
    parser.add_argument("--namespaces", type=int, default=10)
    parser.add_argument("--regions", type=int, default=len(REGIONS), choices=range(1, 6))
    parser.add_argument("--passes", type=int, default=3)
    given = parser.parse_args()
    aws = given.endpoints // 2 if given.aws is None else given.aws
    measure(Sizes(given.endpoints, aws, given.namespaces, given.regions), given.passes)
