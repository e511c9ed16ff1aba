"""How long accounts are without a worker: after SIGKILL, and after a freeze (SIGSTOP).

Two real workers share accounts on Postgres and a simulated cloud over HTTP; one of them is killed
or stopped. The baseline, in the same run, takes over by the lease alone, without the locks.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.store import migrate
from orchestrator.store.database import Database

# The test suite's servers and workers, which are no part of the program.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.postgres import PostgresServer
from tests.support.workers import LEASE_ONLY, Fleet, Worker, open_fleet, wait_for

POLL_S = 0.01
PATIENCE_S = 120.0


@contextmanager
def fresh_fleet(server: PostgresServer, accounts: int) -> Iterator[Fleet]:
    """Yield a fleet over a new database."""
    url = server.url(server.create())
    database = Database(url)
    migrate.upgrade(database)
    database.dispose()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_fleet(url, Path(folder), accounts=accounts) as fleet,
    ):
        yield fleet


def measure(fleet: Fleet, lease: int, number: signal.Signals, where: str) -> tuple[float, float]:
    """Return the seconds until another worker owns all, and until it has called for all."""
    lasts = str(lease)
    with (
        fleet.worker(where=where, claim_lease_s=lasts) as one,
        fleet.worker(where=where, claim_lease_s=lasts) as two,
    ):
        wait_for(lambda: fleet.owned_by(one, two), "a fair share")
        seen = len(fleet.world.calls)
        started = time.monotonic()
        one.send(number)
        owned = until(lambda: fleet.owned_by(two), started)
        return owned, until(lambda: called_for_all(fleet, two, seen), started)


def called_for_all(fleet: Fleet, worker: Worker, since: int) -> bool:
    """Tell whether a worker has called the cloud for every account."""
    calls = [fleet.world.calls[place] for place in range(since, len(fleet.world.calls))]
    return {c.namespace for c in calls if c.token_id == worker.token_id} >= set(fleet.orgs)


def until(condition: Callable[[], bool], started: float) -> float:
    """Return the seconds since `started` at which a condition is met."""
    while not condition():
        assert time.monotonic() < started + PATIENCE_S, "nobody took over"
        time.sleep(POLL_S)
    return time.monotonic() - started


def report(title: str, found: list[tuple[float, float]]) -> None:
    owned, called = [one for one, _ in found], [other for _, other in found]
    print(
        f"{title:34} {len(found):2} runs   owned: p50 {statistics.median(owned):5.2f} s, "
        f"max {max(owned):5.2f} s   at work: p50 {statistics.median(called):5.2f} s, "
        f"max {max(called):5.2f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs after SIGKILL")
    parser.add_argument("--freezes", type=int, default=3, help="runs of the two others")
    parser.add_argument("--accounts", type=int, default=4)
    parser.add_argument("--lease", type=int, default=15, help="seconds")
    given = parser.parse_args()
    server = PostgresServer.at_new_folder()
    server.ensure_started()
    try:
        for title, runs, number, where in (
            ("SIGKILL", given.runs, signal.SIGKILL, ""),
            (f"SIGSTOP, lease {given.lease} s", given.freezes, signal.SIGSTOP, ""),
            ("SIGKILL by the lease alone", given.freezes, signal.SIGKILL, LEASE_ONLY),
        ):
            found = []
            for _ in range(runs):
                with fresh_fleet(server, given.accounts) as fleet:
                    found.append(measure(fleet, given.lease, number, where))
            report(title, found)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
