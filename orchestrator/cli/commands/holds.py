"""`orchestrator holds`: a person's "keep it so until then"."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.output import Column
from orchestrator.cli.session import session

app = typer.Typer(help="Holds: what people asked to keep for a while.", no_args_is_help=True)


@app.command("list", epilog="Example: orchestrator holds list --endpoint search-api")
def list_holds(
    ctx: typer.Context,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
) -> None:
    """List holds with their end and their cost."""
    run = session(ctx)
    query = {"endpoint": changes.resolve(run, endpoint) if endpoint else None}
    columns = (
        Column("id", lambda h: h["id"]),
        Column("endpoint", _endpoint),
        Column("keeps it", lambda h: h["wish"]),
        Column("until", lambda h: run.out.at(h["until"])),
        Column("by", lambda h: h.get("actor") or ""),
        Column("cost", _cost, right=True),
        Column("reason", lambda h: h.get("reason") or ""),
    )
    run.out.items(run.api.pages(urls.path("holds"), query), columns, empty="no holds")


@app.command(epilog="Example: orchestrator holds end hld_01j...")
def end(
    ctx: typer.Context,
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="Its id.")],
    dry_run: options.DryRunOption = False,
) -> None:
    """End a hold before its time; the rules decide again at once."""
    run = session(ctx)
    answer = changes.Change(run, dry_run=dry_run).send("DELETE", urls.path("holds", hold))
    if run.out.form == "json" or dry_run:
        changes.tell(run, answer)
    else:
        run.out.say(f"{hold} is ended; the rules decide again")


def _endpoint(hold: changes.Json) -> str:
    endpoint = hold.get("endpoint")
    if isinstance(endpoint, dict):
        return str(endpoint.get("name") or endpoint.get("id"))
    return str(endpoint or hold.get("endpoint_id") or "")


def _cost(hold: changes.Json) -> str:
    return formats.NOTHING if hold["wish"] == "paused" else formats.amount(hold.get("cost"))
