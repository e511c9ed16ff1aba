"""`orchestrator tokens`: who may talk to the server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, options, urls
from orchestrator.cli.output import Column
from orchestrator.cli.session import session

app = typer.Typer(help="Tokens: who may talk to the server.", no_args_is_help=True)


@app.command("list", epilog="Example: orchestrator tokens list")
def list_tokens(ctx: typer.Context) -> None:
    """List tokens; their secrets are not kept."""
    run = session(ctx)
    columns = (
        Column("id", lambda t: t["id"]),
        Column("name", lambda t: t["name"]),
        Column("scope", lambda t: t["scope"]),
        Column("state", lambda t: "revoked" if t.get("revoked_at") else "valid"),
        Column("created", lambda t: run.out.at(t.get("created_at"))),
        Column("last used", lambda t: run.out.ago(t.get("last_used_at")), right=True),
        Column("expires", lambda t: run.out.at(t.get("expires_at"))),
    )
    run.out.items(run.api.pages(urls.path("tokens")), columns, empty="no tokens")


@app.command(epilog="Example: orchestrator tokens create ci --scope operate --expires 90d")
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    scope: Annotated[str, typer.Option(help="read, operate or admin.")] = "read",
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Valid until then: 90d, or a date.")
    ] = None,
) -> None:
    """Make a token. Its secret is printed this once, alone on standard output."""
    run = session(ctx)
    body: dict[str, Any] = {"name": name, "scope": scope}
    if expires:
        body["expires_at"] = run.instant(expires)
    answer = changes.Change(run).send("POST", urls.path("tokens"), body=body)
    if run.out.form == "json":
        run.out.json(answer)
    else:
        run.out.note("Keep it now; it is not shown again:")
        run.out.lines([str(answer["secret"])])


@app.command(epilog="Example: orchestrator tokens revoke tok_01j...")
def revoke(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id.")],
    yes: options.YesOption = False,
) -> None:
    """Revoke a token at once."""
    run = session(ctx)
    run.confirm(f"Revoke {token}?", yes=yes)
    answer = changes.Change(run).send("DELETE", urls.path("tokens", token))
    if run.out.form == "json":
        run.out.json(answer)
    else:
        run.out.say(f"{answer['name']} is revoked")
