"""`orchestrator schedules`: when endpoints may sleep."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Schedules: weekly windows in which endpoints are up.", no_args_is_help=True)
Json = dict[str, Any]

ScheduleArg = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its id or name.")]
WindowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--window",
        metavar="WINDOW",
        help="Such as 'mon-fri 08:00-19:00', or with ' keep-running' behind it; repeatable.",
    ),
]
ZoneOption = Annotated[str | None, typer.Option(help="IANA zone, such as Europe/Berlin.")]
MatchOption = Annotated[
    list[str] | None,
    typer.Option("--match", metavar="KEY=VALUE", help="Endpoints with this label; repeatable."),
]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint", metavar="ENDPOINT", help="This one endpoint.")
]
DrainOption = Annotated[
    int | None, typer.Option(min=0, help="Minutes to wait for requests to end at a window's end.")
]
ApplyNowOption = Annotated[
    list[str] | None,
    typer.Option("--apply-now", metavar="ENDPOINT", help="Act on it at once; repeatable."),
]
ShadowChange = Annotated[
    bool | None, typer.Option("--shadow/--no-shadow", help="Only record, or act.")
]
EnabledChange = Annotated[bool | None, typer.Option("--enable/--disable", help="Switch it.")]
_KEPT = ("timezone", "windows", "drain_minutes", "selector", "shadow", "enabled")
FileOption = Annotated[
    str | None,
    typer.Option("--file", metavar="FILE", help="The whole schedule as JSON; - for stdin."),
]


@app.command("list", epilog="Example: orchestrator schedules list")
def list_schedules(ctx: typer.Context) -> None:
    """List schedules."""
    run = session(ctx)
    run.out.items(run.api.pages(urls.path("schedules")), _COLUMNS, empty="no schedules")


@app.command(epilog="Example: orchestrator schedules show office-hours")
def show(ctx: typer.Context, schedule: ScheduleArg) -> None:
    """Show one schedule with the endpoints that it covers, and what is odd about it."""
    run = session(ctx)
    _show(run, run.api.get(urls.path("schedules", schedule)))


@app.command(
    epilog="Example: orchestrator schedules create office-hours --timezone Europe/Berlin "
    "--window 'mon-fri 08:00-19:00' --match team=search --shadow"
)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you will call it.")],
    *,
    timezone: ZoneOption = None,
    window: WindowOption = None,
    account: options.AccountOption = None,
    endpoint: EndpointOption = None,
    match: MatchOption = None,
    drain: DrainOption = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Only record what it would have done.")
    ] = False,
    apply_now: ApplyNowOption = None,
    file: FileOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Save a schedule. It acts from its next edge, unless --apply-now names an endpoint."""
    run = session(ctx)
    selector = _selector(run, account, endpoint, match)
    body = _body(name, timezone, window, drain, selector, base=_read(file))
    if shadow:
        body["shadow"] = True
    if apply_now:
        body["apply_now"] = [_endpoint_id(run, one) for one in apply_now]
    answer = changes.Change(run, dry_run=dry_run).send("POST", urls.path("schedules"), body=body)
    if dry_run:
        changes.tell(run, answer)
    else:
        _show(run, answer)


