"""`orchestrator endpoints expire|extend` and `orchestrator expiry-policies`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.commands.endpoints import app as endpoints_app
from orchestrator.cli.commands.schedule_parts import EndpointOption, MatchOption, some_of
from orchestrator.cli.commands.schedules import EnabledChange, remove, selector_text, switched, told
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.option_groups import taking
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Expiry policies: how long endpoints live.", no_args_is_help=True)

ZoneOption = Annotated[
    str | None, typer.Option("--timezone", metavar="ZONE", help="For dates and working days.")
]
CalendarOption = Annotated[
    list[str] | None,
    typer.Option("--calendar", metavar="NAME", help="Whose days off do not count; repeatable."),
]
GraceOption = Annotated[
    str | None,
    typer.Option("--then-delete", metavar="TIME", help="Delete it so long after; none for never."),
]
Json = dict[str, Any]
_KEPT = (
    *("name", "selector", "default_ttl", "max_ttl", "max_extension", "max_extensions"),
    *("warn_before", "delete_grace", "timezone", "calendars", "enabled"),
)
PolicyArg = Annotated[str, typer.Argument(metavar="POLICY", help="Its id or name.")]
TtlOption = Annotated[str | None, typer.Option(metavar="TIME", help="14d, 2w, or 10wd.")]


@endpoints_app.command(
    epilog="Example: orchestrator endpoints expire trial-7b --in 14d --then-delete 7d"
)
def expire(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    ttl: Annotated[
        str | None,
        typer.Option("--in", metavar="TIME", help="So long from now: 14d, 36h, 5wd."),
    ] = None,
    on: Annotated[
        str | None, typer.Option(metavar="DATE", help="At the end of a date, or at an instant.")
    ] = None,
    never: Annotated[bool, typer.Option("--never", help="Take its expiry off.")] = False,
    timezone: ZoneOption = None,
    calendar: CalendarOption = None,
    then_delete: GraceOption = None,
    reason: options.ReasonOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Say when an endpoint expires: it is paused then, after warnings."""
    run = session(ctx)
    if sum(bool(one) for one in (ttl, on, never)) != 1:
        raise CliError("when?", ExitCode.USAGE, "give one of --in 14d, --on 2026-12-24, --never")
    where = urls.path("endpoints", changes.resolve(run, endpoint), "expiry")
    change = changes.Change(run, dry_run=dry_run)
    if never:
        _tell(run, change.send("DELETE", where, query={"reason": reason}), dry_run=dry_run)
        return
    body = _given(
        expires=ttl or on,
        timezone=timezone,
        calendars=calendar,
        delete_grace=then_delete,
        reason=reason,
    )
    _tell(run, change.send("PUT", where, body=body), dry_run=dry_run)


