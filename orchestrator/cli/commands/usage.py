"""`orchestrator endpoints usage`: what was recorded of an endpoint's requests."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.commands.endpoints import app
from orchestrator.cli.output import Column
from orchestrator.cli.session import session

Json = dict[str, Any]


@app.command(epilog="Example: orchestrator endpoints usage acme/chat --from 2d")
def usage(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Default: when the month began.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Default: now.")] = None,
) -> None:
    """Show an endpoint's recorded requests by ten minutes, and how much of the time is known."""
    run = session(ctx)
    query = {"from": run.instant(start), "to": run.instant(end)}
    where = urls.path("endpoints", changes.resolve(run, endpoint), "usage")
    found: Json = run.api.get(where, query)
    columns = (
        Column("from", lambda row: run.out.at(row["start"])),
        Column("requests", lambda row: str(row["requests"]), right=True),
        Column("known", lambda row: formats.duration(row["covered_seconds"]), right=True),
        Column("source", lambda row: str(row["source"]).replace("_", " ")),
    )
    rows = [row for row in found["stretches"] if row["requests"]]
    run.out.items(found, columns, rows=rows, key="start", empty="no request was recorded")
    known = f"{found['requests']} requests at least; {found['coverage']:.1%} of the time is known"
    run.out.note(known + ("; earlier stretches are left out" if found["truncated"] else ""))
