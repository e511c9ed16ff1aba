"""`orchestrator notifications`: whom to tell what happens, and what reached them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(
    help="Notifications: whom to tell what happens, and what reached them.", no_args_is_help=True
)

Json = dict[str, Any]
TARGETS = "notification-targets"
TargetArg = Annotated[str, typer.Argument(metavar="TARGET", help="Its id or name.")]
Least = Literal["info", "warning", "critical"]


@app.command(epilog="Example: orchestrator notifications targets")
def targets(ctx: typer.Context) -> None:
    """List targets with their health."""
    run = session(ctx)
    run.out.items(
        run.api.pages(urls.path(TARGETS)),
        (
            Column("name", lambda t: t["name"]),
            Column("kind", lambda t: t["kind"]),
            Column("tells of", _wants),
            Column("health", lambda t: _health(run, t), style=_style),
            Column("waiting", lambda t: str(t["health"]["pending"]), right=True),
            Column("failed", lambda t: str(t["health"]["failed"]), right=True),
            Column("id", lambda t: t["id"], optional=True),
        ),
        empty="nobody is told yet; add a target with `orchestrator notifications add`",
    )


@app.command(epilog="Example: orchestrator notifications show ops")
def show(ctx: typer.Context, target: TargetArg) -> None:
    """Show one target."""
    run = session(ctx)
    _show(run, run.api.get(urls.path(TARGETS, target)))


@app.command(
    epilog="Examples: orchestrator notifications add ops --webhook https://hooks.example.org/in "
    "--secret env:OPS_SECRET; orchestrator notifications add chat --apprise env:SLACK_ADDRESS "
    "--kind 'endpoint.deletion_*' --match team=search"
)
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you will call it.")],
    *,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL|REF", help="A web address without secrets, or env:NAME or file:/path."
        ),
    ] = None,
    apprise: Annotated[
        str | None,
        typer.Option(metavar="REF", help="env:NAME or file:/path of an address of apprise."),
    ] = None,
    secret: Annotated[
        str, typer.Option(metavar="REF", help="Where a webhook's signing secret is.")
    ] = "",
    old_secret: Annotated[
        str, typer.Option(metavar="REF", help="The secret before, while receivers change over.")
    ] = "",
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Only such events, as operation.*; repeatable."),
    ] = None,
    least: Annotated[Least, typer.Option(help="Only events so grave, or graver.")] = "warning",
    account: options.AccountOption = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="ENDPOINT", help="Only of this endpoint.")
    ] = None,
    match: Annotated[
        list[str] | None,
        typer.Option("--match", metavar="KEY=VALUE", help="Only with this label; repeatable."),
    ] = None,
    owner: Annotated[str, typer.Option(help="Only of this owner's endpoints.")] = "",
    per_minute: Annotated[
        int, typer.Option(min=1, max=600, help="Messages a minute through apprise.")
    ] = 10,
    dry_run: options.DryRunOption = False,
) -> None:
    """Add a target. Secrets stay where they are: only a reference to them is kept."""
    run = session(ctx)
    if (webhook is None) == (apprise is None):
        raise CliError("a target of which kind?", ExitCode.USAGE, "give --webhook or --apprise")
    selector = {
        "account": account,
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
        "labels": options.pairs(match),
        "owner": owner,
    }
    body = {
        "name": name,
        "kind": "apprise" if webhook is None else "webhook",
        "address": apprise if webhook is None else webhook,
        "secret_ref": secret,
        "old_secret_ref": old_secret,
        "kinds": kind or [],
        "least_severity": least,
        "selector": {key: value for key, value in selector.items() if value},
        "per_minute": per_minute,
    }
    answer = changes.Change(run, dry_run=dry_run).send("POST", urls.path(TARGETS), body=body)
    _tell(run, answer, dry_run=dry_run)


@app.command(epilog="Example: orchestrator notifications update ops --secret env:NEW_SECRET")
def update(
    ctx: typer.Context,
    target: TargetArg,
    *,
    address: Annotated[str | None, typer.Option(metavar="URL|REF", help="Its address.")] = None,
    secret: Annotated[str | None, typer.Option(metavar="REF", help="Its signing secret.")] = None,
    old_secret: Annotated[
        str | None, typer.Option(metavar="REF", help="The one before; an empty text ends it.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="The events, all of them; repeatable.")
    ] = None,
    least: Annotated[Least | None, typer.Option(help="Only events so grave, or graver.")] = None,
    per_minute: Annotated[
        int | None, typer.Option(min=1, max=600, help="Messages a minute through apprise.")
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Switch it on or off.")
    ] = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Change parts of a target; what waits for it is tried again at once."""
    run = session(ctx)
    where = urls.path(TARGETS, target)
    present: Json = run.api.get(where)
    given = {
        "address": address,
        "secret_ref": secret,
        "old_secret_ref": old_secret,
        "kinds": kind,
        "least_severity": least,
        "per_minute": per_minute,
        "enabled": enabled,
    }
    selector = {key: value for key, value in present["selector"].items() if value}
    body = {key: present[key] for key in ("name", "kind", *given)}
    body |= {"selector": selector}
    body |= {key: value for key, value in given.items() if value is not None}
    answer = changes.Change(run, dry_run=dry_run).send("PUT", where, body=body)
    _tell(run, answer, dry_run=dry_run)


