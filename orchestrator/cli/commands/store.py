"""Commands on the store as a whole: backup, restore, and what is known after one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli import formats
from orchestrator.cli.commands.local import db_app
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

if TYPE_CHECKING:
    from orchestrator.services.restores import Report
    from orchestrator.store.backup import Manifest

ExportFormat = Literal["jsonl", "csv"]
FileArg = Annotated[Path, typer.Argument(help="The backup.", metavar="FILE")]


@db_app.command(epilog="Example: orchestrator db backup /backups/orchestrator-2026-11-20.zip")
def backup(ctx: typer.Context, file: FileArg) -> None:
    """Write all that the store holds to one file; the service may run meanwhile."""
    from orchestrator.cli import database  # noqa: PLC0415 - keeps `--help` quick

    run = session(ctx)
    if file.exists():
        raise CliError(f"{file} exists already", ExitCode.REFUSED, "name another file")
    _show(run, file, database.back_up(run.settings, file.absolute(), run.clock.now()), "holds")


@db_app.command(epilog="Example: orchestrator db verify /backups/orchestrator-2026-11-20.zip")
def verify(ctx: typer.Context, file: FileArg) -> None:
    """Read a whole backup and compare it with what it says of itself; fails if it is damaged."""
    from orchestrator.cli import database  # noqa: PLC0415 - keeps `--help` quick

    _show(session(ctx), file, database.verify(file.absolute()), "is whole; it holds")


@db_app.command(epilog="Example: orchestrator db restore /backups/orchestrator-2026-11-20.zip")
def restore(
    ctx: typer.Context,
    file: FileArg,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what the database holds.")
    ] = False,
    confirm: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --replace: the database's name, not to be asked."),
    ] = None,
) -> None:
    """Load a backup into the database; the next start is frozen until a person thaws it."""
    from orchestrator.cli import database  # noqa: PLC0415 - keeps `--help` quick

    run = session(ctx)
    if replace:
        _confirm(run, database.name_of(run.settings.database_url), confirm)
    found = database.restore(run.settings, file.absolute(), run.clock.now(), replace=replace)
    if run.out.form == "json":
        run.out.json({"id": found.id, "reason": found.reason})
        return
    run.out.say(f"restored; {found.reason}")


@db_app.command(epilog="Example: orchestrator db export /tmp/july --format csv")
def export(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")],
    form: Annotated[
        ExportFormat, typer.Option("--format", help="One object a line, or a table.")
    ] = "jsonl",
) -> None:
    """Write endpoints, operations, events, costs, rates and rules for analysis elsewhere."""
    from orchestrator.cli import database  # noqa: PLC0415 - keeps `--help` quick

    run = session(ctx)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CliError(f"{folder} is not an empty folder", ExitCode.REFUSED, "name another one")
    counts = database.export(run.settings, folder.absolute(), form, run.clock.now())
    rows = [{"file": str(folder / name), "rows": rows} for name, rows in counts.items()]
    columns = (
        Column("file", lambda r: r["file"]),
        Column("rows", lambda r: str(r["rows"]), right=True),
    )
    run.out.items({"items": rows}, columns, key="file")


@db_app.command(epilog="Example: orchestrator db restored")
def restored(ctx: typer.Context) -> None:
    """Show what the store cannot know after a restore: what came, changed or went meanwhile."""
    from orchestrator.cli import database  # noqa: PLC0415 - keeps `--help` quick

    run = session(ctx)
    found = database.reports(run.settings, run.clock.now())
    if run.out.form == "json":
        run.out.json({"items": [one.as_json() for one in found]})
    elif not found:
        run.out.note("this store was never restored")
    for one in found if run.out.form == "table" else ():
        _tell(run, one)


def _confirm(run: Session, name: str, given: str | None) -> None:
    if given is None:
        run.confirm(
            f"Replacing all that {name} holds cannot be undone. Go on?",
            yes=False,
            instead=f"--confirm {name}",
        )
        given = run.ask("Its name")
    if given != name:
        raise CliError(
            f"{given!r} is not the name of the database, which is {name!r}", ExitCode.REFUSED
        )


def _show(run: Session, file: Path, manifest: Manifest, verb: str) -> None:
    if run.out.form == "json":
        run.out.json({"file": str(file), **manifest.as_json()})
        return
    taken = run.out.at(formats.rfc3339(manifest.taken_at))
    run.out.say(
        f"{file} {verb} {manifest.rows} rows of {len(manifest.parts)} tables, of {taken} "
        f"(schema {manifest.revision}, {manifest.database})"
    )


def _tell(run: Session, found: Report) -> None:
    payload = found.as_json()
    until = "still frozen"
    if payload["thawed_at"]:
        until = f"thawed {run.out.at(payload['thawed_at'])} by {payload['thawed_by']}"
    run.out.say(f"{run.out.at(payload['found_at'])}  {payload['reason']}  ({until})")
    if payload["unseen"]:
        run.out.warn(f"not looked at since: {', '.join(payload['unseen'])}")
    rows = [
        *({"what": "endpoint", **one} for one in payload["endpoints"]),
        *({"what": "operation", **one} for one in payload["operations"]),
        *({"what": "deletion", **one} for one in payload["deletions"]),
    ]
    columns = (
        Column("what", lambda r: r["what"]),
        Column("endpoint", lambda r: "/".join(filter(None, (r.get("account"), r["name"])))),
        Column("finding", lambda r: r["finding"]),
        Column("since", lambda r: run.out.at(r["at"])),
        Column("by", lambda r: r.get("by") or formats.NOTHING),
    )
    empty = "nothing was seen to have changed"
    if payload["unseen"]:
        empty = "nothing was looked at yet: start the service, then ask again"
        if payload["seen"]:
            empty = f"nothing was seen to have changed in {', '.join(payload['seen'])}"
    run.out.items({"items": rows}, columns, key="name", empty=empty)
