"""Options that describe a schedule, and the question before it acts at once."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from orchestrator.cli import changes, options, urls
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session

Json = dict[str, Any]
Texts = list[str] | None


class Part(StrEnum):
    """What an update can take away."""

    WINDOWS = "windows"
    POINTS = "points"
    DATES = "dates"
    CALENDARS = "calendars"


WindowOption = Annotated[
    Texts,
    typer.Option(
        "--window",
        metavar="WINDOW",
        help="Such as 'mon-fri 08:00-19:00', '1st mon,last 09:00-17:00'; with ' keep-running' or "
        "' ready-by' behind it; repeatable.",
    ),
]
PointOption = Annotated[
    Texts,
    typer.Option(
        "--point",
        metavar="POINT",
        help="One-sided, in cron's five fields: 'stop 0 22 * * *'; repeatable.",
    ),
]
OffOption = Annotated[
    Texts,
    typer.Option(
        "--off", metavar="DATE", help="A day off: 2026-12-24, or '2026-12-24 # a note'; repeatable."
    ),
]
ExtraOption = Annotated[
    Texts,
    typer.Option(
        "--extra", metavar="DATE", help="One more window: '2026-12-27 10:00-16:00'; repeatable."
    ),
]
ReplaceOption = Annotated[
    Texts,
    typer.Option(
        "--replace",
        metavar="DATE",
        help="Windows instead of the usual: '2026-12-31 08:00-12:00'; repeatable.",
    ),
]
CalendarOption = Annotated[
    Texts,
    typer.Option("--calendar", metavar="NAME", help="Its days are off; repeatable."),
]
ClearOption = Annotated[
    list[Part] | None,
    typer.Option("--clear", help="Take all of these away; repeatable."),
]
ZoneOption = Annotated[str | None, typer.Option(help="IANA zone, such as Europe/Berlin.")]
MatchOption = Annotated[
    Texts,
    typer.Option("--match", metavar="KEY=VALUE", help="Endpoints with this label; repeatable."),
]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint", metavar="ENDPOINT", help="This one endpoint.")
]
DrainOption = Annotated[
    int | None, typer.Option(min=0, help="Minutes to wait for requests to end at a window's end.")
]
ApplyNowOption = Annotated[
    Texts,
    typer.Option(
        "--apply-now",
        metavar="ENDPOINT",
        help="Act on it at once, or on all that it covers; repeatable.",
    ),
]
FileOption = Annotated[
    str | None,
    typer.Option("--file", metavar="FILE", help="The whole schedule as YAML or JSON; - for stdin."),
]
ALL = "all"


@dataclass(frozen=True, slots=True)
class Given:
    """A schedule as its options describe it, and the file that it is in."""

    fields: Json
    account: str | None
    endpoint: str | None
    match: Texts
    file: str | None

    @property
    def anything(self) -> bool:
        """Tell whether any option describes something."""
        given = (*self.fields.values(), self.account, self.endpoint, self.match, self.file)
        return any(value not in (None, []) for value in given)

    def chosen(self, run: Session) -> Json:
        """Return the fields that the options give."""
        return self.fields | {"selector": selector_of(run, self.account, self.endpoint, self.match)}

    def base(self) -> Json:
        """Return the fields that the file gives. Raises CliError."""
        return read(self.file)


def described(
    *,
    timezone: ZoneOption = None,
    window: WindowOption = None,
    point: PointOption = None,
    off: OffOption = None,
    extra: ExtraOption = None,
    replace: ReplaceOption = None,
    calendar: CalendarOption = None,
    account: options.AccountOption = None,
    endpoint: EndpointOption = None,
    match: MatchOption = None,
    drain: DrainOption = None,
    file: FileOption = None,
) -> Given:
    """Return the schedule that the options of a command describe."""
    fields = {
        "timezone": timezone,
        "windows": window,
        "points": point,
        "dates": dates_of(off, extra, replace),
        "calendars": calendar,
        "drain_minutes": drain,
    }
    return Given(fields, account, endpoint, match, file)


def dates_of(off: Texts, extra: Texts, replaced: Texts) -> list[str]:
    """Return exceptions as the API reads them: `2026-12-27 extra 10:00-16:00`."""
    kinds = {"off": off, "extra": extra, "replaced": replaced}
    return [_dated(kind, text) for kind, texts in kinds.items() for text in texts or []]


def _dated(kind: str, text: str) -> str:
    day, _, rest = text.strip().partition(" ")
    return f"{day} {kind} {rest}".strip()


def body_of(name: str, given: Json, base: Json, clear: list[Part] | None = None) -> Json:
    """Return the schedule from a file and the options; options win. Raises CliError.

    Dates come on top of those that are there, and take the place of those of the same day.
    """
    chosen = {key: value for key, value in given.items() if value not in (None, [], {})}
    kept = {**base, **{str(part): [] for part in clear or []}}
    if "dates" in chosen:
        named = {_day(one) for one in chosen["dates"]}
        others = [one for one in kept.get("dates") or [] if _day(one) not in named]
        chosen["dates"] = [*others, *chosen["dates"]]
    body = {**kept, **chosen, "name": name}
    spoken = body.get("windows") or body.get("points") or body.get("dates")
    if not body.get("timezone") or not spoken:
        raise CliError(
            "a schedule needs a zone and a window or a point",
            ExitCode.USAGE,
            "add --timezone Europe/Berlin --window 'mon-fri 08:00-19:00'",
        )
    return body


def _day(one: Any) -> str:
    return str(one["date"] if isinstance(one, dict) else one)[:10]


def selector_of(run: Session, account: str | None, endpoint: str | None, match: Texts) -> Json:
    """Return which endpoints the options mean."""
    given = {
        "account": account,
        "endpoint": changes.resolve(run, endpoint) if endpoint else None,
        "labels": options.pairs(match),
    }
    return {key: value for key, value in given.items() if value}


def some_of(run: Session, account: str | None, endpoint: str | None, match: Texts) -> Json:
    """Return which endpoints the options of a policy mean. Raises CliError where they name none."""
    selector = selector_of(run, account, endpoint, match)
    if not selector:
        raise CliError(
            "a policy for what?", ExitCode.USAGE, "give --account, --endpoint or --match"
        )
    return selector


def read(file: str | None) -> Json:
    """Return the schedule that a file describes. Raises CliError."""
    if file is None:
        return {}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        content = json.loads(text) if text.lstrip()[:1] == "{" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise CliError(f"--file cannot be read: {problem}", ExitCode.USAGE) from None
    if not isinstance(content, dict):
        raise CliError("--file holds no schedule: no mapping of fields", ExitCode.USAGE)
    plain: Json = json.loads(json.dumps(content, default=str))  # YAML reads dates by itself
    return plain


def save(
    run: Session, method: str, where: str, body: Json, now: Texts, *, dry_run: bool, yes: bool
) -> Any:
    """Save a schedule, or rehearse it; ask first where it acts on endpoints at once.

    What is listed is what is sent: an endpoint that matches only later is not acted on at once.
    """
    if now:
        rehearsed = changes.Change(run, dry_run=True).send(method, where, body=body)["would"]
        listed = _confirmed(run, rehearsed, now, ask=not dry_run, yes=yes)
        body = {**body, "apply_now": listed, "confirm": rehearsed.get("confirm", "")}
    return changes.Change(run, dry_run=dry_run).send(method, where, body=body)


def _confirmed(run: Session, would: Json, now: Texts, *, ask: bool, yes: bool) -> list[str]:
    covered = [one for one in would.get("endpoints") or [] if one.get("managed", True)]
    wanted = {_endpoint_id(run, one) for one in now or [] if one != ALL}
    if ALL in (now or []):
        wanted |= {one["id"] for one in covered}
    listed = [one for one in covered if one["id"] in wanted]
    for one in listed:
        shield = ", protected: only proposed" if one.get("protected") else ""
        run.out.note(f"at once: {one['name']}{shield}")
    wish = would.get("wish_now") or "as it is, until its next point"
    if ask and wanted:
        run.confirm(f"Act now on {len(wanted)} of its endpoints ({wish})?", yes=yes)
    return sorted(wanted)


def _endpoint_id(run: Session, endpoint: str) -> str:
    found: Json = run.api.get(urls.path("endpoints", changes.resolve(run, endpoint)))
    return str(found["id"])