@endpoints_app.command(
    epilog="Example: orchestrator endpoints extend trial-7b --for 3d --reason 'review on Monday'"
)
def extend(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    by: Annotated[
        str, typer.Option("--for", metavar="TIME", help="By so much: 3d, 12h, 5wd, or to a date.")
    ],
    timezone: ZoneOption = None,
    calendar: CalendarOption = None,
    reason: options.ReasonOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Put the expiry of an endpoint off; what has expired comes back."""
    run = session(ctx)
    where = urls.path("endpoints", changes.resolve(run, endpoint), "extend")
    body: dict[str, Any] = {"for": by}
    body |= _given(timezone=timezone, calendars=calendar, reason=reason)
    answer = changes.Change(run, dry_run=dry_run).send("POST", where, body=body)
    _tell(run, answer, dry_run=dry_run)


def limits(
    *,
    default: TtlOption = None,
    longest: TtlOption = None,
    extension: TtlOption = None,
    times: Annotated[int | None, typer.Option(min=0, help="How often at most.")] = None,
    warn: Annotated[
        list[str] | None, typer.Option(metavar="TIME", help="So long before; repeatable.")
    ] = None,
    then_delete: GraceOption = None,
    timezone: ZoneOption = None,
    calendar: CalendarOption = None,
) -> Json:
    """Return what the options say of how long endpoints live."""
    return _given(
        default_ttl=default,
        max_ttl=longest,
        max_extension=extension,
        max_extensions=times,
        warn_before=warn,
        delete_grace=then_delete,
        timezone=timezone,
        calendars=calendar,
    )


@app.command("list", epilog="Example: orchestrator expiry-policies list")
def list_policies(ctx: typer.Context) -> None:
    """List expiry policies."""
    run = session(ctx)
    columns = (
        Column("name", lambda p: p["name"]),
        Column("new ones", lambda p: p["default_ttl"] or formats.NOTHING),
        Column("longest", lambda p: p["max_ttl"] or formats.NOTHING),
        Column("extended by", lambda p: p["max_extension"] or formats.NOTHING),
        Column("times", lambda p: _count(p["max_extensions"]), right=True),
        Column("deleted after", lambda p: p["delete_grace"] or formats.NOTHING),
        Column("for", selector_text),
        Column("id", lambda p: p["id"], optional=True),
    )
    found = run.api.pages(urls.path("expiry-policies"))
    run.out.items(found, columns, empty="no expiry policies")


@app.command(epilog="Example: orchestrator expiry-policies show trials")
def show(ctx: typer.Context, policy: PolicyArg) -> None:
    """Show one expiry policy."""
    run = session(ctx)
    _show(run, run.api.get(urls.path("expiry-policies", policy)))


@app.command(
    epilog="Example: orchestrator expiry-policies create trials --default 14d --longest 30d "
    "--extension 7d --times 3 --warn 3d --warn 1d --then-delete 7d --match stage=trial"
)
@taking(limits)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you will call it.")],
    *,
    given: Json,
    account: options.AccountOption = None,
    endpoint: EndpointOption = None,
    match: MatchOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Save an expiry policy: a default for new endpoints, and limits on what people ask for."""
    run = session(ctx)
    selector = some_of(run, account, endpoint, match)
    body = {"name": name, "selector": selector, **given}
    where = urls.path("expiry-policies")
    answer = changes.Change(run, dry_run=dry_run).send("POST", where, body=body)
    told(run, answer, _show, dry_run=dry_run)


@app.command(epilog="Example: orchestrator expiry-policies update trials --longest 60d")
@taking(limits)
def update(
    ctx: typer.Context,
    policy: PolicyArg,
    *,
    given: Json,
    enabled: EnabledChange = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Change parts of an expiry policy; ends that are set stay set."""
    run = session(ctx)
    where = urls.path("expiry-policies", policy)
    present: Json = run.api.get(where)
    body = {key: present[key] for key in _KEPT} | given | switched(None, enabled)
    answer = changes.Change(run, dry_run=dry_run).send("PUT", where, body=body)
    told(run, answer, _show, dry_run=dry_run)


@app.command(epilog="Example: orchestrator expiry-policies delete trials")
def delete(
    ctx: typer.Context,
    policy: PolicyArg,
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Delete an expiry policy; what was set by it stays set."""
    remove(session(ctx), "expiry-policies", policy, yes=yes, dry_run=dry_run)


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, [], {})}


def _tell(run: Session, answer: Any, *, dry_run: bool) -> None:
    if run.out.form == "json" or run.quiet:
        changes.tell(run, answer)
        return
    found = answer["would"] if dry_run else answer
    name, expiry = changes.full_name(found), found["expiry"]
    would = "would expire" if dry_run else "expires"
    if expiry is None:
        run.out.say(f"{name} {'would never expire' if dry_run else 'never expires'}")
        return
    run.out.say(f"{name} {would} at {run.out.at(expiry['at'])}: it is paused then")
    if expiry["delete_grace_seconds"] is not None:
        length = formats.duration(expiry["delete_grace_seconds"])
        run.out.say(f"it is deleted {length} after that, unless somebody extends it")
    if expiry["next_warning_at"]:
        run.out.note(f"people are warned at {run.out.at(expiry['next_warning_at'])}")
    operation = found.get("operation")
    if operation is not None:
        run.out.say(f"{operation['kind']} of {found['name']}: {operation['status']}")


def _count(times: int | None) -> str:
    return formats.NOTHING if times is None else str(times)


def _show(run: Session, policy: dict[str, Any]) -> None:
    zone = ", ".join([policy["timezone"], *policy["calendars"]])
    run.out.record(
        policy,
        [
            ("name", policy["name"]),
            ("id", policy["id"]),
            ("new endpoints", policy["default_ttl"] or policy["max_ttl"] or "never expire"),
            ("at most", policy["max_ttl"] or "no limit"),
            ("one extension", policy["max_extension"] or "no limit"),
            ("extensions", _count(policy["max_extensions"])),
            ("warned", ", ".join(policy["warn_before"]) or "3d, 1d, 1h before"),
            ("deleted", policy["delete_grace"] or "never"),
            ("zone", zone),
            ("for", selector_text(policy)),
            ("endpoints", ", ".join(one["name"] for one in policy["endpoints"]) or "none"),
        ],
    )
