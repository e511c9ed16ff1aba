"""`orchestrator leases`: what programs keep running while they need it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.output import Column
from orchestrator.cli.session import session

app = typer.Typer(
    help="Leases: what programs keep running while they need it.", no_args_is_help=True
)


@app.command("list", epilog="Example: orchestrator leases list --endpoint search-api")
def list_leases(
    ctx: typer.Context,
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only those that they acquired.")] = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: options.LimitOption = 0,
) -> None:
    """List leases, with how each stands and when it ends if it is not renewed."""
    run = session(ctx)
    query = {
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
        "actor": actor,
        "state": "all" if ended else None,
    }
    columns = (
        Column("id", lambda one: one["id"]),
        Column("endpoint", lambda one: one["endpoint"]["name"]),
        Column("state", lambda one: one["status"]),
        Column("until", lambda one: run.out.at(one.get("ended_at") or one["until"])),
        Column("renewed", lambda one: str(one["renewals"]), right=True),
        Column("by", lambda one: one["actor"]),
        Column("cost", lambda one: formats.amount(one.get("cost")), right=True),
        Column("reason", lambda one: one["reason"]),
    )
    run.out.items(run.api.pages(urls.path("leases"), query, limit), columns, empty="no leases")


@app.command(epilog="Example: orchestrator leases acquire search-api --ttl 10m --reason evaluation")
def acquire(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    ttl: Annotated[
        str, typer.Option(metavar="TIME", help="It ends by itself after so long: 10m, 1h.")
    ] = "10m",
    reason: options.ReasonOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Have an endpoint running for a program; for Python see `orchestrator.client`."""
    run = session(ctx)
    body = {"endpoint": changes.resolve(run, endpoint), "ttl": ttl, "reason": reason or ""}
    _send(ctx, "POST", urls.path("leases"), body, dry_run=dry_run)


@app.command(epilog="Example: orchestrator leases renew lse_01j... --ttl 10m")
def renew(
    ctx: typer.Context,
    lease: Annotated[str, typer.Argument(metavar="LEASE", help="Its id.")],
    *,
    ttl: Annotated[str, typer.Option(metavar="TIME", help="So long from now.")] = "10m",
    dry_run: options.DryRunOption = False,
) -> None:
    """Let a lease go on."""
    _send(ctx, "POST", urls.path("leases", lease, "renew"), {"ttl": ttl}, dry_run=dry_run)


@app.command(epilog="Example: orchestrator leases release lse_01j...")
def release(
    ctx: typer.Context,
    lease: Annotated[str, typer.Argument(metavar="LEASE", help="Its id.")],
    dry_run: options.DryRunOption = False,
) -> None:
    """End a lease; the endpoint goes back to its rules when the last one ends."""
    _send(ctx, "DELETE", urls.path("leases", lease), None, dry_run=dry_run)


def _send(ctx: typer.Context, method: str, path: str, body: Any, *, dry_run: bool) -> None:
    run = session(ctx)
    answer = changes.Change(run, dry_run=dry_run).send(method, path, body=body)
    if run.out.form == "json" or run.quiet:
        changes.tell(run, answer)
        return
    found = answer["would"] if dry_run else answer
    told = f": {found['detail']}" if found["detail"] else ""
    name = "" if dry_run else f" ({found['id']})"
    run.out.say(f"lease of {found['endpoint']['name']}{name}: {found['status']}{told}")
    if found["ended_at"] is None:
        end = run.out.at(found["until"])
        run.out.say(f"until {end}, costs {formats.amount(found.get('cost'))}")
