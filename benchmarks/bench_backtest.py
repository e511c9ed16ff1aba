"""A backtest of eight rules over recorded traffic: CPU on one core, beside playing each request.

The baseline plays one idle timeout request by request over the clients with the fewest requests,
in the same run; its figures are compared too. `--traffic FILE` takes another trace than that of
forty clients which comes with the package.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.figures import Backtest, Terms, backtest
from orchestrator.domain.backtest.policies import Policy, always_on, idle
from orchestrator.domain.backtest.traffic import SECOND, Fleet, Traffic, read_csv
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.text import parse_window

STARTUP = 300 * SECOND
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def policies() -> list[Policy]:
    """Return eight rules."""
    office = Schedule("UTC", (parse_window("mon-fri 08:00-19:00 keep-running ready-by"),))
    both = Policy("windows+idle-30", idle(30).timeout, office)
    return [always_on(), *map(idle, (5, 15, 30, 60, 120)), Policy("windows", None, office), both]


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of `work`."""
    before = time.process_time()
    work()
    return time.process_time() - before


def lines_of(file: str | None) -> list[str]:
    """Return the lines of a trace."""
    if file is None:
        raw = files("orchestrator.sandbox").joinpath("data/llm-traffic-sample.csv.gz").read_bytes()
    else:
        raw = Path(file).read_bytes()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode().splitlines()


def run(endpoints: Sequence[Traffic], rules: Sequence[Policy], length: int) -> Backtest:
    """Return a backtest."""
    terms = Terms(MONDAY, length, 800_000_000, STARTUP)
    return backtest(((one.name, Arrivals(one)) for one in endpoints), rules, terms)


def plain(requests: list[int], timeout: int, length: int) -> tuple[int, int, int, int]:
    """Play a timeout request by request: billed, starts, delayed, waiting."""
    billed = starts = delayed = waiting = sleep = ready = 0
    since = -1
    for at in requests:
        if since >= 0 and at >= sleep:
            billed += sleep - since
            since = -1
        if since < 0:
            since, ready, starts = at, at + STARTUP, starts + 1
        if at < ready:
            delayed += 1
            waiting += ready - at
        sleep = max(at, ready) + timeout
    return billed + (min(sleep, length) - since if since >= 0 else 0), starts, delayed, waiting


def compare(fleet: Fleet, most: int) -> None:
    """Print CPU and figures of one rule, ours and request by request."""
    small = [one for one in fleet.endpoints if one.requests.sum() <= most]
    rule = idle(15)
    assert rule.timeout is not None
    requests = [Arrivals(one).all().tolist() for one in small]
    exact = [(0, 0, 0, 0)]
    slow = cpu(lambda: exact.extend(plain(r, rule.timeout or 0, fleet.length) for r in requests))
    found: list[Backtest] = []
    quick = cpu(lambda: found.append(run(small, [rule], fleet.length)))
    ours = found[0].totals()[rule.name]
    billed, starts, delayed, waiting = (sum(column) for column in zip(*exact, strict=True))
    count = sum(map(len, requests))
    print(
        f"{len(small)} clients, {count:,} requests, {rule.name}: {quick:.2f} s, with drawing; "
        f"request by request {slow:.2f} s, without drawing; ratio {quick / slow:.2f}"
    )
    print(
        f"differences: billed {ours.billed - billed} µs, starts {ours.cold_starts - starts}, "
        f"delayed {ours.delayed - delayed}, waiting {ours.waiting / max(waiting, 1) - 1:+.4%}"
    )
    whole = sum(int(one.requests.sum()) for one in fleet.endpoints)
    print(f"all {whole:,} requests at that pace: {slow / count * whole:,.0f} s for each rule")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traffic", metavar="FILE", help="a trace; gzip or plain")
    parser.add_argument("--most", type=int, default=60_000, help="requests of a baseline client")
    given = parser.parse_args()
    read: list[Fleet] = []
    reading = cpu(lambda: read.append(read_csv(lines_of(given.traffic))))
    fleet = read[0]
    rules = policies()
    print(
        f"{len(fleet.endpoints)} endpoints, {fleet.length_s / 86400:.0f} days, {len(rules)} rules "
        f"and the floor: {cpu(lambda: run(fleet.endpoints, rules, fleet.length)):.1f} s of CPU, "
        f"reading {reading:.2f} s"
    )
    compare(fleet, given.most)


if __name__ == "__main__":
    main()
