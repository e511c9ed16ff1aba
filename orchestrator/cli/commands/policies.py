"""`orchestrator policies`: put to sleep what nobody uses."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, options, urls
from orchestrator.cli.commands.schedule_parts import EndpointOption, MatchOption, some_of
from orchestrator.cli.commands.schedules import (
    EnabledChange,
    ShadowChange,
    covered_text,
    findings_text,
    remove,
    selector_text,
    state_text,
    switched,
    told,
)
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Idle policies: put to sleep what nobody uses.", no_args_is_help=True)

PolicyArg = Annotated[str, typer.Argument(metavar="POLICY", help="Its id or name.")]


QuietOption = Annotated[
    list[str] | None,
    typer.Option(
        "--quiet-hours",
        metavar="WINDOW",
        help="When it does not act, such as 'mon-fri 09:00-18:00'; repeat it for more.",
    ),
]
QuietZoneOption = Annotated[
    str | None,
    typer.Option("--quiet-zone", metavar="ZONE", help="Whose clocks these go by; else UTC."),
]


@app.command("list", epilog="Example: orchestrator policies list")
def list_policies(ctx: typer.Context) -> None:
    """List policies."""
    run = session(ctx)
    run.out.items(run.api.pages(urls.path("policies")), _COLUMNS, empty="no policies")


@app.command(epilog="Example: orchestrator policies show idle-30")
def show(ctx: typer.Context, policy: PolicyArg) -> None:
    """Show one policy."""
    run = session(ctx)
    _show(run, run.api.get(urls.path("policies", policy)))


@app.command(
    epilog="Example: orchestrator policies create idle-30 --idle 30 --match stage=test --shadow"
)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you will call it.")],
    *,
    idle: Annotated[int, typer.Option(min=1, help="Minutes without a request.")],
    min_awake: Annotated[
        int, typer.Option(min=0, help="Minutes that it stays awake after each start.")
    ] = 0,
    action: Annotated[str, typer.Option(help="scale_to_zero, or pause.")] = "scale_to_zero",
    account: options.AccountOption = None,
    endpoint: EndpointOption = None,
    match: MatchOption = None,
    quiet: QuietOption = None,
    quiet_zone: QuietZoneOption = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Only record what it would have done.")
    ] = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Save an idle policy. Missing evidence never puts anything to sleep."""
    run = session(ctx)
    body = {
        "name": name,
        "kind": "idle",
        "timeout_minutes": idle,
        "min_awake_minutes": min_awake,
        "action": action,
        "selector": some_of(run, account, endpoint, match),
        "quiet_hours": _quiet(quiet, quiet_zone, None),
        "shadow": shadow,
    }
    answer = changes.Change(run, dry_run=dry_run).send("POST", urls.path("policies"), body=body)
    told(run, answer, _show, dry_run=dry_run)


@app.command(epilog="Example: orchestrator policies update idle-30 --no-shadow")
def update(
    ctx: typer.Context,
    policy: PolicyArg,
    *,
    idle: Annotated[int | None, typer.Option(min=1, help="Minutes without a request.")] = None,
    min_awake: Annotated[int | None, typer.Option(min=0, help="Minutes awake.")] = None,
    action: Annotated[str | None, typer.Option(help="scale_to_zero, or pause.")] = None,
    quiet: QuietOption = None,
    quiet_zone: QuietZoneOption = None,
    no_quiet: Annotated[
        bool, typer.Option("--no-quiet-hours", help="Without quiet hours.")
    ] = False,
    shadow: ShadowChange = None,
    enabled: EnabledChange = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Change parts of a policy."""
    run = session(ctx)
    where = urls.path("policies", policy)
    present: dict[str, Any] = run.api.get(where)
    given = {"timeout_minutes": idle, "min_awake_minutes": min_awake, "action": action}
    body = {key: present[key] for key in ("name", "selector", "shadow", "enabled", *given)}
    body |= {key: value for key, value in given.items() if value is not None}
    body |= switched(shadow, enabled)
    present_hours = present.get("quiet_hours")
    body["quiet_hours"] = None if no_quiet else _quiet(quiet, quiet_zone, present_hours)
    answer = changes.Change(run, dry_run=dry_run).send("PUT", where, body=body)
    told(run, answer, _show, dry_run=dry_run)


@app.command(epilog="Example: orchestrator policies delete idle-30")
def delete(
    ctx: typer.Context,
    policy: PolicyArg,
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Delete a policy."""
    remove(session(ctx), "policies", policy, yes=yes, dry_run=dry_run)


_COLUMNS = (
    Column("name", lambda p: p["name"]),
    Column("state", state_text),
    Column("idle", lambda p: f"{p['timeout_minutes']} min", right=True),
    Column("then", lambda p: str(p["action"]).replace("_", " ")),
    Column("for", selector_text),
    Column("id", lambda p: p["id"], optional=True),
)


def _quiet(
    windows: list[str] | None, timezone: str | None, present: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Return quiet hours as they are sent: the present ones but for what is given."""
    if not windows and present is None:
        if timezone:
            raise CliError(
                "--quiet-zone without quiet hours", ExitCode.USAGE, "give --quiet-hours WINDOW too"
            )
        return None
    zone = timezone or (present or {}).get("timezone") or "UTC"
    return {"timezone": zone, "windows": windows or (present or {})["windows"]}


def _quiet_text(policy: dict[str, Any]) -> str:
    hours = policy.get("quiet_hours")
    return f"{', '.join(hours['windows'])} in {hours['timezone']}" if hours else "never"


def _show(run: Session, policy: dict[str, Any]) -> None:
    run.out.record(
        policy,
        [
            ("name", policy["name"]),
            ("id", policy["id"]),
            ("state", state_text(policy)),
            ("idle", f"{policy['timeout_minutes']} min without a request"),
            ("awake", f"at least {policy.get('min_awake_minutes', 0)} min after each start"),
            ("then", str(policy["action"]).replace("_", " ")),
            ("quiet", _quiet_text(policy)),
            ("for", selector_text(policy)),
            ("endpoints", covered_text(run, policy)),
            *findings_text(policy),
        ],
    )