@app.command(epilog="Example: orchestrator notifications test ops")
def test(ctx: typer.Context, target: TargetArg) -> None:
    """Send a test message now, and say whether it was taken."""
    run = session(ctx)
    answer = changes.Change(run).send("POST", urls.path(TARGETS, target, "test"))
    if run.out.form == "json":
        run.out.json(answer)
    if not answer["delivered"]:
        raise CliError(
            f"{target} did not take it: {answer['error']}",
            ExitCode.FAILED,
            "the server reads env: and file: references; set them there",
        )
    run.out.say(f"{target} has taken the test message {answer['message_id']}")


@app.command(epilog="Example: orchestrator notifications remove ops")
def remove(
    ctx: typer.Context,
    target: TargetArg,
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Remove a target; what waits for it is not sent."""
    run = session(ctx)
    if not dry_run:
        run.confirm(f"Tell {target} nothing any more?", yes=yes)
    answer = changes.Change(run, dry_run=dry_run).send("DELETE", urls.path(TARGETS, target))
    if answer is not None:
        changes.tell(run, answer)
    else:
        run.out.say(f"{target} is removed")


@app.command("list", epilog="Example: orchestrator notifications list --status failed")
def list_notifications(
    ctx: typer.Context,
    *,
    target: Annotated[str | None, typer.Option(help="Only to this target.")] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="ENDPOINT", help="Only of this endpoint.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(help="pending, delivered, failed or dropped; repeatable."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only such events, as operation.*")] = None,
    limit: options.LimitOption = 50,
) -> None:
    """List what was or is to be sent, newest first."""
    run = session(ctx)
    query = {
        "target": target,
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
        "status": status,
        "kind": kind,
    }
    columns = (
        Column("id", lambda n: n["id"]),
        Column("at", lambda n: run.out.ago(n["at"]), right=True),
        Column("to", lambda n: n["target"]["name"]),
        Column("status", lambda n: n["status"], style=_status_style),
        Column("tries", lambda n: str(n["attempts"]), right=True),
        Column("event", lambda n: n["kind"]),
        Column("what", lambda n: n["error"] or n["message"]),
    )
    found = run.api.pages(urls.path("notifications"), query, limit)
    run.out.items(found, columns, empty="no notifications")


@app.command(epilog="Example: orchestrator notifications retry dlv_01j...")
def retry(
    ctx: typer.Context,
    notification: Annotated[str, typer.Argument(metavar="NOTIFICATION", help="Its id.")],
    dry_run: options.DryRunOption = False,
) -> None:
    """Send again what is pending or has failed."""
    run = session(ctx)
    change = changes.Change(run, dry_run=dry_run)
    answer = change.send("POST", urls.path("notifications", notification, "retry"))
    if dry_run or run.out.form == "json" or run.quiet:
        changes.tell(run, answer)
    else:
        run.out.say(f"{answer['kind']} is sent to {answer['target']['name']} again")


def _tell(run: Session, answer: Json, *, dry_run: bool) -> None:
    if dry_run:
        changes.tell(run, answer)
    else:
        _show(run, answer)


def _show(run: Session, target: Json) -> None:
    health = target["health"]
    run.out.record(
        target,
        [
            ("name", target["name"]),
            ("id", target["id"]),
            ("kind", target["kind"]),
            ("address", target["address"]),
            ("secret", target["secret_ref"]),
            ("old secret", target["old_secret_ref"]),
            ("tells of", _wants(target)),
            ("most", _most(target)),
            ("health", _health(run, target)),
            ("delivered", run.out.at(health["delivered_at"])),
            ("waiting", str(health["pending"])),
            ("failed", str(health["failed"])),
        ],
    )


def _most(target: Json) -> str:
    return f"{target['per_minute']} messages a minute" if target["kind"] == "apprise" else ""


def _wants(target: Json) -> str:
    kinds = ", ".join(target["kinds"]) or "all events"
    least = target["least_severity"]
    selector = target["selector"]
    labels = formats.labels(selector["labels"])
    parts = [selector["account"], selector["endpoint"], labels, selector["owner"]]
    about = ", ".join(part for part in parts if part and part != formats.NOTHING)
    grave = (
        "" if least == "info" else f", {least} or graver" if least == "warning" else f", {least}"
    )
    return kinds + grave + (f", of {about}" if about else "")


def _health(run: Session, target: Json) -> str:
    health = target["health"]
    if not target["enabled"]:
        return "switched off"
    if not health["ok"]:
        return f"failing since {run.out.ago(health['failing_since'])}: {health['error']}"
    return "ok" if health["delivered_at"] else "nothing sent yet"


def _style(target: Json) -> str:
    return "" if target["health"]["ok"] else "bold red"


def _status_style(row: Json) -> str:
    return {"delivered": "green", "failed": "bold red", "dropped": "dim"}.get(
        row["status"], "yellow"
    )
