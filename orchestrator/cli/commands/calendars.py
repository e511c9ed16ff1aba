"""`orchestrator calendars`: named days off for schedules and expiry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli import changes, options, urls
from orchestrator.cli.commands.schedules import remove
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.option_groups import taking
from orchestrator.cli.output import Column
from orchestrator.cli.session import Session, session

app = typer.Typer(
    help="Named calendars: days off for schedules and expiry policies.", no_args_is_help=True
)

Json = dict[str, Any]
SHOWN = 12
CalendarArg = Annotated[str, typer.Argument(metavar="CALENDAR", help="Its id or name.")]
CountryOption = Annotated[
    str | None, typer.Option(metavar="CODE", help="Public holidays of a country, such as DE.")
]
SubdivisionOption = Annotated[
    str | None, typer.Option(metavar="CODE", help="Of its part, such as BY; with --country.")
]
CategoryOption = Annotated[
    list[str] | None,
    typer.Option("--category", help="Such as public or bank; with --country; repeatable."),
]
LanguageOption = Annotated[
    str | None, typer.Option(metavar="CODE", help="Of the names, such as en_US; with --country.")
]
FileOption = Annotated[Path | None, typer.Option("--file", "-f", help="An iCalendar file (.ics).")]
TimezoneOption = Annotated[
    str | None, typer.Option(metavar="ZONE", help="Where times of the file are read; with --file.")
]
SkipOption = Annotated[
    bool,
    typer.Option("--skip-partial", help="Leave out days covered in part only; with --file."),
]
DateOption = Annotated[
    list[str] | None,
    typer.Option("--date", metavar="DATE[=NAME]", help="Such as '2026-12-24=Christmas Eve'."),
]


def described(
    *,
    country: CountryOption = None,
    subdivision: SubdivisionOption = None,
    category: CategoryOption = None,
    language: LanguageOption = None,
    file: FileOption = None,
    timezone: TimezoneOption = None,
    skip_partial: SkipOption = False,
    date: DateOption = None,
) -> Json:
    """Return the source that the options of a command describe. Raises CliError."""
    holidays = _holidays(country, subdivision, category, language)
    return _source(holidays, _file(file, timezone, skip=skip_partial), date)


@app.command("list", epilog="Example: orchestrator calendars list")
def list_calendars(ctx: typer.Context) -> None:
    """List calendars."""
    run = session(ctx)
    run.out.items(run.api.pages(urls.path("calendars")), _COLUMNS, empty="no calendars")


@app.command(epilog="Example: orchestrator calendars show bavaria --all")
def show(
    ctx: typer.Context,
    calendar: CalendarArg,
    every: Annotated[bool, typer.Option("--all", help="All dates, also those gone by.")] = False,
) -> None:
    """Show a calendar, the next days off, and what uses it."""
    run = session(ctx)
    _show(run, run.api.get(urls.path("calendars", calendar)), every=every)


@app.command(
    epilog="Example: orchestrator calendars create bavaria --country DE --subdivision BY; or "
    "calendars create ours --file holidays.ics; or calendars create ours --date 2026-12-24=Closed"
)
@taking(described)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you will call it.")],
    *,
    given: Json,
    dry_run: options.DryRunOption = False,
) -> None:
    """Save a calendar of public holidays, of a file, or of dates."""
    _save(session(ctx), "POST", urls.path("calendars"), {"name": name, "source": given}, dry_run)


@app.command(
    epilog="Example: orchestrator calendars replace ours --file holidays-2027.ics --dry-run"
)
@taking(described)
def replace(
    ctx: typer.Context,
    calendar: CalendarArg,
    *,
    given: Json,
    dry_run: options.DryRunOption = False,
) -> None:
    """Give a calendar another source; --dry-run shows what schedules will do then."""
    run = session(ctx)
    where = urls.path("calendars", calendar)
    present: Json = run.api.get(where)
    _save(run, "PUT", where, {"name": present["name"], "source": given}, dry_run)


@app.command(epilog="Example: orchestrator calendars refresh bavaria --dry-run")
def refresh(
    ctx: typer.Context, calendar: CalendarArg, dry_run: options.DryRunOption = False
) -> None:
    """Take the days off that its source tells now, from today on."""
    _save(session(ctx), "POST", urls.path("calendars", calendar, "refresh"), None, dry_run)


@app.command(epilog="Example: orchestrator calendars delete bavaria")
def delete(
    ctx: typer.Context,
    calendar: CalendarArg,
    yes: options.YesOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Delete a calendar that nothing uses."""
    remove(session(ctx), "calendars", calendar, yes=yes, dry_run=dry_run)


