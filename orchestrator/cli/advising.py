"""Runs the adviser of the command line: its rules, in words and as a file, and its calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cli import formats, trace
from orchestrator.cli.backtesting import Terms, dollars_of, money, write_json
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session
from orchestrator.domain.backtest import calibrate as judging
from orchestrator.domain.backtest.advice import Advice, Fleetwide, Prices, Range
from orchestrator.domain.backtest.advise import Adviser
from orchestrator.domain.backtest.calibrate import Verdict
from orchestrator.domain.backtest.days import Setting
from orchestrator.domain.backtest.traffic import DAY
from orchestrator.domain.backtest.words import rule_names, rules, why
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.zones import zone

Json = dict[str, Any]
# Prices of a minute of waiting at which advice is judged, in nano-dollars.
JUDGED_AT = (10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)
SEEDS = (0, 1, 2)
# No advice for endpoints of which less is known: no data is not idleness.
LEAST_KNOWN = 0.8


@dataclass(frozen=True, slots=True)
class Asked:
    """The prices of a minute of waiting and of a refused request, and files to write."""

    waiting: str
    refused: str | None
    rules: Path | None
    export: Path | None


def advise(run: Session, wanted: trace.Wanted, given: Terms, asked: Asked) -> None:
    """Advise for each endpoint. Raises CliError."""
    price, minute = given.nano, trace.dollars(asked.waiting, "--waiting")
    refused = None if asked.refused is None else trace.dollars(asked.refused, "--refused")
    startup, timezone = given.startup_us, _zone(given.timezone)
    found = trace.priced(run, trace.known(run, trace.read(run, wanted), LEAST_KNOWN))
    prices = Prices(price, minute, found.prices, refused)
    setting = Setting(found.origin, found.fleet.length // DAY * DAY, startup)
    fleet = [one.part(0, setting.days * 86400) for one in found.fleet.endpoints]
    try:
        adviser = Adviser(fleet, setting, given.seed, timezone)
    except ValueError as error:
        raise CliError(str(error), ExitCode.USAGE, "give more traffic") from None
    answer = adviser.advise(fleet, prices, coarse=found.coarse, no_zero=found.no_zero)
    payload = _payload(answer, prices, setting)
    if asked.rules is not None:
        _write_rules(run, asked.rules, answer.advice)
    if asked.export is not None:
        write_json(run, asked.export, payload)
    _show(run, payload)


def calibrate(run: Session, wanted: trace.Wanted, given: Terms, asked: Asked) -> None:
    """Judge advice from the first week on the second, at several prices. Raises CliError."""
    price, startup = given.nano, given.startup_us
    found = trace.read(run, wanted)
    grid = [Prices(price, minute) for minute in JUDGED_AT]
    seeds = [given.seed + seed for seed in SEEDS]
    try:
        setting = judging.first_week(Setting(found.origin, found.fleet.length, startup))
        verdicts = list(judging.calibrate(found.fleet.endpoints, setting, grid, seeds))
    except ValueError as error:
        raise CliError(str(error), ExitCode.USAGE, "give more traffic") from None
    rows = [_verdict(one) for one in verdicts]
    payload = {"items": rows}
    if asked.export is not None:
        write_json(run, asked.export, payload)
    run.out.items(payload, _VERDICTS, key="endpoints")
    if run.out.form != "json":
        run.out.say("")
        for who in dict.fromkeys(one.who for one in verdicts):
            _inside(run, who, [one for one in verdicts if one.who == who])


def _inside(run: Session, who: str, verdicts: Sequence[Verdict]) -> None:
    count = sum(one.inside for one in verdicts)
    run.out.say(
        f"{who}: the cost lies in the interval in {count} of {len(verdicts)} runs; of the costs of "
        f"endpoints that are not always on {judging.unsure_inside(verdicts):.0%} lie in their own"
    )


def _zone(name: str) -> str:
    try:
        zone(name)
    except ScheduleError as error:
        raise CliError(f"--timezone: {error}", ExitCode.USAGE) from None
    return name


def _write_rules(run: Session, file: Path, advice: Sequence[Advice]) -> None:
    from orchestrator.services.rules_yaml import dump  # noqa: PLC0415 - only here

    awake = [one.endpoint for one in advice if one.policy.always_on]
    notes = "".join(f"# {name}: always on, so no rule\n" for name in awake)
    try:
        file.write_text(notes + dump(rules(advice)), encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}", ExitCode.USAGE) from None
    run.out.note(f"written to {file}; see `orchestrator apply {file} --dry-run`")


def _payload(answer: Fleetwide, prices: Prices, setting: Setting) -> Json:
    names = rule_names([one.endpoint for one in answer.advice])
    return {
        "from": formats.rfc3339(setting.origin),
        "days": setting.days,
        "price_per_hour": money(prices.hour),
        "price_per_waiting_minute": money(prices.minute),
        "price_per_refused_request": money(prices.refusal),
        "week": {"cost": _cost(answer.cost), "cold_starts": _range(answer.starts)},
        "endpoints": [_advice(one, prices, names) for one in answer.advice],
    }


def _advice(one: Advice, prices: Prices, names: Mapping[str, str]) -> Json:
    return {
        "endpoint": one.endpoint,
        "policy": one.policy.name,
        "text": one.policy.describe(),
        "why": why(one, prices),
        "week": {
            "cost": _cost(one.week.cost),
            "cold_starts": _range(one.week.starts),
            "waiting_minutes": round(one.week.waiting_minutes, 3),
            "certain_hours": round(one.week.certain, 2),
            "refused_requests": round(one.week.refused, 2),
        },
        "rules": rules([one], names),
    }


def _cost(cost: tuple[int, int, int]) -> Json:
    return dict(zip(("low", "expected", "high"), map(money, cost), strict=True))


def _range(found: Range) -> Json:
    return {
        "low": round(found.low, 2),
        "expected": round(found.mean, 2),
        "high": round(found.high, 2),
    }


def _show(run: Session, payload: Json) -> None:
    if run.out.form == "json":
        run.out.json(payload)
        return
    run.out.items(payload, _ADVICE, rows=payload["endpoints"], key="endpoint")
    run.out.say("")
    for one in payload["endpoints"]:
        run.out.say(f"{one['endpoint']}: {one['text']}; {one['why']}.")
    week = payload["week"]
    starts = week["cold_starts"]
    run.out.say("")
    run.out.say(
        f"next week, all together: {dollars_of(week['cost']['expected'])} "
        f"({_interval(week['cost'])} with 80 %), {starts['expected']:,.0f} cold starts "
        f"({starts['low']:,.0f} to {starts['high']:,.0f})"
    )


def _interval(cost: Json) -> str:
    return f"{dollars_of(cost['low'])} to {dollars_of(cost['high'])}"


def _starts(row: Json) -> str:
    found = row["week"]["cold_starts"]
    return f"{found['expected']:.1f} ({found['low']:.1f} to {found['high']:.1f})"


_ADVICE = (
    Column("endpoint", lambda row: str(row["endpoint"])),
    Column("rule", lambda row: str(row["policy"])),
    Column("a week", lambda row: dollars_of(row["week"]["cost"]["expected"]), right=True),
    Column("80 %", lambda row: _interval(row["week"]["cost"]), right=True),
    Column("cold starts", _starts, right=True),
    Column("waiting (min)", lambda row: f"{row['week']['waiting_minutes']:,.0f}", right=True),
    Column("refused", lambda row: f"{row['week']['refused_requests']:,.0f}", right=True),
)


def _verdict(one: Verdict) -> Json:
    return {
        "who": one.who,
        "price_per_waiting_minute": money(one.minute),
        "endpoints": one.endpoints,
        "promised_hours": round(one.promised, 1),
        "low_hours": round(one.low, 1),
        "high_hours": round(one.high, 1),
        "came_hours": round(one.came, 1),
        "cost_error": round(one.error, 4),
        "inside": one.inside,
        "best_single": one.best,
        "beyond_best_single": round(one.beyond, 4),
        "best_timeout": one.timeout,
        "beyond_best_timeout": round(one.beyond_timeout, 4),
        "best_single_before": one.known,
        "beyond_best_single_before": round(one.beyond_known, 4),
        "covered_costs": round(one.covered[0], 3),
        "covered_starts": round(one.covered[1], 3),
        "unsure_endpoints": one.unsure,
        "unsure_costs_inside": one.unsure_inside,
        "rules": one.rules,
    }


_VERDICTS = (
    Column("who", lambda row: str(row["who"])),
    Column("minute", lambda row: f"${float(row['price_per_waiting_minute']['amount']):g}"),
    Column("cost came", lambda row: f"{row['cost_error']:+.1%}", right=True),
    Column(
        "80 %",
        lambda row: (
            f"{row['low_hours'] / row['promised_hours'] - 1:+.1%} to "
            f"{row['high_hours'] / row['promised_hours'] - 1:+.1%}"
        ),
        right=True,
    ),
    Column("inside", lambda row: "yes" if row["inside"] else "no"),
    Column("best single", lambda row: str(row["best_single"])),
    Column("beyond it", lambda row: f"{row['beyond_best_single']:+.1%}", right=True),
    Column("best timeout", lambda row: str(row["best_timeout"])),
    Column("beyond that", lambda row: f"{row['beyond_best_timeout']:+.1%}", right=True),
    Column("best before", lambda row: str(row["best_single_before"])),
    Column("beyond before", lambda row: f"{row['beyond_best_single_before']:+.1%}", right=True),
    Column("covered", lambda row: f"{row['covered_costs']:.0%}", right=True),
    Column("starts", lambda row: f"{row['covered_starts']:.0%}", right=True),
)
