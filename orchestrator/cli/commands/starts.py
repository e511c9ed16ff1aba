"""`orchestrator starts`: what rules will start, and what of it will be late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from orchestrator.cli import formats, options, urls
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

Json = Mapping[str, Any]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Until then, such as 2d; a week without.")
]
LateOption = Annotated[
    bool, typer.Option("--late", help="Only what will be late, or will not start.")
]


def starts(
    ctx: typer.Context,
    *,
    end: ToOption = None,
    account: options.AccountOption = None,
    late: LateOption = False,
) -> None:
    """Show the starts that rules will make: which will be late by how much, and why."""
    run = session(ctx)
    query = {"to": run.instant(end), "account": account}
    found: Any = run.api.get(urls.path("reports", "starts"), query)
    rows = [
        {**one, "account": group["account"]["name"]}
        for group in found["items"]
        for one in group["items"]
        if one["why"] or not late
    ]
    nothing = "nothing will be late" if late else "nothing starts in that time"
    run.out.items(found, _columns(run), rows=rows, key="wanted_at", empty=nothing)
    if run.out.form == "json" or run.quiet:
        return
    counts = [sum(group[name] for group in found["items"]) for name in ("starts", "late", "never")]
    run.out.say("{} starts, {} late, {} without room".format(*counts))
    run.out.say(f"ahead: {found['assumption']}")


def _columns(run: Session) -> list[Column]:
    return [
        Column("wanted", lambda s: run.out.at(s["wanted_at"])),
        Column("account", lambda s: s["account"]),
        Column("endpoint", lambda s: s["endpoint"]["name"]),
        Column("late", _late),
        Column("why", lambda s: s["why"]),
        Column("reason", lambda s: s["reason"], optional=True),
    ]


def _late(start: Json) -> str:
    seconds = start["late_seconds"]
    if seconds is None:
        return "does not start"
    return f"{seconds} s" if start["why"] else formats.NOTHING
