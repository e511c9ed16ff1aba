"""Runs a backtest of the command line, prints its figures and exports them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestrator.cli import formats, options, trace
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session
from orchestrator.domain.backtest import figures
from orchestrator.domain.backtest.arrivals import Arrivals
from orchestrator.domain.backtest.figures import FLOOR, Backtest, Figures
from orchestrator.domain.backtest.policies import Policy, always_on, idle
from orchestrator.domain.backtest.traffic import SECOND
from orchestrator.domain.money import format_dollars, to_dollars, to_nano
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import Schedule
from orchestrator.domain.schedules.text import parse_window

Json = dict[str, Any]
TIMEOUTS = (5.0, 15.0, 30.0, 60.0, 120.0)
# Of endpoints of which less is known nothing is said.
LEAST_KNOWN = 0.01
LONGEST_START_S = 24 * 3600
WINDOW = "mon-fri 08:00-19:00"
FLOOR_TEXT = "the least that delays nobody: it knows when requests come"


@dataclass(frozen=True, slots=True)
class Terms:
    """Price of an hour, start-up time, zone of windows and seed, as a person wrote them."""

    price: str
    startup: str
    timezone: str
    seed: int

    @property
    def startup_us(self) -> int:
        """Return the start-up time in microseconds. Raises CliError."""
        found = int(options.length(self.startup).total_seconds())
        if found > LONGEST_START_S:
            raise CliError("--startup: at most 24h", ExitCode.USAGE, "write it like 5m")
        return found * SECOND

    @property
    def nano(self) -> int:
        """Return the price in nano-dollars. Raises CliError unless it is above zero."""
        found = trace.dollars(self.price, "--price")
        if not found:
            raise CliError("--price: must be above zero", ExitCode.USAGE, "write it like 0.80")
        return found


@dataclass(frozen=True, slots=True)
class Rules:
    """Timeouts in minutes and texts of windows to compare; None takes the usual ones."""

    idle: Sequence[float] | None
    windows: Sequence[str] | None

    def policies(self, timezone: str) -> list[Policy]:
        """Return the rules to compare; always on is the first. Raises CliError."""
        found = [always_on(), *map(idle, dict.fromkeys(self.idle or TIMEOUTS))]
        windows = _schedule(self.windows or [WINDOW], timezone)
        both = sorted(self.idle or TIMEOUTS)[len(self.idle or TIMEOUTS) // 2]
        inside = idle(both)
        found.append(Policy("windows", None, windows))
        found.append(Policy(f"windows+{inside.name}", inside.timeout, windows))
        return found


def backtest(
    run: Session,
    wanted: trace.Wanted,
    given: Terms,
    rules: Rules,
    *,
    by_endpoint: bool,
    export: Path | None,
) -> None:
    """Run the rules over the traffic and show what comes of each. Raises CliError."""
    policies = rules.policies(given.timezone)
    price, startup = given.nano, given.startup_us
    found = trace.known(run, trace.read(run, wanted), LEAST_KNOWN)
    terms = figures.Terms(found.origin, found.fleet.length, price, startup, found.prices)
    endpoints = ((one.name, Arrivals(one, given.seed)) for one in found.fleet.endpoints)
    outcome = figures.backtest(endpoints, policies, terms)
    payload = _payload(found, given, terms, policies, outcome)
    if export is not None:
        write_json(run, export, payload)
    _show(run, payload, by_endpoint=by_endpoint)
    for name in sorted(found.coarse):
        run.out.note(f"{name}: only last uses are known; timeouts below 20 min seem worse than so")
    stays = ", ".join(sorted(found.no_zero.intersection(outcome.endpoints)))
    if stays:
        run.out.note(f"these cannot go to zero as they are, so timeouts would do nothing: {stays}")
    cpu = time.process_time()
    days = found.fleet.length_s / 86400
    run.out.note(
        f"{len(outcome.endpoints)} endpoints, {days:.1f} days, {len(policies)} rules and the "
        f"floor: {cpu:.1f} s of CPU, from the start of the program"
    )


def write_json(run: Session, file: Path, payload: Json) -> None:
    """Write figures to a file. Raises CliError."""
    try:
        file.write_text(json.dumps(payload, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}", ExitCode.USAGE) from None
    run.out.note(f"written to {file}")


def money(nano: int) -> Json:
    """Return an amount as the API writes it."""
    return {"amount": f"{to_dollars(nano):.9f}", "currency": "USD"}


def _schedule(texts: Sequence[str], timezone: str) -> Schedule:
    try:
        windows = tuple(
            parse_window(f"{text} keep-running ready-by")
            if "ready" not in text
            else parse_window(text)
            for text in texts
        )
        return Schedule(timezone, windows)
    except ScheduleError as error:
        raise CliError(f"--window: {error}", ExitCode.USAGE) from None


def _payload(
    found: trace.Trace,
    given: Terms,
    terms: figures.Terms,
    policies: Sequence[Policy],
    outcome: Backtest,
) -> Json:
    totals = outcome.totals()
    by_endpoint: dict[str, dict[str, Figures]] = {}
    for line in outcome.lines:
        by_endpoint.setdefault(line.endpoint, {})[line.policy] = line.figures
    texts = {one.name: one.describe() for one in policies} | {FLOOR: FLOOR_TEXT}
    return {
        "traffic": {
            "start": formats.rfc3339(found.origin),
            "seconds": found.fleet.length_s,
            "endpoints": len(found.fleet.endpoints),
            "requests": sum(int(one.requests.sum()) for one in found.fleet.endpoints),
            "seed": given.seed,
        },
        "terms": {
            "price_per_hour": money(terms.price),
            "startup_seconds": terms.startup // SECOND,
            "timezone": given.timezone,
        },
        "policies": [
            {"policy": name, "text": texts[name], **_figures(one, totals)}
            for name, one in totals.items()
        ],
        "endpoints": [
            {
                "endpoint": name,
                "policies": [
                    {"policy": policy, **_figures(one, lines)} for policy, one in lines.items()
                ],
            }
            for name, lines in by_endpoint.items()
        ],
    }


def _figures(one: Figures, beside: dict[str, Figures]) -> Json:
    return {
        "billed_hours": round(one.billed_hours, 6),
        "cost": money(one.cost),
        "saved_against_always_on": money(beside["always-on"].cost - one.cost),
        "above_clairvoyant": money(one.cost - beside[FLOOR].cost),
        "cold_starts": one.cold_starts,
        "planned_starts": one.planned_starts,
        "delayed_requests": one.delayed,
        "waiting_seconds": round(one.waiting_s, 3),
        "refused_requests": one.refused,
    }


def _show(run: Session, payload: Json, *, by_endpoint: bool) -> None:
    if run.out.form == "json":
        run.out.json(payload)
        return
    if by_endpoint:
        rows = [
            {"endpoint": one["endpoint"], **line}
            for one in payload["endpoints"]
            for line in one["policies"]
        ]
        first = Column("endpoint", lambda row: str(row["endpoint"]))
        run.out.items(payload, (first, *_COLUMNS), rows=rows, key="policy")
        run.out.lines([""])
    run.out.items(payload, _COLUMNS, rows=payload["policies"], key="policy")


def dollars_of(figure: Json) -> str:
    """Return an amount for people."""
    return format_dollars(to_nano(Decimal(figure["amount"])))


_COLUMNS = (
    Column("rule", lambda row: str(row["policy"])),
    Column("hours", lambda row: f"{row['billed_hours']:,.1f}", right=True),
    Column("cost", lambda row: dollars_of(row["cost"]), right=True),
    Column("saves", lambda row: dollars_of(row["saved_against_always_on"]), right=True),
    Column("cold starts", lambda row: f"{row['cold_starts']:,}", right=True),
    Column("planned", lambda row: f"{row['planned_starts']:,}", right=True),
    Column("delayed", lambda row: f"{row['delayed_requests']:,}", right=True),
    Column("waiting (s)", lambda row: f"{row['waiting_seconds']:,.0f}", right=True),
    Column("refused", lambda row: f"{row['refused_requests']:,}", right=True),
)
