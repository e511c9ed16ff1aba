"""Arguments and options that several commands share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from orchestrator.cli.errors import CliError, ExitCode

EndpointArg = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="Its id, account/name, or its name alone.")
]
EndpointArgs = Annotated[
    list[str], typer.Argument(metavar="ENDPOINT...", help="Ids, account/name, or names alone.")
]
AccountOption = Annotated[
    str | None, typer.Option("--account", "-a", metavar="ACCOUNT", help="Only of this account.")
]
LabelFilter = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="KEY=VALUE", help="Only with this label; repeatable."),
]
LimitOption = Annotated[
    int, typer.Option("--limit", min=0, metavar="N", help="Show at most N; 0 shows all.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")
]
WaitOption = Annotated[
    bool, typer.Option("--wait", "-w", help="Wait until the cloud has confirmed the change.")
]
TimeoutOption = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="Longest wait, such as 90s, 15m or 2h.")
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the change.")
]

_LONGEST_S = 10**8
_LENGTH = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s?)?")


def length(text: str) -> timedelta:
    """Read a length of time such as `90s`, `15m` or `1h30m`. Raises CliError."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise CliError(f"{text!r} is no length of time", ExitCode.USAGE, "write 90s, 15m or 2h")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if hours + minutes + seconds > _LONGEST_S:
        raise CliError(f"{text!r} is too long", ExitCode.USAGE, "write 90s, 15m or 2h")
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def pairs(texts: list[str] | None, what: str = "label") -> dict[str, str]:
    """Read `KEY=VALUE` texts. Raises CliError."""
    out: dict[str, str] = {}
    for text in texts or []:
        key, mark, value = text.partition("=")
        if not mark or not key:
            raise CliError(f"{text!r} is no {what}", ExitCode.USAGE, "write KEY=VALUE")
        out[key] = value
    return out
