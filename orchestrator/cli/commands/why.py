"""`orchestrator why`, `timeline`, `what-if` and `shadow`: why it was, is and will be so."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.commands import endpoints
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column, status_style
from orchestrator.cli.session import Session, session

Json = Mapping[str, Any]
Wanted = Literal["running", "paused"]
_BACK = "-"
_UNSEEN = ("", "unobserved", "unconfirmed")
_FIRST, _LAST = timedelta(days=-7), timedelta(days=2)
AtOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="At this instant, such as 2026-03-01T18:00Z, or -2h (ago)."),
]
NotOption = Annotated[
    Wanted | None, typer.Option("--not", help="Say what would have to change for it to be so.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Since then, such as -7d.")
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Until then.")]


def why(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    at: AtOption = None,
    wanted: NotOption = None,
) -> None:
    """Say why an endpoint runs or sleeps, or why not: every rule that was asked, in order."""
    run = session(ctx)
    where = urls.path("endpoints", changes.resolve(run, endpoint), "why")
    found: Any = run.api.get(where, {"at": _instant(run, at), "not": wanted})
    out = run.out
    if out.form == "json" or run.quiet:
        out.record(found, [], key="wish")
        return
    _headline(run, found, endpoint)
    if found.get("why_not"):
        _why_not(run, found["why_not"])
    if found.get("considered"):
        out.lines([""])
        out.items(found, _RULES, rows=found["considered"])
        out.lines(_looked_at(run, found["considered"]))


def _headline(run: Session, found: Json, endpoint: str) -> None:
    out = run.out
    target = found.get("endpoint") or {}
    name = target.get("name", endpoint) if isinstance(target, dict) else endpoint
    when = "" if found.get("basis", "now") == "now" else f" at {out.at(found['at'])}"
    if not found.get("known", True):
        out.say(f"{name}{when}: not known, because {found.get('unknown_because')}")
        return
    out.say(f"{name}{when}: {found.get('wish') or 'no wish'}, decided by {found.get('rule')}")
    out.say(f"because {found.get('reason')}")
    if found.get("barrier"):
        out.say(f"not done: {found['barrier']}")
    following = found.get("next_change")
    if following and following["wish"] == found.get("wish"):
        out.say(f"next: rules are asked again at {out.at(following['at'])}; it stays so")
    elif following:
        out.say(f"next: {endpoints.next_change(run, found)}")
    for doubt in found.get("doubts") or []:
        out.say(f"but: {doubt}")


def _why_not(run: Session, told: Json) -> None:
    out = run.out
    out.lines([""])
    out.say(f"not {told['wanted']}: {told['detail']}")
    for one in told["obstacles"]:
        until = f" until {out.at(one['until'])}" if one["until"] else ""
        first = "then" if one["later_rule"] else "in the way:"
        out.say(f"  {first} {one['rule']}{until}: {one['reason']}")
        out.say(f"    {one['remedy']}")
    if told["by_itself"]:
        out.say(f"  by itself: {out.at(told['by_itself'])}")


def _looked_at(run: Session, considered: Sequence[Json]) -> list[str]:
    lines = [""]
    for one in considered:
        lines += [f"{one['rule']}: {text}" for text in _inputs(run, one.get("inputs") or {})]
    return [formats.plain(line) for line in lines] if len(lines) > 1 else []


def _inputs(run: Session, inputs: Json) -> list[str]:
    at = run.out.at
    lines = [
        f"{hold['wish']} until {at(hold['until'])} by {hold['actor']}: {hold['reason']}"
        for hold in inputs.get("holds") or []
    ]
    for one in inputs.get("schedules") or []:
        today = ", ".join(window["local"] for window in one["windows_today"]) or "no window"
        off = ", a day off" if one["day_off"] else ""
        lines.append(f"{one['name']} ({one['local_time']} {one['timezone']}{off}): {today}")
    lines += [
        f"{one['name']}, {one['timeout_minutes']:g} min: {one['verdict']}, {one['finding']}"
        for one in inputs.get("policies") or []
    ]
    evidence = inputs.get("evidence")
    if evidence:
        fresh = "fresh" if evidence["fresh"] else "not fresh"
        last = at(evidence["last_request_at"])
        lines.append(f"last request {last}; known to {at(evidence['covered_to'])}, {fresh}")
    if inputs.get("expires_at"):
        lines.append(f"expires {at(inputs['expires_at'])}, set by {inputs['actor']}")
    return lines


def timeline(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    start: FromOption = None,
    end: ToOption = None,
) -> None:
    """Show what an endpoint did and cost, by which rule, and what the rules will do.

    Without a span: the last week and the next two days.
    """
    run = session(ctx)
    where = urls.path("endpoints", changes.resolve(run, endpoint), "timeline")
    now = run.clock.now()
    first = _instant(run, start) or formats.rfc3339(now + _FIRST)
    last = _instant(run, end) or formats.rfc3339(now + _LAST)
    found: Any = run.api.get(where, {"from": first, "to": last})
    run.out.items(found, _spans(run), rows=found["spans"], key="start", empty="nothing is known")
    if run.out.form == "json" or run.quiet:
        return
    past, ahead = _known(found["past_cost"]), _known(found["future_cost"])
    run.out.say(f"so far {past}, ahead {ahead}")
    if found["assumption"]:
        run.out.say(f"ahead: {found['assumption']}")


def what_if(
    ctx: typer.Context,
    *,
    start: FromOption = "-30d",
    end: ToOption = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            metavar="RULE",
            help="This saved rule in earnest, on what it covers; repeatable.",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="RULE", help="Without this rule; repeatable."),
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option("--window", metavar="WINDOW", help="A schedule of such windows; repeatable."),
    ] = None,
    timezone: Annotated[str, typer.Option(help="The zone of the windows, and of --ttl.")] = "UTC",
    idle: Annotated[
        int | None, typer.Option("--idle", min=1, metavar="MINUTES", help="Such an idle policy.")
    ] = None,
    action: Annotated[str, typer.Option(help="scale_to_zero or pause.")] = "scale_to_zero",
    ttl: Annotated[
        str | None,
        typer.Option("--ttl", metavar="TTL", help="Such a time to live, such as 14d or 10wd."),
    ] = None,
    instead: Annotated[
        bool, typer.Option("--instead", help="In the place of all rules that there were.")
    ] = False,
    account: options.AccountOption = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="ENDPOINT", help="This one endpoint.")
    ] = None,
    match: Annotated[
        list[str] | None,
        typer.Option("--match", metavar="KEY=VALUE", help="With this label; repeatable."),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="The whole question as JSON.")
    ] = None,
) -> None:
    """Run a span of the past again under other rules: hours, cost, cold starts, who waits."""
    run = session(ctx)
    body = _read(file)
    body.setdefault("from", _instant(run, start))
    if end:
        body["to"] = _instant(run, end)
    selector = _selector(run, account, endpoint, match)
    if selector:
        body["selector"] = selector
    if window:
        body["schedule"] = {"timezone": timezone, "windows": window}
    if idle is not None:
        body["policy"] = {"timeout_minutes": idle, "action": action}
    if ttl:
        body["expiry"] = {"ttl": ttl, "timezone": timezone}
    for name, value in (("rules", rule), ("without", without), ("instead", instead)):
        if value:
            body[name] = value
    found: Any = run.api.send("POST", urls.path("reports", "what-if"), body=body).payload
    rows = [one for one in found["items"] if one["compared"]]
    run.out.items(found, _COMPARED, rows=rows, empty="nothing of that time is known")
    if run.out.form == "json" or run.quiet:
        return
    if rows:
        sides = ("metered", "again", "other", "saved")
        metered, again, other, saved = (formats.money(found[side]) for side in sides)
        run.out.say(f"metered {metered}; the same rules run again {again}, other rules {other}")
        run.out.say(f"saved {saved}: again less other")
    for one in found["items"]:
        for gap in one["not_compared"]:
            span = f"{run.out.at(gap['start'])} to {run.out.at(gap['end'])}"
            run.out.note(f"{one['endpoint']['name']}: not compared {span}: {gap['why']}")
    run.out.note(f"assumed: {'; '.join(found['assumptions'])}")


def shadow(
    ctx: typer.Context,
    *,
    start: FromOption = None,
    end: ToOption = None,
    rule: Annotated[str | None, typer.Option(metavar="ID", help="Only this rule.")] = None,
    account: options.AccountOption = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="ENDPOINT", help="Only this endpoint.")
    ] = None,
) -> None:
    """Show what rules in shadow would have done: slept, saved, and who would have waited."""
    run = session(ctx)
    query = {
        "from": _instant(run, start),
        "to": _instant(run, end),
        "rule": rule,
        "account": account,
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
    }
    found: Any = run.api.get(urls.path("reports", "shadow"), query)
    run.out.items(found, _SHADOW, empty="no rule was in shadow in that time")


def _instant(run: Session, text: str | None) -> str | None:
    """Return an instant for the API; `-2h` is two hours ago."""
    if text is None or not text.startswith(_BACK):
        return run.instant(text)
    now = run.clock.now()
    ahead: datetime | None = run.moment(text.removeprefix(_BACK))
    return None if ahead is None else formats.rfc3339(now - (ahead - now))


def _selector(
    run: Session, account: str | None, endpoint: str | None, match: list[str] | None
) -> dict[str, Any]:
    selector: dict[str, Any] = {}
    if account:
        selector["account"] = account
    if endpoint:
        selector["endpoint"] = changes.resolve(run, endpoint)
    if match:
        selector["labels"] = options.pairs(match)
    return selector


def _read(file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise CliError(f"{file} cannot be read: {error}", ExitCode.USAGE) from None
    if not isinstance(found, dict):
        raise CliError(f"{file} holds no JSON object", ExitCode.USAGE)
    return found


def _spans(run: Session) -> list[Column]:
    return [
        Column("from", lambda s: run.out.at(s["start"])),
        Column("for", _length, right=True),
        Column("status", lambda s: s["status"] or "?", style=status_style),
        Column("wanted", lambda s: s["wish"] or formats.NOTHING),
        Column("cost", lambda s: _known(s["cost"]), right=True),
        Column("rule", lambda s: s["rule"].partition(":")[0]),
        Column("why", _reason, optional=True),
    ]


def _reason(span: Json) -> str:
    ahead = "expected: " if span["phase"] == "future" else ""
    idle = "; sleeps if no request comes" if span["may_sleep"] else ""
    unseen = "; nobody looked" if span["evidence"] in _UNSEEN else ""
    return f"{ahead}{span['reason']}{idle}{unseen}".removeprefix("; ")


def _known(figure: Json | None) -> str:
    """Return a figure; a time of which nothing is known has none."""
    return formats.NOTHING if figure is None else formats.money(figure)


def _length(span: Json) -> str:
    start, end = (datetime.fromisoformat(span[name]) for name in ("start", "end"))
    return formats.duration((end - start).total_seconds())


def _awake(item: Json, side: str) -> str:
    return _number(item["compared"][side]["hours_awake"], 1)


def _number(found: Json, places: int = 0) -> str:
    low, expected, high = (found[name] for name in ("low", "expected", "high"))
    if low == high:
        return f"{expected:,.{places}f}"
    return f"{expected:,.{places}f} ({low:,.{places}f} to {high:,.{places}f})"


_RULES = (
    Column("rule", lambda r: str(r.get("rule"))),
    Column("outcome", lambda r: str(r.get("outcome") or "").replace("_", " ")),
    Column("detail", lambda r: str(r.get("detail") or "")),
)
_COMPARED = (
    Column("endpoint", lambda i: i["endpoint"]["name"]),
    Column("metered", lambda i: formats.money(i["compared"]["metered"]["cost"]), right=True),
    Column("again", lambda i: formats.money(i["compared"]["again"]["cost"]), right=True),
    Column("other", lambda i: formats.money(i["compared"]["other"]["cost"]), right=True),
    Column("saved", lambda i: formats.money(i["compared"]["saved"]), right=True),
    Column("wait", lambda i: _number(i["compared"]["requests_that_wait"]), right=True),
    Column("refused", lambda i: _number(i["compared"]["requests_refused"]), right=True),
    Column("metered h", lambda i: _awake(i, "metered"), right=True, optional=True),
    Column("again h", lambda i: _awake(i, "again"), right=True, optional=True),
    Column("other h", lambda i: _awake(i, "other"), right=True, optional=True),
    Column(
        "starts",
        lambda i: _number(i["compared"]["other"]["cold_starts"]),
        right=True,
        optional=True,
    ),
    Column(
        "unknown h", lambda i: f"{i['compared']['unknown_hours']:,.1f}", right=True, optional=True
    ),
)
_SHADOW = (
    Column("rule", lambda i: i["rule"]["name"]),
    Column("endpoint", lambda i: i["endpoint"]["name"]),
    Column("in shadow h", lambda i: f"{i['hours_in_shadow']:,.1f}", right=True),
    Column("asleep h", lambda i: f"{i['hours_asleep']:,.1f}", right=True),
    Column("times", lambda i: str(i["times_asleep"]), right=True),
    Column("saved", lambda i: formats.money(i["saved"]), right=True),
    Column("wait", lambda i: _number(i["requests_that_wait"]), right=True),
    Column("refused", lambda i: _number(i["requests_refused"]), right=True),
    Column("unknown h", lambda i: f"{i['unknown_hours']:,.1f}", right=True),
    Column("owner", lambda i: i["owner"] or formats.NOTHING, optional=True),
)
endpoints.app.command("why", epilog="Example: orchestrator endpoints why search-api")(why)
