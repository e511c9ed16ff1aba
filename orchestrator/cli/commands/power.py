"""`orchestrator endpoints pause|resume|scale-to-zero|adopt`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls, waiting
from orchestrator.cli.commands.endpoints import app
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session, session

UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Keep it so until then: 18:00, 2h30m, a date."),
]
Json = dict[str, Any]


@app.command(epilog="Example: orchestrator endpoints pause search-api --reason 'load test' --wait")
def pause(
    ctx: typer.Context,
    endpoints: options.EndpointArgs,
    *,
    until: UntilOption = None,
    reason: options.ReasonOption = None,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "15m",
    dry_run: options.DryRunOption = False,
) -> None:
    """Stop all replicas; nothing wakes it but a resume. Costs nothing while paused."""
    change = _change(ctx, dry_run, wait, timeout)
    _each(change, endpoints, _verb(change, "pause", until, reason))


@app.command(epilog="Example: orchestrator endpoints resume search-api --until 18:00 --wait")
def resume(
    ctx: typer.Context,
    endpoints: options.EndpointArgs,
    *,
    until: UntilOption = None,
    reason: options.ReasonOption = None,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "30m",
    dry_run: options.DryRunOption = False,
) -> None:
    """Start it again with the settings it had. Against a rule this is a hold with an end."""
    change = _change(ctx, dry_run, wait, timeout)
    _each(change, endpoints, _verb(change, "resume", until, reason))


@app.command("scale-to-zero", epilog="Example: orchestrator endpoints scale-to-zero search-api")
def scale_to_zero(
    ctx: typer.Context,
    endpoints: options.EndpointArgs,
    *,
    until: UntilOption = None,
    reason: options.ReasonOption = None,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "15m",
    dry_run: options.DryRunOption = False,
) -> None:
    """Stop all replicas; the next request wakes it, and waits while it starts."""
    change = _change(ctx, dry_run, wait, timeout)
    _each(change, endpoints, _verb(change, "scale-to-zero", until, reason))


@app.command(epilog="Example: orchestrator endpoints adopt search-api --owner ops --label team=ops")
def adopt(
    ctx: typer.Context,
    endpoints: Annotated[
        list[str] | None, typer.Argument(metavar="[ENDPOINT]...", help="Ids or names.")
    ] = None,
    *,
    account: options.AccountOption = None,
    match: Annotated[
        list[str] | None,
        typer.Option("--match", metavar="KEY=VALUE", help="All that have this label; repeatable."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="KEY=VALUE", help="Label it; repeatable."),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Take endpoints under management. Nothing changes at once: the wish is set to what is."""
    change = _change(ctx, dry_run, wait=False, timeout="15m")
    given = {"labels": options.pairs(label), "owner": owner}
    body = {key: value for key, value in given.items() if value}
    if endpoints:
        _each(change, endpoints, _post(change, "adopt", body))
        return
    if not (account or match):
        raise CliError(
            "adopt what?", ExitCode.USAGE, "name endpoints, or give --account or --match"
        )
    _adopt_many(change, account, options.pairs(match), body, yes=yes)


def _change(ctx: typer.Context, dry_run: bool, wait: bool, timeout: str) -> changes.Change:
    return changes.Change(session(ctx), dry_run, wait, options.length(timeout))


def _verb(
    change: changes.Change, verb: str, until: str | None, reason: str | None
) -> Callable[[str], Json]:
    given = {"reason": reason, "until": change.run.instant(until)}
    return _post(change, verb, {key: value for key, value in given.items() if value})


def _post(change: changes.Change, verb: str, body: Json | None) -> Callable[[str], Json]:
    def act(endpoint: str) -> Json:
        where = urls.path("endpoints", changes.resolve(change.run, endpoint), verb)
        answer: Json = change.send("POST", where, body=body)
        return answer

    return act


def _each(change: changes.Change, endpoints: list[str], act: Callable[[str], Json]) -> None:
    """Ask for all changes first, then wait for each; the first failure decides the exit code."""
    asked = [act(endpoint) for endpoint in endpoints]
    answers = [change.finish(answer) for answer in asked]
    if change.run.out.form == "json" and len(answers) > 1:
        change.run.out.json(answers)
    else:
        for answer in answers:
            _tell(change.run, answer)
    if change.wait and not change.dry_run:
        for answer in answers:
            waiting.check(answer)


def _tell(run: Session, answer: Json) -> None:
    """Report an operation, or an endpoint that adopt and release answer with."""
    if run.out.form == "table" and not run.quiet and "managed" in answer:
        state = "managed" if answer["managed"] else "only observed"
        run.out.say(f"{changes.full_name(answer)} is {state}; it stays {answer['status']}")
    else:
        changes.tell(run, answer)


def _adopt_many(
    change: changes.Change, account: str | None, labels: dict[str, str], body: Json, *, yes: bool
) -> None:
    """Show which endpoints a selector covers, ask, and adopt exactly by that selector."""
    run = change.run
    selector = {"account": account, "labels": labels}
    given = {"selector": {key: value for key, value in selector.items() if value}, **body}
    where = urls.path("endpoints", "adopt")
    if not change.dry_run and not yes:
        rehearsal = changes.Change(run, dry_run=True).send("POST", where, body=given)["would"]
        names = ", ".join(changes.full_name(item) for item in rehearsal["adopted"]) or "none"
        run.confirm(
            f"Adopt {len(rehearsal['adopted'])} endpoints: {formats.plain(names)}?", yes=yes
        )
    answer = change.send("POST", where, body=given)
    if run.out.form == "json":
        run.out.json(answer)
        return
    told = answer["would"] if change.dry_run else answer
    for item in told["adopted"]:
        run.out.say(f"{'would adopt' if change.dry_run else 'adopted'} {changes.full_name(item)}")
    for item in told["skipped"]:
        run.out.note(f"skipped {item['endpoint']['name']}: {item['reason']}")
    if not told["adopted"]:
        run.out.note("no endpoint matches")
