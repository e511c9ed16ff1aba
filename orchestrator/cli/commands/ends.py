"""`orchestrator endpoints delete|undelete|release`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli import changes, formats, options, urls, waiting
from orchestrator.cli.commands.endpoints import app
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session, session

Json = dict[str, Any]


@app.command(epilog="Example: orchestrator endpoints delete old-test --confirm old-test --grace 7d")
def delete(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    confirm: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The endpoint's name, instead of the question."),
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only pause it for so long, such as 24h or 7d, and delete it then; 0 deletes at "
            "once. Else as the server is set.",
        ),
    ] = None,
    reason: options.ReasonOption = None,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "15m",
    dry_run: options.DryRunOption = False,
) -> None:
    """Delete an endpoint for ever, after a grace in which it is paused. Asks for its name.

    Until the grace is over, `orchestrator endpoints undelete` brings it back.
    """
    run = session(ctx)
    change = changes.Change(run, dry_run, wait, options.length(timeout))
    where = urls.path("endpoints", changes.resolve(run, endpoint))
    found: Any = run.api.get(where)
    name = str(found["name"])
    if dry_run:
        confirm = name
    elif confirm is None:
        confirm = _ask_for_name(run, name)
    if confirm != name:
        raise CliError(
            f"{formats.plain(name)!r} is not deleted: {confirm!r} is not its name",
            ExitCode.USAGE,
            "give exactly its name to --confirm",
        )
    query = {"confirm": name, "grace": grace, "reason": reason}
    answer = change.finish(change.send("DELETE", where, query=query))
    changes.tell(run, answer)
    if not dry_run and not run.quiet and answer.get("kind") == "pause":
        _tell_grace(run, where)
    if wait and not dry_run:
        waiting.check(answer)


@app.command(epilog="Example: orchestrator endpoints undelete old-test --wait")
def undelete(
    ctx: typer.Context,
    endpoint: options.EndpointArg,
    *,
    reason: options.ReasonOption = None,
    wait: options.WaitOption = False,
    timeout: options.TimeoutOption = "30m",
    dry_run: options.DryRunOption = False,
) -> None:
    """Bring back what is to be deleted after a grace, as it was wished for before."""
    run = session(ctx)
    change = changes.Change(run, dry_run, wait, options.length(timeout))
    where = urls.path("endpoints", changes.resolve(run, endpoint), "undelete")
    answer: Any = change.send("POST", where, body={"reason": reason} if reason else None)
    if dry_run or run.out.form == "json":
        changes.tell(run, answer)
        return
    wish = (answer.get("wish") or {}).get("wish") or "as it is"
    run.out.say(f"{changes.full_name(answer)} is not deleted; it is to be {wish} as before")
    for hold in answer["holds_not_revived"]:
        run.out.note(f"its hold {hold['wish']} until {run.out.at(hold['until'])} stays ended")
    operation = answer.get("operation")
    if operation is None:
        return
    ended = change.finish(operation)
    changes.tell(run, ended)
    if wait:
        waiting.check(ended)


@app.command(epilog="Example: orchestrator endpoints release search-api")
def release(
    ctx: typer.Context,
    endpoints: options.EndpointArgs,
    *,
    handover: Annotated[
        bool,
        typer.Option(
            "--handover",
            help="One that was deleted to pause it: print what makes it again, and forget it.",
        ),
    ] = False,
    reason: options.ReasonOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Give endpoints back: from now on they are only observed, and left as they are."""
    run = session(ctx)
    change = changes.Change(run, dry_run)
    body: Json = {"handover": True} if handover else {}
    body |= {"reason": reason} if reason else {}
    answers = []
    for endpoint in endpoints:
        where = urls.path("endpoints", changes.resolve(run, endpoint), "release")
        answers.append(change.send("POST", where, body=body or None))
    if run.out.form == "json" and len(answers) > 1:
        run.out.json(answers)
        return
    for answer in answers:
        _tell_released(run, answer)


def _tell_released(run: Session, answer: Json) -> None:
    if run.out.form != "table" or run.quiet or "managed" not in answer:
        changes.tell(run, answer)
        return
    paper = answer.get("handover")
    if not paper:
        run.out.say(f"{changes.full_name(answer)} is only observed; it stays {answer['status']}")
        if answer.get("cloud_goes_on"):
            run.out.note(answer["cloud_goes_on"])
        return
    run.out.say(f"{changes.full_name(answer)} is not there, and is forgotten here")
    for text in paper["remains"]:
        run.out.say(f"remains: {text}")
    for text in paper["lacks"]:
        run.out.say(f"not kept: {text}")
    run.out.say("this makes it again:")
    for text in paper["commands"]:
        run.out.say(text)


def _tell_grace(run: Session, where: str) -> None:
    found: Any = run.api.get(where)
    deletion = found.get("deletion")
    if deletion:
        name = formats.plain(str(found["name"]))
        run.out.note(
            f"it is deleted for good at {run.out.at(deletion['after'])}; until then "
            f"`orchestrator endpoints undelete {name}` brings it back"
        )


def _ask_for_name(run: Session, name: str) -> str:
    run.confirm(
        f"Delete {formats.plain(name)}? After its grace that cannot be undone.",
        yes=False,
        instead=f"--confirm {name}",
    )
    return run.ask("Its name")
