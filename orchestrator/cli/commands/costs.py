"""`orchestrator costs`, `orchestrator events`, and `orchestrator freeze`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.commands.endpoints import event_columns
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

Json = dict[str, Any]
COMPUTE = "compute"
freeze_app = typer.Typer(
    help="The kill switch: while frozen, nothing is changed.", no_args_is_help=True
)


def costs(
    ctx: typer.Context,
    *,
    by: Annotated[
        str, typer.Option(help="endpoint, account, hardware, component, day, or label:KEY.")
    ] = "endpoint",
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Since then.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Until then.")] = None,
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="One month.")] = None,
    account: options.AccountOption = None,
    label: options.LabelFilter = None,
) -> None:
    """Show what was spent, by default this month, with its uncertainty."""
    run = session(ctx)
    if month and (start or end):
        raise CliError("--month and --from/--to exclude each other", ExitCode.USAGE)
    since, until = _span(run, start, end, month)
    query = {
        "from": formats.rfc3339(since),
        "to": formats.rfc3339(until),
        "group_by": by,
        "account": account,
        "label": label,
    }
    _show_costs(run, run.api.get(urls.path("costs"), query), by)


def events(
    ctx: typer.Context,
    *,
    account: options.AccountOption = None,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
    kind: Annotated[str | None, typer.Option(help="Such as operation.failed or hold.*")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only since then.")] = None,
    limit: options.LimitOption = 50,
) -> None:
    """List what happened, newest first."""
    run = session(ctx)
    query = {
        "account": account,
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
        "kind": kind,
        "since": run.instant(since),
    }
    page = run.api.pages(urls.path("events"), query, limit)
    run.out.items(page, event_columns(run), empty="no events")
    if page.get("dropped_before") and not page.get("next_cursor"):
        run.out.note(f"events before {run.out.at(page['dropped_before'])} were dropped")


@freeze_app.command("status", epilog="Example: orchestrator freeze status")
def freeze_status(ctx: typer.Context) -> None:
    """Tell what is frozen, since when, and why."""
    run = session(ctx)
    found: Any = run.api.get(urls.path("freeze"))
    single = [{"where": one["account"]["name"], **one} for one in found["accounts"]]
    everywhere = found["everywhere"]
    rows = [{"where": "everywhere", **everywhere}, *single] if everywhere else single
    columns = (
        Column("frozen", lambda f: f["where"]),
        Column("since", lambda f: run.out.at(f["at"])),
        Column("by", lambda f: f["by"]),
        Column("reason", lambda f: f["reason"]),
    )
    run.out.items(found, columns, rows=rows, key="where", empty="nothing is frozen")


@freeze_app.command("on", epilog="Example: orchestrator freeze on --reason 'incident 42'")
def freeze_on(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown to everybody.")],
    account: Annotated[str | None, typer.Option("--account", "-a", help="Only this one.")] = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Stop all changes at once; observing and metering go on."""
    run = session(ctx)
    body = {"reason": reason, **({"account": account} if account else {})}
    answer = changes.Change(run, dry_run=dry_run).send("PUT", urls.path("freeze"), body=body)
    _told(run, answer, f"{account or 'everything'} is frozen")


@freeze_app.command("off", epilog="Example: orchestrator freeze off --account acme")
def freeze_off(
    ctx: typer.Context,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Only this one.")] = None,
    reason: options.ReasonOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Let changes happen again."""
    run = session(ctx)
    change = changes.Change(run, dry_run=dry_run)
    query = {"account": account, "reason": reason}
    answer = change.send("DELETE", urls.path("freeze"), query=query)
    _told(run, answer, f"{account or 'everything'} is no longer frozen")


def _told(run: Session, answer: Any, sentence: str) -> None:
    if run.out.form == "json" and answer is not None:
        run.out.json(answer)
    elif isinstance(answer, dict) and answer.get("dry_run"):
        changes.tell(run, answer)
    else:
        run.out.say(sentence)


def _span(
    run: Session, start: str | None, end: str | None, month: str | None
) -> tuple[datetime, datetime]:
    now = run.clock.now()
    try:
        first, last = formats.parse_month(month or f"{now.astimezone(run.zone):%Y-%m}", run.zone)
    except ValueError as error:
        raise CliError(str(error), ExitCode.USAGE) from None
    since = run.moment(start) or first
    until = run.moment(end) or min(last, now)
    if since >= until:
        raise CliError("this span of time is empty", ExitCode.USAGE, "--from comes before --to")
    return since, until


def _show_costs(run: Session, report: Json, by: str) -> None:
    out = run.out
    columns = (
        Column(by, lambda i: str(i.get("name") or i.get("key") or formats.NOTHING)),
        Column("cost", lambda i: formats.money(i.get("money")), right=True),
        Column("hours", lambda i: _hours(i.get("hours")), right=True),
        Column("replica hours", lambda i: _hours(i.get("replica_hours")), right=True),
    )
    out.items(report, columns, key="key", empty="nothing was spent in this time")
    if out.form == "json" or out.quiet:
        return
    span = f"{out.at(report.get('from'))} to {out.at(report.get('to'))}"
    out.say(f"total {formats.money(report.get('total'))}  ({span})")
    parts = report.get("components") or []
    if len(parts) > 1 and by != "component":
        out.say(", ".join(f"{one['key']} {formats.money(one.get('money'))}" for one in parts))
    if report.get("dropped_before"):
        out.warn(f"costs before {out.at(report['dropped_before'])} were dropped")
    if not report.get("complete", True):
        unpriced = ", ".join(_one(item) for item in report.get("unpriced") or [])
        out.warn(f"the total is incomplete: no price is known for {unpriced or 'a part of it'}")


def _one(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    name = str(item.get("name") or item.get("hardware") or item.get("key") or item)
    component = item.get("component") or COMPUTE
    return name if component == COMPUTE else f"the {component} of {name}"


def _hours(value: Any) -> str:
    return formats.NOTHING if value is None else f"{float(value):,.1f}"