def _holidays(
    country: str | None, subdivision: str | None, categories: list[str] | None, language: str | None
) -> Json | None:
    given = {"subdivision": subdivision, "categories": categories, "language": language}
    chosen = {key: value for key, value in given.items() if value}
    if country is None and chosen:
        raise CliError(
            f"{next(iter(chosen))} of which country?", ExitCode.USAGE, "add --country DE"
        )
    return None if country is None else {"kind": "holidays", "country": country, **chosen}


def _file(file: Path | None, timezone: str | None, *, skip: bool) -> Json | None:
    given = {"timezone": timezone, "skip_partial": skip}
    chosen = {key: value for key, value in given.items() if value}
    if file is None:
        if chosen:
            raise CliError("the times of which file?", ExitCode.USAGE, "add --file FILE.ics")
        return None
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}", ExitCode.USAGE) from None
    except UnicodeDecodeError:
        raise CliError(f"{file} is no text in UTF-8", ExitCode.USAGE) from None
    return {"kind": "icalendar", "text": text, **chosen}


def _source(holidays: Json | None, file: Json | None, dates: list[str] | None) -> Json:
    listed: Json | None = None
    if dates:
        parts = [text.partition("=") for text in dates]
        listed = {"kind": "dates", "dates": {day.strip(): name for day, _, name in parts}}
    given = [one for one in (holidays, file, listed) if one is not None]
    if len(given) != 1:
        raise CliError(
            "days off from where?", ExitCode.USAGE, "give one of --country, --file and --date"
        )
    return given[0]


def _save(run: Session, method: str, where: str, body: Json | None, dry_run: bool) -> None:
    answer: Json = changes.Change(run, dry_run=dry_run).send(method, where, body=body)
    if not dry_run:
        _show(run, answer)
    elif run.out.form == "json":
        run.out.json(answer)
    else:
        run.out.say("Dry run, nothing is changed. It would be:")
        _show(run, answer["would"])


def _origin(calendar: Json) -> str:
    given = calendar["parameters"]
    if calendar["kind"] != "holidays":
        return {"icalendar": "a file", "dates": "dates"}[calendar["kind"]]
    place = "-".join(given[key] for key in ("country", "subdivision") if given.get(key))
    kinds = f" ({', '.join(given['categories'])})" if given.get("categories") else ""
    return f"holidays of {place}{kinds}"


_COLUMNS = (
    Column("name", lambda c: c["name"]),
    Column("from", _origin),
    Column("days", lambda c: str(c["days"]), right=True),
    Column("known to", lambda c: f"{c['covers_to']}{' and on' if c['extends'] else ''}"),
    Column("id", lambda c: c["id"], optional=True),
)


def _show(run: Session, calendar: Json, *, every: bool = False) -> None:
    today = run.out.now().date().isoformat()
    days = [day for day in calendar["dates"] if every or day["date"] >= today]
    shown = days if every else days[:SHOWN]
    more = len(days) - len(shown)
    users = calendar["used_by"]
    run.out.record(
        calendar,
        [
            ("name", calendar["name"]),
            ("id", calendar["id"]),
            ("from", _origin(calendar)),
            ("known", f"{calendar['covers_from']} to {calendar['covers_to']}"),
            ("later", "follows by itself" if calendar["extends"] else "nothing is known"),
            ("used by", ", ".join([*users["schedules"], *users["expiry_policies"]])),
            *((day["date"], day["name"]) for day in shown),
            ("", f"and {more} more; --all shows them" if more else ""),
            *_changes(run, calendar),
            *(("note", one["message"]) for one in calendar["findings"]),
        ],
    )


def _changes(run: Session, calendar: Json) -> list[tuple[str, str]]:
    found = calendar.get("changes")
    told: list[tuple[str, str]] = []
    if found and calendar["version"] > 1:
        for sign, key in (("+", "added"), ("-", "removed"), ("~", "renamed")):
            told += [("change", f"{sign} {day['date']} {day['name']}") for day in found[key]]
    for one in calendar.get("effects") or []:
        first = f", first other on {one['dates'][0]}" if one["dates"] else ""
        when = f", acts from {run.out.at(one['acts_from'])}" if one.get("acts_from") else ""
        hours = f"{one['hours']:+g} h" if one["hours"] else "as many hours"
        told.append(("effect", f"{one['schedule']} is up {hours} in a year{first}{when}"))
    return told
