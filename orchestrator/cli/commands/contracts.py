"""`orchestrator endpoints contract|allow-recreate`: what a pause means, and the leave for it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls
from orchestrator.cli.commands.endpoints import app
from orchestrator.cli.session import Session, session

Json = dict[str, Any]
STOPS = {
    "pause": "its cloud stops it and keeps it",
    "recreate": "it is deleted, and made again when it is resumed",
    "none": "it cannot be stopped from here",
}


@app.command(epilog="Example: orchestrator endpoints contract llama-70b")
def contract(ctx: typer.Context, endpoint: options.EndpointArg) -> None:
    """Say what a pause would keep and lose, and what forbids it. Changes nothing."""
    run = session(ctx)
    where = urls.path("endpoints", changes.resolve(run, endpoint), "contract")
    _show(run, run.api.get(where))


@app.command(
    "allow-recreate", epilog="Example: orchestrator endpoints allow-recreate llama-70b --yes"
)
def allow_recreate(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    off: Annotated[bool, typer.Option("--off", help="Take the leave back.")] = False,
    forced: Annotated[
        bool, typer.Option("--forced", help="Although another tool manages it as well.")
    ] = False,
    reason: options.ReasonOption = None,
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Allow that an endpoint be stopped by deleting it and made again, having seen its contract."""
    run = session(ctx)
    change = changes.Change(run, dry_run=dry_run)
    base = urls.path("endpoints", changes.resolve(run, endpoint))
    if off:
        answer = change.send("DELETE", f"{base}/allow-recreate", query={"reason": reason})
        _tell(run, answer, "may no longer be deleted to stop it", dry_run=dry_run)
        return
    card: Json = run.api.get(f"{base}/contract")
    if run.out.form == "table" and not run.quiet:
        _show(run, card)
    run.confirm(f"May {formats.plain(endpoint)} be deleted and made again?", yes=yes or dry_run)
    body = {"digest": card["digest"], "forced": forced, "reason": reason or ""}
    answer = change.send("PUT", f"{base}/allow-recreate", body=body)
    _tell(run, answer, "may be deleted to stop it, and is made again", dry_run=dry_run)


def _show(run: Session, card: Json) -> None:
    minutes = card["minutes_to_return"]
    basis = "measured" if card["measured"] else "an estimate"
    run.out.record(
        card,
        [
            ("a pause means", STOPS.get(card["stops_by"], str(card["stops_by"]))),
            *_lines("kept", card["kept"]),
            *_lines("lost", card["lost"]),
            *_lines("risk", card["risks"]),
            *_lines("alarm", card["alarms"]),
            ("quota", card["quota"]),
            ("back in", "" if minutes is None else f"about {minutes} minutes ({basis})"),
            *_lines("managed by", card["managed_by"]),
            *_lines("forbidden now", card["obstacles"]),
            ("digest", card["digest"]),
        ],
        key="digest",
    )


def _lines(name: str, texts: list[str]) -> list[tuple[str, str]]:
    return [(name if place == 0 else "", text) for place, text in enumerate(texts)]


def _tell(run: Session, answer: Json, what: str, *, dry_run: bool) -> None:
    if run.out.form == "json" or run.quiet or dry_run:
        changes.tell(run, answer)
    else:
        run.out.say(f"{changes.full_name(answer)} {what}")
