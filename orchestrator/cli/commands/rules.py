"""`orchestrator export` and `apply`: all rules as one file that can be reviewed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, options, rule_changes, urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session, session

Json = dict[str, Any]
_SIGNS = {"create": "+", "change": "~", "remove": "-"}
_ASIDE = {
    "left": "made by a file and not in this one; --prune removes it",
    "under_way": "asked for already",
}


def export(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Write it there; else it is printed.")
    ] = None,
) -> None:
    """Write calendars, schedules, policies and endpoints as one YAML file, without secrets.

    (The rows of the database are another thing: see `orchestrator db export`.)
    """
    run = session(ctx)
    found: Json = run.api.get(urls.path("rules"))
    text = str(found["text"])
    if file is not None:
        try:
            file.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise CliError(f"{file} cannot be written: {error.strerror}", ExitCode.USAGE) from None
        run.out.say(f"written to {file}")
    elif run.out.form == "json":
        run.out.json(found)
    else:
        sys.stdout.write(text)


def apply(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A YAML file; - is standard input.")],
    *,
    dry_run: options.DryRunOption = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove rules that a file made and this one does not have."),
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="With --dry-run: end with 10 where anything differs."),
    ] = False,
    reason: options.ReasonOption = None,
    yes: options.YesOption = False,
) -> None:
    """Make the rules what a file says, all or nothing; shows the difference first and asks.

    Applying a file twice changes nothing. Endpoints are never deleted.
    """
    run = session(ctx)
    body = {"text": _read(file), "prune": prune, "reason": reason or ""}
    where = urls.path("rules", "apply")
    would: Json = _sent(run, file, where, body, dry_run=True)["would"]
    if dry_run or not would["changed"]:
        _show(run, would)
        if dry_run and exit_code and would["changed"]:
            raise typer.Exit(ExitCode.DIFFERS)
        return
    if run.out.form == "table":
        _show(run, would)
    run.confirm(f"Apply {_counts(would)}?", yes=yes)
    body["confirm"] = would["confirm"]
    done: Json = _sent(run, file, where, body, dry_run=False)
    if run.out.form == "json":
        run.out.json(done)
        return
    run.out.say("applied")
    for item in done["items"]:
        if item["operation"]:
            run.out.say(f"{item['name']}: see `orchestrator operations show {item['operation']}`")


def _sent(run: Session, file: str, where: str, body: Json, *, dry_run: bool) -> Json:
    """Return the answer; several mistakes are told one to a line, as compilers do."""
    from orchestrator.cli.client import ApiProblemError  # noqa: PLC0415 - keeps `--help` quick

    try:
        answer: Json = changes.Change(run, dry_run=dry_run).send("POST", where, body=body)
    except ApiProblemError as error:
        found = error.problem.get("errors") or []
        if len(found) < 2:
            raise
        for one in found:
            run.out.note(f"{file}: {one['field']}: {one['message']}")
        raise CliError(f"{len(found)} mistakes, nothing was changed", error.code) from None
    return answer


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}", ExitCode.USAGE) from None
    except ValueError:
        raise CliError(f"{file} is no text in UTF-8", ExitCode.USAGE) from None


def _show(run: Session, answer: Json) -> None:
    if run.out.form == "json":
        run.out.json(answer)
        return
    for item in answer["items"]:
        for line in _item(item):
            run.out.say(line)
    counted = dict.fromkeys(("same", "foreign"), 0)
    for item in answer["items"]:
        if item["action"] in counted:
            counted[item["action"]] += 1
    told = [_counts(answer)] if answer["changed"] else ["nothing to change"]
    told += [f"{counted['same']} as they are"] if counted["same"] else []
    told += [f"{counted['foreign']} not from a file, not touched"] if counted["foreign"] else []
    run.out.say("; ".join(told))


def _counts(answer: Json) -> str:
    words = {"create": "to create", "change": "to change", "remove": "to remove"}
    return ", ".join(f"{answer[key]} {text}" for key, text in words.items() if answer[key])


def _item(item: Json) -> Iterator[str]:
    """Yield the lines of one object; nothing for what stays as it is."""
    action, name = item["action"], f"{item['section']}: {item['name']}"
    if action in _ASIDE:
        yield f"  {name} ({_ASIDE[action]})"
    if action not in _SIGNS:
        return
    yield f"{_SIGNS[action]} {name}"
    for change in item["fields"] if action != "remove" else ():
        for line in _lines(change, new=action == "create"):
            yield f"    {line}"
    for note in item["notes"]:
        yield f"    > {note}"


def _lines(change: Json, *, new: bool) -> Iterator[str]:
    if new:
        return rule_changes.created(change["field"], change["new"])
    return rule_changes.changed(change["field"], change["old"], change["new"])