@app.command(epilog="Example: orchestrator schedules update office-hours --no-shadow")
def update(
    ctx: typer.Context,
    schedule: ScheduleArg,
    *,
    timezone: ZoneOption = None,
    window: WindowOption = None,
    account: options.AccountOption = None,
    endpoint: EndpointOption = None,
    match: MatchOption = None,
    drain: DrainOption = None,
    shadow: ShadowChange = None,
    enabled: EnabledChange = None,
    apply_now: ApplyNowOption = None,
    file: FileOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Change parts of a schedule; windows and selector are replaced whole."""
    run = session(ctx)
    where = urls.path("schedules", schedule)
    present: Json = run.api.get(where)
    base = {**{key: present[key] for key in _KEPT}, **_read(file)}
    selector = _selector(run, account, endpoint, match)
    body = _body(present["name"], timezone, window, drain, selector, base=base)
    body |= switched(shadow, enabled)
    if apply_now:
        body["apply_now"] = [_endpoint_id(run, one) for one in apply_now]
    answer = changes.Change(run, dry_run=dry_run).send("PUT", where, body=body)
    if dry_run:
        changes.tell(run, answer)
    else:
        _show(run, answer)


@app.command(
    epilog="Example: orchestrator schedules preview office-hours --weeks 4; or without saving: "
    "schedules preview --timezone Europe/Berlin --window 'mon-fri 08:00-19:00' --match team=search"
)
def preview(
    ctx: typer.Context,
    schedule: Annotated[str | None, typer.Argument(help="A saved one; or describe one.")] = None,
    *,
    weeks: Annotated[int, typer.Option(min=1, max=26, help="How far ahead.")] = 2,
    timezone: ZoneOption = None,
    window: WindowOption = None,
    account: options.AccountOption = None,
    endpoint: EndpointOption = None,
    match: MatchOption = None,
    drain: DrainOption = None,
    file: FileOption = None,
) -> None:
    """Show the starts and stops of the coming weeks, with costs. Writes nothing."""
    run = session(ctx)
    if schedule:
        where = urls.path("schedules", schedule, "preview")
        found: Any = run.api.get(where, {"weeks": weeks})
    else:
        selector = _selector(run, account, endpoint, match)
        body = _body("preview", timezone, window, drain, selector, base=_read(file))
        where = urls.path("schedules", "preview")
        found = run.api.send("POST", where, query={"weeks": weeks}, body=body).payload
    _show_preview(run, found)


@app.command(epilog="Example: orchestrator schedules delete office-hours")
def delete(
    ctx: typer.Context,
    schedule: ScheduleArg,
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Delete a schedule; its endpoints then follow what a person last asked for."""
    remove(session(ctx), "schedules", schedule, yes=yes, dry_run=dry_run)


def remove(run: Session, kind: str, reference: str, *, yes: bool, dry_run: bool) -> None:
    """Delete a rule after asking."""
    if not dry_run:
        run.confirm(f"Delete {reference}?", yes=yes)
    answer = changes.Change(run, dry_run=dry_run).send("DELETE", urls.path(kind, reference))
    if answer is not None:
        changes.tell(run, answer)
    else:
        run.out.say(f"{reference} is deleted")


def switched(shadow: bool | None, enabled: bool | None) -> Json:
    """Return the switches that a person gave."""
    given = {"shadow": shadow, "enabled": enabled}
    return {key: value for key, value in given.items() if value is not None}


def selector_text(rule: Json) -> str:
    """Return what a rule binds to, in words."""
    selector = rule.get("selector") or {}
    parts = [f"{key} {selector[key]}" for key in ("account", "endpoint") if selector.get(key)]
    labels = selector.get("labels")
    return ", ".join(parts + ([formats.labels(labels)] if labels else [])) or "nothing"


def state_text(rule: Json) -> str:
    """Return whether a rule acts."""
    if not rule.get("enabled", True):
        return "off"
    return "shadow" if rule.get("shadow") else "on"


def _windows(schedule: Json) -> str:
    return "; ".join(_window(window) for window in schedule.get("windows") or [])


def _window(window: Any) -> str:
    if isinstance(window, str):
        return window
    days = window.get("days")
    shown = ",".join(map(str, days)) if isinstance(days, list) else str(days)
    keep = " keep running" if window.get("keep_running") else ""
    return f"{shown} {window.get('start')}-{window.get('end')}{keep}"


_COLUMNS = (
    Column("name", lambda s: s["name"]),
    Column("state", state_text),
    Column("zone", lambda s: s["timezone"]),
    Column("windows", _windows),
    Column("for", selector_text),
    Column("id", lambda s: s["id"], optional=True),
)


def _show(run: Session, schedule: Json) -> None:
    run.out.record(
        schedule,
        [
            ("name", schedule["name"]),
            ("id", schedule["id"]),
            ("state", state_text(schedule)),
            ("zone", schedule["timezone"]),
            ("windows", _windows(schedule)),
            ("drain", f"{schedule.get('drain_minutes')} min"),
            ("for", selector_text(schedule)),
            ("endpoints", covered_text(run, schedule)),
            *_findings(schedule),
        ],
    )


def covered_text(run: Session, rule: Json) -> str:
    """Return which endpoints a rule covers, and from when it acts on them."""
    return ", ".join(_covered(run, one) for one in rule.get("endpoints") or []) or "none"


def _covered(run: Session, one: Json) -> str:
    if not one.get("acts", True):
        return f"{one['name']} (not acted on)"
    acts_from = one.get("acts_from")
    return f"{one['name']} (from {run.out.at(acts_from)})" if acts_from else str(one["name"])


def _findings(answer: Json) -> list[tuple[str, str]]:
    return [("note", str(item["message"])) for item in answer.get("findings") or []]


def _show_preview(run: Session, found: Json) -> None:
    out = run.out
    if out.form == "json" or out.quiet:
        out.json(found)
        return
    hours = found.get("hours_per_week")
    out.say(f"zone {found.get('timezone')} (rules {found.get('tzdata')}), {hours} h per week")
    edges = [edge for week in found.get("weeks") or [] for edge in week.get("edges") or []]
    out.items(found, _EDGES, rows=edges, empty="no start or stop in this time")
    out.lines([""])
    out.items(found, _SAVINGS, rows=found.get("endpoints") or [], empty="it covers no endpoint")
    for _, text in _findings(found):
        out.note(f"note: {text}")


def _wall(text: str) -> str:
    """Return an instant as the wall clock that it is written in, such as `Mon 2026-03-02 08:00`."""
    return f"{datetime.fromisoformat(text):%a %Y-%m-%d %H:%M}"


def _amount(effect: Json, name: str) -> str:
    """Return an amount and what is not in it for want of a price: `$20.00 + unpriced disk`."""
    known = effect.get(name)
    left_out = [f"unpriced {one}" for one in effect.get("unpriced") or () if known]
    return " + ".join([formats.amount(known), *left_out])


_EDGES = (
    Column("local", lambda e: _wall(e["at_local"])),
    Column("UTC", lambda e: _wall(e["at_utc"])),
    Column("then", lambda e: str(e.get("wish"))),
)
_SAVINGS = (
    Column("endpoint", lambda e: str(e.get("name"))),
    Column("hours/month", lambda e: str(e.get("hours_month")), right=True),
    Column("cost/month", lambda e: _amount(e, "cost_month"), right=True),
    Column("always on", lambda e: _amount(e, "cost_month_always_on"), right=True),
    Column("as today", lambda e: _amount(e, "cost_month_today"), right=True),
)


def _selector(
    run: Session, account: str | None, endpoint: str | None, match: list[str] | None
) -> Json:
    given = {
        "account": account,
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
        "labels": options.pairs(match),
    }
    return {key: value for key, value in given.items() if value}


def _endpoint_id(run: Session, endpoint: str) -> str:
    found: Json = run.api.get(urls.path("endpoints", changes.resolve(run, endpoint)))
    return str(found["id"])


def _body(
    name: str,
    timezone: str | None,
    windows: list[str] | None,
    drain: int | None,
    selector: Json,
    *,
    base: Json,
) -> Json:
    """Return the schedule from a file and the options; options win."""
    given = {
        "timezone": timezone,
        "windows": windows,
        "drain_minutes": drain,
        "selector": selector or None,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    body = {**base, **chosen, "name": name}
    if not body.get("timezone") or not body.get("windows"):
        raise CliError(
            "a schedule needs a zone and a window",
            ExitCode.USAGE,
            "add --timezone Europe/Berlin --window 'mon-fri 08:00-19:00'",
        )
    return body


def _read(file: str | None) -> Json:
    if file is None:
        return {}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise CliError(f"--file cannot be read: {error}", ExitCode.USAGE) from None
    if not isinstance(content, dict):
        raise CliError("--file holds no JSON object", ExitCode.USAGE)
    return content
