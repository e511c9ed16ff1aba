"""The `orchestrator` command: global options, sub-commands, and how every run ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated

import typer

from orchestrator import __version__
from orchestrator.cli.commands import (
    accounts,
    backtest,
    bulk,
    calendars,
    contracts,
    costs,
    edit,
    endpoints,
    ends,
    expiry,
    holds,
    leases,
    local,
    looks,
    notifications,
    operations,
    policies,
    power,
    rules,
    schedules,
    starts,
    store,
    tokens,
    usage,
    why,
)
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Format
from orchestrator.cli.session import Session, Surroundings

__all__ = ["app", "contracts", "ends", "main", "power", "run", "store", "usage"]

PROGRAM = "orchestrator"
_FLAGS = frozenset({"-q", "--quiet", "--utc", "--no-color"})
_VALUED = frozenset({"-o", "--output", "-s", "--server"})

app = typer.Typer(
    name=PROGRAM,
    help="Look after managed model endpoints: what runs, why, what it costs; start and stop it.",
    epilog="Try: orchestrator scan (needs no server), then orchestrator serve, then "
    "orchestrator endpoints list. Global options may also follow the sub-command. Exit codes: "
    "2 usage, 3 not found, 4 refused, 5 not allowed, 6 unreachable, 7 failed, 8 timed out, "
    "9 partly read, 10 differs (apply --dry-run --exit-code).",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def start(
    ctx: typer.Context,
    *,
    server: Annotated[
        str | None, typer.Option("--server", "-s", metavar="URL", help="The server to talk to.")
    ] = None,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="Tables for people, or the API's JSON.")
    ] = "table",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only ids, and no notes.")] = False,
    utc: Annotated[bool, typer.Option("--utc", help="Read and show times in UTC.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
) -> None:
    """Keep the global options for the sub-command."""
    around: Surroundings = ctx.obj or Surroundings()
    chosen = Session(server, output, quiet=quiet, utc=utc, colour=not no_color, around=around)
    ctx.obj = chosen
    ctx.call_on_close(chosen.close)


_NOUNS = (
    ("endpoints", endpoints.app),
    ("schedules", schedules.app),
    ("policies", policies.app),
    ("calendars", calendars.app),
    ("holds", holds.app),
    ("leases", leases.app),
    ("expiry-policies", expiry.app),
    ("operations", operations.app),
    ("accounts", accounts.app),
    ("notifications", notifications.app),
    ("freeze", costs.freeze_app),
    ("tokens", tokens.app),
    ("db", local.db_app),
)
_COMMANDS = (
    (rules.export, "orchestrator export --file rules.yaml"),
    (rules.apply, "orchestrator apply rules.yaml --dry-run"),
    (bulk.bulk, "orchestrator bulk pause --label team=search --reason 'over' --dry-run"),
    (holds.hold, "orchestrator hold search-api running --for 3h --reason 'load test'"),
    (backtest.backtest, "orchestrator backtest --traffic traffic.csv.gz"),
    (backtest.advise, "orchestrator advise --traffic traffic.csv.gz --waiting 0.001"),
    (why.why, "orchestrator why search-api --at 2026-03-01T18:00Z --not running"),
    (why.timeline, "orchestrator timeline search-api --from -7d --to 2d"),
    (why.what_if, "orchestrator what-if --match team=search --idle 30 --from -30d"),
    (why.shadow, "orchestrator shadow --from -30d"),
    (starts.starts, "orchestrator starts --to 2d --late"),
    (costs.costs, "orchestrator costs --by label:team --month 2026-03"),
    (costs.events, "orchestrator events --kind 'operation.*' --since 2h"),
    (edit.hardware, "orchestrator hardware --account acme"),
    (looks.scan, "HF_TOKEN=... orchestrator scan"),
    (looks.doctor, "orchestrator doctor"),
    (local.config, "orchestrator config"),
    (local.serve, "orchestrator serve --port 8080"),
    (local.worker, "orchestrator worker"),
    (looks.demo, "orchestrator demo"),
    (local.version, "orchestrator version"),
)
for _name, _sub_app in _NOUNS:
    app.add_typer(_sub_app, name=_name)
for _function, _example in _COMMANDS:
    app.command(epilog=f"Example: {_example}")(_function)


def run(arguments: Sequence[str], around: Surroundings | None = None) -> int:
    """Run one command line and return its exit code; errors are one line on standard error."""
    try:
        _command()(args=hoist(arguments), prog_name=PROGRAM, obj=around)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.UNEXPECTED
    except CliError as error:
        sys.stderr.write(_one_line(error.line()) + "\n")
        return error.code
    return ExitCode.OK


def main() -> None:
    """Run the command line of this process."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return
    sys.exit(run(sys.argv[1:]))


def hoist(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with global options first, wherever a person wrote them."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or (word.partition("=")[0] in _VALUED and "=" in word):
            front.append(word)
        elif word in _VALUED:
            front += [word, *[value for value in (next(words, None),) if value is not None]]
        else:
            rest.append(word)
    return front + rest


@cache
def _command() -> Callable[..., object]:
    """Return the whole tree of commands, which is made once."""
    return typer.main.get_command(app)


def _one_line(text: str) -> str:
    from orchestrator.cli.formats import plain  # noqa: PLC0415 - only errors need it

    return plain(text)
