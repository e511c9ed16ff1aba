"""`orchestrator backtest` and `orchestrator advise`: what other rules would have cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.session import session

TrafficOption = Annotated[
    str | None,
    typer.Option(
        "--traffic",
        metavar="FILE",
        help="CSV with client,window_start_s,requests,cv; may be gzip, - is standard input. "
        "Without it: what the server recorded.",
    ),
]
PriceOption = Annotated[
    str,
    typer.Option(metavar="DOLLARS", help="Of an hour awake, where the server knows no price."),
]
StartupOption = Annotated[
    str, typer.Option(metavar="TIME", help="From a request until it serves, such as 90s or 5m.")
]
StartOption = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="The instant at which the traffic starts."),
]
DaysOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=366,
        help="Days of what the server recorded, until now (by default 14, at most 31); or of the "
        "file, which else ends with its last row.",
    ),
]
StretchOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="How long the stretches of the file are; by default 10m."),
]
AccountOption = Annotated[
    str | None, typer.Option("--account", "-a", help="Only of this account of the server.")
]
EndpointsOption = Annotated[
    list[str] | None, typer.Option("--endpoint", metavar="NAME", help="Only this; repeatable.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the requests within counts.")]
ZoneOption = Annotated[str, typer.Option(metavar="ZONE", help="Of the windows.")]
ExportOption = Annotated[
    Path | None, typer.Option("--export", metavar="FILE", help="Write all figures as JSON.")
]


def backtest(
    ctx: typer.Context,
    *,
    traffic: TrafficOption = None,
    idle: Annotated[
        list[float] | None,
        typer.Option(min=0.1, metavar="MINUTES", help="A timeout to try; repeatable."),
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="A window to try, ready by its start; repeatable."),
    ] = None,
    timezone: ZoneOption = "UTC",
    price: PriceOption = "0.80",
    startup: StartupOption = "5m",
    start: StartOption = None,
    days: DaysOption = None,
    stretch: StretchOption = None,
    account: AccountOption = None,
    endpoint: EndpointsOption = None,
    by_endpoint: Annotated[
        bool, typer.Option("--by-endpoint", help="Show each endpoint, not only the sums.")
    ] = False,
    seed: SeedOption = 0,
    export: ExportOption = None,
) -> None:
    """Show what traffic would have cost, and who would have waited, under other rules.

    Compared are always on, idle timeouts, windows, and both, with the clairvoyant floor: what the
    least costs that delays nobody.
    """
    from orchestrator.cli import backtesting, trace  # noqa: PLC0415 - keeps `--help` quick

    run = session(ctx)
    wanted = trace.Wanted(traffic, start, days, account, tuple(endpoint or ()), stretch)
    terms = backtesting.Terms(price, startup, timezone, seed)
    rules = backtesting.Rules(idle, window)
    backtesting.backtest(run, wanted, terms, rules, by_endpoint=by_endpoint, export=export)


def advise(
    ctx: typer.Context,
    *,
    traffic: TrafficOption = None,
    waiting: Annotated[
        str, typer.Option(metavar="DOLLARS", help="What a minute of one request's waiting costs.")
    ] = "0.001",
    refused: Annotated[
        str | None,
        typer.Option(
            metavar="DOLLARS",
            help="What a request costs that meets a paused endpoint; by default a day's waiting or "
            "an hour awake, whichever is dearer.",
        ),
    ] = None,
    timezone: ZoneOption = "UTC",
    price: PriceOption = "0.80",
    startup: StartupOption = "5m",
    start: StartOption = None,
    days: DaysOption = None,
    stretch: StretchOption = None,
    account: AccountOption = None,
    endpoint: EndpointsOption = None,
    seed: SeedOption = 0,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="FILE", help="Write them for `orchestrator apply`."),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Judge advice from the first week on the second."),
    ] = False,
    export: ExportOption = None,
) -> None:
    """Choose a rule for each endpoint: always on, a timeout, windows learnt from habits, or both.

    What is least in cost and priced waiting is chosen, as far as the past tells; at least four
    whole days of traffic are needed. Nothing is changed.
    """
    from orchestrator.cli import advising, backtesting, trace  # noqa: PLC0415 - as above

    run = session(ctx)
    wanted = trace.Wanted(traffic, start, days, account, tuple(endpoint or ()), stretch)
    terms = backtesting.Terms(price, startup, timezone, seed)
    asked = advising.Asked(waiting, refused, rules, export)
    if calibrate:
        advising.calibrate(run, wanted, terms, asked)
    else:
        advising.advise(run, wanted, terms, asked)
