"""`orchestrator schedules`: when endpoints may sleep."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.commands import schedule_parts as parts
from orchestrator.cli.option_groups import taking
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Schedules: windows in which endpoints are up.", no_args_is_help=True)
Json = dict[str, Any]
Shown = Callable[[Session, Json], None]

ScheduleArg = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its id or name.")]
ShadowChange = Annotated[
    bool | None, typer.Option("--shadow/--no-shadow", help="Only record, or act.")
]
EnabledChange = Annotated[bool | None, typer.Option("--enable/--disable", help="Switch it.")]
_KEPT = (
    *("timezone", "windows", "points", "dates", "calendars"),
    *("drain_minutes", "selector", "shadow", "enabled"),
)


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
@taking(parts.described)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you will call it.")],
    *,
    given: parts.Given,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Only record what it would have done.")
    ] = False,
    apply_now: parts.ApplyNowOption = None,
    dry_run: options.DryRunOption = False,
    yes: options.YesOption = False,
) -> None:
    """Save a schedule. It acts from its next edge, unless --apply-now names an endpoint."""
    run = session(ctx)
    body = parts.body_of(name, given.chosen(run), given.base())
    if shadow:
        body["shadow"] = True
    where = urls.path("schedules")
    answer = parts.save(run, "POST", where, body, apply_now, dry_run=dry_run, yes=yes)
    told(run, answer, _show, dry_run=dry_run)


@app.command(epilog="Example: orchestrator schedules update office-hours --no-shadow")
@taking(parts.described)
def update(
    ctx: typer.Context,
    schedule: ScheduleArg,
    *,
    given: parts.Given,
    clear: parts.ClearOption = None,
    shadow: ShadowChange = None,
    enabled: EnabledChange = None,
    apply_now: parts.ApplyNowOption = None,
    dry_run: options.DryRunOption = False,
    yes: options.YesOption = False,
) -> None:
    """Change parts of a schedule; windows, points, dates and selector are replaced whole."""
    run = session(ctx)
    where = urls.path("schedules", schedule)
    _, body = _changed(run, schedule, given, clear)
    body |= switched(shadow, enabled)
    answer = parts.save(run, "PUT", where, body, apply_now, dry_run=dry_run, yes=yes)
    told(run, answer, _show, dry_run=dry_run)


@app.command(
    epilog="Example: orchestrator schedules preview office-hours --weeks 4; a change of it: "
    "schedules preview office-hours --window 'mon-fri 08:00-17:00'; or without saving: "
    "schedules preview --timezone Europe/Berlin --window 'mon-fri 08:00-19:00' --match team=search"
)
@taking(parts.described)
def preview(
    ctx: typer.Context,
    schedule: Annotated[
        str | None, typer.Argument(help="A saved one, as it is or as options change it.")
    ] = None,
    *,
    weeks: Annotated[int, typer.Option(min=1, max=26, help="How far ahead.")] = 2,
    given: parts.Given,
    clear: parts.ClearOption = None,
) -> None:
    """Show the starts and stops of the coming weeks, with costs. Writes nothing.

    With a saved schedule and options, it is shown as `update` would save it, against today.
    """
    run = session(ctx)
    if schedule and not (given.anything or clear):
        where = urls.path("schedules", schedule, "preview")
        found: Any = run.api.get(where, {"weeks": weeks})
    else:
        if schedule:
            key, body = _changed(run, schedule, given, clear)
            body["replaces"] = key
        else:
            body = parts.body_of("preview", given.chosen(run), given.base(), clear)
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


def _changed(
    run: Session, schedule: str, given: parts.Given, clear: list[parts.Part] | None
) -> tuple[str, Json]:
    """Return the id of a saved schedule, and what it becomes by the options."""
    present: Json = run.api.get(urls.path("schedules", schedule))
    base = {**{key: present[key] for key in _KEPT if key in present}, **given.base()}
    return present["id"], parts.body_of(present["name"], given.chosen(run), base, clear)


def told(run: Session, answer: Any, show: Shown, *, dry_run: bool) -> None:
    """Show a rule that was saved, or say what a rehearsal tells."""
    if dry_run:
        changes.tell(run, answer)
    else:
        show(run, answer)


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
    texts = [_window(window) for window in schedule.get("windows") or []]
    return "; ".join(texts + [_point(point) for point in schedule.get("points") or []])


def _window(window: Any) -> str:
    if isinstance(window, str):
        return window
    days = [
        *map(str, window.get("days") or []),
        *(f"day {day}" for day in window.get("month_days") or []),
        *map(str, window.get("nth_weekdays") or []),
    ]
    return f"{','.join(days)} {_times(window)}"


def _times(window: Json) -> str:
    keep = " keep running" if window.get("keep_running") else ""
    ready = " ready by" if window.get("ready_by") else ""
    return f"{window.get('start')}-{window.get('end')}{keep}{ready}"


def _point(point: Any) -> str:
    return point if isinstance(point, str) else f"{point['action']} at {point['expression']}"


def _date(one: Json) -> str:
    times = ", ".join(_times(window) for window in one.get("windows") or [])
    note = f"({one['note']})" if one.get("note") else ""
    return " ".join(part for part in (str(one["date"]), str(one["kind"]), times, note) if part)


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
            ("dates", "; ".join(_date(one) for one in schedule.get("dates") or [])),
            ("calendars", ", ".join(schedule.get("calendars") or [])),
            ("drain", f"{schedule.get('drain_minutes')} min"),
            ("for", selector_text(schedule)),
            ("endpoints", covered_text(run, schedule)),
            *findings_text(schedule),
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


def findings_text(answer: Json) -> list[tuple[str, str]]:
    """Return what is odd about a rule, as lines of its record."""
    return [("note", str(item["message"])) for item in answer.get("findings") or []]


def _show_preview(run: Session, found: Json) -> None:
    out = run.out
    if out.form == "json" or out.quiet:
        out.json(found)
        return
    hours = found.get("hours_per_week")
    out.say(f"zone {found.get('timezone')} (rules {found.get('tzdata')}), {hours} h per week")
    rows = [row for week in found.get("weeks") or [] for row in _rows_of(week)]
    out.items(found, _EDGES, rows=rows, empty="no start or stop in this time")
    out.lines([""])
    effects = [*(found.get("endpoints") or []), *_total(found)]
    out.items(found, _SAVINGS, rows=effects, empty="it covers no endpoint")
    for one in found.get("endpoints") or []:
        if one.get("start_up"):
            early = one["start_up"]
            out.say(f"{one['name']} starts {early['minutes']} min early: {early['detail']}")
    for start in found.get("starts") or []:
        if start.get("remarks"):
            remarks = "; ".join(start["remarks"])
            out.say(f"{start['name']}, {_wall(start['at_local'])}: {remarks}")
    for _, text in findings_text(found):
        out.note(f"note: {text}")
    if found.get("left_aside"):
        out.note(f"left aside: {found['left_aside']}")


def _rows_of(week: Json) -> list[Json]:
    """Return the edges, points and days off of a week in the order of their local time."""
    rows = [{**edge, "then": str(edge.get("wish"))} for edge in week.get("edges") or []]
    rows += [
        {**one, "then": f"{one['action']} point {one['expression']}"}
        for one in week.get("points") or []
    ]
    rows += [
        {"at_local": one["date"], "at_utc": "", "then": f"day off: {one['name']}"}
        for one in week.get("days_off") or []
    ]
    return sorted(rows, key=lambda row: str(row["at_local"]))


def _total(found: Json) -> list[Json]:
    """Return the sum of what has a price, where there is more than one endpoint."""
    if not found.get("total") or len(found.get("endpoints") or []) < 2:
        return []
    left = found["total"].get("unpriced")
    return [
        {**found["total"], "name": f"all but {left} unpriced" if left else "all", "unpriced": []}
    ]


def _wall(text: str) -> str:
    """Return an instant as the wall clock that it is written in, such as `Mon 2026-03-02 08:00`."""
    shape = "%a %Y-%m-%d" if len(text) == len("2026-03-02") else "%a %Y-%m-%d %H:%M"
    return datetime.fromisoformat(text).strftime(shape) if text else ""


def _amount(effect: Json, name: str) -> str:
    """Return an amount and what is not in it for want of a price: `$20.00 + unpriced disk`."""
    known = effect.get(name)
    left_out = [f"unpriced {one}" for one in effect.get("unpriced") or () if known]
    return " + ".join([formats.amount(known), *left_out])


_EDGES = (
    Column("local", lambda e: _wall(e["at_local"])),
    Column("UTC", lambda e: _wall(e["at_utc"])),
    Column("then", lambda e: str(e["then"])),
)
_SAVINGS = (
    Column("endpoint", lambda e: f"{e.get('name')}{' (let go)' if e.get('let_go') else ''}"),
    Column("hours/month", lambda e: str(e.get("hours_month")), right=True),
    Column("cost/month", lambda e: _amount(e, "cost_month"), right=True),
    Column("always on", lambda e: _amount(e, "cost_month_always_on"), right=True),
    Column("as today", lambda e: _amount(e, "cost_month_today"), right=True),
)
