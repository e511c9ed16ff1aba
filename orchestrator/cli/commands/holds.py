"""`orchestrator hold` and `orchestrator holds`: a person's "keep it so until then"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from orchestrator.cli import changes, formats, options, urls, waiting
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Holds: what people asked to keep for a while.", no_args_is_help=True)


def hold(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    wish: Annotated[
        Literal["running", "paused", "available"],
        typer.Argument(help="available: running, or at zero and woken by requests."),
    ],
    *,
    length: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="So long from now: 3h, 1d, 90m.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="18:00, or 2026-03-01T18:00Z.")
    ] = None,
    reason: options.ReasonOption = None,
    yes: options.YesOption = False,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "30m",
    dry_run: options.DryRunOption = False,
) -> None:
    """Keep an endpoint running, paused or available for a while; says first what that costs."""
    run = session(ctx)
    if (length is None) == (until is None):
        raise CliError("until when?", ExitCode.USAGE, "give --for 3h, or --until 18:00")
    if not (reason or "").strip():
        raise CliError("why?", ExitCode.USAGE, "give --reason 'load test'; others see it")
    change = changes.Change(run, dry_run, wait, options.length(timeout))
    body = {
        "endpoint": changes.resolve(run, endpoint),
        "wish": wish,
        **({"for": length} if length else {"until": run.instant(until)}),
        "reason": reason,
    }
    if not yes:
        rehearsal = changes.Change(run, dry_run=True).send("POST", urls.path("holds"), body=body)
        if dry_run:
            _tell(run, rehearsal, rehearsal["would"], "it would be held")
            return
        run.confirm(f"{_sentence(run, rehearsal['would'], 'Hold it')}. Go on?", yes=yes)
    answer = change.send("POST", urls.path("holds"), body=body)
    if dry_run:
        _tell(run, answer, answer["would"], "it would be held")
        return
    if answer["operation"] is not None:
        answer["operation"] = change.finish(answer["operation"])
    _tell(run, answer, answer, f"{_endpoint(answer)} is held")
    if wait and answer["operation"] is not None:
        waiting.check(answer["operation"])


@app.command("list", epilog="Example: orchestrator holds list --endpoint search-api")
def list_holds(
    ctx: typer.Context,
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only those that they made.")] = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: options.LimitOption = 0,
) -> None:
    """List holds with their end and their cost."""
    run = session(ctx)
    query = {
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
        "actor": actor,
        "state": "all" if ended else None,
    }
    columns = (
        Column("id", lambda h: h["id"]),
        Column("endpoint", _endpoint),
        Column("keeps it", lambda h: h["wish"]),
        Column("until", lambda h: run.out.at(h.get("ended_at") or h["until"])),
        Column("by", lambda h: h.get("actor") or ""),
        Column("cost", _cost, right=True),
        Column("reason", lambda h: h.get("reason") or ""),
    )
    run.out.items(run.api.pages(urls.path("holds"), query, limit), columns, empty="no holds")


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


def _tell(run: Session, answer: changes.Json, held: changes.Json, what: str) -> None:
    if run.out.form == "json" or run.quiet:
        changes.tell(run, answer)
        return
    run.out.say(_sentence(run, held, what) + (f" ({answer['id']})" if "id" in answer else ""))
    for one in held["outranks"]:
        kind = "lease" if one["source"] == "lease" else "hold"
        run.out.note(f"gives way while it lasts: the {kind} {one['wish']} of {one['actor']}")
    operation = held["operation"]
    if operation is not None:
        run.out.say(f"{operation['kind']} of {_endpoint(held)}: {operation['status']}")


def _sentence(run: Session, held: changes.Json, what: str) -> str:
    cost = "costs nothing" if held["wish"] == "paused" else f"costs {_cost(held)}"
    return f"{what} {held['wish']} until {run.out.at(held['until'])}, {cost}"


def _endpoint(hold: Any) -> str:
    endpoint = hold.get("endpoint")
    if isinstance(endpoint, dict):
        return str(endpoint.get("name") or endpoint.get("id"))
    return str(endpoint or hold.get("endpoint_id") or "")


def _cost(hold: changes.Json) -> str:
    return formats.NOTHING if hold["wish"] == "paused" else formats.amount(hold.get("cost"))
