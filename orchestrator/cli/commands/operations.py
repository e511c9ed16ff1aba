"""`orchestrator operations`: changes under way and done."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, options, urls, waiting
from orchestrator.cli.output import Column, status_style
from orchestrator.cli.session import Session, session

app = typer.Typer(help="Operations: changes under way and done.", no_args_is_help=True)

OperationArg = Annotated[str, typer.Argument(metavar="OPERATION", help="Its id.")]


@app.command("list", epilog="Example: orchestrator operations list --status running")
def list_operations(
    ctx: typer.Context,
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
    account: options.AccountOption = None,
    status: Annotated[
        str | None,
        typer.Option(
            help="pending, running, confirming, succeeded, failed, superseded, cancelled."
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="pause, resume, create, ...")] = None,
    stuck: Annotated[
        bool, typer.Option("--stuck", help="Only those whose step lasts longer than usual.")
    ] = False,
    bulk: Annotated[str | None, typer.Option(help="Only of this bulk request.")] = None,
    limit: options.LimitOption = 50,
) -> None:
    """List operations, newest first."""
    run = session(ctx)
    query = {
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
        "account": account,
        "status": status,
        "kind": kind,
        "stuck": stuck or None,
        "bulk": bulk,
    }
    page = run.api.pages(urls.path("operations"), query, limit)
    run.out.items(page, _columns(run), empty="no operations")


@app.command(epilog="Example: orchestrator operations show op_01j... --wait")
def show(
    ctx: typer.Context,
    operation: OperationArg,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "15m",
) -> None:
    """Show one operation with its steps; with --wait, once it has ended."""
    run = session(ctx)
    found: Any = run.api.get(urls.path("operations", operation))
    if wait:
        found = waiting.follow(run, found, options.length(timeout))
    run.out.record(found, _pairs(run, found))
    if wait:
        waiting.check(found)


@app.command(epilog="Example: orchestrator operations cancel op_01j...")
def cancel(
    ctx: typer.Context, operation: OperationArg, dry_run: options.DryRunOption = False
) -> None:
    """Cancel an operation that the cloud has not been asked for yet, or has carried out nothing of.

    A create that may have been sent is cancelled too: what comes of it is deleted.
    """
    run = session(ctx)
    where = urls.path("operations", operation, "cancel")
    changes.tell(run, changes.Change(run, dry_run=dry_run).send("POST", where))


def _columns(run: Session) -> list[Column]:
    return [
        Column("id", lambda o: o["id"]),
        Column("asked", lambda o: run.out.at(o["created_at"])),
        Column("kind", lambda o: o["kind"]),
        Column("endpoint", lambda o: (o.get("endpoint") or {}).get("name", "")),
        Column("status", lambda o: o["status"], style=status_style),
        Column("by", lambda o: o.get("rule") or o["actor"]),
        Column("outcome", lambda o: _outcome(run, o)),
    ]


def _outcome(run: Session, found: dict[str, Any]) -> str:
    told = waiting.stuck(found, run.clock.now())
    return f"stuck: {told}" if told else found.get("outcome") or found.get("reason") or ""


def _step(run: Session, step: dict[str, Any]) -> str:
    at = run.out.at
    told = f"{at(step.get('at'))}  {step.get('name')}: {step.get('state')} {step.get('detail')}"
    if step.get("times", 1) == 1:
        return told.rstrip()
    return f"{told.rstrip()} ({step['times']} times, last {at(step.get('last_at'))})"


def _pairs(run: Session, found: dict[str, Any]) -> list[tuple[str, str]]:
    at = run.out.at
    steps = [("step", _step(run, step)) for step in found.get("steps") or []]
    return [
        ("id", found["id"]),
        ("kind", found["kind"]),
        ("endpoint", (found.get("endpoint") or {}).get("name", "")),
        ("status", found["status"]),
        ("asked by", found["actor"]),
        ("rule", found.get("rule") or ""),
        ("reason", found.get("reason") or ""),
        ("attempts", str(found.get("attempts", 0))),
        ("asked", at(found["created_at"])),
        ("started", at(found.get("started_at"))),
        ("accepted", at(found.get("accepted_at"))),
        ("finished", at(found.get("finished_at"))),
        ("next attempt", at(found.get("next_attempt_at"))),
        ("outcome", found.get("outcome") or ""),
        ("superseded by", found.get("superseded_by") or ""),
        ("cloud says", waiting.cloud_says(found).removeprefix("; the cloud says ")),
        ("stuck", waiting.stuck(found, run.clock.now())),
        ("takes", waiting.usually(found)),
        *steps,
    ]
